"""The run directory: where a training keeps everything that is needed to continue it and to use its model.

::

    config.yaml       resolved and complete
    tokenizer.json    so that using the model never needs the corpus
    environment.json  versions, threads, digests of the data
    metrics.jsonl     one event a line
    checkpoints/      one directory a step, `00000400`: see storage.py
    best  last        the step of the best and of the newest checkpoint, in one line
    format            version of this layout; the last file of a new run: a directory without it holds no run
    lock              held by the one process that writes
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from lstmlm import files
from lstmlm.checkpoint import storage
from lstmlm.checkpoint.storage import Checkpoint
from lstmlm.config import RunConfig
from lstmlm.errors import CheckpointError
from lstmlm.schema import dump_yaml, load_yaml

CONFIG = "config.yaml"
TOKENIZER = "tokenizer.json"
ENVIRONMENT = "environment.json"
METRICS = "metrics.jsonl"
CHECKPOINTS = "checkpoints"
BEST = "best"
LAST = "last"
FORMAT = "format"
LOCK = "lock"

FORMAT_VERSION = 1


class RunDirectory:
    """An existing run. Reading needs no lock and always finds whole checkpoints; `save` needs `with run.lock():`."""

    def __init__(self, path: Path, config: RunConfig, config_yaml: bytes, tokenizer_json: str) -> None:
        self.path = path
        self.config = config
        self.tokenizer_json = tokenizer_json
        # What this process works with, not what the disk may hold later: checkpoints vouch for these.
        self._run_files = {CONFIG: config_yaml, TOKENIZER: tokenizer_json.encode()}
        self._is_locked = False

    @classmethod
    def exists(cls, path: Path) -> bool:
        """Whether there is a run at `path`, with a checkpoint or without."""
        return (path / FORMAT).is_file()

    @classmethod
    def require_free(cls, path: Path) -> None:
        """Check that a run can be created at `path`: early, before long work for a new run begins.

        Raises:
            CheckpointError: The directory holds a run or something else.
        """
        if not path.exists():
            return
        if not path.is_dir():
            raise CheckpointError(f"{path}: is not a directory. Choose another --run-dir.")
        if cls.exists(path):
            last = _read_step(path / LAST)
            if last is None:
                raise CheckpointError(
                    f"{path}: holds a run without a checkpoint. Use --resume to start it, or another --run-dir."
                )
            raise CheckpointError(
                f"{path}: already holds {last} steps. Use --resume to continue it, or another --run-dir."
            )
        names = {entry.name for entry in files.list_directory(path) if not files.is_leftover(entry)}
        # The lock is the first file of a new run: with it, these are ours, left by a process that died in `create`.
        if names and not (LOCK in names and names <= {LOCK, CONFIG, TOKENIZER, ENVIRONMENT}):
            raise CheckpointError(f"{path}: is not empty and holds no run. Choose another --run-dir.")

    @classmethod
    def create(cls, path: Path, config: RunConfig, tokenizer_json: str, environment: Mapping[str, object]) -> Self:
        """Begin a run in a directory that is missing, empty or was left by a process that died in this function.

        Args:
            path: The new run directory; missing parents are created.
            config: Resolved: what `auto` stood for is written out.
            tokenizer_json: The tokenizer as JSON text.
            environment: What numbers may depend on besides the config: versions, threads, digests of the data.

        Raises:
            CheckpointError: The directory holds a run or something else, is in use or cannot be written.
        """
        cls.require_free(path)
        files.make_directory(path)
        with files.FileLock(path / LOCK):
            # Another process may have been faster.
            cls.require_free(path)
            files.remove_leftovers(path)
            files.write_atomically(path / CONFIG, dump_yaml(config).encode())
            files.write_atomically(path / TOKENIZER, tokenizer_json.encode())
            files.write_atomically(path / ENVIRONMENT, storage.json_bytes(environment))
            files.write_atomically(path / FORMAT, b"%d\n" % FORMAT_VERSION)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a run; what its newest checkpoint says about config and tokenizer is verified first.

        Raises:
            CheckpointError: There is no run, it is of a newer format, or one of these files is damaged.
        """
        if not cls.exists(path):
            raise CheckpointError(f"{path}: no such run. Train one: lstmlm train --config FILE --run-dir {path}.")
        version = _read_number(path / FORMAT)
        if version != FORMAT_VERSION:
            raise CheckpointError(
                f"{path / FORMAT}: is {version}, this lstmlm reads {FORMAT_VERSION}. "
                "Use the version of lstmlm that wrote the run."
            )
        last = _read_step(path / LAST)
        if last is not None:
            with _reading(path, last) as directory:
                storage.verify_run_files(directory, last, _run_file_paths(path))
        config = load_yaml(path / CONFIG, RunConfig)
        return cls(path, config, files.read_bytes(path / CONFIG), files.read_text(path / TOKENIZER))

    @classmethod
    def newest(cls, root: Path) -> Self:
        """Open the run in `root` that published a checkpoint most recently; of equals, the last by name.

        Raises:
            CheckpointError: No run in `root` has a checkpoint, or the newest is damaged.
        """
        published = [path.parent for path in root.glob(f"*/{LAST}") if cls.exists(path.parent)]
        if not published:
            raise CheckpointError(
                f"{root}: holds no trained run. Train one first: lstmlm train --config configs/quickstart.yaml."
            )
        return cls.open(max(published, key=lambda path: ((path / LAST).stat().st_mtime_ns, path.name)))

    @property
    def environment(self) -> dict[str, Any]:
        """What the run was made with, as `create` was told.

        Raises:
            CheckpointError: environment.json is missing or damaged.
        """
        try:
            return dict(json.loads(files.read_text(self.path / ENVIRONMENT)))
        except ValueError:
            raise CheckpointError(f"{self.path / ENVIRONMENT}: is damaged. Restore it from a copy.") from None

    @property
    def metrics_path(self) -> Path:
        """Where the events of the training are recorded."""
        return self.path / METRICS

    @property
    def best(self) -> int | None:
        """The step of the best checkpoint, if one was ever marked as that."""
        return _read_step(self.path / BEST)

    @property
    def last(self) -> int | None:
        """The step of the newest checkpoint, if there is one."""
        return _read_step(self.path / LAST)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the one writer of this run, and remove what an earlier one left unfinished.

        Raises:
            CheckpointError: Another process is writing; the message names it.
        """
        with files.FileLock(self.path / LOCK):
            files.remove_leftovers(self.path)
            if (self.path / CHECKPOINTS).is_dir():
                files.remove_leftovers(self.path / CHECKPOINTS)
            self._is_locked = True
            try:
                yield
            finally:
                self._is_locked = False

    def save(
        self,
        step: int,
        weights: Mapping[str, Tensor],
        training: Mapping[str, Tensor],
        state: Mapping[str, object],
        *,
        is_best: bool,
    ) -> None:
        """Publish a checkpoint, move `last` (and `best`) to it, and only then remove those that are neither.

        A kill at any instant leaves the previous checkpoint or the new one, whole, also when `step` is saved again.

        Args:
            step: The number of updates made.
            weights: The model's parameters by name, without duplicates of tied ones.
            training: The other tensors that a resume needs.
            state: The other values that a resume needs, as JSON has them; integers of any size.
            is_best: Whether this is the best model so far.

        Raises:
            CheckpointError: It cannot be written; the previous checkpoints are untouched.
            ValueError: A number in the state is NaN or infinite, which JSON does not have.
        """
        if not self._is_locked:
            raise RuntimeError("RunDirectory.save needs the lock: call it inside `with run.lock():`")
        directory = _checkpoint_path(self.path, step)
        files.make_directory(directory.parent)
        content = Checkpoint(dict(weights), dict(training), dict(state))
        storage.publish_checkpoint(directory, step, content, self._run_files)
        # `last` comes second: a kill between the two resumes from the old `last` and reaches this step again.
        for pointer in [BEST, LAST] if is_best else [LAST]:
            files.write_atomically(self.path / pointer, b"%d\n" % step)
        kept = {self.best, self.last}
        for saved in _saved_steps(self.path):
            if saved not in kept:
                files.remove_directory(_checkpoint_path(self.path, saved))

    def load_weights(self, step: int) -> dict[str, Tensor]:
        """The weights of a checkpoint, on the CPU, after every byte of it was verified.

        Raises:
            CheckpointError: There is no such checkpoint, or a file of it or of the run is missing or damaged.
        """
        with _reading(self.path, step) as directory:
            return storage.load_weights(directory, step, _run_file_paths(self.path))

    def load_training(self, step: int) -> Checkpoint:
        """The weights, training tensors and state of a checkpoint, after every byte of it was verified.

        Raises:
            CheckpointError: There is no such checkpoint, or a file of it or of the run is missing or damaged.
        """
        with _reading(self.path, step) as directory:
            return storage.load_checkpoint(directory, step, _run_file_paths(self.path))


@contextmanager
def _reading(path: Path, step: int) -> Iterator[Path]:
    directory = files.published(_checkpoint_path(path, step))
    try:
        yield directory
    except CheckpointError:
        # A training may remove a checkpoint while it is read here; it goes as a whole.
        if directory.is_dir():
            raise
        saved = ", ".join(str(step) for step in _saved_steps(path)) or "none"
        raise CheckpointError(
            f"{directory}: no such checkpoint (saved: {saved}). "
            "Run the command again if the run is being trained, or restore it from a copy."
        ) from None


def _run_file_paths(path: Path) -> list[Path]:
    return [path / CONFIG, path / TOKENIZER]


def _checkpoint_path(path: Path, step: int) -> Path:
    return path / CHECKPOINTS / f"{step:08d}"


def _saved_steps(path: Path) -> list[int]:
    directory = path / CHECKPOINTS
    entries = files.list_directory(directory) if directory.is_dir() else []
    return sorted(int(entry.name) for entry in entries if re.fullmatch("[0-9]{8,}", entry.name))


def _read_step(path: Path) -> int | None:
    return _read_number(path) if path.exists() else None


def _read_number(path: Path) -> int:
    content = files.read_bytes(path)
    if not re.fullmatch(rb"[0-9]{1,18}\n", content):
        raise CheckpointError(f"{path}: is damaged (expected a number, got {content[:20]!r}). Restore it from a copy.")
    return int(content)
