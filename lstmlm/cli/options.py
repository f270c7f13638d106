"""Options that several commands share, so that they read and mean the same everywhere."""

from pathlib import Path
from typing import Annotated

import typer

RunOption = Annotated[Path | None, typer.Option("--run", help="Run directory.", show_default="the newest under runs/")]

SplitOption = Annotated[
    str | None,
    typer.Option("--split", help="train, valid or test.", show_default="test where there is one, else valid"),
]

TextOption = Annotated[Path | None, typer.Option("--text", help="A text file in place of a split.")]

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
