"""The run directory: where a training keeps everything that is needed to continue it and to use its model.

::

    config.yaml       resolved and complete, as the run was started
    changes           what is otherwise now, such as how long it is or where its corpus lies: `key=value`, one a line
    tokenizer.json    so that using the model never needs the corpus
    environment.json  versions, threads, digests of the data
    ngrams.safetensors  what the network is mixed with, if `model.ngram_order` says so
    metrics.jsonl     one event a line
    checkpoints/      one directory a step, `00000400`: see storage.py; `00000400.damaged` was set aside
    best  last        the step of the best and of the newest checkpoint, in one line
    format            version of this layout; the last file of a new run: a directory without it holds no run
    lock              held by the one process that writes
"""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from lstmlm import files
from lstmlm.checkpoint import storage
from lstmlm.checkpoint.checkpoints import Checkpoints, read_number
from lstmlm.checkpoint.folders import folders_below, nearest_folder
from lstmlm.checkpoint.metrics_file import MetricsLog
from lstmlm.checkpoint.storage import Checkpoint, FileRecord
from lstmlm.checkpoint.tensor_file import TensorFile
from lstmlm.config import RunConfig
from lstmlm.config.data import MOST_TOKENIZER_BYTES
from lstmlm.errors import (
    RESTORE,
    ChangedTextError,
    CheckpointError,
    ConfigError,
    MissingRunError,
    RunExistsError,
    StorageError,
    as_command,
)
from lstmlm.yaml.schema import dump_yaml, load_yaml
from lstmlm.yaml.settings import MAX_BYTES, as_override

if TYPE_CHECKING:
    from torch import Tensor

CONFIG = "config.yaml"
CHANGES = "changes"
TOKENIZER = "tokenizer.json"
NGRAMS = "ngrams.safetensors"
ENVIRONMENT = "environment.json"
METRICS = "metrics.jsonl"
FORMAT = "format"
FORMAT_VERSION = 1
LOCK = "lock"

FEW_BLANKS = 30
"""Characters for each blank in a text that is written without: words of alphabets have a third of them at most."""


class RunDirectory:
    """An existing run. Reading needs no lock and always finds whole checkpoints; `save` needs `with run.lock():`."""

    def __init__(self, path: Path, config: RunConfig, config_yaml: bytes, tokenizer_json: str) -> None:
        self.path = path
        self.config = config
        self.tokenizer_json = tokenizer_json
        self.metrics = MetricsLog(path / METRICS)
        self._checkpoints = _checkpoints_of(path)
        # What this process works with, not what the disk may hold later: checkpoints vouch for these.
        self._run_files = {
            CONFIG: FileRecord.of([config_yaml]),
            TOKENIZER: FileRecord.of([tokenizer_json.encode()]),
        }
        self._is_locked = False

    @classmethod
    def exists(cls, path: Path) -> bool:
        """Whether there is a run at `path`, with a checkpoint or without; not where one is half removed."""
        return (path / FORMAT).is_file() and not files.is_leftover(path)

    @classmethod
    def require_free(cls, path: Path) -> None:
        """Check that a run can be created at `path`: early, before long work for a new run begins.

        Raises:
            CheckpointError: The directory holds a run or something else.
        """
        if not path.exists():
            return
        if not path.is_dir():
            raise RunExistsError(f"{path}: is not a directory. Choose another --run-dir.")
        if cls.exists(path):
            last = _checkpoints_of(path).last
            found = "holds a run without a checkpoint" if last is None else f"already holds {last} steps"
            use = "start" if last is None else "continue"
            raise RunExistsError(f"{path}: {found}. Use --resume to {use} it, or another --run-dir.")
        names = {entry.name for entry in files.list_directory(path) if not files.is_leftover(entry)}
        # The lock is the first file of a new run: with it, these are ours, left by a process that died in `create`.
        if names and not (LOCK in names and names <= {LOCK, CONFIG, TOKENIZER, NGRAMS, ENVIRONMENT}):
            raise RunExistsError(f"{path}: is not empty and holds no run. Choose another --run-dir.")

    @classmethod
    def require_space(cls, path: Path, checkpoint_bytes: int, n_checkpoints: int, ngram_bytes: int = 0) -> None:
        """Check that so many checkpoints at `path`, of about this size each, and n-grams have room on the disk.

        Raises:
            CheckpointError: They have not.
        """
        needed = (n_checkpoints - len(_checkpoints_of(path).steps)) * checkpoint_bytes + ngram_bytes
        if (n_free := files.free_bytes(path)) < needed:
            ngrams = f"n-grams ({ngram_bytes / 1e6:,.1f} MB) and " if ngram_bytes else ""
            raise StorageError(
                f"{path}: has {n_free / 1e6:,.1f} MB free, but its {ngrams}checkpoints ({n_checkpoints} of "
                f"{checkpoint_bytes / 1e6:,.1f} MB at most) still need {needed / 1e6:,.1f} MB. "
                "Free some space there, or choose another --run-dir."
            )

    @classmethod
    @contextmanager
    def create(
        cls,
        path: Path,
        config: RunConfig,
        tokenizer_json: str,
        environment: Mapping[str, object],
        ngrams: "Mapping[str, Tensor] | None" = None,
    ) -> Iterator[Self]:
        """Begin a run in a directory that is missing, empty or was left by a process that died here; be its one writer.

        Args:
            path: The new run directory; missing parents are created.
            config: Resolved: what `auto` stood for is written out.
            tokenizer_json: The tokenizer as JSON text.
            environment: What numbers may depend on besides the config: versions, threads, digests of the data.
            ngrams: What the network is mixed with, where it is; see `load_ngrams`.

        Raises:
            CheckpointError: The directory holds a run or something else, is in use or cannot be written.
        """
        cls.require_free(path)
        files.make_directory(path)
        with files.locked(path / LOCK):
            # Another process may have been faster.
            cls.require_free(path)
            files.remove_leftovers(path)
            files.write_atomically(path / CONFIG, dump_yaml(config).encode())
            files.write_atomically(path / TOKENIZER, tokenizer_json.encode())
            files.write_atomically(path / ENVIRONMENT, storage.json_bytes(environment))
            if ngrams is not None:
                files.write_blocks_atomically(path / NGRAMS, TensorFile.of(ngrams))
            files.write_atomically(path / FORMAT, b"%d\n" % FORMAT_VERSION)
            with cls.open(path)._writable() as run:
                yield run

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a run; what its newest intact manifest says about config and tokenizer is verified first.

        Raises:
            CheckpointError: There is no run, it is of a newer format, or one of these files is damaged.
        """
        if not cls.exists(path):
            if path.is_dir() and files.list_directory(path):
                raise MissingRunError(f"{path}: is no run. Name what lstmlm train has made.")
            raise MissingRunError(f"{path}: no such run. {_what_to_type(path)}")
        if (version := read_number(path / FORMAT)) != FORMAT_VERSION:
            raise CheckpointError(
                f"{path / FORMAT}: is {version}, this lstmlm reads {FORMAT_VERSION}. "
                "Use the version of lstmlm that wrote the run."
            )
        if (checkpoints := _checkpoints_of(path)).last is not None:
            checkpoints.verify_run_files([path / CONFIG, path / TOKENIZER])
        config = load_yaml(path / CONFIG, RunConfig, changes_of(path))
        tokenizer_json = files.read_text(path / TOKENIZER, MOST_TOKENIZER_BYTES)
        return cls(path, config, files.read_bytes(path / CONFIG, MAX_BYTES), tokenizer_json)

    @classmethod
    def newest(cls, root: Path) -> Self:
        """Open the run in `folders_below` that published a checkpoint most recently; of equals, the last one.

        Raises:
            CheckpointError: No run below `root` has a checkpoint, or the newest is damaged.
        """
        found = {path: _checkpoints_of(path).published_at for path in folders_below(root) if cls.exists(path)}
        published = {path: when for path, when in found.items() if when is not None}
        if not published:
            raise MissingRunError(f"{root}: holds no trained run. Train one first: lstmlm train --config quickstart")
        return cls.open(max(published, key=lambda path: (published[path], path)))

    def with_config(self, config: RunConfig) -> Self:
        """The same run, to go on by another configuration: of another length, or with its corpus elsewhere."""
        run = copy.copy(self)
        run.config = config
        return run

    def record_changes(self, changes: Mapping[str, object]) -> None:
        """Write down what is otherwise than in config.yaml, for which the checkpoints vouch; needs the lock.

        Raises:
            CheckpointError: It cannot be written.
        """
        lines = [as_override(key, value) for key, value in changes.items()]
        if lines != changes_of(self.path):
            files.write_lines(self.path / CHANGES, lines)

    @property
    def config_as_started(self) -> RunConfig:
        """What config.yaml holds.

        Raises:
            ConfigError: It is damaged.
        """
        return load_yaml(self.path / CONFIG, RunConfig)

    @property
    def environment(self) -> dict[str, Any]:
        """What the run was made with, as `create` was told.

        Raises:
            CheckpointError: environment.json is missing or damaged.
        """
        path = self.path / ENVIRONMENT
        return storage.json_object(path, files.read_bytes(path, storage.MOST_JSON_BYTES))

    def digest_of(self, split: str) -> str | None:
        """The SHA-256 of a split of the text that the run was started on; None for a split that there was not."""
        facts = self._facts_of(split)
        return str(facts.get("sha256")) if facts else None

    @property
    def knows_blank(self) -> bool:
        """Whether lines of the training text have white space in them, not next to none; so where nothing was counted.

        It is little where on average more than `FEW_BLANKS` characters have none.
        """
        facts = self._facts_of("train")
        return "n_words" not in facts or (facts["n_words"] - facts["n_lines"]) * FEW_BLANKS >= facts["n_chars"]

    def _facts_of(self, split: str) -> dict[str, Any]:
        data = self.environment.get("data")
        facts = data.get(split) if isinstance(data, dict) else None
        return facts if isinstance(facts, dict) else {}

    def require_same_text(self, corpus: str, split: str, sha256: str, advice: str) -> None:
        """Check that a split is still the text that the run was started on, wherever it lies now.

        Raises:
            DataError: It is another text; the message ends with `advice`.
        """
        recorded = self.digest_of(split)
        if recorded is not None and recorded != sha256:
            raise ChangedTextError(
                f"{corpus}: the {split} split is not the text that {self.path} was started on (SHA-256 "
                f"{recorded[:12]} there, {sha256[:12]} here). {advice}"
            )

    @property
    def best(self) -> int | None:
        """The step of the best checkpoint, if there is one."""
        return self._checkpoints.best

    @property
    def last(self) -> int | None:
        """The step of the last checkpoint, if there is one."""
        return self._checkpoints.last

    @property
    def n_parameters(self) -> int | None:
        """The numbers that the model consists of; None where there is no checkpoint yet.

        Raises:
            CheckpointError: The newest checkpoint is missing or damaged.
        """
        return None if self.last is None else self._checkpoints.n_parameters(self.last)

    @property
    def steps(self) -> list[int]:
        """The steps of which there is a checkpoint, ascending."""
        return self._checkpoints.steps

    def path_of(self, step: int) -> Path:
        """Where a checkpoint is."""
        return self._checkpoints.path(step)

    def verify(self, step: int) -> bool:
        """Compare a checkpoint, and what of the metrics was written before it, with its manifest, every byte.

        Returns:
            Whether it vouches for metrics; those of earlier versions do not.

        Raises:
            CheckpointError: A file of it or of the run is missing or damaged.
        """
        manifest = self._checkpoints.manifest(step)
        if manifest.metrics is not None:
            storage.verify_metrics(self.metrics.path, manifest.metrics)
        return manifest.metrics is not None

    @contextmanager
    def lock(self) -> Iterator[Self]:
        """Be the one writer of this run; undo what an earlier one left unfinished, set aside what a disk has damaged.

        Raises:
            CheckpointError: Another process is writing; the message names it. Or no checkpoint is intact.
        """
        with files.locked(self.path / LOCK):
            files.remove_leftovers(self.path)
            self._checkpoints.tidy_up()
            with self._writable():
                yield self

    @contextmanager
    def _writable(self) -> Iterator[Self]:
        if (self.path / NGRAMS).is_file():
            self._run_files[NGRAMS] = FileRecord.of_file(self.path / NGRAMS)
        self._is_locked = True
        try:
            yield self
        finally:
            self._is_locked = False

    def save(self, step: int, content: Checkpoint, *, is_best: bool) -> None:
        """Publish a checkpoint, once the events so far are on the disk: a resume finds no gap in the metrics.

        A kill at any instant leaves the previous checkpoint or the new one, whole, also when `step` is saved again.
        The best, the last and the one before it are kept, and others as `training.keep` says.

        Args:
            step: The number of updates made.
            content: What a resume needs.
            is_best: Whether this is the best model so far.

        Raises:
            CheckpointError: It cannot be written; the previous checkpoints are untouched.
            ValueError: A number in the state is NaN or infinite, which JSON does not have.
        """
        if not self._is_locked:
            raise RuntimeError("RunDirectory.save needs the lock: call it inside `with run.lock():`")
        self.metrics.force_to_disk()
        keep = self.config.training.keep
        self._checkpoints.publish(step, content, self._run_files, self.metrics.record(), is_best=is_best, keep=keep)

    def load_ngrams(self) -> "dict[str, Tensor]":
        """The n-grams that the network is mixed with, as `create` was given them, verified and refused as the weights.

        Raises:
            CheckpointError: There is no checkpoint, or none that vouches for n-grams, or they are missing or damaged.
        """
        record = self._checkpoints.read(self.best or 0, storage.read_manifest).run.get(NGRAMS)
        if record is None:
            raise CheckpointError(f"{self.path / NGRAMS}: is missing. {RESTORE}")
        return storage.verified_tensors(self.path / NGRAMS, record)

    def load_weights(self, step: int) -> "dict[str, Tensor]":
        """The weights of a checkpoint, on the CPU, after every byte of it was verified.

        Raises:
            CheckpointError: There is no such checkpoint, or a file of it or of the run is missing or damaged.
        """
        return self._checkpoints.read(step, storage.load_weights)

    def load_training(self, step: int) -> Checkpoint:
        """All of a checkpoint, verified and refused as by `load_weights`."""
        return self._checkpoints.read(step, storage.load_checkpoint)


def _what_to_type(path: Path) -> str:
    if near := nearest_folder(path, FORMAT):
        return f"Did you mean {near}?"
    return f"Train one: {as_command(['lstmlm', 'train', '--config', 'quickstart', '--run-dir', str(path)])}"


def changes_of(run_dir: Path) -> list[str]:
    """Return what is otherwise in a run than in its config.yaml, as `--set` takes it.

    Raises:
        CheckpointError: It cannot be read, or is damaged; or config.yaml, as ConfigError.
    """
    if not (path := run_dir / CHANGES).exists():
        return []
    load_yaml(run_dir / CONFIG, RunConfig)  # what is wrong there is no fault of the changes
    # What else `str.splitlines` takes for the end of a line may be part of a path.
    lines = [line for line in files.read_text(path, MAX_BYTES).split("\n") if line]
    try:
        load_yaml(run_dir / CONFIG, RunConfig, lines, flag="")
    except ConfigError as error:
        raise CheckpointError(f"{path}: is damaged: {error} {RESTORE}") from None
    return lines


def last_step(run_dir: Path) -> int | None:
    """Return the step of the newest checkpoint in `run_dir`; None if there is none."""
    return RunDirectory.open(run_dir).last if RunDirectory.exists(run_dir) else None


def _checkpoints_of(path: Path) -> Checkpoints:
    return Checkpoints(path, [path / CONFIG, path / TOKENIZER, path / NGRAMS])
