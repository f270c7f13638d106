"""Search for hyper-parameters: up and down geometric grids, one parameter at a time."""

import math
from collections.abc import Callable, Mapping
from functools import cache

LEAST_GAIN = 1e-4
"""A step has to lower the cost by this share of it."""


def search(
    cost: Callable[[Mapping[str, float]], float], start: Mapping[str, float], factors: Mapping[str, float]
) -> dict[str, float]:
    """Return the point from which no step lowers the cost; a step multiplies or divides one parameter by its factor.

    It begins at `start`, a positive value for each parameter. No point is tried twice; a cost that is not a number is
    as bad as infinity.
    """

    def point(exponents: tuple[int, ...]) -> dict[str, float]:
        return {
            name: value * factors[name] ** exponent
            for (name, value), exponent in zip(start.items(), exponents, strict=True)
        }

    @cache
    def cost_at(exponents: tuple[int, ...]) -> float:
        found = cost(point(exponents))
        return math.inf if math.isnan(found) else found

    best, before = (0,) * len(start), None
    while best != before:
        before = best
        for axis in range(len(start)):
            for direction in (1, -1):
                while cost_at(best) * (1 - LEAST_GAIN) > cost_at(step := _moved(best, axis, direction)):
                    best = step
    return point(best)


def _moved(exponents: tuple[int, ...], axis: int, direction: int) -> tuple[int, ...]:
    return (*exponents[:axis], exponents[axis] + direction, *exponents[axis + 1 :])
