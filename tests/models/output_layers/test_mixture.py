"""The mixture of softmaxes against its sum written out, and its dropout."""

from typing import Any

import torch
from torch import nn
from torch.nn.functional import linear

from lstmlm.config.output import MixtureOptions
from lstmlm.models.kernels import EVALUATION
from lstmlm.models.output_layers.mixture import MixtureOfSoftmaxesLayer
from lstmlm.randomness import Randomness

VOCAB, LATENT, HIDDEN, TIME, BATCH = 9, 4, 6, 5, 3


def layer(**options: Any) -> MixtureOfSoftmaxesLayer:
    torch.manual_seed(5)
    embedding = nn.Parameter(torch.randn(VOCAB, LATENT))
    built = MixtureOfSoftmaxesLayer(MixtureOptions(**options), HIDDEN, embedding, tie_weights=True).double()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return built


def features() -> torch.Tensor:
    return torch.randn(TIME, BATCH, HIDDEN, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_probabilities_by_the_sum_over_experts() -> None:
    built = layer(n_experts=3)
    h = features()
    prior = torch.softmax(linear(h, built.prior_weight), dim=-1)
    wanted = torch.zeros(TIME, BATCH, VOCAB, dtype=torch.float64)
    for k in range(3):
        rows = slice(k * LATENT, (k + 1) * LATENT)
        latent = torch.tanh(linear(h, built.latent_weight[rows], built.latent_bias[rows]))
        wanted += prior[..., k : k + 1] * torch.softmax(linear(latent, built.weight, built.bias), dim=-1)
    torch.testing.assert_close(built.log_probabilities(h).exp(), wanted, rtol=1e-12, atol=1e-14)


def test_is_of_higher_rank_than_its_features() -> None:
    """The softmax bottleneck: those of one softmax have the rank of its features, one for bias, one for the sum."""

    def rank(built: MixtureOfSoftmaxesLayer) -> int:
        many = torch.randn(40, HIDDEN, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        log_probabilities = built.log_probabilities(many)
        return int(torch.linalg.matrix_rank(log_probabilities, rtol=1e-9))

    assert rank(layer(n_experts=1)) <= LATENT + 2
    assert rank(layer(n_experts=4)) == VOCAB


def test_dropout_is_one_mask_for_all_steps_and_repeats_by_seed() -> None:
    built = layer(n_experts=3, latent_dropout=0.5)
    targets = torch.randint(VOCAB, (TIME, BATCH), generator=torch.Generator().manual_seed(1))
    # The same features and targets at every step: with one mask for all, every step costs the same.
    constant, same_targets = features()[:1].expand(TIME, -1, -1), targets[:1].expand(TIME, -1)
    whole = built.loss(constant, same_targets, EVALUATION, Randomness(1, step=4))
    first = built.loss(constant[:1], same_targets[:1], EVALUATION, Randomness(1, step=4))
    torch.testing.assert_close(whole, TIME * first)
    again = built.loss(constant, same_targets, EVALUATION, Randomness(1, step=4))
    other = built.loss(constant, same_targets, EVALUATION, Randomness(1, step=5))
    evaluated = built.loss(constant, same_targets)
    assert whole == again
    assert whole != other
    torch.testing.assert_close(evaluated, built.nats(constant, same_targets).sum())
    assert whole != evaluated
