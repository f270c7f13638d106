"""Figures as PNG or SVG, of curves and of what `lstmlm inspect` finds: the one module that imports matplotlib."""

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lstmlm.cli.display.curves_svg import SMALLEST_SHOWN
from lstmlm.cli.render import printable, warn
from lstmlm.evaluation.memory.gates import LayerActivity
from lstmlm.evaluation.memory.gradients import GradientNorms
from lstmlm.files import write_atomically
from lstmlm.history.history import History, perplexities

STYLE: dict[Any, Any] = {
    "figure.dpi": 150,
    "savefig.dpi": "figure",
    "axes.spines.top": False,
    "axes.spines.right": False,
    # Words and names of runs stay as they are, dollar signs too, and stay text in an SVG.
    "text.parse_math": False,
    "svg.fonttype": "none",
    # The same figure is the same file.
    "svg.hashsalt": "lstmlm",
}

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""For runs: six of the colours of Okabe and Ito (2008), which the colour-blind can tell apart too."""

SHOWN_UNITS = 40
"""Rows of a heat map, each wide enough to be followed from gate to gate."""

MOST_LABELS = 500
"""Tokens of a text that are named in a figure, evenly spread; a longer text makes it no wider."""

LINE_STYLES = {"hidden": "-", "cell": "--"}

PANEL_TITLES = {
    "i": "input gate i",
    "f": "forget gate f",
    "g": "candidate g",
    "o": "output gate o",
    "r": "reset gate r",
    "z": "update gate z",
    "n": "candidate n",
    "hidden": "hidden state h",
    "cell": "memory cell c",
}


def draw_gradients(measured: Sequence[GradientNorms], path: Path) -> None:
    """Draw the median norm by lag, a colour for each run and a line for each memory, between the quartiles."""
    colors = dict(zip(dict.fromkeys(norms.run for norms in measured), cycle(COLORS), strict=False))
    with _drawn(path, 8, 5) as figure:
        axes = figure.subplots()
        for norms in measured:
            lower, median, upper = norms.quartiles
            lags, color = np.arange(len(median)), colors[norms.run]
            axes.plot(lags, median, LINE_STYLES[norms.memory], color=color, label=f"{norms.memory} of {norms.run}")
            axes.fill_between(lags, lower, upper, color=color, alpha=0.15, linewidth=0)
        axes.set_yscale("log")
        largest = max(norms.quartiles.max() for norms in measured)
        axes.set_ylim(max(axes.get_ylim()[0], SMALLEST_SHOWN * largest), 2 * largest)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.margins(x=0)
        axes.set_xlabel("lag k (tokens)")
        axes.set_ylabel("norm of the gradient of a token's surprisal (nats)\nby the memory of k tokens before")
        axes.legend(title="median and quartiles", frameon=False)


def draw_curves(histories: Mapping[str, History], path: Path) -> None:
    """Draw the validation perplexity by step, a colour for each run, and faintly that of training."""
    with _drawn(path, 8, 5) as figure:
        axes = figure.subplots()
        for (name, history), color in zip(histories.items(), cycle(COLORS), strict=False):
            axes.plot(*zip(*perplexities(history.steps), strict=True), color=color, alpha=0.3, linewidth=1)
            validated = zip(*perplexities(history.validations), strict=True)
            axes.plot(*validated, color=color, marker=".", label=name, clip_on=False)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("{x:g}")
        axes.margins(x=0)
        axes.set_xlabel("step (updates)")
        axes.set_ylabel("perplexity")
        axes.legend(title="validation; faint: training", frameon=False)


def draw_gates(activity: LayerActivity, path: Path) -> None:
    """Draw a heat map for each gate and memory: a column for each token, a row for each of some units.

    Shown are the units that hold most in the last memory on average over the text, in the order of what they hold.
    """
    *_, memory = activity.units.values()
    largest = np.abs(memory).mean(axis=0).argsort()[-SHOWN_UNITS:]
    shown = largest[memory[:, largest].mean(axis=0).argsort()]
    n_tokens, n_panels = len(activity.tokens), len(activity.units)
    every = -(-n_tokens // MOST_LABELS)
    named = range(0, n_tokens, every)
    with _drawn(path, max(8, 1.5 + 0.15 * len(named)), 1 + 1.3 * n_panels) as figure:
        panels = figure.subplots(n_panels, sharex=True, squeeze=False)[:, 0]
        for axes, (name, values) in zip(panels, activity.units.items(), strict=True):
            _draw_panel(axes, PANEL_TITLES[name], values[:, shown])
        panels[-1].set_xticks(named, [printable(activity.tokens[i], kept="") for i in named], rotation=90)
        if every > 1:
            panels[-1].set_xlabel(f"one token in {every} is named")
        units = f"{len(shown)} of {memory.shape[1]} units, those that hold most"
        figure.suptitle(f"{activity.run}, layer {activity.layer}: {units}")


def _draw_panel(axes: Axes, title: str, values: Float[np.ndarray, "tokens hidden"]) -> None:
    """Draw gates from closed to open, what has a sign from its negative to its positive extreme."""
    limit = max(1, np.abs(values).max())
    lowest, colors = (0, "viridis") if values.min() >= 0 else (-limit, "PuOr")
    image = axes.imshow(values.T, cmap=colors, vmin=lowest, vmax=limit, aspect="auto", interpolation="nearest")
    axes.set_ylabel(title)
    axes.set_yticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.figure.colorbar(image, ax=axes)


@contextmanager
def _drawn(path: Path, width: float, height: float) -> Iterator[Figure]:
    """Give an empty figure of so many inches; write to `path` what was drawn on it, and tell what went wrong."""
    content, file_format = io.BytesIO(), path.suffix.lower().removeprefix(".")
    with mpl.rc_context(STYLE), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")  # what a library's next version deprecates is not the user's affair
        warnings.simplefilter("always", UserWarning)
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        figure.savefig(content, format=file_format, metadata={"Date": None})
    found = dict.fromkeys(str(warning.message) for warning in caught)
    missing = [message for message in found if re.match("Glyph .* missing from", message)]
    if missing and file_format != "svg":  # an .svg holds the text itself
        advice = "Draw an .svg: it keeps them as text."
        warn([f"{path}: the font has no glyph for {len(missing)} of the characters. {advice}"])
    warn(f"{path}: {message}" for message in found if message not in missing)
    write_atomically(path, content.getvalue())
