"""`lstmlm eval`: questions asked of a trained model, one command a file.

`perplexity`, `compare`, `ensemble` and `ngram` ask for a whole text; `adaptation`, `surprisal`, `pairs` and `rescore`
have a folder each in `lstmlm/evaluation/`.
"""

import typer

from lstmlm.cli.eval.adaptation import adaptation
from lstmlm.cli.eval.compare import compare
from lstmlm.cli.eval.ensemble import ensemble
from lstmlm.cli.eval.ngram import ngram
from lstmlm.cli.eval.pairs import pairs
from lstmlm.cli.eval.perplexity import perplexity
from lstmlm.cli.eval.rescore import rescore
from lstmlm.cli.eval.surprisal import surprisal

eval_app = typer.Typer(no_args_is_help=True, help="Ask a trained model a question.")


eval_app.command()(perplexity)
eval_app.command()(compare)
eval_app.command()(surprisal)
eval_app.command()(pairs)
eval_app.command()(ngram)
eval_app.command()(adaptation)
eval_app.command()(ensemble)
eval_app.command()(rescore)
