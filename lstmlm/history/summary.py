"""One run in a row: what it is, how far it came, and in which state it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

from lstmlm import files
from lstmlm.checkpoint.run_directory import LOCK, METRICS, RunDirectory
from lstmlm.config import RunConfig
from lstmlm.config.data import NO_CORPUS
from lstmlm.errors import CheckpointError, ConfigError
from lstmlm.history.history import History, Record, read_history

State = Literal["training", "finished", "diverged", "interrupted", "damaged"]


@dataclass(frozen=True)
class RunSummary:
    """A run as a row of a table; what a damaged run does not tell is None."""

    name: str
    """Its directory, as it was asked for."""

    state: State
    """`finished` has come to its end, `diverged` would do so again, `interrupted` can be continued; `problem` says what
    is `damaged`."""

    corpus: str | None = None
    backbone: str | None = None
    """The cell and the widths of its layers: `lstm 2x650`."""

    n_parameters: int | None = None
    epoch: float | None = None
    step: int = 0
    n_steps: int | None = None
    perplexity: float | None = None
    """The best on the validation split."""

    tokens_per_second: float | None = None
    seconds: float = 0.0
    """Time spent training, over all resumed parts."""

    changed: float = 0.0
    """When something was last recorded, in seconds since 1970."""

    problem: str | None = None


@dataclass(frozen=True)
class RecordedRun:
    """A run's row with what it was made from: configuration and history, which a damaged run may lack."""

    path: Path
    summary: RunSummary
    config: RunConfig | None
    history: History
    environment: Mapping[str, Any]
    """Versions, machine and digests of the data, as environment.json has them."""


def read_run(path: Path) -> RecordedRun:
    """Read what a run has recorded. Never fails for a run that is damaged: it says so."""
    history, config, environment, problem = History(), None, {}, None
    try:
        history = read_history(path / METRICS)
        run = RunDirectory.open(path)
        config, environment = run.config, run.environment
        history.start = {**start_of(run), **history.start}
    except (CheckpointError, ConfigError) as error:
        problem = str(error)
    return RecordedRun(path, _summary(path, history, config, problem), config, history, environment)


def named_apart(runs: Sequence[RecordedRun]) -> list[RecordedRun]:
    """Return runs under the part of their paths that tells them apart: without the folders in which all of them lie."""
    folders = zip(*(run.path.parent.parts for run in runs), strict=False) if len(runs) > 1 else ()
    n_shared = sum(1 for _ in takewhile(lambda parts: len(set(parts)) == 1, folders))
    names = [str(Path(*run.path.parts[n_shared:])) for run in runs]
    return [replace(run, summary=replace(run.summary, name=name)) for run, name in zip(runs, names, strict=True)]


def start_of(run: RunDirectory) -> Record:
    """Return what a run's display begins with, from its files: metrics.jsonl does not have the event `start`."""
    return {
        "corpus": run.config.data.corpus,
        "n_parameters": run.n_parameters,
        "precision": run.config.training.precision,
    }


def _summary(path: Path, history: History, config: RunConfig | None, problem: str | None) -> RunSummary:
    last = max([*history.steps[-1:], *history.validations[-1:]], key=lambda event: event["step"], default={})
    metrics = path / METRICS
    return RunSummary(
        name=str(path),
        state="damaged" if problem else _state(path, history, config),
        corpus=history.start.get("corpus") or (config.data.corpus if config else None),
        backbone=backbone_in_words(config) if config else None,
        n_parameters=history.start.get("n_parameters"),
        epoch=last.get("epoch"),
        step=last.get("step", 0),
        n_steps=history.n_steps,
        perplexity=history.best["perplexity"] if history.best else None,
        tokens_per_second=history.tokens_per_second,
        seconds=history.elapsed_seconds,
        changed=metrics.stat().st_mtime if metrics.exists() else 0.0,
        problem=problem,
    )


def _state(path: Path, history: History, config: RunConfig | None) -> State:
    if history.end is not None:
        return "finished" if history.is_complete else "diverged"
    is_imported = config is not None and config.data.corpus == NO_CORPUS
    return "training" if is_training(path) else "finished" if is_imported else "interrupted"


def is_training(path: Path) -> bool:
    """Whether a process works on this run."""
    return files.is_locked(path / LOCK)


def backbone_in_words(config: RunConfig) -> str:
    """Return the cell and the widths of its layers: `lstm 2x650`, `gru 1150-1150-400`."""
    backbone = config.model.backbone
    widths = backbone.hidden_sizes
    shape = f"{len(widths)}x{widths[0]}" if len(set(widths)) == 1 else "-".join(map(str, widths))
    return f"{backbone.name} {shape}"
