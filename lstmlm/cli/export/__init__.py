"""`lstmlm export`: a trained model in the formats of other tools, one command a file, a function of the same name.

`huggingface` and `onnx` write a directory, `torch` a file of weights, `arpa` n-grams of the same tokens.
"""

from importlib import import_module

import typer

COMMANDS = ("huggingface", "onnx", "torch", "arpa")
"""In the order of `lstmlm export --help`."""

export_app = typer.Typer(no_args_is_help=True, help="Write a trained model in the format of other tools.")

for _name in COMMANDS:
    export_app.command()(getattr(import_module(f"{__name__}.{_name}"), _name))
