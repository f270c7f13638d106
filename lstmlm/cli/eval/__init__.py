"""`lstmlm eval`: questions asked of a trained model, one command a file, a function of the same name.

`perplexity`, `compare`, `ensemble`, `combine` and `ngram` ask for a whole text; `adaptation`, `surprisal`, `pairs` and
`rescore` have a folder each in `lstmlm/evaluation/`, and `harness` asks the tasks of another program.
"""

from importlib import import_module

import typer

COMMANDS = (
    *("perplexity", "compare", "surprisal", "pairs", "ngram", "adaptation", "ensemble", "combine", "rescore"),
    "harness",
)
"""In the order of `lstmlm eval --help`."""

eval_app = typer.Typer(no_args_is_help=True, help="Ask a trained model a question.")

for _name in COMMANDS:
    eval_app.command()(getattr(import_module(f".{_name}", __name__), _name))
