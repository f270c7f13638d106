"""What an output layer is: from features to a distribution over the vocabulary, with its loss."""

from abc import ABC, abstractmethod

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lstmlm.models.kernels import EVALUATION, Beside, Execution, linear
from lstmlm.randomness import Randomness

Features = Float[Tensor, "time batch hidden"]
"""All that a prediction is a function of: what the backbone puts out and, beside n-grams, their contexts as numbers."""

Targets = Int[Tensor, "time batch"]
"""The token to predict at each position, or `NO_TARGET`."""

Vectors = Float[Tensor, "vocab embedding"]
"""The embedding's matrix, a parameter."""

DECODER_RANGE = 0.1
"""Initial weights of a token's vector lie between minus and plus this."""


class OutputLayer(nn.Module, ABC):
    """Predicts the next token from the features of the last recurrent layer.

    `log_probabilities`, `loss` and `nats` speak of one distribution, and none of them approximates it. A subclass is
    made from its options, the width of the features and the embedding's matrix, which it shares where `tie_weights`
    says so.
    """

    bias: nn.Parameter
    """One number a token, added to its logit."""

    @abstractmethod
    def initialize(self, randomness: Randomness) -> None:
        """Draw the initial weights, but for a matrix that is the embedding's."""

    @torch.no_grad()
    def start_from_unigram(self, n_occurrences: Int[np.ndarray, " vocab"]) -> None:
        """Set the bias so that without features each token has its share of `n_occurrences`, to which 1 is added each.

        The one more (Laplace) keeps the probability of a token that never occurs above zero.
        """
        counts = torch.from_numpy(n_occurrences).double() + 1
        self.bias.copy_((counts / counts.sum()).log())

    @abstractmethod
    def log_probabilities(self, features: Float[Tensor, "*batch hidden"]) -> Float[Tensor, "*batch vocab"]:
        """Return the log-probability (nats) of every token of the vocabulary."""

    @abstractmethod
    def loss(
        self,
        features: Features,
        targets: Targets,
        execution: Execution = EVALUATION,
        randomness: Randomness | None = None,
        beside: Beside | None = None,
    ) -> Float[Tensor, ""]:
        """Return the summed negative log-likelihood (nats) of the targets that are not `NO_TARGET`.

        Kernels compute as `execution` says. Without `randomness`, the step's draws in training, nothing is dropped.
        `beside` is what may be right in the layer's place, with a row for each target.
        """

    @abstractmethod
    def nats(self, features: Features, targets: Targets) -> Float[Tensor, "time batch"]:
        """Return the negative log-likelihood (nats) of each target; 0 for `NO_TARGET`. No gradient."""


def project(
    features: Float[Tensor, "*batch hidden"], projection: Float[Tensor, "embedding hidden"] | None
) -> Float[Tensor, "*batch width"]:
    """Bring features to the embedding's width; without a matrix they stay as they are."""
    return features if projection is None else linear(features, projection)


def draw_decoder(weight: Tensor, randomness: Randomness, site: str) -> None:
    """Draw the vectors of tokens."""
    _draw(weight, DECODER_RANGE, randomness, site)


def draw_map(weight: Float[Tensor, "out in"], randomness: Randomness, site: str) -> None:
    """Draw a matrix that maps features to others, so narrow that these are no larger."""
    _draw(weight, weight.shape[1] ** -0.5, randomness, site)


def _draw(weight: Tensor, limit: float, randomness: Randomness, site: str) -> None:
    nn.init.uniform_(weight, -limit, limit, generator=randomness.generator(f"initial.{site}"))
