"""`lstmlm eval`: questions asked of a trained model, one command a file, a function of the same name.

<<<<<<< HEAD
`perplexity`, `compare`, `ensemble`, `combine` and `ngram` ask for a whole text; `adaptation`, `surprisal`, `pairs` and
`rescore` have a folder each in `lstmlm/evaluation/`.
=======
`perplexity`, `compare`, `ensemble` and `ngram` ask for a whole text; `adaptation`, `surprisal`, `pairs` and `rescore`
have a folder each in `lstmlm/evaluation/`, and `harness` asks the tasks of another program.
>>>>>>> interop
"""

from importlib import import_module

import typer

<<<<<<< HEAD
COMMANDS = ("perplexity", "compare", "surprisal", "pairs", "ngram", "adaptation", "ensemble", "combine", "rescore")
=======
COMMANDS = ("perplexity", "compare", "surprisal", "pairs", "ngram", "adaptation", "ensemble", "rescore", "harness")
>>>>>>> interop
"""In the order of `lstmlm eval --help`."""

eval_app = typer.Typer(no_args_is_help=True, help="Ask a trained model a question.")

for _name in COMMANDS:
    eval_app.command()(getattr(import_module(f".{_name}", __name__), _name))
