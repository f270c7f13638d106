"""`lstmlm eval combine`: models mixed by their files of log-probabilities."""

from pathlib import Path
from typing import Annotated

import typer

from lstmlm.cli.options import JsonOption, path
from lstmlm.cli.render import print_report


def combine(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", parser=path, help="Log-probabilities: a file a model and split.")
    ],
    tune: Annotated[
        str | None,
        typer.Option(
            metavar="SPLIT",
            help="The files of which split find the weights; the others are measured.",
            show_default="the first half of the text, and the second is measured",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Mix the probabilities of models, with weights that are found on another text than the one that is measured.

    The files are written by eval perplexity --save-logprobs, or by other programs: docs/evaluation.md has the format.

    Examples:

    lstmlm eval perplexity --run runs/a --split valid --save-logprobs texts/a-valid.safetensors

    lstmlm eval combine texts/*-valid.safetensors texts/*-test.safetensors --tune valid
    """
    from lstmlm.evaluation.perplexity.combination import combine_files

    report = combine_files(files, tune)
    shown = {name: report.values[name] for name in ("weights_from", "split", "n_tokens")}
    print_report(report, as_json=as_json, shown=shown)
