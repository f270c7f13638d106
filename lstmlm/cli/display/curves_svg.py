"""Curves as SVG for a page, each under its legend: colours and letters are those of its style sheet."""

import html
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from lstmlm.cli.display.screen import thinned
from lstmlm.evaluation.memory.gradients import GradientNorms
from lstmlm.history.history import History, perplexities

N_COLORS = 6
"""Of the style sheet, taken by runs in turn: six that the colour-blind can tell apart (Okabe and Ito 2008)."""

SMALLEST_SHOWN = 1e-8
"""Share of the largest norm: in float32 a smaller gradient is lost beside that one."""

WIDTH, HEIGHT = 860, 380
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 10, 34

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Line:
    """A curve in the colour of its run; a faint one is shown beside another and not named."""

    name: str
    run: int
    points: Points
    style: Literal["", "faint", "dashed"] = ""


def perplexity_curves(histories: Mapping[str, History]) -> str:
    """Return perplexity by step, of validation and faintly of training; "" where there are no two points."""
    lines = [
        Line(name, run, perplexities(events), "faint" if is_training else "")
        for run, (name, history) in enumerate(histories.items())
        for is_training, events in ((True, thinned(history.steps)), (False, history.validations))
    ]
    label = "Perplexity by step: bold on the validation split, faint on the training text"
    return lines_svg(lines, label, "step (updates); faint: training text, bold: validation split")


def gradient_curves(measured: Sequence[GradientNorms]) -> str:
    """Return the median norm of the gradient by lag, of hidden states and, dashed, of memory cells."""
    runs = list(dict.fromkeys(norms.run for norms in measured))
    lines = []
    for norms in measured:
        _, median, _ = norms.quartiles
        shown = [(float(lag), float(norm)) for lag, norm in enumerate(median) if norm > SMALLEST_SHOWN * median.max()]
        is_hidden = norms.memory == "hidden"
        name = f"{norms.run}, {norms.memory}"
        lines.append(Line(name, runs.index(norms.run), shown, "" if is_hidden else "dashed"))
    label = "Median norm of the gradient of a token's surprisal by the memory of so many tokens before"
    return lines_svg(lines, label, "lag (tokens); dashed: memory cell")


def lines_svg(lines: Sequence[Line], label: str, x_label: str) -> str:
    """Return curves over a logarithmic y axis, `label` for who cannot see them; "" where there are no two points."""
    every = [point for line in lines for point in line.points]
    if len({x for x, _ in every}) < 2:
        return ""
    scale = _Scale(every)
    head = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(label)}">'
    return "\n".join([_legend(lines), head, *scale.grid(x_label), *map(scale.drawn, lines), "</svg>"])


def _legend(lines: Sequence[Line]) -> str:
    """Return the names beside the drawing, where they cover no curve and a narrow window shows them too."""
    drawn = {"": "━━", "dashed": "╍╍"}
    names = [
        f"<span class=run{line.run % N_COLORS}>{drawn[line.style]} {html.escape(line.name)}</span>"
        for line in lines
        if line.style in drawn
    ]
    return f"<figcaption>{' '.join(names)}</figcaption>"


class _Scale:
    """From steps and perplexities to places on the drawing."""

    def __init__(self, every: Points) -> None:
        self._x = (min(x for x, _ in every), max(x for x, _ in every))
        self._y = (math.log(min(y for _, y in every)), math.log(max(y for _, y in every)) + 1e-9)

    def drawn(self, line: Line) -> str:
        """Return a line; a single point, such as the only validation of a short run, as a dot."""
        kind = f"run{line.run % N_COLORS} {line.style}"
        if len(line.points) == 1:
            [(x, y)] = line.points
            return f'<circle class="{kind}" cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="5"/>'
        path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in line.points)
        return f'<polyline class="{kind}" points="{path}"/>'

    def x(self, value: float) -> float:
        return LEFT + (value - self._x[0]) / (self._x[1] - self._x[0]) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return TOP + (self._y[1] - math.log(value)) / (self._y[1] - self._y[0]) * (HEIGHT - TOP - BOTTOM)

    def grid(self, x_label: str) -> Iterator[str]:
        low, high = (math.exp(limit) for limit in self._y)
        for value in _round_numbers(low, high):
            y = self.y(value)
            yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:,g}</text>'
        for value, anchor in zip(self._x, ("start", "end"), strict=True):
            yield f'<text x="{self.x(value):.1f}" y="{HEIGHT - 10}" text-anchor="{anchor}">{value:,.0f}</text>'
        middle = (LEFT + WIDTH - RIGHT) / 2
        yield f'<text x="{middle}" y="{HEIGHT - 10}" text-anchor="middle">{html.escape(x_label)}</text>'


def _round_numbers(low: float, high: float) -> list[float]:
    """Return numbers of one digit that make a scale; of more where there are hardly any between the limits."""
    for mantissas in ((1,), (1, 2, 5), range(1, 10), [m / 10 for m in range(10, 100)]):
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        found = [m * 10.0**decade for decade in decades for m in mantissas if low <= m * 10.0**decade <= high]
        if len(found) >= 4:
            return found if len(found) <= 9 else found[:: 1 + len(found) // 9]
    return [low, high]
