"""The usual language model in plain PyTorch, with our model's weights: what we are compared with."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lstmlm.benchmark.plan import ModelShape
from lstmlm.config.model import DropoutOptions, LSTMOptions, ModelOptions
from lstmlm.models.cells.cell import Cell
from lstmlm.models.language_model import LanguageModel, build_language_model

N_LAYERS = 2
DROPOUT = 0.2

TorchState = tuple[Tensor, Tensor]


def our_model(shape: ModelShape) -> LanguageModel:
    """Build our model of a shape: tied weights, dropout after embedding, between layers and before the softmax."""
    options = ModelOptions(
        backbone=LSTMOptions(n_layers=N_LAYERS, hidden_size=shape.hidden_size),
        embedding_size=shape.hidden_size,
        dropout=DropoutOptions(input=DROPOUT, hidden=DROPOUT, output=DROPOUT),
    )
    return build_language_model(options, shape.vocab_size, seed=1)


class TorchModel(nn.Module):
    """nn.Embedding, nn.LSTM, nn.Linear with tied weights, nn.Dropout; starts with the weights of `model`."""

    def __init__(self, model: LanguageModel) -> None:
        super().__init__()
        vocab_size, width = model.embedding.weight.shape
        self.dropout = nn.Dropout(DROPOUT)
        self.embedding = nn.Embedding(vocab_size, width)
        self.lstm = nn.LSTM(width, width, N_LAYERS, dropout=DROPOUT)
        self.linear = nn.Linear(width, vocab_size)
        self.linear.weight = self.embedding.weight
        with torch.no_grad():
            self.embedding.weight.copy_(model.embedding.weight)
            self.linear.bias.copy_(model.output_layer.bias)
        for level, cell in enumerate(model.backbone.layers):
            copy_weights(cell, self.lstm, level)

    def forward(self, inputs: Tensor, state: TorchState | None = None) -> tuple[Tensor, TorchState]:
        """Return the logits (time, batch, vocab) of a window of tokens (time, batch), and the state after it."""
        outputs, state = self.lstm(self.dropout(self.embedding(inputs)), state)
        return self.linear(self.dropout(outputs)), state

    def loss(self, inputs: Tensor, targets: Tensor, state: TorchState | None = None) -> tuple[Tensor, TorchState]:
        """Return the mean loss (nats per token) of a window, and the state after it."""
        logits, state = self(inputs, state)
        return cross_entropy(logits.flatten(0, 1), targets.flatten()), state


@torch.no_grad()
def copy_weights(cell: Cell, lstm: nn.LSTM, level: int) -> None:
    """Give layer `level` of `lstm` the weights of our `cell`; torch adds two biases, of which one stays zero."""
    weight_ih, weight_hh, bias_ih, bias_hh = lstm.all_weights[level]
    weight_ih.copy_(cell.weight_ih)
    weight_hh.copy_(cell.weight_hh)
    bias_ih.copy_(cell.bias)
    bias_hh.zero_()
