"""`lstmlm export huggingface`: a directory for transformers and what is built on it."""

from pathlib import Path
from typing import Annotated

import typer

from lstmlm.cli.options import RunOption, unused_path
from lstmlm.cli.render import say


def huggingface(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", parser=unused_path, help="The directory to make; there must be none yet.")
    ],
    run: RunOption = None,
) -> None:
    """Write the best weights and the tokenizer as a directory that transformers, minicons and lm-eval load.

    It holds the code that it needs, which transformers runs where trust_remote_code is given; where lstmlm is
    installed, import lstmlm.huggingface does in its place. README.md in it says what it is.

    Examples:

    lstmlm export huggingface exported

    lstmlm export huggingface ptb-lstm --run runs/ptb-lstm-small
    """
    from lstmlm import workflows
    from lstmlm.export.huggingface import export_huggingface

    trained = workflows.load(run)
    export_huggingface(trained.run, trained.model, trained.tokenizer, directory)
    say(f"{trained.run.path}: is exported to {directory}")
