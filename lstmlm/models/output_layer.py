"""From features to a distribution over the vocabulary: the softmax, with its loss and its probabilities."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import linear

from lstmlm.models.kernels import EVALUATION, Execution, linear_cross_entropy, linear_nats


class SoftmaxLayer(nn.Module):
    """The full softmax: p = softmax(W h + b).

    Args:
        weight: The parameter W, the embedding's own where weights are tied.
    """

    def __init__(self, weight: Float[Tensor, "vocab hidden"]) -> None:
        super().__init__()
        self.weight = weight
        self.bias = nn.Parameter(torch.zeros(weight.shape[0]))

    @torch.no_grad()
    def start_from_unigram(self, n_occurrences: Int[np.ndarray, " vocab"]) -> None:
        """Set the bias so that without features each token has its share of `n_occurrences`, to which 1 is added each.

        The one more (Laplace) keeps the probability of a token that never occurs above zero.
        """
        counts = torch.from_numpy(n_occurrences).double() + 1
        self.bias.copy_((counts / counts.sum()).log())

    def log_probabilities(self, features: Float[Tensor, "*batch hidden"]) -> Float[Tensor, "*batch vocab"]:
        """Return the log-probability (nats) of every token of the vocabulary."""
        return torch.log_softmax(linear(features, self.weight, self.bias), dim=-1)

    def loss(
        self,
        features: Float[Tensor, "time batch hidden"],
        targets: Int[Tensor, "time batch"],
        execution: Execution = EVALUATION,
    ) -> Float[Tensor, ""]:
        """Return the summed negative log-likelihood (nats) of the targets that are not `NO_TARGET`."""
        return linear_cross_entropy(features.flatten(0, 1), self.weight, self.bias, targets.flatten(), execution)

    def nats(
        self, features: Float[Tensor, "time batch hidden"], targets: Int[Tensor, "time batch"]
    ) -> Float[Tensor, "time batch"]:
        """Return the negative log-likelihood (nats) of each target; 0 for `NO_TARGET`. No gradient."""
        return linear_nats(features.flatten(0, 1), self.weight, self.bias, targets.flatten()).view(targets.shape)
