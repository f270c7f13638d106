"""Runs that differ in the seed alone, as rows: mean, interval, and whether a lead over seeds is more than chance."""

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING

from lstmlm.evaluation.seeds import SeedMean, seed_difference, seed_mean

if TYPE_CHECKING:
    from lstmlm.evaluation.report import Row
    from lstmlm.history.summary import RecordedRun

Figures = Mapping[int, float]
"""The validation perplexity of a recipe by seed."""


def by_recipe(runs: "Sequence[RecordedRun]") -> dict[str, dict[int, float]]:
    """Return the perplexities of runs by seed, for each configuration, under the name that its runs share."""
    recipes: dict[str, tuple[list[str], dict[int, float]]] = {}
    for run in runs:
        if run.config is None or run.summary.perplexity is None:
            continue
        # The route of matrix products is measured at each start, and the fastest is not always the same.
        training = run.config.training.model_copy(update={"matmul": "auto"})
        same = run.config.model_copy(update={"seed": 0, "training": training}).model_dump_json()
        names, figures = recipes.setdefault(same, ([], {}))
        names.append(run.summary.name)
        figures.setdefault(run.config.seed, run.summary.perplexity)
    shared = [_shared_name(names) for names, _ in recipes.values()]
    return {
        name if shared.count(name) == 1 else names[0]: figures
        for name, (names, figures) in zip(shared, recipes.values(), strict=True)
    }


def _shared_name(names: list[str]) -> str:
    """Return a pattern that names have in common, such as `backbone=rnn/seed-*`; the first of them if there is none."""
    begin = "".join(
        letters[0] for letters in takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    )
    return begin if begin in names else f"{begin}*" if begin else names[0]


def seed_rows(recipes: Mapping[str, Figures]) -> "list[Row]":
    """Return a row for each recipe, the best first: mean and limits over seeds, a test of its lag behind the best."""
    means = {name: seed_mean(list(figures.values())) for name, figures in recipes.items() if figures}
    ordered = sorted(means, key=lambda name: means[name].mean)
    return [_row(name, recipes, means[name], ordered[0]) for name in ordered]


def _row(name: str, recipes: Mapping[str, Figures], mean: SeedMean, best: str) -> "Row":
    shared = set(recipes[name]) & set(recipes[best])
    test = seed_difference(recipes[best], recipes[name]) if name != best and len(shared) > 1 else None
    return {
        "recipe": name,
        "seeds": mean.n_runs,
        "valid perplexity": mean.mean,
        "low": mean.low,
        "high": mean.high,
        "behind the best": test.mean if test else None,
        "p": test.p_value if test else None,
        "seeds needed": test.n_needed if test else None,
    }
