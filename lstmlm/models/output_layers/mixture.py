r"""Mixture of softmaxes (Yang et al. 2018, "Breaking the softmax bottleneck", section 2.4).

.. math::

    z_k &= \tanh(L_k h + a_k) \\
    \pi &= \mathrm{softmax}(P h) \\
    p &= \sum_k \pi_k \, \mathrm{softmax}(W z_k + b)

One softmax makes log-probabilities of a rank that is at most the width of its features; a mixture has no such limit.
All experts share W, which is as wide as the embedding, whatever the width of the features.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lstmlm.config.output import MixtureOptions
from lstmlm.models.dropout import keep_mask
from lstmlm.models.kernels import EVALUATION, Beside, Execution, linear, mixture_cross_entropy, mixture_nats
from lstmlm.models.output_layers.output_layer import Features, OutputLayer, Targets, Vectors, draw_decoder, draw_map
from lstmlm.randomness import Randomness


class MixtureOfSoftmaxesLayer(OutputLayer):
    """Several softmaxes over the whole vocabulary, weighed by the features; with `tie_weights` W is the embedding's."""

    def __init__(self, options: MixtureOptions, hidden_size: int, embedding: Vectors, *, tie_weights: bool) -> None:
        super().__init__()
        self.n_experts = options.n_experts
        self.latent_dropout = options.latent_dropout
        self.tie_weights = tie_weights
        latent_size = options.n_experts * embedding.shape[1]
        self.weight = embedding if tie_weights else nn.Parameter(torch.empty_like(embedding))
        self.bias = nn.Parameter(torch.zeros(len(embedding)))
        self.latent_weight = nn.Parameter(torch.empty(latent_size, hidden_size))
        self.latent_bias = nn.Parameter(torch.zeros(latent_size))
        self.prior_weight = nn.Parameter(torch.empty(options.n_experts, hidden_size))

    def initialize(self, randomness: Randomness) -> None:
        """Draw W, unless it is the embedding's, and the maps to the experts' features and to their weights."""
        if not self.tie_weights:
            draw_decoder(self.weight, randomness, "softmax")
        draw_map(self.latent_weight, randomness, "latent")
        draw_map(self.prior_weight, randomness, "prior")

    def log_probabilities(self, features: Float[Tensor, "*batch hidden"]) -> Float[Tensor, "*batch vocab"]:
        """Return the log-probability (nats) of every token of the vocabulary."""
        latents = self._latents(features)
        # Expert by expert, so that no tensor is larger than the result.
        of_experts = (
            torch.log_softmax(linear(latent, self.weight, self.bias), dim=-1) + log_prior.unsqueeze(-1)
            for latent, log_prior in zip(latents.unbind(-2), self._log_prior(features).unbind(-1), strict=True)
        )
        total = next(of_experts)
        for of_expert in of_experts:
            total = torch.logaddexp(total, of_expert)
        return total

    def loss(
        self,
        features: Features,
        targets: Targets,
        execution: Execution = EVALUATION,
        randomness: Randomness | None = None,
        beside: Beside | None = None,
    ) -> Float[Tensor, ""]:
        """Return the summed negative log-likelihood (nats); see `OutputLayer.loss`."""
        latents = self._latents(features)
        if randomness is not None and self.latent_dropout > 0:
            # The same for all time steps, another for each column, expert and unit.
            shape, site = tuple(latents.shape[1:]), "dropout.latent"
            latents = latents * keep_mask(shape, latents, self.latent_dropout, randomness, site, column_axis=0)
        rows, log_prior = latents.flatten(0, 1), self._log_prior(features).flatten(0, 1)
        beside = None if beside is None else beside.flatten()
        return mixture_cross_entropy(rows, log_prior, self.weight, self.bias, targets.flatten(), execution, beside)

    @torch.no_grad()
    def nats(self, features: Features, targets: Targets) -> Float[Tensor, "time batch"]:
        """Return the negative log-likelihood (nats) of each target; see `OutputLayer.nats`."""
        latents, log_prior = self._latents(features).flatten(0, 1), self._log_prior(features).flatten(0, 1)
        return mixture_nats(latents, log_prior, self.weight, self.bias, targets.flatten()).view(targets.shape)

    def _latents(self, features: Float[Tensor, "*batch hidden"]) -> Float[Tensor, "*batch experts latent"]:
        latents = torch.tanh(linear(features, self.latent_weight, self.latent_bias))
        return latents.view(*features.shape[:-1], self.n_experts, self.weight.shape[1])

    def _log_prior(self, features: Float[Tensor, "*batch hidden"]) -> Float[Tensor, "*batch experts"]:
        return torch.log_softmax(linear(features, self.prior_weight), dim=-1)
