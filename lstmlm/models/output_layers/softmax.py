"""The full softmax: p = softmax(W h + b), or of W P h + b where the features are projected first."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lstmlm.config.output import SoftmaxOptions
from lstmlm.models.kernels import EVALUATION, Beside, Execution, linear, linear_cross_entropy, linear_nats
from lstmlm.models.output_layers.output_layer import (
    Features,
    OutputLayer,
    Targets,
    Vectors,
    draw_decoder,
    draw_map,
    project,
)
from lstmlm.randomness import Randomness


class SoftmaxLayer(OutputLayer):
    """Every token's probability at every position; with `tie_weights` W is the embedding's matrix."""

    def __init__(self, options: SoftmaxOptions, hidden_size: int, embedding: Vectors, *, tie_weights: bool) -> None:
        super().__init__()
        vocab_size, embedding_size = embedding.shape
        width = embedding_size if options.projection else hidden_size
        self.tie_weights = tie_weights
        self.weight = embedding if tie_weights else nn.Parameter(torch.empty(vocab_size, width))
        self.projection = nn.Parameter(torch.empty(embedding_size, hidden_size)) if options.projection else None
        self.bias = nn.Parameter(torch.zeros(vocab_size))

    def initialize(self, randomness: Randomness) -> None:
        """Draw W, unless it is the embedding's, and the projection."""
        if not self.tie_weights:
            draw_decoder(self.weight, randomness, "softmax")
        if self.projection is not None:
            draw_map(self.projection, randomness, "projection")

    def log_probabilities(self, features: Float[Tensor, "*batch hidden"]) -> Float[Tensor, "*batch vocab"]:
        """Return the log-probability (nats) of every token of the vocabulary."""
        return torch.log_softmax(linear(project(features, self.projection), self.weight, self.bias), dim=-1)

    def loss(
        self,
        features: Features,
        targets: Targets,
        execution: Execution = EVALUATION,
        randomness: Randomness | None = None,
        beside: Beside | None = None,
    ) -> Float[Tensor, ""]:
        """Return the summed negative log-likelihood (nats); see `OutputLayer.loss`. Nothing is random here."""
        rows = project(features.flatten(0, 1), self.projection)
        beside = None if beside is None else beside.flatten()
        return linear_cross_entropy(rows, self.weight, self.bias, targets.flatten(), execution, beside)

    def nats(self, features: Features, targets: Targets) -> Float[Tensor, "time batch"]:
        """Return the negative log-likelihood (nats) of each target; see `OutputLayer.nats`."""
        rows = project(features.flatten(0, 1), self.projection)
        return linear_nats(rows, self.weight, self.bias, targets.flatten()).view(targets.shape)
