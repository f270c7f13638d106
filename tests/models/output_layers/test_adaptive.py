"""The adaptive softmax against its sums written out, torch's own, and what it promises to leave out."""

from typing import Any

import pytest
import torch
from torch import Tensor

from lstmlm.config.output import AdaptiveOptions
from lstmlm.models.output_layers import adaptive as module
from lstmlm.models.output_layers.adaptive import AdaptiveSoftmaxLayer

VOCAB, WIDTH = 11, 8


def layer(*, tie_weights: bool = False, **options: Any) -> AdaptiveSoftmaxLayer:
    torch.manual_seed(3)
    embedding = torch.nn.Parameter(torch.randn(VOCAB, WIDTH))
    built = AdaptiveSoftmaxLayer(
        AdaptiveOptions.model_validate({"cutoffs": (3, 7), **options}), WIDTH, embedding, tie_weights=tie_weights
    ).double()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return built


def test_tied_probabilities_by_hand() -> None:
    built = layer(tie_weights=True)
    assert built.embedding is not None
    h = torch.randn(WIDTH, dtype=torch.float64)
    exponentials = torch.stack([torch.exp(built.embedding[token] @ h + built.bias[token]) for token in range(VOCAB)])
    clusters = torch.stack([torch.exp(built.cluster_weight[j] @ h + built.cluster_bias[j]) for j in (0, 1)])
    head = exponentials[:3].sum() + clusters.sum()
    wanted = [exponentials[token] / head for token in range(3)]
    wanted += [clusters[0] / head * exponentials[token] / exponentials[3:7].sum() for token in range(3, 7)]
    wanted += [clusters[1] / head * exponentials[token] / exponentials[7:].sum() for token in range(7, 11)]
    torch.testing.assert_close(built.log_probabilities(h).exp(), torch.stack(wanted), rtol=1e-12, atol=0)


def test_untied_probabilities_equal_those_of_torch() -> None:
    """With div_value 2, tails of widths 4 and 2; torch's layer has no biases in the tails."""
    built = layer(div_value=2)
    theirs = torch.nn.AdaptiveLogSoftmaxWithLoss(WIDTH, VOCAB, [3, 7], div_value=2.0, head_bias=True).double()
    with torch.no_grad():
        built.bias[3:] = 0
        theirs.head.weight.copy_(torch.cat([built.weights[0], built.cluster_weight]))
        theirs.head.bias.copy_(torch.cat([built.bias[:3], built.cluster_bias]))
        for level, tail in enumerate(theirs.tail):
            tail[0].weight.copy_(built.reductions[level])
            tail[1].weight.copy_(built.weights[level + 1])
    features = torch.randn(5, 4, WIDTH, dtype=torch.float64)
    wanted = theirs.log_prob(features.flatten(0, 1)).view(5, 4, VOCAB)
    torch.testing.assert_close(built.log_probabilities(features), wanted, rtol=1e-12, atol=1e-12)


def test_clusters_without_targets_are_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[tuple[int, int]] = []
    original = module.linear_cross_entropy

    def watched(features: Tensor, weight: Tensor, *rest: Any) -> Tensor:
        computed.append((len(features), len(weight)))
        return original(features, weight, *rest)

    monkeypatch.setattr(module, "linear_cross_entropy", watched)
    features = torch.randn(4, 1, WIDTH, dtype=torch.float64)
    built = layer()
    built.loss(features, torch.tensor([[0], [1], [-1], [2]]))
    assert computed == [(4, 3 + 2)]
    computed.clear()
    built.loss(features, torch.tensor([[0], [8], [-1], [9]]))
    assert computed == [(4, 3 + 2), (2, 4)]


def test_widths_fall_by_div_value_and_never_to_zero() -> None:
    built = layer(cutoffs=(2, 4, 6), div_value=5)
    assert [tuple(weight.shape) for weight in built.weights] == [(2, 8), (2, 1), (2, 1), (5, 1)]
    assert [tuple(reduction.shape) for reduction in built.reductions] == [(1, 8)] * 3
