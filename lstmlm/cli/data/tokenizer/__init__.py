"""`lstmlm data tokenizer`: tokenizers by themselves, one command a file.

`train` learns one, `show` describes one, `compare` describes several on the same text.
"""

import typer

from lstmlm.cli.data.tokenizer.compare import compare
from lstmlm.cli.data.tokenizer.show import show
from lstmlm.cli.data.tokenizer.train import train
from lstmlm.cli.options import TextCommand

tokenizer_app = typer.Typer(no_args_is_help=True, help="Learn, show and compare tokenizers.")
tokenizer_app.command()(train)
tokenizer_app.command(cls=TextCommand)(show)
tokenizer_app.command()(compare)
