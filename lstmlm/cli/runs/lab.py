"""`lstmlm lab`: recipes trained side by side, each with several seeds, and compared."""

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lstmlm.cli.options import BudgetOption, ConfigOption, JsonOption, PlotOption, SetOption, length, path
from lstmlm.cli.render import print_table, say
from lstmlm.errors import ConfigError, DivergenceError
from lstmlm.metrics import finite

if TYPE_CHECKING:
    from lstmlm.history.summary import RecordedRun


def lab(
    vary: Annotated[
        list[str],
        typer.Option(
            metavar="KEY=VALUE,VALUE,…",
            help="A key with the values to try; repeat it, and all combinations are trained.",
        ),
    ],
    config: ConfigOption = "quickstart",
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
    best validation perplexity, its mean and the 95 % interval over seeds, and a paired test against the best recipe.

    Examples:

    lstmlm lab --vary model.backbone.name=rnn,lstm --seeds 3 --budget 5m

    lstmlm lab --config ptb-lstm-small --vary model.dropout.output=0,0.25,0.5 --run-dir runs/dropout
    """
    from lstmlm import workflows
    from lstmlm.cli.display import training_display
    from lstmlm.cli.runs.seeds import seed_rows
    from lstmlm.config import RunConfig
    from lstmlm.config.recipes import find_config
    from lstmlm.history.summary import read_run
    from lstmlm.yaml.schema import load_yaml

    combinations, root = _combinations(vary), run_dir or Path("runs/lab")
    # Every mistake before the first training.
    checked = {
        (name, seed): load_yaml(
            find_config(config or "quickstart"),
            RunConfig,
            [*length(budget), *(overrides or []), *chosen, f"seed={seed}"],
        )
        for name, chosen in combinations.items()
        for seed in range(1, seeds + 1)
    }
    runs: dict[tuple[str, int], RecordedRun] = {}
    # Seed by seed, so that all recipes can be compared early.
    for place, (name, seed) in enumerate(sorted(checked, key=lambda cell: cell[1]), start=1):
        where = root / name / f"seed-{seed}"
        say(f"{place} of {len(checked)}: {where}")
        try:
            with training_display(str(where), quiet=as_json) as observer:
                workflows.train(checked[name, seed], where, resume=True, observers=[observer])
        except DivergenceError as error:
            say(f"{where}: {error}")
        runs[name, seed] = read_run(where)
    figures = {name: _figures(name, runs) for name in combinations}
    rows = seed_rows(figures)
    if plot is not None:
        from lstmlm.cli.display.figures import draw_curves

        draw_curves({run.summary.name: run.history for run in runs.values()}, plot)
    if as_json:
        print(json.dumps({"recipes": list(map(finite, rows)), "perplexities": figures}, ensure_ascii=False))
        return
    print_table(rows)
    say(f"Curves: lstmlm runs compare {root} --quick")


def _figures(name: str, runs: "dict[tuple[str, int], RecordedRun]") -> dict[int, float]:
    found = {seed: run.summary.perplexity for (of, seed), run in runs.items() if of == name}
    return {seed: perplexity for seed, perplexity in found.items() if perplexity is not None}


def _combinations(vary: list[str]) -> dict[str, list[str]]:
    """Return what `--set` takes for each combination, by a name that tells it: `backbone=rnn,input=0.2`."""
    choices = []
    for given in vary:
        key, equals, values = given.partition("=")
        if not equals or not key or not all(values.split(",")):
            raise ConfigError(f"--vary: {given!r} is no key with values. Write model.backbone.name=rnn,lstm")
        *_, part, last = ["", *key.split(".")]
        shown = part if last == "name" and part else last
        choices.append([(f"{shown}={value}", f"{key}={value}") for value in values.split(",")])
    return {
        ",".join(name for name, _ in combination).replace("/", "-"): [override for _, override in combination]
        for combination in itertools.product(*choices)
    }
