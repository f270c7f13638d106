r"""An output layer mixed with an n-gram model of the training text, both trained as one.

.. math::

    g &= \sigma(w \cdot h + a) \\
    p &= g \, p_\text{network} + (1 - g) \, p_\text{ngram}

The gate g depends on the features, so that the network learns where to trust counts, and need not learn itself what
these know. An n-gram model has seen the training text, and says of it more than it will say of any other; so where the
network learns, each token's probability is that of a model which was estimated without it (leave-one-out). At
evaluation the mixture is an exact distribution, like every output layer.

Features are those of the network, followed by the contexts of the n-grams as numbers: so all that is a function of
features, is one of the mixture, too.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from lstmlm.metrics import NO_TARGET
from lstmlm.models.kernels import EVALUATION, Beside, Execution
from lstmlm.models.output_layers.ngram_tables import Contexts, NgramTables
from lstmlm.models.output_layers.output_layer import Features, OutputLayer, Targets
from lstmlm.randomness import Randomness

LEAST_SHARE = 0.5
"""What the network's own loss counts where it learns: at first the n-grams are right nearly everywhere, and a network
that learnt from what is left alone would never become better than they are."""


class NgramMixtureLayer(OutputLayer):
    """Any output layer, mixed with n-grams."""

    def __init__(self, network: OutputLayer, ngrams: NgramTables, hidden_size: int) -> None:
        super().__init__()
        self.network = network
        self.ngrams = ngrams
        self.bias = network.bias
        self.hidden_size = hidden_size
        self.gate_weight = nn.Parameter(torch.zeros(hidden_size))
        self.gate_bias = nn.Parameter(torch.zeros(1))

    def initialize(self, randomness: Randomness) -> None:
        """Draw the initial weights of the network's layer; the gate starts half open."""
        self.network.initialize(randomness)

    def start_from_unigram(self, n_occurrences: Int[np.ndarray, " vocab"]) -> None:
        """Set the bias of the network's layer; see `OutputLayer.start_from_unigram`."""
        self.network.start_from_unigram(n_occurrences)

    def log_probabilities(self, features: Float[Tensor, "*batch hidden"]) -> Float[Tensor, "*batch vocab"]:
        """Return the log-probability (nats) of every token of the vocabulary."""
        hidden, contexts, odds = self._parts(features)
        of_network = self.network.log_probabilities(hidden) + logsigmoid(odds).unsqueeze(-1)
        of_ngrams = self.ngrams.distribution(contexts).log() + logsigmoid(-odds).unsqueeze(-1)
        return torch.logaddexp(of_network, of_ngrams)

    def loss(
        self,
        features: Features,
        targets: Targets,
        execution: Execution = EVALUATION,
        randomness: Randomness | None = None,
        beside: Beside | None = None,
        *,
        left_out: bool = False,
    ) -> Float[Tensor, ""]:
        """Return the summed negative log-likelihood (nats); see `OutputLayer.loss`.

        With `randomness`, in training, the n-gram model is that without the target, as it is with `left_out`, and the
        network descends its own loss, too.
        """
        hidden, contexts, odds = self._parts(features)
        assert beside is None, "a mixture is the outermost layer"
        is_training = randomness is not None
        of_ngrams = self.ngrams.probability(contexts, targets, left_out=is_training or left_out).log()
        beside = Beside(of_ngrams - odds, LEAST_SHARE if is_training else 0.0)
        of_both = self.network.loss(hidden, targets, execution, randomness, beside)
        return of_both - logsigmoid(odds).masked_fill(targets == NO_TARGET, 0).sum()

    @torch.no_grad()
    def nats(self, features: Features, targets: Targets) -> Float[Tensor, "time batch"]:
        """Return the negative log-likelihood (nats) of each target; see `OutputLayer.nats`."""
        hidden, contexts, odds = self._parts(features)
        of_network = logsigmoid(odds) - self.network.nats(hidden, targets)
        of_ngrams = self.ngrams.probability(contexts, targets, left_out=False).log() + logsigmoid(-odds)
        return -torch.logaddexp(of_network, of_ngrams).masked_fill(targets == NO_TARGET, 0)

    def _parts(
        self, features: Float[Tensor, "*batch all"]
    ) -> tuple[Float[Tensor, "*batch hidden"], Contexts, Float[Tensor, "*batch"]]:
        """Take features apart; returns the network's, the contexts and the logarithm of g / (1 - g)."""
        hidden, contexts = features.split_with_sizes((self.hidden_size, self.ngrams.order - 1), dim=-1)
        return hidden, contexts.long(), hidden @ self.gate_weight + self.gate_bias.squeeze()
