"""`lstmlm export`: a trained model in the formats of other tools, one command a file, a function of the same name.

<<<<<<< HEAD
`huggingface` and `onnx` write a directory, `torch` a file.
=======
`huggingface` writes a directory, `torch` a file of weights, `arpa` n-grams of the same tokens.
>>>>>>> interop
"""

from importlib import import_module

import typer

<<<<<<< HEAD
COMMANDS = ("huggingface", "onnx", "torch")
=======
COMMANDS = ("huggingface", "torch", "arpa")
>>>>>>> interop
"""In the order of `lstmlm export --help`."""

export_app = typer.Typer(no_args_is_help=True, help="Write a trained model in the format of other tools.")

for _name in COMMANDS:
    export_app.command()(getattr(import_module(f"{__name__}.{_name}"), _name))
