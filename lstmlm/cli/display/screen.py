"""A training at a glance: a screen that moves. It reads the history of a run and nothing else."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import cycle
from typing import Any

from rich.console import Console, ConsoleOptions
from rich.live import Live
from rich.text import Text

from lstmlm.cli.display.chart import STYLES, Curve, draw
from lstmlm.cli.display.words import perplexity
from lstmlm.cli.render import clock, printable
from lstmlm.history.history import History, Record, perplexities

SECONDS_BETWEEN_FRAMES = 1.0
"""A frame takes some milliseconds: a training is not slowed down noticeably by one a second."""

FEWEST_COLUMNS, FEWEST_LINES = 40, 10
"""Of a terminal that a chart fits on; on a smaller one there are figures alone."""

MOST_CHART_LINES = 14
MOST_SAMPLE_LINES = 3

FIGURES_OF_STEP: Mapping[str, Callable[[float], str]] = {
    "epoch": "epoch {:.2f}".format,
    "learning_rate": "rate {:.2g}".format,
    "gradient_norm": "gradient {:.2g}".format,
    "tokens_per_second": lambda speed: f"{speed / 1000:.1f}k tokens/s",
    "memory_bytes": lambda memory: f"{memory / 1e6:,.0f} MB",
}

MOST_POINTS = 500
"""Of a curve on a terminal: more than it has dots side by side would only take time."""


class Screen:
    """A training at a glance, as large as the terminal allows: what is rendered follows its history and its window."""

    def __init__(self, history: History, title: str = "") -> None:
        self.history = history
        self.title = title

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Yield lines that are never wider than the terminal, nor more than it has."""
        width, height = options.max_width, options.height or console.height
        head = [self._heading(), self._progress(width), *_flow(self.figures(), width)]
        sample = self._sample(width) if height >= FEWEST_LINES else []
        n_free = height - 1 - len(head) - len(sample)
        chart = self._chart(width, min(MOST_CHART_LINES, n_free)) if width >= FEWEST_COLUMNS else []
        yield from _fitted([*head, *chart, *sample][: height - 1], width)

    def _heading(self) -> Text:
        start = self.history.start
        parts = [self.title, str(start.get("corpus", "")), _parameters(start), str(start.get("precision", ""))]
        return Text(printable(" · ".join(filter(None, parts)), kept=""), "bold")

    def _progress(self, width: int) -> Text:
        history = self.history
        step, n_steps = (history.steps[-1]["step"] if history.steps else 0), history.n_steps
        spent = history.elapsed_seconds
        if history.end is not None:
            said = f"ended by {history.end.get('reason')} at step {history.end['step']:,} after {clock(spent)}"
            return Text(said, "green")
        if not n_steps:
            return Text("starting", "dim")
        left = history.seconds_left
        said = f" {step / n_steps:4.0%}  step {step:,} of {n_steps:,}  {clock(spent)}"
        said += f", {clock(left)} left" if left is not None else ""
        n_bar = max(0, min(24, width - len(said)))
        n_full = round(n_bar * min(1, step / n_steps))
        return Text.assemble(("━" * n_full, "cyan"), ("─" * (n_bar - n_full), "dim"), said)

    def figures(self) -> Iterator[Text]:
        """Yield what is known now, most asked for first; what another program writes need not have all of it."""
        last: Any = self.history.steps[-1] if self.history.steps else {}
        if self.history.validations and (best := self.history.best):
            now = {"perplexity": None, **self.history.validations[-1]}
            yield Text(f"valid {perplexity(now)}", STYLES[1])
            epoch = "" if best.get("epoch") is None else f" in epoch {best['epoch']:.2f}"
            yield Text(f"best {perplexity(best)}{epoch}", STYLES[1])
        if "perplexity" in last:
            yield Text(f"train {perplexity(last)}", STYLES[0])
        for key, figure in FIGURES_OF_STEP.items():
            if isinstance(value := last.get(key), int | float):
                yield Text(figure(value))

    def _chart(self, width: int, height: int) -> list[Text]:
        history = self.history
        curves = [
            Curve("train", perplexities(thinned(history.steps)), STYLES[0]),
            Curve("valid", perplexities(history.validations), STYLES[1]),
        ]
        return draw(curves, width, height, "perplexity by step")

    def _sample(self, width: int) -> list[Text]:
        if not self.history.samples:
            return []
        text = printable(" ".join(str(self.history.samples[-1].get("text", "")).split()), kept="")
        lines = Text(text, "italic").wrap(Console(width=width, stderr=True), max(1, width - 2))
        return [Text("  ").append_text(line) for line in lines[:MOST_SAMPLE_LINES]]


class Overlay:
    """Several trainings at a glance: their validation curves on one chart, a line of figures for each."""

    def __init__(self, screens: Sequence[Screen]) -> None:
        self.screens = screens

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Yield lines that are never wider than the terminal, nor more than it has; elsewhere one for each training."""
        width, height = options.max_width, options.height or console.height
        lines = [self._line(screen, style) for screen, style in self._styled()]
        lines = lines[: height - 2] if console.is_terminal else lines
        curves = [
            Curve(screen.title, perplexities(events), f"{emphasis}{style}")
            for emphasis in ("dim ", "")
            for screen, style in self._styled()
            for events in [thinned(screen.history.steps) if emphasis else screen.history.validations]
        ]
        chart = draw(
            curves, width, min(2 * MOST_CHART_LINES, height - 1 - len(lines)), "valid perplexity by step; dim: train"
        )
        yield from _fitted([*chart, *lines], width)

    def _styled(self) -> Iterator[tuple[Screen, str]]:
        return zip(self.screens, cycle(STYLES), strict=False)

    @staticmethod
    def _line(screen: Screen, style: str) -> Text:
        return _flow(iter([Text(f"━━ {screen.title}", style), *screen.figures()]), 10**6)[0]


def thinned(events: list[Record]) -> list[Record]:
    """Return as many of the events as a curve can show."""
    return events[:: 1 + len(events) // MOST_POINTS]


def _fitted(lines: Sequence[Text], width: int) -> Iterator[Text]:
    for line in lines:
        line.no_wrap = True
        line.truncate(width, overflow="ellipsis")
        yield line


def _flow(parts: Iterator[Text], width: int) -> list[Text]:
    """Return the parts on as many lines as they need, a point between two on a line."""
    lines: list[Text] = []
    for part in parts:
        if lines and lines[-1].cell_len + 3 + part.cell_len <= width:
            lines[-1].append(" · ", "dim").append_text(part)
        else:
            lines.append(Text().append_text(part))
    return lines


def _parameters(start: Any) -> str:
    return f"{start['n_parameters']:,} parameters" if start.get("n_parameters") else ""


class Moving:
    """A screen at the bottom of a terminal. A terminal that has gone away is no reason to end a training."""

    def __init__(self, screen: Screen | Overlay, console: Console) -> None:
        self.screen = screen
        self._console = console
        self._size = console.size
        self._has_moved = False
        self._live = self._started()
        self._shown = time.monotonic()

    def _started(self) -> Live:
        live = Live(self.screen, console=self._console, auto_refresh=False, vertical_overflow="crop")
        with suppress(OSError):
            live.start(refresh=True)
        return live

    def above(self, text: str) -> None:
        """Print what stays, above the screen."""
        with suppress(OSError):
            self._console.print(text)

    def frame(self, *, now: bool = False) -> None:
        """Draw the screen anew, if it is time or asked for."""
        self._has_moved = True
        if not now and time.monotonic() - self._shown < SECONDS_BETWEEN_FRAMES:
            return
        with suppress(OSError):
            if self._console.size != self._size:
                # What was drawn for another width cannot be taken back line by line.
                self._live.stop()
                self._console.clear()
                self._size, self._live = self._console.size, self._started()
            self._live.refresh()
        self._shown = time.monotonic()

    def close(self) -> None:
        """Leave the last frame on the terminal; where nothing has happened there is none."""
        with suppress(OSError):
            self._live.transient = not self._has_moved
            self._live.refresh()
            self._live.stop()


@contextmanager
def moving(screen: Screen | Overlay, console: Console) -> Iterator[Moving]:
    """Show `screen` while a `with` block runs, and leave its last frame."""
    shown = Moving(screen, console)
    try:
        yield shown
    finally:
        shown.close()
