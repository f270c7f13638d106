"""`lstmlm runs`: what has been trained, as rows, curves and differences; one command a file.

`list`, `show`, `compare` and `prune` are its commands; `watch`, `report`, `lab`, `tune` and `audit` stand beside it as
`lstmlm watch` and so on. They share `rows`, runs as rows of a table, and `seeds`, recipes compared over seeds.
"""

import typer

from lstmlm.cli.options import ListingGroup
from lstmlm.cli.runs.compare import compare
from lstmlm.cli.runs.list import list_runs
from lstmlm.cli.runs.prune import prune
from lstmlm.cli.runs.show import show

runs_app = typer.Typer(cls=ListingGroup, help="See, compare and clear away runs; by default, list them.")
runs_app.command("list")(list_runs)
runs_app.command()(show)
runs_app.command()(compare)
runs_app.command()(prune)
