"""`lstmlm watch`: the screen of a training, for runs that train elsewhere or are finished."""

import json
import sys
import time
from typing import Annotated

import typer

from lstmlm.cli.options import name_or_path
from lstmlm.cli.render import say
from lstmlm.cli.runs.rows import NEWEST
from lstmlm.errors import DataError

SECONDS_BETWEEN_LOOKS = 0.5


def watch(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            parser=name_or_path,
            help="Directories, names below runs/ or patterns; - for events on standard input.",
            show_default=NEWEST,
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Show how things stand, and end.")] = False,
) -> None:
    """Watch trainings: curves and figures as they are recorded, of one run or of several on one chart.

    Only the files of the runs are read: it may be another terminal, or another machine that sees the same disk. It ends
    with the trainings, or with Ctrl-C, which stops none of them.

    Examples:

    lstmlm watch

    lstmlm watch 'ptb-*' --once

    lstmlm train --config quickstart --run-dir runs/watched --json | lstmlm watch -
    """
    from rich.console import Console

    from lstmlm.cli.display.screen import moving
    from lstmlm.errors import Interrupted

    source = StandardInput() if runs == ["-"] else RunFiles(runs or [])
    console = Console(highlight=False, markup=False)
    if once or not console.is_terminal or console.is_dumb_terminal:
        source.catch_up()
        console.print(source.screen)
        return
    try:
        with moving(source.screen, console) as shown:
            while not source.update():
                shown.frame()
    except Interrupted:
        if isinstance(source, RunFiles):  # what feeds a pipe has the same signal
            say("No longer watched; what trains goes on.")


class RunFiles:
    """What the files of runs say, looked at now and then."""

    def __init__(self, patterns: list[str]) -> None:
        from lstmlm.checkpoint.run_directory import METRICS, RunDirectory
        from lstmlm.cli.display.screen import Overlay, Screen
        from lstmlm.history.history import HistoryReader
        from lstmlm.history.selection import find_runs, newest_run
        from lstmlm.history.summary import start_of

        self._paths = find_runs(patterns) if patterns else [newest_run()]
        self._readers = [HistoryReader(path / METRICS, start_of(RunDirectory.open(path))) for path in self._paths]
        screens = [Screen(reader.history, str(path)) for reader, path in zip(self._readers, self._paths, strict=True)]
        self.screen: Screen | Overlay = screens[0] if len(screens) == 1 else Overlay(screens)

    def catch_up(self) -> None:
        """Read what there is."""
        for reader in self._readers:
            reader.update()

    def update(self) -> bool:
        """Read on; returns whether all trainings are over. Waits a moment where there was nothing new."""
        from lstmlm.history.summary import is_training

        # Asked first: what ends in between may have recorded something that was not read.
        are_over = not any(map(is_training, self._paths))
        news = [reader.update() for reader in self._readers]
        if any(news):
            return False
        if not are_over:
            time.sleep(SECONDS_BETWEEN_LOOKS)
        return are_over


class StandardInput:
    """Events that another program writes, a JSON object a line: `lstmlm train --json | lstmlm watch -`."""

    def __init__(self) -> None:
        from lstmlm.cli.display.screen import Screen
        from lstmlm.history.history import History

        self._history = History()
        self.screen = Screen(self._history)

    def catch_up(self) -> None:
        """Read to the end."""
        while not self.update():
            pass

    def update(self) -> bool:
        """Wait for the next event; returns whether there are no more."""
        line = sys.stdin.readline()
        if line.strip():
            try:
                event = json.loads(line)
            except ValueError:
                event = None
            if isinstance(event, dict) and "error" in event:  # which the training itself has told
                return True
            if not isinstance(event, dict) or "event" not in event:
                raise DataError("-: is no stream of events. Pipe one in: lstmlm train --config quickstart --json")
            self._history.add(event)
        return not line
