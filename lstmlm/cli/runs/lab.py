"""`lstmlm lab`: recipes trained side by side, each with several seeds, and compared."""

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lstmlm.cli.options import BudgetOption, JsonOption, LabConfigOption, PlotOption, SetOption, budget_overrides, path
from lstmlm.cli.render import print_json, print_table, say, warn
from lstmlm.errors import ConfigError, DivergenceError, ShortTextError, as_command, is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lstmlm.config import RunConfig
    from lstmlm.history.summary import RecordedRun

Cell = tuple[str, int]
"""A place of the grid: the name of a combination and a seed."""


def lab(
    vary: Annotated[
        list[str],
        typer.Option(
            metavar="KEY=VALUE,VALUE,…",
            help="A key with the values to try; repeat it, and all combinations are trained.",
        ),
    ],
    config: LabConfigOption = "quickstart",
    seeds: Annotated[int, typer.Option(min=1, metavar="N", help="Trainings of each combination, from seed 1 on.")] = 3,
    run_dir: Annotated[
        Path | None, typer.Option(parser=path, metavar="DIR", help="Where the runs go.", show_default="runs/lab")
    ] = None,
    overrides: SetOption = None,
    budget: BudgetOption = None,
    plot: PlotOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a grid of configurations, one after the other, and compare them over seeds.

    Start it again after whatever has stopped it: finished runs are kept, an interrupted one goes on. The table has the
    best validation perplexity, its mean and the 95 % interval over seeds, and a paired test against the best recipe,
    corrected for all pairs among which the best was found (Bonferroni).

    Examples:

    lstmlm lab --vary model.backbone.name=rnn,lstm --seeds 3 --budget 5m

    lstmlm lab --config ptb-lstm-small --vary model.dropout.output=0,0.25,0.5 --run-dir runs/dropout
    """
    from lstmlm.cli.runs.seeds import Recipe, seed_rows

    combinations = _combinations(vary)
    checked = _checked(config or "quickstart", combinations, [*budget_overrides(budget), *(overrides or [])], seeds)
    warn(dict.fromkeys(warning for one in checked.values() for warning in one.warnings()))
    runs = dict(_trained(checked, run_dir or Path("runs/lab"), quiet=as_json))
    recipes = {name: Recipe.of([run for (of, _), run in runs.items() if of == name]) for name in combinations}
    rows = seed_rows(recipes)
    if plot is not None:
        from lstmlm.cli.display.figures import draw_curves

        draw_curves({run.summary.name: run.history for run in runs.values()}, plot)
    if as_json:
        figures = {name: {str(seed): of for seed, of in recipe.figures.items()} for name, recipe in recipes.items()}
        print_json({"recipes": rows, "perplexities": figures})
        return
    if not rows:
        say("There is nothing to compare: no training has a validation perplexity.")
        return
    print_table(rows)
    say(f"Curves: lstmlm runs compare {as_command([str(run_dir or 'runs/lab')])} --quick")


def _checked(
    config: str, combinations: dict[str, list[str]], overrides: list[str], seeds: int
) -> "dict[Cell, RunConfig]":
    """Return the configuration of each training: every mistake comes before the first of them."""
    from lstmlm.config.recipes import load_config

    if any(override.partition("=")[0] == "seed" for override in overrides):
        raise ConfigError("--set: seed is what --seeds counts. Say how many: --seeds 5")
    for key in (override.partition("=")[0] for override in overrides):
        for varied in (change.partition("=")[0] for chosen in combinations.values() for change in chosen):
            if f"{key}.".startswith(f"{varied}."):
                raise ConfigError(f"--set {key}: has no effect, as --vary {varied} sets it, too. Leave one out.")
    return {
        # Seed by seed, so that all recipes can be compared early.
        (name, seed): load_config(config, [*overrides, *chosen, f"seed={seed}"])
        for seed in range(1, seeds + 1)
        for name, chosen in combinations.items()
    }


def _trained(checked: "dict[Cell, RunConfig]", root: Path, *, quiet: bool) -> "Iterator[tuple[Cell, RecordedRun]]":
    from lstmlm import workflows
    from lstmlm.cli.display import training_display
    from lstmlm.history.summary import read_run
    from lstmlm.training.events import require_validation

    for place, ((name, seed), config) in enumerate(checked.items(), start=1):
        where = root / name / f"seed-{seed}"
        say(f"{place} of {len(checked)}: {where}")
        try:
            with training_display(where, quiet=quiet) as observer:
                workflows.train(config, where, resume=True, observers=[observer, require_validation])
        except (DivergenceError, ShortTextError) as error:
            say(f"{where}: {error}")
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            say(f"{where}: out of memory. It is left out.")
        yield (name, seed), read_run(where)


def _combinations(vary: list[str]) -> dict[str, list[str]]:
    """Return what `--set` takes for each combination, by a name that tells it: `backbone=rnn,input=0.2`."""
    choices = []
    for given in vary:
        key, equals, values = given.partition("=")
        if not equals or not key or not all(values.split(",")):
            raise ConfigError(f"--vary: {given!r} is no key with values. Write model.backbone.name=rnn,lstm")
        if key == "seed":
            raise ConfigError("--vary: seed is what --seeds counts. Say how many: --seeds 5")
        *_, part, last = ["", *key.split(".")]
        shown = part if last == "name" and part else last
        choices.append([(f"{shown}={value}", f"{key}={value}") for value in values.split(",")])
    combinations = list(itertools.product(*choices))
    found = {
        ",".join(name for name, _ in combination).replace("/", "-"): [override for _, override in combination]
        for combination in combinations
    }
    if len(found) < len(combinations):
        raise ConfigError("--vary: two combinations would have the same name. Give each value and key once.")
    return found
