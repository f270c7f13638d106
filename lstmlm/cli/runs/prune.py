"""`lstmlm runs prune`: clear away runs that are no longer needed."""

import json
from typing import Annotated, Literal

import typer

from lstmlm.cli.options import JsonOption
from lstmlm.cli.render import print_table, say
from lstmlm.cli.runs.rows import in_order, row
from lstmlm.errors import counted


def prune(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN...", help="Directories, names below runs/, or patterns such as 'tries-*'."),
    ],
    keep_best: Annotated[
        int, typer.Option(min=0, metavar="N", help="Keep the N runs with the lowest validation perplexity.")
    ] = 0,
    state: Annotated[
        Literal["finished", "diverged", "interrupted", "damaged"] | None, typer.Option(help="Only runs in this state.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete runs, after showing which and asking. A run that trains is never touched.

    Examples:

    lstmlm runs prune 'tries-*' --keep-best 3

    lstmlm runs prune runs --state damaged --yes
    """
    from pathlib import Path

    from lstmlm import files
    from lstmlm.checkpoint.run_directory import LOCK
    from lstmlm.history.selection import find_runs
    from lstmlm.history.summary import read_run

    found = in_order([read_run(path).summary for path in find_runs(runs)], "perplexity")
    doomed = [run for run in found[keep_best:] if run.state != "training" and state in (None, run.state)]
    if doomed and not as_json:
        print_table([row(run) for run in doomed])
    if doomed and not yes:
        typer.confirm(f"Delete {len(doomed)} of {counted(len(found), 'run')}?", abort=True, err=True)
    for run in doomed:
        with files.locked(Path(run.name) / LOCK):
            files.remove_directory(Path(run.name))
    if as_json:
        print(json.dumps({"deleted": [run.name for run in doomed]}, ensure_ascii=False))
    else:
        say(f"{counted(len(doomed), 'run')} deleted." if doomed else "Nothing to delete.")
