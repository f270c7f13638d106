"""`lstmlm data`: texts before a model has read them, one command a file."""

import typer

from lstmlm.cli.data.tokenizer import tokenizer_app

data_app = typer.Typer(no_args_is_help=True, help="Get, measure and check corpora.")


@data_app.callback()
def _data() -> None:
    """Get, measure and check corpora."""


data_app.add_typer(tokenizer_app, name="tokenizer")
