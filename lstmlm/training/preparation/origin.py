"""Where a training comes from: from nothing, from another run's weights, or from the run itself, which is continued."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lstmlm.checkpoint.environment import environment_differences
from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.checkpoint.shared_run import SharedRun
from lstmlm.config import RunConfig
from lstmlm.config.data import FileTokenizerOptions
from lstmlm.corpus.loading import Corpus
from lstmlm.corpus.tokenizers import Tokenizer, load_tokenizer, train_tokenizer
from lstmlm.errors import CheckpointError, DataError, MissingRunError, RunMismatchError, as_command
from lstmlm.models.language_model import LanguageModel, load_weights
from lstmlm.training.preparation.agreement import differences
from lstmlm.training.preparation.execution import resolve_like

LENGTHS = {"training.n_epochs", "training.n_steps", "training.budget"}
"""Each says how long to train, and where a schedule ends: a run keeps it."""


@dataclass(frozen=True)
class Origin:
    """What a training goes on from. Only the main process looks; for the others this is empty, and they are told."""

    run: RunDirectory | None = None
    """The run that is continued, with its lock; None begins a new one."""

    source: RunDirectory | None = None
    """The run whose tokenizer and best weights are taken; None also where a checkpoint of `run` has its own."""

    @property
    def tokenizer(self) -> Tokenizer | None:
        """The tokenizer that is given; None is to be learnt."""
        given = self.run or self.source
        return None if given is None else tokenizer_of(given)


@contextmanager
def found_origin(config: RunConfig, run_dir: Path, *, resume: bool) -> Iterator[Origin]:
    """Find out what goes on, and be the one writer of a run that is continued; the place of a new one must be free.

    Raises:
        CheckpointError: there is a run that is not to be continued, in use, damaged or of another configuration; or the
            one to initialize from is missing, damaged or has another tokenizer.
    """
    path = config.training.initialize_from
    if not resume or not RunDirectory.exists(run_dir):
        RunDirectory.require_free(run_dir)
        yield Origin(source=_source(path, config) if path else None)
        return
    run = RunDirectory.open(run_dir)
    _require_same_config(run, resolve_like(config, run.config))
    with run.lock():
        yield Origin(run, _source(path, config, run) if path and run.last is None else None)


def _source(path: str, config: RunConfig, run: RunDirectory | None = None) -> RunDirectory:
    """Open the run at `path`, which must have the tokenizer of the run that is continued, or else that of `config`."""
    source, options = RunDirectory.open(Path(path)), config.data.tokenizer
    if run is not None:
        is_same = run.tokenizer_json == source.tokenizer_json
    elif isinstance(options, FileTokenizerOptions):
        # A file is the same by what is in it, not by its path.
        is_same = train_tokenizer(options, []).digest == tokenizer_of(source).digest
    else:
        is_same = source.config.data.tokenizer == options
    if not is_same:
        raise RunMismatchError(
            f"training.initialize_from: {path} has another tokenizer. Give data.tokenizer as in {path}/config.yaml, "
            "and a new --run-dir."
        )
    return source


def tokenizer_of(run: RunDirectory) -> Tokenizer:
    """Load the tokenizer of a run.

    Raises:
        CheckpointError: it is damaged.
    """
    try:
        return load_tokenizer(run.config.data.tokenizer, run.tokenizer_json)
    except DataError as error:
        raise CheckpointError(f"{run.path}: {error}") from None


def load_best_weights(model: LanguageModel, run: RunDirectory | SharedRun) -> None:
    """Fill a model with the best weights of a run.

    Raises:
        CheckpointError: there is no checkpoint yet, it is damaged, or of another model.
    """
    best = run.best
    if best is None:
        again = as_command(["lstmlm", "train", "--resume", "--run-dir", str(run.path)])
        raise MissingRunError(f"{run.path}: has no checkpoint yet. Train it: {again}")
    weights = run.load_weights(best)
    try:
        load_weights(model, weights)
    except CheckpointError as error:
        raise type(error)(f"{run.path}: {error}") from None


def _require_same_config(run: RunDirectory, config: RunConfig) -> None:
    found = {
        key: f"{key} is {there!r} there, {here!r} here"
        for key, there, here in differences(run.config.model_dump(), config.model_dump())
        # A corpus is the same by its text, wherever it lies: `require_same_corpus` compares the digests.
        if key != "data.corpus" or run.digest_of("train") is None
    }
    advice = "another --run-dir."
    if found.keys() <= LENGTHS:
        option = as_command([f"training.initialize_from={run.path}"])
        advice = f"train on from its best weights, in a new run: another --run-dir and --set {option}"
    if found:
        raise RunMismatchError(
            f"{run.path}: was started with another configuration: {'; '.join(found.values())}. "
            f"Give the same one to continue it, or {advice}"
        )


def require_same_corpus(run: RunDirectory, corpus: Corpus) -> None:
    """Refuse to continue a run on other text than it was started on.

    Raises:
        DataError: a split is another text.
    """
    for text in corpus.splits:
        advice = "Restore that text, or choose another --run-dir."
        run.require_same_text(corpus.name, str(text.split), text.sha256, advice)


def environment_warnings(run: RunDirectory, environment: Mapping[str, object]) -> list[str]:
    """Say where a continued run may not get the very numbers that it would have had where it was started."""
    found = environment_differences(run.environment, environment)
    if not found:
        return []
    return [
        f"{run.path}: was started with {'; '.join(found)}. It goes on, but its numbers may differ in their last "
        "bits from those of a run that stayed the same."
    ]
