"""Runs that differ in the seed alone are one recipe."""

from types import SimpleNamespace
from typing import Any

from lstmlm.cli.runs.seeds import by_recipe
from lstmlm.config import RunConfig


def recorded(seed: int, perplexity: float, name: str | None = None, **training: Any) -> Any:
    settings = {"seed": seed, "data": {"corpus": "novel.txt"}, "training": {"n_steps": 9, **training}}
    summary = SimpleNamespace(name=name or f"seed-{seed}", perplexity=perplexity)
    return SimpleNamespace(config=RunConfig.model_validate(settings), summary=summary)


def test_seeds_are_one_recipe_whichever_route_of_products_was_the_fastest_at_their_starts() -> None:
    runs = [recorded(1, 80.0, matmul="own"), recorded(2, 82.0, matmul="native"), recorded(3, 90.0, n_steps=10)]
    assert by_recipe(runs) == {"seed-*": {1: 80.0, 2: 82.0}, "seed-3": {3: 90.0}}


def test_recipes_have_the_name_that_their_runs_share_where_it_tells_them_apart() -> None:
    def names(*groups: str) -> list[str]:
        runs = [
            recorded(seed, 80.0, name, n_steps=steps)
            for steps, group in enumerate(groups, start=1)
            for seed, name in enumerate(group.split())
        ]
        return list(by_recipe(runs))

    assert names("backbone=rnn/seed-1 backbone=rnn/seed-2", "backbone=gru/seed-1") == [
        "backbone=rnn/seed-*",
        "backbone=gru/seed-1",
    ]
    assert names("rnn-2 rnn", "lstm") == ["rnn", "lstm"]
    assert names("x1 x2", "x3 x4") == ["x1", "x3"]
    assert names("first second") == ["first"]
