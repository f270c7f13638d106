"""`lstmlm export torch`: weights for PyTorch's own layers."""

from pathlib import Path
from typing import Annotated

import typer

from lstmlm.cli.options import RunOption, unused_path
from lstmlm.cli.render import say


def torch(
    file: Annotated[
        Path, typer.Argument(parser=unused_path, help="The .safetensors file to write; there must be none yet.")
    ],
    run: RunOption = None,
) -> None:
    """Write the best weights for nn.LSTM, nn.GRU or nn.RNN with an embedding and a decoder.

    Their names are those of PyTorch's example word_language_model: encoder.weight, rnn.weight_ih_l0, decoder.bias.

    Examples:

    lstmlm export torch exported.safetensors

    lstmlm export torch ptb-lstm.safetensors --run runs/ptb-lstm-small
    """
    from lstmlm import workflows
    from lstmlm.export.torch_weights import export_torch

    trained = workflows.load(run)
    export_torch(trained.run, trained.model, trained.tokenizer, file)
    say(f"{trained.run.path}: its weights are in {file}")
    if (nonlinearity := getattr(trained.run.config.model.backbone, "nonlinearity", "tanh")) != "tanh":
        say(f"It does not say of which nonlinearity they are. To import them: --nonlinearity {nonlinearity}")
