"""Where a training comes from: from nothing, from another run's weights, or from the run itself, which is continued."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lstmlm.checkpoint.environment import environment_differences
from lstmlm.checkpoint.run_directory import CONFIG, RunDirectory, changes_of
from lstmlm.checkpoint.shared_run import SharedRun
from lstmlm.config import RunConfig
from lstmlm.config.data import NO_CORPUS, FileTokenizerOptions
from lstmlm.corpus.loading import Corpus
from lstmlm.corpus.tokenizers import Tokenizer, load_tokenizer, train_tokenizer
from lstmlm.errors import CheckpointError, DataError, MissingRunError, RunMismatchError, as_command
from lstmlm.history.summary import read_run
from lstmlm.models.language_model import LanguageModel, load_weights
from lstmlm.training.preparation.agreement import differences
from lstmlm.training.preparation.execution import resolve_like
from lstmlm.training.trainer import Trainer

BUDGET = "training.budget"
LENGTHS = {"training.n_epochs", "training.n_steps", BUDGET}
"""Each says how long to train, and where a schedule ends: a run keeps it, unless nothing in it depends on the end."""


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
    there = RunDirectory.open(run_dir)
    run = there.with_config(resolve_like(config, there.config))
    _require_same_config(there, run.config)
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
        raise MissingRunError(f"{run.path}: has no checkpoint {_why_none(run)}")
    weights = run.load_weights(best)
    try:
        load_weights(model, weights)
    except CheckpointError as error:
        raise type(error)(f"{run.path}: {error}") from None


def _why_none(run: RunDirectory | SharedRun) -> str:
    if isinstance(run, RunDirectory) and read_run(run.path).summary.state == "diverged":
        slower = command_for_another(
            run, {"optimizer.learning_rate": run.config.optimizer.learning_rate / 10}, "slower"
        )
        return f"as its training diverged before the first one. Train one like it with a lower rate: {slower}"
    return f"yet. Train it: {as_command(['lstmlm', 'train', '--resume', '--run-dir', str(run.path)])}"


def _require_same_config(run: RunDirectory, config: RunConfig) -> None:
    found = {
        key: f"{key} is {there!r} there, {here!r} here"
        for key, there, here in differences(run.config.model_dump(), config.model_dump())
        # What computes may change. A corpus is the same by its text, wherever it lies: `require_same_corpus` compares
        # digests.
        if key != "training.device" and (key != "data.corpus" or run.digest_of("train") is None)
    }
    if not found:
        return
    if not found.keys() <= LENGTHS:
        raise RunMismatchError(
            f"{run.path}: was started with another configuration: {'; '.join(found.values())}. Give another --run-dir, "
            f"or continue it by its own: {as_command(['lstmlm', 'train', '--run-dir', str(run.path), '--resume'])}"
        )
    if reasons := _reasons_to_keep_length(config, found.keys()):
        raise RunMismatchError(
            f"{run.path}: {'; '.join(found.values())}. It cannot go on to another length as if it had been that long "
            f"from the start: {'; '.join(reasons)}. Train on from its best weights, in a new run: "
            f"{_in_a_new_run(run, config)}"
        )


def _reasons_to_keep_length(config: RunConfig, changed: Collection[str]) -> list[str]:
    """Say what in a run is laid out over its whole length, so that the length cannot change on the way."""
    parts = (config.schedule, config.averaging)
    reasons = [f"{part.part} {part.name} ends with the training" for part in parts if part.ends_with_training]
    return [*reasons, *(["a budget plans the steps"] if BUDGET in changed else [])]


def _in_a_new_run(run: RunDirectory, config: RunConfig) -> str:
    lengths = {key.removeprefix("training."): None for key in sorted(LENGTHS)}
    chosen = {f"training.{name}": getattr(config.training, name) for name in lengths}
    return command_for_another(run, {**chosen, "training.initialize_from": str(run.path)}, "longer")


def command_for_another(run: RunDirectory, sets: Mapping[str, object], suffix: str) -> str:
    """Write the command that trains a run like this one as it is now, but for what `sets` say, beside it."""
    said = {key: "null" if value is None else str(value) for key, value in sets.items()}
    changed = dict(change.split("=", 1) for change in changes_of(run.path))
    options = [part for key, value in {**changed, **said}.items() for part in ("--set", f"{key}={value}")]
    config, new = str(run.path / CONFIG), f"{run.path}-{suffix}"
    return as_command(["lstmlm", "train", "--config", config, *options, "--run-dir", new])


def require_continuable(run: SharedRun, trainer: Trainer) -> None:
    """Refuse to continue a run to an end that it is beyond, or past an end that has left its mark.

    Raises:
        CheckpointError: it has made more steps than that; or patience has ended it; or its last validation, which a
            longer training would not have had, has decided on what comes after it.
    """
    state, before, n_steps = trainer.state, trainer.length_before, trainer.n_steps
    if state.step > n_steps:
        raise RunMismatchError(
            f"{run.path}: has made {state.step:,} steps, and was to end after {n_steps:,}. Give a training.n_epochs or "
            "training.n_steps that is longer, or another --run-dir."
        )
    is_at_mark = before == state.step == state.validated_step != n_steps and not trainer.is_validation_due
    minds = trainer.options.patience or trainer.schedule.state() or "validations" in trainer.average.state()
    reason = None
    if is_at_mark and minds:
        reason = (
            f"its last validation, after step {state.step:,}, is one that a longer training would not have had, and "
            "schedule, average or patience have taken note of it"
        )
    elif trainer.is_stale and before != n_steps:
        reason = f"training.patience has ended it, after step {state.step:,}, and would whatever its length"
    if reason and run.directory is not None:
        command = _in_a_new_run(run.directory, run.directory.config)
        raise RunMismatchError(f"{run.path}: {reason}. Train on from its best weights, in a new run: {command}")


def record_changes(run: RunDirectory) -> None:
    """Write down in what a run that goes on is not what it was started as: its length, or where its corpus lies."""
    started, now = (config.model_dump() for config in (run.config_as_started, run.config))
    run.record_changes({key: here for key, _, here in differences(started, now)})


@contextmanager
def reading_corpus_of(run: RunDirectory | None) -> Iterator[None]:
    """Let a DataError of the corpus of a run, where it is missing, say what to do if it was moved."""
    if run is not None and run.config.data.corpus == NO_CORPUS:
        problem = "was exported or imported, and has no corpus. Take the run that it was made from, if there is one."
        raise DataError(f"{run.path}: {problem}")
    try:
        yield
    except DataError as error:
        # What was exported cannot be trained on.
        is_run = run is not None and RunDirectory.exists(run.path)
        if run is None or not is_run or run.digest_of("train") is None or Path(run.config.data.corpus).exists():
            raise
        command = ["lstmlm", "train", "--resume", "--run-dir", str(run.path), "--set", "data.corpus=PATH"]
        advice = f"If it was moved, name its place, and the run takes note: {as_command(command)}"
        raise type(error)(f"{error} {advice}") from None


def require_same_corpus(run: RunDirectory, corpus: Corpus) -> None:
    """Refuse to continue a run on other text than it was started on.

    Raises:
        DataError: a split is another text.
    """
    for text in corpus.splits:
        advice = "Restore that text, name where it lies now (--set data.corpus=PATH), or choose another --run-dir."
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
