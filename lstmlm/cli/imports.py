"""`lstmlm import`: a run from what another program has trained."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from lstmlm.cli.data.tokenizer.show import name_or_place
from lstmlm.cli.options import path
from lstmlm.cli.render import say
from lstmlm.errors import as_command

import_app = typer.Typer(no_args_is_help=True, help="Make a run of what another program has trained.")


@import_app.command()
def torch(
    file: Annotated[Path, typer.Argument(parser=path, help="A .safetensors file of weights.")],
    tokenizer: Annotated[
        Path,
        typer.Option(
            parser=lambda text: Path(name_or_place(text)),
            help="A tokenizer.json, SentencePiece model or run; its ids are those of rows.",
        ),
    ],
    run_dir: Annotated[Path, typer.Option("--run-dir", parser=path, help="Where the run goes.")],
    nonlinearity: Annotated[
        Literal["tanh", "relu"] | None,
        typer.Option(help="Of an nn.RNN, whose weights do not tell.", show_default="tanh"),
    ] = None,
) -> None:
    """Make a run of the weights of nn.LSTM, nn.GRU or nn.RNN with an embedding and a decoder.

    Their names are those of PyTorch's example word_language_model: encoder.weight, rnn.weight_ih_l0, decoder.bias. The
    run has no corpus, so that questions of a text need --text.

    Examples:

    lstmlm import torch exported.safetensors --tokenizer texts/words.json --run-dir runs/imported
    """
    from lstmlm.export.torch_import import import_torch

    import_torch(file, tokenizer, run_dir, nonlinearity)
    say(f"{run_dir} is ready. Try it: {as_command(['lstmlm', 'generate', '', '--run', str(run_dir)])}")
