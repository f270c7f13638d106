"""`lstmlm runs prune`: clear away runs that are no longer needed."""

import os
from contextlib import suppress
from typing import Annotated, Literal

import typer

from lstmlm.cli.options import JsonOption
from lstmlm.cli.render import print_json, print_table, say
from lstmlm.cli.runs.rows import NamedRunsArgument, in_order, row
from lstmlm.errors import CheckpointError, ConfigError, counted


def prune(
    runs: NamedRunsArgument,
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
    if as_json and not yes:
        raise ConfigError("--json: needs --yes, as a program cannot be asked. See first which it is: leave out --json.")
    from pathlib import Path

    from lstmlm import files
    from lstmlm.checkpoint.run_directory import LOCK, METRICS
    from lstmlm.history.selection import all_runs, find_runs
    from lstmlm.history.summary import read_run

    found = in_order([read_run(path).summary for path in find_runs(runs)], "perplexity")
    doomed = [run for run in found[keep_best:] if run.state != "training" and state in (None, run.state)]
    # What lies within another one goes before it; of a link to a run the link goes, not the run.
    paths = sorted((Path(os.path.abspath(run.name)) for run in doomed), reverse=True)  # noqa: PTH100
    for path in paths:
        for inner in all_runs(path):
            # Of a link in a run the link goes, not what is behind it.
            if inner not in paths and inner.resolve().is_relative_to(path.resolve()):
                raise ConfigError(f"{path}: holds {inner}, a run that is to stay. Move that first.")
    if doomed and not as_json:
        print_table([row(run) for run in doomed])
    if doomed and not yes and not typer.confirm(f"Delete {len(doomed)} of {counted(len(found), 'run')}?", err=True):
        return
    for path in paths:
        with files.locked(path / LOCK):
            files.remove_directory(path)
    for left in {left for path in paths for left in path.parent.glob(".*.partial")}:
        # Of a removal that was interrupted; what was no run may be an export that is being written.
        was_run = any((left / name).exists() for name in (LOCK, METRICS, "checkpoints"))
        if files.is_leftover(left) and was_run and not files.is_locked(left / LOCK):
            with suppress(CheckpointError):
                files.remove_directory(left)
    if as_json:
        print_json({"deleted": [run.name for run in doomed]})
    else:
        say(f"{counted(len(doomed), 'run')} deleted." if doomed else "Nothing to delete.")
