"""`lstmlm data`: texts before a model has read them, one command a file."""

import typer

from lstmlm.cli.data.encode import encode

data_app = typer.Typer(no_args_is_help=True, help="Get, measure and check corpora.")


@data_app.callback()
def _data() -> None:
    """Get, measure and check corpora."""


data_app.command()(encode)
