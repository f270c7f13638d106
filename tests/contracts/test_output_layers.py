"""What every output layer must do. A new line in OUTPUT_LAYERS is tested here before its author writes a test."""

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from lstmlm.config.model import ModelOptions
from lstmlm.config.output import AnyOutputLayerOptions
from lstmlm.metrics import NO_TARGET
from lstmlm.models.kernels import EVALUATION, Execution, GemmPath
from lstmlm.models.language_model import LanguageModel, build_language_model, load_weights, weights_of
from lstmlm.models.ngram import NgramModel
from lstmlm.models.output_layers import OUTPUT_LAYERS
from lstmlm.randomness import Randomness

TIME, BATCH, WIDTH, VOCAB = 6, 3, 5, 13

# What a layer needs beyond its name to be built for 13 tokens.
SIZES: dict[str, dict[str, Any]] = {"adaptive": {"cutoffs": (3, 8)}, "mixture": {"n_experts": 3}}
VARIANTS = [
    *({"tie_weights": tied, "output": {"name": name}} for name in ("softmax", "adaptive") for tied in (True, False)),
    *({"tie_weights": tied, "output": {"name": "mixture"}, "hidden": 7} for tied in (True, False)),
    {"tie_weights": True, "output": {"name": "softmax", "projection": True}, "hidden": 7},
    {"tie_weights": True, "output": {"name": "adaptive", "projection": True}, "hidden": 7},
    {"tie_weights": True, "output": {"name": "adaptive", "cutoffs": ()}},
    {"tie_weights": False, "output": {"name": "adaptive", "div_value": 2}, "hidden": 7},
    {"tie_weights": False, "output": {"name": "adaptive", "div_value": 2, "projection": True}, "hidden": 7},
    *(
        {"tie_weights": True, "output": {"name": name}, "hidden": WIDTH, "ngram_order": 3}
        for name in ("softmax", "adaptive", "mixture")
    ),
]


def name_of(variant: dict[str, Any]) -> str:
    own = [f"{key}={value}" for key, value in variant["output"].items() if key != "name"]
    own += ["ngrams"] if "ngram_order" in variant else []
    return "-".join([variant["output"]["name"], "tied" if variant["tie_weights"] else "untied", *own])


every_layer = pytest.mark.parametrize("variant", VARIANTS, ids=map(name_of, VARIANTS))


def options_of(variant: dict[str, Any]) -> ModelOptions:
    return ModelOptions.model_validate(
        {
            "backbone": {"name": "lstm", "n_layers": 1, "hidden_size": variant.get("hidden", WIDTH)},
            "embedding_size": WIDTH,
            "tie_weights": variant["tie_weights"],
            "output": SIZES.get(variant["output"]["name"], {}) | variant["output"],
            "ngram_order": variant.get("ngram_order"),
        }
    )


def build(variant: dict[str, Any], seed: int = 1) -> LanguageModel:
    """Build a model in which no weight of the output layer, and no bias, is zero."""
    model = build_language_model(options_of(variant), VOCAB, seed)
    with torch.no_grad():
        for site, parameter in model.output_layer.named_parameters():
            generator = Randomness(seed).generator(site)
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    if model.ngrams is not None:
        tokens = np.random.default_rng(1).zipf(1.5, size=300).clip(max=VOCAB) - 1
        model.ngrams.fill(NgramModel.estimate(tokens, VOCAB, 2, 3))
    return model


def features_of(model: LanguageModel) -> Tensor:
    size = model.backbone.layers[-1].hidden_size
    dtype = model.output_layer.bias.dtype
    drawn = torch.randn(TIME, BATCH, size, generator=torch.Generator().manual_seed(2), dtype=torch.float64).to(dtype)
    if model.ngrams is None:
        return drawn
    tokens = torch.arange(TIME * BATCH).view(TIME, BATCH) % 4
    return torch.cat([drawn, model.ngrams.contexts(tokens, model.ngrams.initial_state(BATCH)).to(dtype)], dim=-1)


def some_targets() -> Tensor:
    """Every token once or more, two places without a target."""
    targets = torch.arange(TIME * BATCH).view(TIME, BATCH) % VOCAB
    targets[0, 1] = targets[-1, 2] = NO_TARGET
    return targets


def test_the_table_lists_every_choice_of_the_configuration() -> None:
    assert set(OUTPUT_LAYERS) == set(get_args(get_args(AnyOutputLayerOptions)[0]))
    names = {options_class.model_fields["name"].default for options_class in OUTPUT_LAYERS}
    assert names == {variant["output"]["name"] for variant in VARIANTS}


@every_layer
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)], ids=str)
def test_probabilities_sum_to_one(variant: dict[str, Any], dtype: torch.dtype, tolerance: float) -> None:
    model = build(variant).to(dtype)
    log_probabilities = model.output_layer.log_probabilities(features_of(model))
    assert log_probabilities.shape == (TIME, BATCH, VOCAB)
    assert log_probabilities.dtype == dtype
    totals = log_probabilities.double().exp().sum(-1)
    # Tables of n-grams are float32.
    largest = 1e-6 if "ngram_order" in variant else tolerance
    torch.testing.assert_close(totals, torch.ones_like(totals), rtol=0, atol=largest)
    for place in ((-1,), (-1, 0)):
        single = model.output_layer.log_probabilities(features_of(model)[place])
        torch.testing.assert_close(single, log_probabilities[place], rtol=tolerance, atol=tolerance)


@every_layer
def test_loss_nats_and_probabilities_are_one_distribution(variant: dict[str, Any]) -> None:
    model = build(variant).double()
    layer, features, targets = model.output_layer, features_of(model), some_targets()
    picked = layer.log_probabilities(features).gather(-1, targets.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    wanted = -picked.masked_fill(targets == NO_TARGET, 0)
    nats = layer.nats(features, targets)
    torch.testing.assert_close(nats, wanted, rtol=1e-12, atol=1e-12)
    assert not nats.requires_grad
    assert nats[targets == NO_TARGET].count_nonzero() == 0
    torch.testing.assert_close(layer.loss(features, targets), wanted.sum(), rtol=1e-12, atol=0)
    with torch.no_grad():
        torch.testing.assert_close(layer.loss(features, targets), wanted.sum(), rtol=1e-12, atol=0)


@every_layer
def test_gradients_by_finite_differences(variant: dict[str, Any]) -> None:
    model = build(variant).double()
    layer, targets = model.output_layer, some_targets()
    parameters = dict(layer.named_parameters())

    def loss(features: Tensor, *values: Tensor) -> Tensor:
        arguments = (torch.cat([features, contexts], dim=-1), targets)
        return torch.func.functional_call(_Loss(layer), dict(zip(names, values, strict=True)), arguments)

    names = [f"layer.{name}" for name in parameters]
    hidden, contexts = (
        model.hidden_of(features_of(model)),
        features_of(model)[..., model.backbone.layers[-1].hidden_size :],
    )
    leaves = [hidden.requires_grad_(), *(p.detach().clone().requires_grad_() for p in parameters.values())]
    assert torch.autograd.gradcheck(loss, leaves, fast_mode=True)


class _Loss(torch.nn.Module):
    """The loss as a module's forward, so that its parameters can be exchanged."""

    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, features: Tensor, targets: Tensor) -> Tensor:
        loss: Tensor = self.layer.loss(features, targets)
        return loss


@every_layer
def test_places_without_a_target_have_no_gradient(variant: dict[str, Any]) -> None:
    model = build(variant)
    features, targets = features_of(model).requires_grad_(), some_targets()
    model.output_layer.loss(features, targets).backward()
    assert features.grad is not None
    has_gradient = features.grad.abs().sum(-1) > 0
    assert torch.equal(has_gradient, targets != NO_TARGET)
    nothing = model.output_layer.loss(features_of(model), torch.full_like(targets, NO_TARGET))
    assert nothing.item() == 0


@every_layer
@pytest.mark.parametrize("path", GemmPath)
def test_every_execution_is_near_float64(variant: dict[str, Any], path: GemmPath) -> None:
    found = []
    for dtype, execution in (
        (torch.float64, Execution(compiled=False)),
        (torch.float32, Execution(path, compiled=False)),
    ):
        model = build(variant).to(dtype)
        features, targets = features_of(model).requires_grad_(), some_targets()
        loss = model.output_layer.loss(features, targets, execution)
        loss.backward()
        found.append((loss.double(), features.grad))
    # bfloat16 keeps 8 bits of logits that are as large as 5.
    tolerance = 3e-2 if path.rounds else 1e-5
    torch.testing.assert_close(found[1][0], found[0][0], rtol=tolerance, atol=0)
    assert found[0][1] is not None and found[1][1] is not None
    difference = (found[1][1].double() - found[0][1]).norm() / found[0][1].norm()
    assert difference < tolerance


@every_layer
def test_weights_survive_a_file(variant: dict[str, Any], tmp_path: Path) -> None:
    model, other = build(variant), build(variant, seed=2)
    save_file({name: tensor.contiguous() for name, tensor in weights_of(model).items()}, tmp_path / "x.safetensors")
    load_weights(other, load_file(tmp_path / "x.safetensors"))
    wanted = model.output_layer.log_probabilities(features_of(model))
    torch.testing.assert_close(other.output_layer.log_probabilities(features_of(model)), wanted, rtol=0, atol=0)


@every_layer
def test_tied_weights_are_the_embedding_itself(variant: dict[str, Any]) -> None:
    model = build(variant)
    is_shared = any(parameter is model.embedding.weight for parameter in model.output_layer.parameters())
    assert is_shared == variant["tie_weights"]


@every_layer
def test_every_initial_weight_is_drawn_by_seed(variant: dict[str, Any]) -> None:
    first, again, other = (weights_of(build_language_model(options_of(variant), VOCAB, seed)) for seed in (1, 1, 2))
    for name, weight in first.items():
        assert torch.equal(weight, again[name])
        if not name.startswith("output_layer") or weight.numel() == 0:
            continue
        if weight.dim() == 1:  # a bias
            assert weight.count_nonzero() == 0
        else:
            assert not torch.equal(weight, other[name])
            assert weight.abs().max() <= 1
            assert weight.unique().numel() == weight.numel()


@every_layer
def test_starts_from_the_unigram_distribution(variant: dict[str, Any]) -> None:
    model = build({name: value for name, value in variant.items() if name != "ngram_order"}).double()
    if variant["output"]["name"] == "mixture":
        torch.nn.init.zeros_(model.output_layer.get_parameter("latent_bias"))
    counts = np.arange(VOCAB)[::-1].copy()
    model.output_layer.start_from_unigram(counts)
    found = model.output_layer.log_probabilities(torch.zeros_like(features_of(model)))[0, 0].exp()
    wanted = torch.from_numpy((counts + 1) / (counts + 1).sum())
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=0)


@every_layer
def test_training_lowers_the_loss(variant: dict[str, Any]) -> None:
    model = build(variant)
    tokens = some_targets().clamp(min=0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    losses = []
    for step in range(30):
        features, _ = model(tokens, model.initial_state(BATCH), Randomness(1, step))
        loss = model.output_layer.loss(features, (tokens + 1) % VOCAB, EVALUATION, Randomness(1, step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
