"""From features to a distribution over the vocabulary: the softmax, with its loss and its probabilities."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

from lstmlm.metrics import NO_TARGET

LOGITS_PER_BLOCK = 1 << 22
"""Scoring holds no more logits than this at a time (16 MB in float32), whatever the length of the text."""


class SoftmaxLayer(nn.Module):
    """The full softmax: p = softmax(W h + b).

    Args:
        weight: The parameter W, the embedding's own where weights are tied.
    """

    def __init__(self, weight: Float[Tensor, "vocab hidden"]) -> None:
        super().__init__()
        self.weight = weight
        self.bias = nn.Parameter(torch.zeros(weight.shape[0]))

    def log_probabilities(self, features: Float[Tensor, "*batch hidden"]) -> Float[Tensor, "*batch vocab"]:
        """Return the log-probability (nats) of every token of the vocabulary."""
        return torch.log_softmax(linear(features, self.weight, self.bias), dim=-1)

    def loss(
        self, features: Float[Tensor, "time batch hidden"], targets: Int[Tensor, "time batch"]
    ) -> Float[Tensor, ""]:
        """Return the summed negative log-likelihood (nats) of the targets that are not `NO_TARGET`."""
        logits = linear(features.flatten(0, 1), self.weight, self.bias)
        return cross_entropy(logits, targets.flatten(), ignore_index=NO_TARGET, reduction="sum")

    @torch.no_grad()
    def nats(
        self, features: Float[Tensor, "time batch hidden"], targets: Int[Tensor, "time batch"]
    ) -> Float[Tensor, "time batch"]:
        """Return the negative log-likelihood (nats) of each target; 0 for `NO_TARGET`. In blocks, for scoring only."""
        n_rows = max(1, LOGITS_PER_BLOCK // self.weight.shape[0])
        blocks = zip(torch.split(features.flatten(0, 1), n_rows), torch.split(targets.flatten(), n_rows), strict=True)
        nats = [
            cross_entropy(linear(rows, self.weight, self.bias), wanted, ignore_index=NO_TARGET, reduction="none")
            for rows, wanted in blocks
        ]
        return torch.cat(nats).view(targets.shape)
