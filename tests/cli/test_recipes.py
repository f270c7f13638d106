"""Runs that differ in the seed alone are one recipe."""

from types import SimpleNamespace
from typing import Any

from lstmlm.cli.runs.seeds import by_recipe
from lstmlm.config import RunConfig


def recorded(seed: int, perplexity: float, **training: Any) -> Any:
    settings = {"seed": seed, "data": {"corpus": "novel.txt"}, "training": {"n_steps": 9, **training}}
    summary = SimpleNamespace(name=f"seed-{seed}", perplexity=perplexity)
    return SimpleNamespace(config=RunConfig.model_validate(settings), summary=summary)


def test_seeds_are_one_recipe_whichever_route_of_products_was_the_fastest_at_their_starts() -> None:
    runs = [recorded(1, 80.0, matmul="own"), recorded(2, 82.0, matmul="native"), recorded(3, 90.0, n_steps=10)]
    assert by_recipe(runs) == {"seed-1": {1: 80.0, 2: 82.0}, "seed-3": {3: 90.0}}
