"""Runs that differ in the seed alone are one recipe."""

from types import SimpleNamespace
from typing import Any

import pytest

from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.cli.runs.seeds import Recipe, by_recipe, seed_rows
from lstmlm.config import RunConfig
from lstmlm.errors import DivergenceError
from lstmlm.history.history import History


@pytest.fixture(autouse=True)
def _runs_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_texts(texts: dict[str, str]) -> Any:
        return SimpleNamespace(digest_of=texts.get, tokenizer_json=texts.get("tokenizer", "words"))

    monkeypatch.setattr(RunDirectory, "open", open_texts)


def recorded(
    seed: int,
    perplexity: float,
    name: str | None = None,
    texts: dict[str, str] | None = None,
    end: str | None = "n_steps",
    **training: Any,
) -> Any:
    """A run whose path is what stands in its directory."""
    settings = {"seed": seed, "data": {"corpus": "novel.txt"}, "training": {"n_steps": 9, **training}}
    summary = SimpleNamespace(name=name or f"seed-{seed}", perplexity=perplexity)
    history = History(end=None if end is None else {"event": "end", "reason": end})
    return SimpleNamespace(
        config=RunConfig.model_validate(settings), summary=summary, path=texts or {}, history=history
    )


def figures_of(runs: list[Any]) -> dict[str, Any]:
    return {name: recipe.figures for name, recipe in by_recipe(runs).items()}


def test_seeds_are_one_recipe_whichever_route_of_products_was_the_fastest_at_their_starts() -> None:
    runs = [recorded(1, 80.0, matmul="own"), recorded(2, 82.0, matmul="native"), recorded(3, 90.0, n_steps=10)]
    assert figures_of(runs) == {"seed-*": {1: 80.0, 2: 82.0}, "seed-3": {3: 90.0}}


@pytest.mark.parametrize("changed", ["train", "valid", "tokenizer"])
def test_seeds_of_another_text_are_another_recipe(changed: str) -> None:
    runs = [recorded(1, 80.0, "before"), recorded(2, 60.0, "after", {changed: "other"})]
    assert figures_of(runs) == {"before": {1: 80.0}, "after": {2: 60.0}}


def test_of_a_seed_that_was_trained_twice_it_is_the_mean_in_whatever_order() -> None:
    runs = [recorded(1, 80.0, "a1"), recorded(1, 80.2, "a1-again"), recorded(2, 82.0, "a2")]
    for order in (runs, runs[::-1]):
        assert figures_of(order) == {"a*": {1: 80.1, 2: 82.0}}


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


def test_what_did_not_come_to_its_end_is_no_measure_of_a_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    runs = [
        recorded(1, 80.0),
        recorded(2, 82.0),
        recorded(3, 900.0, end=None),
        recorded(4, 95.0, end=DivergenceError.reason),
    ]
    [[name, recipe]] = by_recipe(runs).items()
    assert (name, recipe.figures, capsys.readouterr().err) == ("seed-*", {1: 80.0, 2: 82.0}, "")
    assert [row["seeds"] for row in seed_rows({name: recipe})] == [2]
    told = "is left out of means and tests over seeds, as it did not come to its end."
    assert capsys.readouterr().err.splitlines() == [f"seed-3: {told}", f"seed-4: {told}"]


TEXT = ("valid", "words")


def test_a_best_recipe_of_one_seed_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    rows = seed_rows({"best": Recipe({1: 60.0}, TEXT), "other": Recipe({1: 80.0, 2: 81.0}, TEXT)})
    assert [row["p"] for row in rows] == [None, None]
    told = "best: has one seed, so that no other is tested against it. Train it with more.\n"
    assert capsys.readouterr().err == told


def test_p_allows_for_all_pairs_among_which_the_best_was_found(capsys: pytest.CaptureFixture[str]) -> None:
    best = Recipe({1: 80.0, 2: 81.0, 3: 82.0}, TEXT)
    second, third = Recipe({1: 81.0, 2: 82.5, 3: 83.0}, TEXT), Recipe({1: 90.0, 2: 99.0, 3: 80.0}, TEXT)
    [_, alone] = seed_rows({"best": best, "second": second})
    # The differences 1, 1.5, 1: t = 7 with 2 degrees of freedom.
    assert alone["p"] == pytest.approx(0.0198039, abs=1e-6)
    assert capsys.readouterr().err == ""
    elsewhere, of_one_seed = Recipe({1: 85.0, 2: 86.0}, ("valid", "bytes")), Recipe({1: 84.0}, TEXT)
    every = {"best": best, "second": second, "third": third, "elsewhere": elsewhere, "of one seed": of_one_seed}
    rows = {row["recipe"]: row for row in seed_rows(every)}
    # Three recipes are tested: three pairs.
    assert rows["second"]["p"] == pytest.approx(3 * 0.0198039, abs=1e-6)
    assert rows["second"]["seeds needed"] > alone["seeds needed"]
    assert (rows["elsewhere"]["behind the best"], rows["elsewhere"]["p"]) == (None, None)
    assert capsys.readouterr().err.startswith("elsewhere: not tested against best, which has another tokenizer or ")
