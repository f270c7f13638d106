"""What a benchmark answers: sections of rows, whose keys are those of the JSON and carry the units."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from lstmlm.benchmark.timing import geometric_mean, quartiles, ratios

Row = dict[str, str | int | float | bool | None]


@dataclass(frozen=True)
class Section:
    """The comparisons of one kind.

    Attributes:
        name: Its key in the JSON.
        title: What is compared, in words.
        rows: One for each shape and number format of ours.
        summary: Figures over all rows.
    """

    name: str
    title: str
    rows: list[Row]
    summary: Row = field(default_factory=dict)


def row_of(
    shape: Any,
    precision: str,
    ours: Sequence[float],
    theirs: Mapping[str, Sequence[float]],
    n_tokens: Mapping[str, int] | int | None = None,
) -> Row:
    """Return medians and quartiles of a comparison, and how many times as fast we are.

    Args:
        shape: What was measured, a dataclass whose fields become keys.
        precision: Number format of our matrix products.
        ours: Seconds of each of our rounds.
        theirs: Seconds of the same rounds of those that we are compared with.
        n_tokens: What a round read (tokens), if rates are wanted in place of times; by name where it differs.
    """
    row: Row = {**asdict(shape), "precision": precision}
    speeds: dict[str, list[float]] = {}
    for name, seconds in {"lstmlm": ours, **theirs}.items():
        if n_tokens is None:
            row |= _spread(f"{name}_milliseconds", [1000 * value for value in seconds])
            speeds[name] = ratios([1.0] * len(seconds), seconds)
        else:
            n = n_tokens if isinstance(n_tokens, int) else n_tokens[name]
            speeds[name] = [n / value for value in seconds]
            row |= _spread(f"{name}_tokens_per_second", speeds[name])
    for name in theirs:
        key = f"times_as_fast_as_{name}"
        row |= _spread(key, ratios(speeds["lstmlm"], speeds[name]))
    # The first is the one to beat.
    row["is_slower"] = any(float(row[f"times_as_fast_as_{name}"] or 0) < 1 for name in list(theirs)[:1])
    return row


def refusal(shape: Any, precision: str, difference: str) -> Row:
    """Return the row of a contestant that is wrong: no figure, but in what it differs."""
    return {**asdict(shape), "precision": precision, "differs": difference}


def geometric_means(rows: Iterable[Row]) -> Row:
    """Return the geometric mean of every `times_as_fast_as_…` by precision, of the rows that have it, and their number.

    `n_slower` counts those in which we lose.
    """
    summary: Row = {}
    measured = [row for row in rows if "differs" not in row]
    for precision in dict.fromkeys(str(row["precision"]) for row in measured):
        own = [row for row in measured if row["precision"] == precision]
        for key in own[0]:
            if key.startswith("times_as_fast_as_") and not key.endswith("_quartile"):
                summary[f"{precision}_{key}_geometric_mean"] = geometric_mean([float(row[key] or 0) for row in own])
        summary[f"{precision}_n_rows"] = len(own)
        summary[f"{precision}_n_slower"] = sum(bool(row["is_slower"]) for row in own)
    return summary


def _spread(key: str, values: Sequence[float]) -> Row:
    lower, middle, upper = quartiles(values)
    return {key: middle, f"{key}_lower_quartile": lower, f"{key}_upper_quartile": upper}
