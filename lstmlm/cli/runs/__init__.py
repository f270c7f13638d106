"""`lstmlm runs`: what has been trained, as rows, curves and differences; one command a file."""

import typer

from lstmlm.cli.options import JsonOption
from lstmlm.cli.runs.compare import compare
from lstmlm.cli.runs.list import list_runs
from lstmlm.cli.runs.prune import prune
from lstmlm.cli.runs.rows import SortOption
from lstmlm.cli.runs.show import show

runs_app = typer.Typer(help="See, compare and clear away runs.", invoke_without_command=True)
runs_app.command("list")(list_runs)
runs_app.command()(show)
runs_app.command()(compare)
runs_app.command()(prune)


@runs_app.callback()
def _runs(context: typer.Context, sort: SortOption = "changed", as_json: JsonOption = False) -> None:
    """See, compare and clear away runs; without a command, list all below runs/."""
    if context.invoked_subcommand is None:
        list_runs(None, sort, as_json)
