"""What runs that differ in the seed alone say: mean, interval, and whether two recipes differ (Student 1908)."""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean, stdev

import numpy as np

from lstmlm.errors import DataError
from lstmlm.evaluation.bootstrap import CONFIDENCE, joint_confidence

POWER = 0.8
"""How likely as many runs as are said to be needed are to tell a difference of the size that was found."""

MOST_RUNS = 10_000
"""Beyond it a difference is called too small to tell."""


@dataclass(frozen=True)
class SeedMean:
    """The mean of a figure over seeds, and the limits within which that of all seeds lies with `CONFIDENCE`.

    A single run has no limits: not a number.
    """

    n_runs: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class SeedDifference(SeedMean):
    """The mean difference of two recipes over the seeds that both were trained with, in pairs."""

    p_value: float
    """How likely any of the comparisons finds a difference as large as this where there is none: that of a two-sided
    paired t-test times their number, at most 1."""
    n_needed: int | None
    """Pairs of runs that tell this difference from none, corrected likewise, with probability `POWER`; None: more than
    `MOST_RUNS`, or there is nothing to tell it by."""


def seed_mean(figures: Sequence[float]) -> SeedMean:
    """Return the mean of a figure over runs with different seeds, and its limits by Student's t.

    Raises:
        DataError: there is no figure.
    """
    if not figures:
        raise DataError("runs: there are none to take the mean of. Name one or more.")
    n, mean = len(figures), fmean(figures)
    width = _t_quantile((1 + CONFIDENCE) / 2, n - 1) * stdev(figures) / math.sqrt(n) if n > 1 else math.nan
    return SeedMean(n, mean, mean - width, mean + width)


def seed_difference(a: Mapping[int, float], b: Mapping[int, float], n_pairs: int = 1) -> SeedDifference:
    """Compare two recipes by a figure for each seed; the difference is b - a, over the seeds that both have.

    Where it is one of `n_pairs` comparisons, its p-value is corrected for them (Bonferroni); its limits are not.

    Raises:
        DataError: they have no seed in common.
    """
    seeds = sorted(a.keys() & b.keys())
    if not seeds:
        raise DataError(f"seeds: {sorted(a)} and {sorted(b)} have none in common. Train both with the same seeds.")
    differences = [b[seed] - a[seed] for seed in seeds]
    found = seed_mean(differences)
    n, spread = len(differences), stdev(differences) if len(differences) > 1 else math.nan
    if n == 1 or spread == 0:
        p_value = math.nan if n == 1 else float(found.mean == 0)
        return SeedDifference(n, found.mean, found.low, found.high, p_value, None)
    t = abs(found.mean) / (spread / math.sqrt(n))
    p_value = min(1.0, n_pairs * max(0.0, 2 * (1 - _t_probability(t, n - 1))))
    n_needed = _runs_needed(abs(found.mean) / spread, joint_confidence(n_pairs))
    return SeedDifference(n, found.mean, found.low, found.high, p_value, n_needed)


def _runs_needed(effect: float, confidence: float) -> int | None:
    """Return how many pairs tell a mean difference of so many standard deviations."""

    def tell(n: int) -> bool:
        return effect * math.sqrt(n) >= _t_quantile((1 + confidence) / 2, n - 1) + _t_quantile(POWER, n - 1)

    enough = bisect_left(range(2, MOST_RUNS + 1), True, key=tell) + 2
    return enough if enough <= MOST_RUNS else None


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(200)


def _t_probability(t: float, degrees: int) -> float:
    """Return the probability that a variable of Student's distribution is below `t`.

    With t = √ν tan θ its density becomes cos^(ν-1) θ, up to a factor.
    """

    def integral(end: float) -> float:
        angles = end * (_NODES + 1) / 2
        return float(_WEIGHTS @ np.cos(angles) ** (degrees - 1)) * end / 2

    return 0.5 + math.copysign(0.5 * integral(math.atan(abs(t) / math.sqrt(degrees))) / integral(math.pi / 2), t)


@cache
def _t_quantile(probability: float, degrees: int) -> float:
    """Return the value below which a variable of Student's distribution is with that probability, above one half."""
    low, high = 0.0, 1.0
    while _t_probability(high, degrees) < probability:
        high *= 2
    while high - low > 1e-10 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _t_probability(middle, degrees) < probability else (low, middle)
    return high
