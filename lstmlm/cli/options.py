"""Options that several commands share, so that they read and mean the same everywhere."""

from pathlib import Path
from typing import Annotated

import typer

from lstmlm.errors import ConfigError

CONFIG_HELP = "YAML file that describes the run, or the name of a shipped one, such as quickstart."

RunOption = Annotated[Path | None, typer.Option("--run", help="Run directory.", show_default="the newest under runs/")]

SplitOption = Annotated[
    str | None,
    typer.Option("--split", help="train, valid or test.", show_default="test where there is one, else valid"),
]

TextOption = Annotated[
    Path | None, typer.Option("--text", help="A text file in place of a split; - is standard input.")
]

CorpusArgument = Annotated[
    list[str],
    typer.Argument(metavar="CORPUS…", help="A corpus as in data.corpus, or text files, each read as a whole."),
]

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def refuse_two_texts(split: str | None, text: Path | None) -> None:
    """Refuse a split together with a text file, for a command that takes one of them."""
    if split is not None and text is not None:
        raise ConfigError(f"--text: cannot be combined with --split {split}. Give one of them.")
