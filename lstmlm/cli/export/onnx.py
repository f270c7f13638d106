"""`lstmlm export onnx`: files for onnxruntime, a browser, a phone, sherpa-onnx."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from lstmlm.cli.options import (
    EncodingOption,
    RunOption,
    SplitOption,
    TextOption,
    refuse_two_texts,
    require_extra,
    unused_path,
)
from lstmlm.cli.render import say, warn
from lstmlm.errors import ConfigError


def onnx(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", parser=unused_path, help="The directory to make; there must be none yet.")
    ],
    run: RunOption = None,
    purpose: Annotated[
        Literal["onnxruntime", "sherpa"],
        typer.Option("--for", help="Whose names and metadata; sherpa-onnx reads those of icefall."),
    ] = "onnxruntime",
    int8: Annotated[
        bool,
        typer.Option(
            "--int8/--no-int8", help="Also write files of 8 bits, the network a quarter as large, and measure them."
        ),
    ] = True,
    split: SplitOption = None,
    text: TextOption = None,
    encoding: EncodingOption = "utf-8",
) -> None:
    """Write the best weights as ONNX files: a step, a window and a scorer, each complete by itself.

    A split or a text is read to measure what 8 bits cost: both perplexities are shown, and where they differ by more
    than 1 %, it says so. README.md in the directory says what each file reads and gives.

    Examples:

    lstmlm export onnx exported

    lstmlm export onnx ptb-lstm --run runs/ptb-lstm-small --no-int8

    lstmlm export onnx rnn-lm --for sherpa --text sentences.txt
    """
    refuse_two_texts(split, text)
    if not int8 and (split or text):
        raise ConfigError("--no-int8: nothing is measured, so that no split or text is read. Leave one of them out.")
    from lstmlm import workflows
    from lstmlm.cli.render import print_table

    require_extra("onnx", "onnx", "onnxruntime")
    from lstmlm.export.onnx import export_onnx

    trained = workflows.load(run)
    measured = trained.encode(split, text, encoding) if int8 else None
    files = export_onnx(trained.run, trained.model, trained.tokenizer, directory, purpose, measured)
    print_table([{"file": f.name, "bytes": f.n_bytes, "perplexity": f.perplexity, "change": f.change} for f in files])
    warn(f"{directory / file.name}: {file.warning}" for file in files if file.warning)
    say(f"{trained.run.path}: is exported to {directory}")
