"""`lstmlm eval`: questions asked of a trained model, one command a file."""

import typer

from lstmlm.cli.eval.perplexity import perplexity
from lstmlm.cli.eval.rescore import rescore

eval_app = typer.Typer(no_args_is_help=True, help="Ask a trained model a question.")


@eval_app.callback()
def _eval() -> None:
    """Ask a trained model a question."""


eval_app.command()(perplexity)
eval_app.command()(rescore)
