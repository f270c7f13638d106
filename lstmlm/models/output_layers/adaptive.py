r"""Adaptive softmax (Grave et al. 2017, "Efficient softmax approximation for GPUs", section 4).

The tokens, most frequent first, are cut into a head and tails. With :math:`C_j` the tokens of tail j,

.. math::

    p(w \mid h) &= \mathrm{softmax}([W_0; V] h + [b_0; c])_w & \text{in the head} \\
    p(w \mid h) &= p(C_j \mid h) \, \mathrm{softmax}(W_j R_j h + b_j)_w & \text{in tail } j

where V has one row a tail, whose probability in the head's softmax is :math:`p(C_j \mid h)`. It is a distribution of
its own, computed exactly, not an approximation of the full softmax. :math:`R_j` narrows the features by `div_value` to
the power of j. With `div_value` 1 there is none, and all :math:`W_j` may be parts of the embedding's matrix, as in the
tied form of Merity et al. 2018 ("An analysis of neural language modeling at multiple scales").
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lstmlm.config.output import AdaptiveOptions
from lstmlm.models.kernels import (
    EVALUATION,
    Beside,
    Execution,
    cross_entropy_and_nats,
    linear,
    linear_cross_entropy,
    linear_nats,
)
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


class _Prediction(NamedTuple):
    """A softmax with what it is asked: the leading arguments of `linear_cross_entropy`."""

    features: Float[Tensor, "rows width"]
    weight: Float[Tensor, "outcomes width"]
    bias: Float[Tensor, " outcomes"]
    targets: Int[Tensor, " rows"]


class AdaptiveSoftmaxLayer(OutputLayer):
    """A softmax over frequent tokens and clusters, and one over the tokens of each cluster.

    `cutoffs` are numbers below the size of the vocabulary. With `tie_weights` W is the embedding's matrix, which needs
    `div_value` 1.
    """

    def __init__(self, options: AdaptiveOptions, hidden_size: int, embedding: Vectors, *, tie_weights: bool) -> None:
        super().__init__()
        vocab_size, embedding_size = embedding.shape
        assert options.cutoffs != "auto", "cutoffs are chosen by the corpus, before a model is built"
        self.bounds = tuple(pairwise((0, *options.cutoffs, vocab_size)))
        sizes = [end - start for start, end in self.bounds]
        assert min(sizes) > 0, "cutoffs lie within the vocabulary"
        width = embedding_size if options.projection else hidden_size
        widths = [max(1, width // options.div_value**level) for level in range(len(sizes))]

        self.embedding = embedding if tie_weights else None
        # One matrix for the head, then one a tail; reductions are of tails alone.
        self.weights = nn.ParameterList([] if tie_weights else map(torch.empty, sizes, widths))
        self.reductions = nn.ParameterList(torch.empty(narrow, width) for narrow in widths[1:] if options.div_value > 1)
        self.cluster_weight = nn.Parameter(torch.empty(len(sizes) - 1, width))
        self.cluster_bias = nn.Parameter(torch.zeros(len(sizes) - 1))
        self.bias = nn.Parameter(torch.zeros(vocab_size))
        self.projection = nn.Parameter(torch.empty(embedding_size, hidden_size)) if options.projection else None

    def initialize(self, randomness: Randomness) -> None:
        """Draw the vectors of tokens, unless they are the embedding's, those of clusters, and the maps of features."""
        for level, weight in enumerate(self.weights):
            draw_decoder(weight, randomness, f"softmax.{level}")
        for level, reduction in enumerate(self.reductions, start=1):
            draw_map(reduction, randomness, f"reduction.{level}")
        draw_decoder(self.cluster_weight, randomness, "cluster")
        if self.projection is not None:
            draw_map(self.projection, randomness, "projection")

    @torch.no_grad()
    def start_from_unigram(self, n_occurrences: Int[np.ndarray, " vocab"]) -> None:
        """Set the biases of tokens and clusters; see `OutputLayer.start_from_unigram`."""
        super().start_from_unigram(n_occurrences)
        for level, (start, end) in enumerate(self.bounds[1:]):
            self.cluster_bias[level] = self.bias[start:end].logsumexp(0)

    def log_probabilities(self, features: Float[Tensor, "*batch hidden"]) -> Float[Tensor, "*batch vocab"]:
        """Return the log-probability (nats) of every token of the vocabulary."""
        features = project(features, self.projection)
        (head, head_bias), *tails = self._matrices()
        in_head, *of_tails = torch.log_softmax(linear(features, head, head_bias), dim=-1).split_with_sizes(
            (self.bounds[0][1], *(1 for _ in tails)), dim=-1
        )
        within_tails = [
            torch.log_softmax(linear(self._narrow(features, level), weight, bias), dim=-1)
            for level, (weight, bias) in enumerate(tails, start=1)
        ]
        in_tails = [of_tail + within for of_tail, within in zip(of_tails, within_tails, strict=True)]
        return torch.cat([in_head, *in_tails], dim=-1)

    def loss(
        self,
        features: Features,
        targets: Targets,
        execution: Execution = EVALUATION,
        randomness: Randomness | None = None,
        beside: Beside | None = None,
    ) -> Float[Tensor, ""]:
        """Return the summed negative log-likelihood (nats); see `OutputLayer.loss`. Nothing is random here."""
        rows, wanted = project(features.flatten(0, 1), self.projection), targets.flatten()
        matrices = self._matrices()
        if beside is not None:
            return self._loss_beside(rows, matrices, wanted, execution, beside.flatten())
        total = linear_cross_entropy(rows, *matrices[0], self._targets_of_head(wanted), execution)
        for _, prediction in self._predictions_of_tails(rows, matrices, wanted):
            total = total + linear_cross_entropy(*prediction, execution)
        return total

    def _loss_beside(
        self,
        rows: Float[Tensor, "rows width"],
        matrices: Sequence[tuple[Tensor, Tensor]],
        targets: Int[Tensor, " rows"],
        execution: Execution,
        beside: Beside,
    ) -> Float[Tensor, ""]:
        """Return the loss where something is added to the probabilities of targets: products, of head and tail.

        −ln(p_head p_tail + e^s) = n_tail − ln(p_head + e^(s + n_tail)) with n_tail = −ln p_tail, and with head and tail
        exchanged: each has its gradient by the one of the two forms in which the other is a number.
        """
        log_weight, least_share = beside
        of_tails = torch.zeros_like(log_weight)
        tails = list(self._predictions_of_tails(rows, matrices, targets))
        for positions, prediction in tails:
            of_tails[positions] = linear_nats(*prediction, execution)
        beside_head = Beside(log_weight + of_tails, least_share)
        total, of_head = cross_entropy_and_nats(
            rows, *matrices[0], self._targets_of_head(targets), execution, beside_head
        )
        total = total + of_tails.sum()
        for positions, prediction in tails:
            beside_tail = Beside(log_weight[positions].detach() + of_head[positions], least_share)
            of_tail = linear_cross_entropy(*prediction, execution, beside_tail)
            total = total + of_tail - of_tail.detach()
        return total

    @torch.no_grad()
    def nats(self, features: Features, targets: Targets) -> Float[Tensor, "time batch"]:
        """Return the negative log-likelihood (nats) of each target; see `OutputLayer.nats`."""
        rows, wanted = project(features.flatten(0, 1), self.projection), targets.flatten()
        matrices = self._matrices()
        nats = linear_nats(rows, *matrices[0], self._targets_of_head(wanted))
        for positions, prediction in self._predictions_of_tails(rows, matrices, wanted):
            nats[positions] += linear_nats(*prediction)
        return nats.view(targets.shape)

    def _matrices(self) -> list[tuple[Tensor, Tensor]]:
        """Return weight and bias of the head's softmax, clusters last, and of each tail's."""
        sizes = [end - start for start, end in self.bounds]
        # One split, not a slice for each: its gradient is put together once.
        weights = list(self.weights if self.embedding is None else self.embedding.split_with_sizes(sizes))
        biases = list(self.bias.split_with_sizes(sizes))
        weights[0] = torch.cat([weights[0], self.cluster_weight])
        biases[0] = torch.cat([biases[0], self.cluster_bias])
        return list(zip(weights, biases, strict=True))

    def _targets_of_head(self, targets: Int[Tensor, " rows"]) -> Int[Tensor, " rows"]:
        """Return what the head has to predict: the token itself, or its cluster."""
        wanted = targets.clone()
        for level, (start, end) in enumerate(self.bounds[1:]):
            wanted[(targets >= start) & (targets < end)] = self.bounds[0][1] + level
        return wanted

    def _predictions_of_tails(
        self,
        rows: Float[Tensor, "rows width"],
        matrices: Sequence[tuple[Tensor, Tensor]],
        targets: Int[Tensor, " rows"],
    ) -> Iterator[tuple[Int[Tensor, " some"], _Prediction]]:
        """Yield, for each tail that has targets, the rows where they are and what is predicted there."""
        for level, (start, end) in enumerate(self.bounds[1:], start=1):
            positions = torch.nonzero((targets >= start) & (targets < end))[:, 0]
            if len(positions) > 0:
                features = self._narrow(rows.index_select(0, positions), level)
                yield positions, _Prediction(features, *matrices[level], targets[positions] - start)

    def _narrow(self, features: Float[Tensor, "*batch width"], level: int) -> Float[Tensor, "*batch narrow"]:
        """Return the features as tail `level` reads them."""
        return linear(features, self.reductions[level - 1]) if len(self.reductions) > 0 else features
