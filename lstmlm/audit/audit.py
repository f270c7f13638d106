"""Parts of a finished training done again: are its checkpoints and metrics what configuration and corpus give?"""

import copy
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import torch

from lstmlm.audit.comparison import (
    TOLERATED_DISTANCE,
    TOLERATED_NATS,
    Line,
    checkpoint_differences,
    checkpoint_distances,
    line_differences,
    ngram_differences,
)
from lstmlm.audit.repetition import events_between, repeat
from lstmlm.checkpoint.environment import describe_environment, environment_differences
from lstmlm.checkpoint.run_directory import METRICS, NGRAMS, RunDirectory
from lstmlm.checkpoint.storage import Checkpoint
from lstmlm.corpus.loading import Corpus, load_corpus
from lstmlm.corpus.stream import TrainingStream
from lstmlm.distributed import ALONE
from lstmlm.errors import AuditError, ConfigError, DivergenceError, as_command, in_proportion
from lstmlm.evaluation.report import Report, Value
from lstmlm.models.language_model import LanguageModel, weights_of
from lstmlm.training.preparation.execution import find_device
from lstmlm.training.preparation.origin import (
    command_for_another,
    reading_corpus_of,
    require_same_corpus,
    tokenizer_of,
)
from lstmlm.training.preparation.preparation import build_trainer, initial_model
from lstmlm.training.state import TrainState
from lstmlm.training.trainer import Trainer, n_training_steps

N_SEGMENTS = 3
"""Stretches that are trained again where nobody says how many."""

FEW_STRETCHES = 20
"""As many a training is cut into by what is advised: three of them take a seventh of its time."""


@dataclass(frozen=True)
class Stretch:
    """A part of a training that was done again, and what of it is not as it was recorded."""

    start: int
    """The step of the checkpoint that it begins with; 0: the first step of the training."""
    end: int
    """The step of the checkpoint that it ends with."""
    seconds: float
    problems: Sequence[str]
    """Which file, and what differs in it."""


@dataclass(frozen=True)
class Audit:
    """What was done again of a run, where, and how exactly it was compared."""

    run: str
    stretches: Sequence[Stretch]
    other_problems: Sequence[str]
    """What of the n-grams is not as the corpus gives it, and of the metrics' end not as the last checkpoint has it."""
    n_stretches: int
    """All that there are between checkpoints, and can be trained again."""
    n_steps: int
    """From the first to the last checkpoint."""
    seed: int
    environment: Mapping[str, object]
    """This machine and these versions."""
    reasons: Sequence[str]
    """Why bits may differ by right; where there is none they are compared."""
    vouches_for_metrics: bool
    """Whether digests cover metrics.jsonl; they do not in runs of earlier versions."""
    training_seconds: float
    seconds: float

    @property
    def problems(self) -> list[str]:
        """What is not as it was recorded."""
        return [*(problem for stretch in self.stretches for problem in stretch.problems), *self.other_problems]

    @property
    def report(self) -> Report:
        """What was done and found, with a row for each stretch."""
        packages = self.environment["packages"]
        assert isinstance(packages, dict)
        here = {key: value for key, value in self.environment.items() if isinstance(value, str | int)}
        values: dict[str, Value] = {
            "run": self.run,
            "passed": not self.problems,
            "compared": self._compared(),
            "metrics": "with their digest"
            if self.vouches_for_metrics
            else "in the stretches alone, for want of a digest",
            "n_segments": len(self.stretches),
            "n_stretches": self.n_stretches,
            "n_steps_repeated": sum(stretch.end - stretch.start for stretch in self.stretches),
            "n_steps": self.n_steps,
            "seed": str(self.seed),
            "seconds": round(self.seconds, 1),
            "training_seconds": round(self.training_seconds, 1),
        }
        rows = [
            {
                "from_step": stretch.start,
                "to_step": stretch.end,
                "result": "differs" if stretch.problems else "the same",
                "seconds": round(stretch.seconds, 1),
            }
            for stretch in self.stretches
        ]
        return Report({**values, **here, **packages}, rows)

    def _compared(self) -> str:
        if not self.reasons:
            return "every bit"
        return (
            f"losses to {TOLERATED_NATS:.0%}, weights to {TOLERATED_DISTANCE:.0%} of their way, as bits may differ: "
            f"{'; '.join(self.reasons)}"
        )


@dataclass(frozen=True)
class _Recorded:
    """A run, and all that a training of it begins with but trainer and model, of which each stretch has its own."""

    run: RunDirectory
    corpus: Corpus
    stream: TrainingStream
    device: torch.device

    @classmethod
    def of(cls, run: RunDirectory) -> "_Recorded":
        config = run.config
        with reading_corpus_of(run):
            corpus = load_corpus(config.data, tokenizer_of(run))
        require_same_corpus(run, corpus)
        device = find_device(config.training, ALONE)
        stream = TrainingStream(corpus.train, corpus.tokenizer.start_id, config.data, config.seed, device)
        return cls(run, corpus, stream, device)

    @cached_property
    def model(self) -> LanguageModel:
        """The model before the first step, to be copied: n-grams are counted once."""
        return initial_model(self.run.config, self.corpus, None).to(self.device)

    def trainer(self) -> Trainer:
        """What trained the run, before its first step."""
        config, model = self.run.config, copy.deepcopy(self.model)
        return build_trainer(config, model, self.stream, n_training_steps(config.training, self.stream))


def audit(run_dir: Path, n_segments: int | None, seed: int, tell: Callable[[str], None]) -> Audit:
    """Verify every file of a run, train stretches between its checkpoints again, and compare.

    Args:
        run_dir: The run; nothing is written to it.
        n_segments: How many stretches; by default `N_SEGMENTS`, or all where there are fewer.
        seed: Draws them.
        tell: Is told what is being done.

    Raises:
        CheckpointError: a file is missing or damaged.
        ConfigError: there are too few checkpoints.
        DataError: the corpus cannot be read, or is not the text that the run was started on.
    """
    started = time.monotonic()
    run = RunDirectory.open(run_dir)
    verified = [run.verify(step) for step in run.steps]
    # Where another run's best weights were the start, they may be others by now.
    starts = run.steps if run.config.training.initialize_from else [0, *run.steps]
    lost = _lost_ends(run)
    found = [(start, end) for start, end in pairwise(starts) if not any(start < step < end for step in lost)]
    n_segments = max(1, min(N_SEGMENTS, len(found))) if n_segments is None else n_segments
    _require_enough(run, found, lost, n_segments)
    recorded = _Recorded.of(run)
    n_threads, of_run = torch.get_num_threads(), run.environment
    try:
        _use_threads(of_run.get("n_threads"))
        environment = describe_environment(recorded.corpus.provenance, {}, recorded.device)
        reasons = _reasons(of_run, environment, recorded.device)
        ngram_problems = _ngram_problems(recorded, exact=not reasons)
        chosen = sorted(random.Random(seed).sample(found, n_segments))
        stretches = []
        for start, end in chosen:
            tell(f"steps {start:,} to {end:,}")
            stretches.append(_repeated(recorded, start, end, exact=not reasons))
    finally:
        torch.set_num_threads(n_threads)
    last = _state_of(run.load_training(run.steps[-1]))
    return Audit(
        run=str(run.path),
        stretches=stretches,
        other_problems=[*ngram_problems, *_end_problems(run, last)],
        n_stretches=len(found),
        n_steps=starts[-1] - starts[0],
        seed=seed,
        environment=environment,
        reasons=reasons,
        training_seconds=last.elapsed_seconds,
        seconds=time.monotonic() - started,
        vouches_for_metrics=all(verified),
    )


def require_passed(audit: Audit) -> None:
    """Refuse a run of which something is not as it was recorded.

    Raises:
        CheckpointError: it names the files, and what differs in them.
    """
    if audit.problems:
        listed = "\n".join(in_proportion(audit.problems))
        raise AuditError(
            f"{audit.run}: is not what its configuration and corpus give.\n{listed}\n"
            "Do not rely on it: restore it from a copy, or train it again."
        )


def _lost_ends(run: RunDirectory) -> list[int]:
    """Return at which steps the run had ended before it was made longer, where no checkpoint is left of that end.

    There it has validated, sampled and reported as a training of the new length does not. This has left marks in what
    follows, such as the best validation, so that a stretch with such an end within cannot be repeated.
    """
    lengths = run.metrics.read("length")
    ends = [event.get("step") for event in lengths if event.get("step") == event.get("n_steps_before")]
    return sorted({step for step in ends if isinstance(step, int)}.difference(run.steps))


def _require_enough(run: RunDirectory, found: Sequence[tuple[int, int]], lost: Sequence[int], n_segments: int) -> None:
    if n_segments < 1:
        raise ConfigError(f"--segments: {n_segments} says nothing. Ask for one or more.")
    if len(found) >= n_segments:
        return
    save_every = max(1, (run.last or FEW_STRETCHES) // FEW_STRETCHES)
    again = command_for_another(run, {"training.keep": "all", "training.save_every": save_every}, "audited")
    fewer = as_command(["lstmlm", "audit", str(run.path), "--segments", str(len(found))])
    stretches = {0: "no stretch", 1: "one stretch"}.get(len(found), f"{len(found)} stretches")
    reason = ""
    if lost:
        steps = ", ".join(f"{step:,}" for step in lost)
        reason = f" that can be repeated (no checkpoint is left of step {steps}, where it had ended before)"
    asked = f", and {n_segments} were asked for" if n_segments > 1 else ""
    raise ConfigError(
        f"{run.path}: has {stretches} between checkpoints{reason}{asked}. "
        + (f"Ask for fewer: {fewer}\nOr train" if found else "Train")
        + f" a run that keeps them: {again}"
    )


def _ngram_problems(recorded: _Recorded, *, exact: bool) -> list[str]:
    """Say where the n-grams that every figure of the run rests on are not those of its training split."""
    run = recorded.run
    if run.config.model.ngram_order is None or (ngrams := recorded.model.ngrams) is None:
        return []
    found = ngram_differences(run.load_ngrams(), ngrams.tensors(), exact=exact)
    return [f"{run.path / NGRAMS}: {what}" for what in found]


def _end_problems(run: RunDirectory, last: TrainState) -> list[str]:
    """Say where the end of the metrics, which comes after the last checkpoint, is not that of the training.

    A training that has diverged has ended beyond it, and saved nothing.
    """
    return [
        f"{run.path / METRICS}: end: {key} is {event.get(key)} there, {value} in the last checkpoint"
        for event in run.metrics.read("end")
        if event.get("reason") != DivergenceError.reason
        for key, value in (("step", last.step), ("n_tokens", last.n_tokens))
        if event.get(key) != value
    ]


def _use_threads(n_threads: object) -> None:
    """Compute in as many threads as the run did, where these can be had: sums are cut by them."""
    if isinstance(n_threads, int) and 1 <= n_threads <= torch.get_num_threads():
        torch.set_num_threads(n_threads)


def _reasons(there: Mapping[str, object], here: Mapping[str, object], device: torch.device) -> list[str]:
    on_gpu = [] if device.type == "cpu" else ["a GPU adds up in no fixed order"]
    return [*environment_differences(there, here), *on_gpu]


def _repeated(recorded: _Recorded, start: int, end: int, *, exact: bool) -> Stretch:
    started, run, trainer = time.monotonic(), recorded.run, recorded.trainer()
    there = run.load_training(end)
    first, last = None, _state_of(there)
    if start > 0:
        weights, tensors, state = run.load_training(start)
        first = TrainState.from_json(state)
        trainer.restore(weights, tensors, TrainState.from_json(state))
    before = {} if exact else {name: weight.clone() for name, weight in weights_of(trainer.average.model).items()}
    found: list[tuple[str, str]] = []

    def compare(here: Checkpoint) -> None:
        found.extend(checkpoint_differences(there, here) if exact else checkpoint_distances(there, here, before))

    try:
        lines = repeat(trainer, recorded.corpus, last, compare)
    except DivergenceError as error:
        problems = [f"{run.path_of(start)}: the training that follows diverges: {error}"]
    else:
        problems = [f"{run.path_of(end) / file}: {what}" for file, what in found]
        written = events_between(run.metrics.events(), first, last)
        if run.metrics.read("length"):
            # Lines from before the change of length have the old one.
            written, lines = (list[Line]({**line, "n_steps": None} for line in side) for side in (written, lines))
        problems += [f"{run.path / METRICS}: {what}" for what in line_differences(written, lines, exact=exact)]
    return Stretch(start, end, time.monotonic() - started, problems)


def _state_of(checkpoint: Checkpoint) -> TrainState:
    return TrainState.from_json(checkpoint.state)
