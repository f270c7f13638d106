"""The search for hyper-parameters on costs whose minimum is known."""

import math
from collections.abc import Mapping

import pytest

from lstmlm.evaluation.adaptation.search import search


def test_finds_the_point_of_the_grid_with_the_lowest_cost_and_tries_none_twice() -> None:
    tried: list[tuple[float, float]] = []

    def cost(values: Mapping[str, float]) -> float:
        tried.append((values["rate"], values["decay"]))
        x, y = math.log2(values["rate"]) - 5, math.log2(values["decay"]) + 4
        return 10 + x * x + y * y + 0.5 * x * y

    found = search(cost, {"rate": 1.0, "decay": 1.0}, {"rate": 2, "decay": 4})
    assert found == {"rate": 32, "decay": 1 / 16}
    assert len(tried) == len(set(tried))


def test_stays_where_nothing_is_gained() -> None:
    assert search(lambda _: 1.0, {"size": 500}, {"size": 2}) == {"size": 500}


def test_a_gain_too_small_to_matter_is_none() -> None:
    found = search(lambda values: 100 - 1e-3 * math.log2(values["size"]), {"size": 1}, {"size": 2})
    assert found == {"size": 1}


@pytest.mark.parametrize("worst", [math.nan, math.inf])
def test_what_diverges_is_avoided(worst: float) -> None:
    def cost(values: Mapping[str, float]) -> float:
        return worst if values["rate"] > 3 else 10 - values["rate"]

    assert search(cost, {"rate": 1.0}, {"rate": 2}) == {"rate": 2}
