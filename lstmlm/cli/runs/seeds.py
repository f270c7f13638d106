"""Runs that differ in the seed alone, as rows: mean, interval, and whether a lead over seeds is more than chance."""

import math
from collections.abc import Mapping, Sequence
from itertools import takewhile
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.cli.render import say
from lstmlm.evaluation.seeds import SeedDifference, SeedMean, seed_difference, seed_mean

if TYPE_CHECKING:
    from lstmlm.evaluation.report import Row
    from lstmlm.history.summary import RecordedRun


class Recipe(NamedTuple):
    """What runs that differ in the seed alone have come to."""

    figures: Mapping[int, float]
    """The validation perplexity by seed; of a seed that was trained several times, the mean."""
    measured_by: tuple[str | None, str] | None
    """Digest of the validation text, and the tokenizer: only where both are the same are perplexities comparable.
    None: there are no figures."""
    unfinished: Sequence[str] = ()
    """Names of runs that did not come to their end, and have no part in the figures."""

    @classmethod
    def of(cls, runs: "Sequence[RecordedRun]") -> "Recipe":
        """Gather the runs of a recipe."""
        by_seed: dict[int, list[float]] = {}
        measured_by: tuple[str | None, str] | None = None
        unfinished = list[str]()
        for run in runs:
            if run.config is None or run.summary.perplexity is None:
                continue
            if not run.history.is_complete:
                unfinished.append(run.summary.name)
            else:
                by_seed.setdefault(run.config.seed, []).append(run.summary.perplexity)
                measured_by = measured_by or _texts(run)[1:]
        return cls({seed: fmean(figures) for seed, figures in by_seed.items()}, measured_by, unfinished)


def by_recipe(runs: "Sequence[RecordedRun]") -> dict[str, Recipe]:
    """Return the recipe of each configuration and corpus, under the name that its runs share."""
    recipes: dict[object, list[RecordedRun]] = {}
    for run in runs:
        if run.config is None or run.summary.perplexity is None:
            continue
        # The route of matrix products is measured at each start, and the fastest is not always the same.
        training = run.config.training.model_copy(update={"matmul": "auto"})
        same = run.config.model_copy(update={"seed": 0, "training": training}).model_dump_json()
        recipes.setdefault((same, _texts(run)), []).append(run)
    names = [[run.summary.name for run in group] for group in recipes.values()]
    shared = [_shared_name(of_group) for of_group in names]
    return {
        name if shared.count(name) == 1 else first: Recipe.of(group)
        for name, (first, *_), group in zip(shared, names, recipes.values(), strict=True)
    }


def _texts(run: "RecordedRun") -> tuple[str | None, str | None, str]:
    """Return digests of the training and the validation text, and the tokenizer."""
    opened = RunDirectory.open(run.path)
    return opened.digest_of("train"), opened.digest_of("valid"), opened.tokenizer_json


def _shared_name(names: list[str]) -> str:
    """Return a pattern that names have in common, such as `backbone=rnn/seed-*`; the first of them if there is none."""
    begin = "".join(
        letters[0] for letters in takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    )
    return begin if begin in names else f"{begin}*" if begin else names[0]


def seed_rows(recipes: Mapping[str, Recipe]) -> "list[Row]":
    """Return a row for each recipe, the best first: mean and limits over seeds, a test of its lag behind the best.

    As the best is one of many, the test is corrected for all pairs of those that are tested. What has another
    validation text or tokenizer than the best is not tested: that is said.
    """
    means = {name: seed_mean(list(recipe.figures.values())) for name, recipe in recipes.items() if recipe.figures}
    for name in (name for recipe in recipes.values() for name in recipe.unfinished):
        say(f"{name}: is left out of means and tests over seeds, as it did not come to its end.")
    if not means:
        return []
    ordered = sorted(means, key=lambda name: means[name].mean)
    best = recipes[ordered[0]]
    apart = [name for name in ordered if recipes[name].measured_by != best.measured_by]
    if apart:
        say(
            f"{', '.join(apart)}: not tested against {ordered[0]}, which has another tokenizer or validation text. "
            "Compare runs of one text by bits: lstmlm eval compare RUN_A RUN_B"
        )
    rivals = {
        name: recipes[name].figures
        for name in ordered[1:]
        if name not in apart and len(recipes[name].figures.keys() & best.figures.keys()) > 1
    }
    if len(best.figures) == 1 and any(len(recipe.figures) > 1 for recipe in recipes.values()):
        say(f"{ordered[0]}: has one seed, so that no other is tested against it. Train it with more.")
    n_pairs = math.comb(len(rivals) + 1, 2)
    tests = {name: seed_difference(best.figures, figures, n_pairs) for name, figures in rivals.items()}
    return [_row(name, means[name], tests.get(name)) for name in ordered]


def _row(name: str, mean: SeedMean, test: SeedDifference | None) -> "Row":
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
