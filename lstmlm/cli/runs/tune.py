"""`lstmlm tune`: options searched by many short trainings."""

from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lstmlm.cli.options import JsonOption, SetOption, path, require_extra
from lstmlm.cli.render import print_json, print_table, say, warn
from lstmlm.errors import as_command

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from lstmlm.tuning.study import Study


def tune(
    space: Annotated[
        Path, typer.Argument(metavar="SPACE.yaml", parser=path, help="A configuration and ranges of its keys.")
    ],
    run_dir: Annotated[
        Path | None,
        typer.Option(parser=path, metavar="DIR", help="Where the study goes.", show_default="runs/<name of the space>"),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Trials of the whole study.", show_default="the space's")
    ] = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search for good options: many trainings, of which those that fall behind at equal steps are given up.

    Start it again after whatever has stopped it, or several times at once, on one machine or on several that share the
    folder: the trials are divided. The best configuration is DIR/best.yaml. docs/tuning.md has the file.

    Examples:

    lstmlm tune configs/tune/quickstart.yaml

    lstmlm tune configs/tune/quickstart.yaml --run-dir runs/tries --trials 40 --json
    """
    require_extra("tune", "optuna")
    from lstmlm.tuning.space import read_space

    read = read_space(space, overrides or [])
    if trials is not None:
        read = replace(read, trials=trials)
    warn(read.warnings())

    from lstmlm.cli.display import training_display
    from lstmlm.tuning.study import BEST, Study

    study = Study(read, run_dir or Path("runs") / space.stem)

    def watch(where: Path) -> "AbstractContextManager[Any]":
        say(f"{where.name} of {read.trials}")
        return training_display(where, quiet=as_json)

    study.work(watch)
    rows, best = _rows(study), study.best
    if as_json:
        found = None if best is None else {"trial": best.number, "perplexity": best.value, "values": best.params}
        config = None if best is None else str(study.root / BEST)
        print_json({"study": str(study.root), "trials": rows, "best": found, "config": config})
        return
    print_table([{key: value for key, value in row.items() if key != "problem"} for row in rows])
    for row in rows:
        if row["problem"]:
            say(f"trial {row['trial']}: {row['problem']}")
    if best is not None:
        again = as_command(["lstmlm", "train", "--config", str(study.root / BEST)])
        say(f"The best is {study.root / BEST}. Train it: {again}")


def _rows(study: "Study") -> list[dict[str, Any]]:
    """Return a row for each trial, the best first."""

    def rank(trial: "FrozenTrial") -> tuple[bool, bool, float, int]:
        # A pruned one has its last value.
        return trial.state.name != "COMPLETE", trial.value is None, trial.value or 0.0, trial.number

    order = sorted(study.trials, key=rank)
    return [
        {
            "trial": trial.number,
            "state": study.state_of(trial),
            "valid perplexity": trial.value if trial.state.name == "COMPLETE" else None,
            "step": max(trial.intermediate_values, default=0),
            **{key: trial.params.get(key) for key in study.space.search},
            "problem": study.problem_of(trial),
        }
        for trial in order
    ]
