"""`lstmlm runs compare`: what differs between runs, in their making and in what came of it."""

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lstmlm.cli.options import JsonOption, PlotOption, refuse_beside
from lstmlm.cli.render import print_json, print_table, say
from lstmlm.cli.runs.rows import NamedRunsArgument, SortOption, in_order, record, row
from lstmlm.errors import LstmlmError, as_command

if TYPE_CHECKING:
    from lstmlm.cli.display.screen import Overlay
    from lstmlm.evaluation.report import Report, Row
    from lstmlm.history.summary import RecordedRun
    from lstmlm.workflows import TrainedModel


def compare(
    runs: NamedRunsArgument,
    split: Annotated[str | None, typer.Option(help="train, valid or test.", show_default="valid")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Read what was recorded; score nothing again.")] = False,
    sort: SortOption = "perplexity",
    plot: PlotOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare runs: their final figures, their curves, and the options in which they differ.

    The best, by perplexity, is compared with each of the others on a split of their corpus: is its lead more than
    chance, had other sentences been in it (paired bootstrap over lines)? Runs that differ in the seed alone are also
    compared as recipes: mean, interval, and a paired test over seeds. Both kinds of tests are corrected for all pairs
    among which the best was found (Bonferroni).

    Examples:

    lstmlm runs compare rnn quickstart

    lstmlm runs compare 'ptb-*' --quick --plot curves.svg
    """
    if quick:
        refuse_beside("--quick", {f"--split {split}": split is not None})
    from lstmlm.cli.display.screen import Overlay, Screen
    from lstmlm.cli.runs.seeds import by_recipe, seed_rows
    from lstmlm.history.selection import find_runs
    from lstmlm.history.summary import named_apart, read_run
    from lstmlm.yaml.comparison import differences

    found = {str(path): read_run(path) for path in find_runs(runs)}
    chosen = [found[summary.name] for summary in in_order([run.summary for run in found.values()], sort)]
    if not as_json:
        chosen = named_apart(chosen)
    configs = {run.summary.name: run.config for run in chosen if run.config}
    differing = differences(list(configs.values()))
    recipes = by_recipe(chosen)
    seeds = seed_rows(recipes) if any(len(recipe.figures) > 1 for recipe in recipes.values()) else []
    tests = [] if quick else _tests(chosen, split or "valid")
    if plot is not None:
        from lstmlm.cli.display.figures import draw_curves

        draw_curves({run.summary.name: run.history for run in chosen}, plot)
    if as_json:
        values = {key: dict(zip(configs, of_runs, strict=True)) for key, of_runs in differing.items()}
        result: dict[str, Any] = {"runs": [record(run.summary) for run in chosen], "differences": values}
        result |= {"tests": tests, "seeds": seeds}
        print_json(result)
        return
    print_table([row(run.summary) for run in chosen])
    print()
    cells = [{"": key, **dict(zip(configs, map(_cell, of), strict=True))} for key, of in differing.items()]
    overlay = Overlay([Screen(run.history, run.summary.name) for run in chosen])
    _show(cells, overlay, seeds, tests)


def _show(cells: "Sequence[Row]", overlay: "Overlay", *tables: "Sequence[Row]") -> None:
    """Show differences, curves, and what was tested."""
    from rich.console import Console

    if cells:
        print_table(cells)
        print()
    Console(highlight=False, markup=False).print(overlay)
    for table in tables:
        if table:
            print()
            print_table(table)


def _cell(value: Any) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _tests(chosen: "Sequence[RecordedRun]", split: str | None) -> list[dict[str, Any]]:
    """Return a row for each run beside the best: the ratio of perplexities with its interval, and what it means.

    What cannot be loaded or compared is said and left out.
    """
    from lstmlm import questions, workflows

    scored = [run for run in chosen if run.summary.perplexity is not None and run.config is not None]
    scored.sort(key=lambda run: run.summary.perplexity or 0)
    best: tuple[RecordedRun, TrainedModel] | None = None
    rows = []
    for run in scored:
        asked = ""  # the command that has the options which a message may speak of
        try:
            model = workflows.load(run.path)
            if best is None:
                model.encode_split(split)  # what cannot be measured is no measure for others
                best = run, model
                continue
            asked = f"{as_command(['lstmlm', 'eval', 'compare', str(best[0].path), str(run.path)])}: "
            report = questions.compare(best[1], model, split=split, n_pairs=math.comb(len(scored), 2))
            rows.append(_test(best[0].summary.name, run.summary.name, str(split), report))
        except LstmlmError as error:
            say(f"Whether a lead is more than chance is not tested: {asked}{error}")
    return rows


def _test(best: str, other: str, split: str, report: "Report") -> dict[str, Any]:
    [first, *_], values = report.rows, report.values
    untold = "may be chance" if values["n_resamples"] else f"one {str(values['resampled'])[:-1]}: nothing to resample"
    better = {"a": f"{best} is better", "b": f"{other} is better"}
    return {
        "best": best,
        "other": other,
        "split": split,
        # Of other tokens it has a difference in place of a ratio: a table has the columns of all its rows.
        **{key: first.get(key) for key in ("figure", "ratio", "difference", "low", "high")},
        "verdict": better.get(str(values["better"]), untold),
    }
