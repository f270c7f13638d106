"""The events of a run, taken in one by one, as the curves and figures that people look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lstmlm.checkpoint.metrics_file import MetricsReader
from lstmlm.errors import DivergenceError

Record = Mapping[str, Any]
"""An event as a line of metrics.jsonl has it."""

NUMBERS = ("n_steps", "epoch", "perplexity", "tokens_per_second", "elapsed_seconds")
"""What figures and curves are made of."""


@dataclass
class History:
    """What has happened so far in one run. A run that was resumed wrote again what came after its checkpoint."""

    start: Record = field(default_factory=dict)
    steps: list[Record] = field(default_factory=list)
    validations: list[Record] = field(default_factory=list)
    samples: list[Record] = field(default_factory=list)
    end: Record | None = None
    n_steps: int | None = None
    """Length of the training in updates, as planned last; None where it is not known."""

    def __post_init__(self) -> None:
        """Take the length from what the run began with."""
        self.n_steps = self.start.get("n_steps")

    def clear(self) -> None:
        """Forget everything but what the run began with."""
        self.__init__(self.start)  # type: ignore[misc]

    def add(self, event: Record) -> None:
        """Take note of an event; of a kind that is unknown, as of another version, nothing but the length.

        A damaged line, which belongs to no step or has something else where a number is due, is passed over.
        """
        if not _is_whole(event):
            return
        self.n_steps = event.get("n_steps") or self.n_steps
        match event.get("event"):
            case "start":
                self.start, self.end = event, None
            case "step":
                self.steps.append(event)
            case "validation":
                self.validations.append(event)
            case "sample":
                self.samples.append(event)
            case "end":
                self.end = event

    @property
    def best(self) -> Record | None:
        """The validation with the lowest perplexity, the first of equals."""
        finite = [event for event in self.validations if event.get("perplexity") is not None]
        return min(finite, key=lambda event: event["perplexity"], default=None)

    @property
    def is_complete(self) -> bool:
        """Whether the training has come to its end, and not to numbers that are none."""
        return self.end is not None and self.end.get("reason") != DivergenceError.reason

    @property
    def elapsed_seconds(self) -> float:
        """Time spent training, over all resumed parts."""
        events = [*self.steps[-1:], *self.validations[-1:], *([self.end] if self.end else [])]
        return max((event.get("elapsed_seconds") or 0.0 for event in events), default=0.0)

    @property
    def tokens_per_second(self) -> float | None:
        """The median speed of training, validations aside."""
        speeds = sorted(event["tokens_per_second"] for event in self.steps if event.get("tokens_per_second"))
        return speeds[len(speeds) // 2] if speeds else None

    @property
    def seconds_left(self) -> float | None:
        """Time to the end at the pace so far; None before the first report."""
        if not self.steps or self.n_steps is None:
            return None
        last = self.steps[-1]
        return float((self.n_steps - last["step"]) * (last.get("elapsed_seconds") or 0.0) / max(1, last["step"]))


class HistoryReader:
    """The history of a run that may still be training: each `update` reads what was written since the one before."""

    def __init__(self, path: Path, start: Record) -> None:
        self._reader = MetricsReader(path)
        self.history = History(start)

    def update(self) -> bool:
        """Read on; from the beginning where the file was cut, as by a resume. Returns whether there was anything new.

        Raises:
            CheckpointError: The file cannot be read.
        """
        events, is_anew = self._reader.read_on()
        if is_anew:
            self.history.clear()
        for event in events:
            self.history.add(event)
        return is_anew or bool(events)


def _is_whole(event: Record) -> bool:
    return isinstance(event.get("step"), int) and all(isinstance(event.get(key), int | float | None) for key in NUMBERS)


def read_history(path: Path) -> History:
    """Return what metrics.jsonl at `path` holds; an empty history where there is none yet.

    Raises:
        CheckpointError: The file cannot be read.
    """
    reader = HistoryReader(path, {})
    reader.update()
    return reader.history


def perplexities(events: Sequence[Record]) -> list[tuple[float, float]]:
    """Return the curve of perplexity by step, without the events that have none."""
    known = (event for event in events if event.get("perplexity") is not None)
    return [(float(event["step"]), float(event["perplexity"])) for event in known]
