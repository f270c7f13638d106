"""What people see move or drawn: of a training a screen on a terminal, lines in a pipe, figures in files.

- `training_display` is what `train` shows; it reads events and nothing else, as `watch` does for other processes' runs.
- `screen`: the moving screen; `chart` draws its curves; `words`: events in plain lines.
- `writing`: the session of `generate --interactive`, which is about a text and no training.
- `report`: runs as a page, with `curves_svg`; `figures`: the one module that imports matplotlib.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from lstmlm.checkpoint.run_directory import METRICS
from lstmlm.cli.display.screen import Screen, moving
from lstmlm.cli.display.words import PlainLines, describe
from lstmlm.cli.render import is_live, printable, warn
from lstmlm.errors import CheckpointError
from lstmlm.history.history import History, HistoryReader

if TYPE_CHECKING:
    from lstmlm.training.events import Event


@contextmanager
def training_display(
    run_dir: Path, *, quiet: bool = False, as_json: bool = False
) -> "Iterator[Callable[[Event], None]]":
    """Show the training in `run_dir` on stderr: a screen that moves on a terminal, plain lines elsewhere, or nothing.

    As JSON, each event is a line on stdout instead, as metrics.jsonl has it. Where stdout fails, the training goes on.

    Raises:
        OSError: What stdout has failed with, once the training is over.
    """
    if as_json:
        lines = _JsonLines()
        yield lines.show
        if lines.failure is not None:
            raise lines.failure
    elif quiet:
        yield lambda event: warn(getattr(event, "warnings", ()))
    elif is_live():
        told = _Told(run_dir)
        with moving(Screen(told.history, str(run_dir)), Console(stderr=True, highlight=False, markup=False)) as shown:

            def take(event: "Event") -> None:
                told.take(event)
                if event.event in ("start", "plan", "length", "validation"):
                    shown.above(printable(describe(event.as_record())))
                shown.frame(now=event.event in ("start", "validation", "end"))

            yield take
    else:
        plain = PlainLines()
        yield lambda event: plain.show(event.as_record())


class _JsonLines:
    """Events on stdout, up to its `failure`: nobody reads on, or the disk is full."""

    def __init__(self) -> None:
        self.failure: OSError | None = None

    def show(self, event: "Event") -> None:
        if self.failure is None:
            try:
                print(json.dumps(event.as_record(), allow_nan=False), flush=True)
            except OSError as error:
                self.failure = error


class _Told:
    """The history of a training: what is told of it, after what was recorded of a run that goes on."""

    def __init__(self, run_dir: Path) -> None:
        self._reader = HistoryReader(run_dir / METRICS, {})
        self._goes_on = False

    @property
    def history(self) -> History:
        return self._reader.history

    def take(self, event: "Event") -> None:
        if self._goes_on:
            self.history.add(event.as_record())
            return
        # With the first event after the start the file has that one, and no more what came after the checkpoint.
        with suppress(CheckpointError):
            self._reader.update()
        self._goes_on = event.event != "start"
        if event.event in ("start", "end"):  # of a run that was over already no end is recorded
            self.history.add(event.as_record())
