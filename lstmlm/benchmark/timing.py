"""Rounds in which contestants take turns."""

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import TypeVar

from lstmlm.benchmark.plan import Effort

Work = Callable[[], object]
Key = TypeVar("Key")

TRIAL = Effort(seconds=0.0, min_rounds=3, max_rounds=3)
"""Enough to tell the faster of two routes, before both are forgotten and the winner is measured afresh."""


def measure(work: Mapping[Key, Work], effort: Effort) -> dict[Key, list[float]]:
    """Return the seconds that each piece of work took in every round; one round before them warms up.

    All of them run once a round, in one process, so that a machine that slows down slows all alike. Every other round
    runs backwards, so that none always follows the same other one.
    """
    for piece in work.values():
        piece()
    seconds: dict[Key, list[float]] = {name: [] for name in work}
    started = time.perf_counter()
    for n_rounds in range(effort.max_rounds):
        if n_rounds >= effort.min_rounds and time.perf_counter() - started > effort.seconds:
            break
        for name in list(work) if n_rounds % 2 == 0 else reversed(list(work)):
            before = time.perf_counter()
            work[name]()
            seconds[name].append(time.perf_counter() - before)
    return seconds


def fastest(work: Mapping[Key, Work]) -> Key:
    """Return the name of the work with the smallest median in a few rounds."""
    if len(work) == 1:
        return next(iter(work))
    seconds = measure(work, TRIAL)
    return min(seconds, key=lambda name: median(seconds[name]))
