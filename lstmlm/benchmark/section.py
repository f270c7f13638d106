"""What a benchmark answers: sections of rows, whose keys are those of the JSON and carry the units."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import geometric_mean
from typing import Any

import numpy as np

from lstmlm.benchmark.correctness import Results, difference
from lstmlm.benchmark.machine import Machine
from lstmlm.benchmark.plan import Effort
from lstmlm.benchmark.timing import Work, measure
from lstmlm.models.kernels import GemmPath

Row = dict[str, Any]


@dataclass(frozen=True)
class Section:
    """The comparisons of one kind: its key in the JSON, what is compared, and figures over all rows."""

    name: str
    title: str
    rows: list[Row]
    """One for each shape and number format of ours."""
    summary: Row = field(default_factory=dict)


def compare(
    shape: Any,
    effort: Effort,
    ours: Mapping[str, Work],
    wrong: Mapping[str, str | None],
    theirs: Mapping[str, Work],
    n_tokens: Mapping[str, int] | int | None = None,
) -> list[Row]:
    """Time what is right of ours, by number format, beside theirs: a row for each, with a refusal where one is wrong.

    `wrong` says in what each differs; the rest is as for `row_of`.
    """
    right = {name: ours[name] for name in ours if wrong[name] is None}
    seconds = measure({**right, **theirs}, effort)
    of_theirs = {name: seconds[name] for name in theirs}
    return [
        row_of(shape, name, seconds[name], of_theirs, n_tokens) if text is None else refusal(shape, name, text)
        for name, text in wrong.items()
    ]


def compare_routes(
    shape: Any,
    effort: Effort,
    machine: Machine,
    ours: Mapping[GemmPath, Work],
    results_of: Callable[[GemmPath], Results],
    wanted: Results,
    theirs: Mapping[str, Work],
    n_flops: int,
    n_tokens: int | None = None,
) -> list[Row]:
    """Compare the fastest route of each number format, and say what share of the machine's peak it reaches.

    `results_of` a route are compared with those `wanted`; a round of `ours` takes `n_flops` floating point operations.
    """
    routes = machine.routes(ours)
    wrong = {name: difference(results_of(path), wanted, name) for name, path in routes.items()}
    rows = compare(shape, effort, {name: ours[path] for name, path in routes.items()}, wrong, theirs, n_tokens)
    for row in rows:
        if "differs" not in row:
            precision = row["precision"]
            per_second = row["lstmlm_tokens_per_second"] / n_tokens if n_tokens else 1000 / row["lstmlm_milliseconds"]
            row["gemm_path"] = routes[precision].value
            row["gemm_peak_share"] = n_flops * per_second / 1e9 / machine.gemm_gflops[precision]
    return rows


def row_of(
    shape: Any,
    precision: str,
    ours: Sequence[float],
    theirs: Mapping[str, Sequence[float]],
    n_tokens: Mapping[str, int] | int | None = None,
) -> Row:
    """Return medians and quartiles of a comparison, and how many times as fast we are, from the seconds of all rounds.

    The fields of `shape`, a dataclass, become keys; `precision` is that of our matrix products. Where rates are wanted
    in place of times, `n_tokens` is what a round read, by name where it differs.
    """
    row: Row = {**asdict(shape), "precision": precision}
    speeds: dict[str, list[float]] = {}
    for name, seconds in {"lstmlm": ours, **theirs}.items():
        n = n_tokens[name] if isinstance(n_tokens, Mapping) else n_tokens or 1
        speeds[name] = [n / value for value in seconds]
        if n_tokens is None:
            row |= _spread(f"{name}_milliseconds", [1000 * value for value in seconds])
        else:
            row |= _spread(f"{name}_tokens_per_second", speeds[name])
    for name in theirs:
        # The two measurements of a round are neighbours in time.
        rounds = zip(speeds["lstmlm"], speeds[name], strict=True)
        row |= _spread(f"times_as_fast_as_{name}", [our_speed / their_speed for our_speed, their_speed in rounds])
    row["is_slower"] = row[f"times_as_fast_as_{next(iter(theirs))}"] < 1  # the first is the one to beat
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
    for precision in dict.fromkeys(row["precision"] for row in measured):
        own = [row for row in measured if row["precision"] == precision]
        for key in own[0]:
            if key.startswith("times_as_fast_as_") and not key.endswith("_quartile"):
                summary[f"{precision}_{key}_geometric_mean"] = geometric_mean([row[key] for row in own])
        summary[f"{precision}_n_rows"] = len(own)
        summary[f"{precision}_n_slower"] = sum(row["is_slower"] for row in own)
    return summary


def _spread(key: str, values: Sequence[float]) -> Row:
    lower, middle, upper = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
    return {key: middle, f"{key}_lower_quartile": lower, f"{key}_upper_quartile": upper}
