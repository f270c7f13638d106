"""Curves in a terminal, drawn in braille: two columns and four rows of dots a character."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""Bits of a braille character, by column and by row from above (Unicode block U+2800)."""

STYLES = ("cyan", "yellow", "green", "magenta", "blue", "red")
"""Of curves, in the order in which they are named: a run keeps its colour from chart to chart."""

LABEL_COLUMNS = 8


@dataclass(frozen=True)
class Curve:
    """A line through points in the order of x."""

    name: str
    points: Sequence[tuple[float, float]]
    style: str


def draw(curves: Sequence[Curve], width: int, height: int, x_label: str = "") -> list[Text]:
    """Return `height` lines of at most `width` columns: curves over a logarithmic y axis, labelled at its ends.

    The last line has the ends of the x axis. Without two different points there is nothing to see, and no line.
    """
    shown = [curve for curve in curves if len(curve.points) > 0]
    xs = [x for curve in shown for x, _ in curve.points]
    ys = [math.log(y) for curve in shown for _, y in curve.points]
    columns, rows = width - LABEL_COLUMNS, height - 1
    if len(set(xs)) < 2 or columns < 8 or rows < 2:
        return []
    (left, right), (low, high) = (min(xs), max(xs)), (min(ys), max(ys))
    x_scale = (2 * columns - 1) / (right - left)
    y_scale = (4 * rows - 1) / max(high - low, 1e-9)
    canvas = [[(0, "")] * columns for _ in range(rows)]
    for curve in shown:
        dots = [((x - left) * x_scale, (high - math.log(y)) * y_scale) for x, y in curve.points]
        for start, end in zip(dots, dots[1:] or dots, strict=False):
            _line(canvas, start, end, curve.style)
    labels = {(rows - 1) // 2: (high + low) / 2, 0: high, rows - 1: low}  # of two rows, the ends
    lines = [_row(cells, _number(math.exp(labels[row])) if row in labels else "") for row, cells in enumerate(canvas)]
    return [*lines, _axis(left, right, x_label, columns)]


def _line(
    canvas: list[list[tuple[int, str]]], start: tuple[float, float], end: tuple[float, float], style: str
) -> None:
    """Set the dots between two points; a cell that two curves cross has the colour of the later one."""
    n_dots = int(max(abs(end[0] - start[0]), abs(end[1] - start[1]))) + 1
    for i in range(n_dots + 1):
        x = round(start[0] + (end[0] - start[0]) * i / n_dots)
        y = round(start[1] + (end[1] - start[1]) * i / n_dots)
        bits, _ = canvas[y // 4][x // 2]
        canvas[y // 4][x // 2] = (bits | DOTS[x % 2][y % 4], style)


def _row(cells: Sequence[tuple[int, str]], label: str) -> Text:
    line = Text(f"{label:>{LABEL_COLUMNS - 1}} ", "dim", no_wrap=True)
    for bits, style in cells:
        line.append(chr(0x2800 + bits) if bits else " ", style)
    line.rstrip()
    return line


def _axis(left: float, right: float, x_label: str, columns: int) -> Text:
    first, last = _number(left), _number(right)
    middle = (
        x_label.center(columns - len(first) - len(last)) if len(x_label) <= columns - len(first) - len(last) else ""
    )
    gap = " " * (columns - len(first) - len(middle) - len(last))
    return Text(" " * LABEL_COLUMNS + first + middle + gap + last, "dim", no_wrap=True)


def _number(value: float) -> str:
    """Write a number in at most seven characters."""
    if abs(value) >= 999_999.5:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
