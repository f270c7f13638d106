"""`lstmlm data`: texts before a model has read them, one command a file.

`list` and `get` for corpora that have a name; `check`, `stats` and `encode` for any text; `tokenizer` has commands of
its own.
"""

import typer

from lstmlm.cli.data.check import check
from lstmlm.cli.data.encode import encode
from lstmlm.cli.data.get import get
from lstmlm.cli.data.list import list_corpora
from lstmlm.cli.data.stats import stats
from lstmlm.cli.data.tokenizer import tokenizer_app

data_app = typer.Typer(no_args_is_help=True, help="Get, measure and check corpora.")
data_app.command("list")(list_corpora)
data_app.command()(get)
data_app.command()(check)
data_app.command()(stats)
data_app.add_typer(tokenizer_app, name="tokenizer")
data_app.command()(encode)
