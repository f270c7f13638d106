"""Softmax temperature against its definition."""

from typing import Any

import pytest
import torch

from lstmlm.config.model import ModelOptions
from lstmlm.evaluation.adaptation import temperature
from lstmlm.evaluation.adaptation.temperature import tempered_nats
from lstmlm.metrics import NO_TARGET
from lstmlm.models.language_model import build_language_model
from lstmlm.models.output_layers.output_layer import OutputLayer


def layer(output: dict[str, Any]) -> OutputLayer:
    options = {"backbone": {"name": "rnn", "hidden_size": 6}, "embedding_size": 6, "output": output}
    built = build_language_model(ModelOptions.model_validate(options), 9, seed=1).double().output_layer
    with torch.no_grad():
        for weight in built.parameters():
            weight.mul_(10)
    return built


def features() -> torch.Tensor:
    return torch.randn(4, 3, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


TARGETS = torch.arange(12).view(4, 3) % 9


@pytest.mark.parametrize("output", [{"name": "softmax"}, {"name": "mixture", "n_experts": 2}])
@pytest.mark.parametrize("rows", [5, 256])
def test_powers_of_probabilities_shared_out_anew(
    output: dict[str, Any], rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(temperature, "ROWS_PER_BLOCK", rows)
    asked = layer(output)
    found = tempered_nats(asked, features(), TARGETS, [0.5, 1.0, 2.0])
    probabilities = asked.log_probabilities(features()).exp()
    for index, inverse in enumerate([2, 1, 0.5]):
        powers = probabilities**inverse
        wanted = -(powers / powers.sum(-1, keepdim=True)).gather(-1, TARGETS.unsqueeze(-1))[..., 0].log()
        torch.testing.assert_close(found[..., index], wanted, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(found[..., 1], asked.nats(features(), TARGETS), rtol=1e-10, atol=1e-12)


def test_without_temperatures_nothing_is_computed() -> None:
    assert tempered_nats(layer({"name": "softmax"}), features(), TARGETS, []).shape == (4, 3, 0)


def test_positions_without_a_target_do_no_harm() -> None:
    found = tempered_nats(layer({"name": "softmax"}), features(), torch.full_like(TARGETS, NO_TARGET), [1.0])
    assert torch.isfinite(found).all()
