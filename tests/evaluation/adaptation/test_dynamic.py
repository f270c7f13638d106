"""Dynamic evaluation against its formulas, written out for one weight at a time."""

import copy
from typing import Any

import numpy as np
import pytest
import torch

from lstmlm.config.adaptation import AnyDynamicOptions, RMSOptions, SGDOptions
from lstmlm.config.model import ModelOptions
from lstmlm.evaluation.adaptation import dynamic
from lstmlm.evaluation.adaptation.dynamic import measure_gradient_rms, score_dynamically
from lstmlm.models.backbone import detach
from lstmlm.models.language_model import LanguageModel, build_language_model
from lstmlm.models.ngram import NgramModel
from lstmlm.models.output_layers.ngram_mixture import NgramMixtureLayer
from lstmlm.models.output_layers.output_layer import OutputLayer
from lstmlm.scoring import score

VOCAB, START = 11, 0


def model(**output: Any) -> LanguageModel:
    options = {
        "backbone": {"name": "lstm", "n_layers": 2, "hidden_size": 8},
        "embedding_size": 8,
        "dropout": {"output": 0.5},
        "output": output or {"name": "softmax"},
    }
    built = build_language_model(ModelOptions.model_validate(options), VOCAB, seed=1).double()
    with torch.no_grad():
        built.embedding.weight.mul_(10)
    return built


def text(n_tokens: int) -> np.ndarray:
    return np.random.default_rng(0).integers(VOCAB, size=n_tokens).astype(np.int32)


def some_rms(asked: LanguageModel) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return [torch.rand(weight.shape, generator=generator, dtype=weight.dtype) for weight in asked.parameters()]


def gradients_of(asked: LanguageModel, window: list[int], targets: list[int], state: Any) -> tuple[Any, ...]:
    """Return nats and next state of a window in one column, and the gradients of its mean loss."""
    asked.zero_grad()
    features, state = asked(torch.tensor(window)[:, None], state)
    log_probabilities = asked.output_layer.log_probabilities(features)[:, 0]
    nats = -log_probabilities[torch.arange(len(targets)), targets]
    nats.mean().backward()
    gradients = [torch.zeros_like(w) if w.grad is None else w.grad.clone() for w in asked.parameters()]
    return nats.detach(), detach(state), gradients


def by_hand(trained: LanguageModel, tokens: np.ndarray, options: AnyDynamicOptions, rms: Any) -> np.ndarray:
    learner, state, found = copy.deepcopy(trained), trained.initial_state(1), []
    mean = sum(s.sum() for s in rms) / sum(s.numel() for s in rms) if rms else None
    read = [START, *tokens.tolist()]
    for first in range(0, len(tokens), options.window):
        targets = read[first + 1 : first + 1 + options.window]
        nats, state, gradients = gradients_of(learner, read[first : first + len(targets)], targets, state)
        found += nats.tolist()
        with torch.no_grad():
            for index, (weight, origin) in enumerate(zip(learner.parameters(), trained.parameters(), strict=True)):
                if isinstance(options, RMSOptions):
                    step = options.learning_rate * gradients[index] / (rms[index] + options.epsilon * mean)
                    pull = torch.minimum(options.decay * rms[index] / mean, torch.tensor(1.0))
                else:
                    step, pull = options.learning_rate * gradients[index], options.decay
                weight.copy_(weight - step + pull * (origin - weight))
    return np.array(found)


@pytest.mark.parametrize("decay", [0.0, 0.05, 1.0])
def test_sgd_by_hand(decay: float) -> None:
    trained, options = model(), SGDOptions(learning_rate=0.5, decay=decay, window=4)
    found = score_dynamically(trained, text(30), START, options)
    np.testing.assert_allclose(found, by_hand(trained, text(30), options, []), rtol=0, atol=1e-12)
    assert np.abs(found - score(trained, text(30), START))[4:].max() > 0.01


@pytest.mark.parametrize("decay", [0.0, 0.05, 0.9])
def test_rms_by_hand(decay: float) -> None:
    """With a decay of 0.9 some weights would be drawn beyond the trained ones, were it not for the limit."""
    trained, options = model(), RMSOptions(learning_rate=0.01, decay=decay, window=4, epsilon=0.2)
    rms = some_rms(trained)
    found = score_dynamically(trained, text(30), START, options, rms)
    np.testing.assert_allclose(found, by_hand(trained, text(30), options, rms), rtol=0, atol=1e-12)


def test_nothing_is_learnt_before_it_is_scored() -> None:
    trained, options = model(), SGDOptions(learning_rate=0.5, window=4)
    static = score(trained, text(30), START)
    found = score_dynamically(trained, text(30), START, options)
    np.testing.assert_allclose(found[:4], static[:4], rtol=0, atol=1e-12)
    whole = score_dynamically(trained, text(30), START, SGDOptions(learning_rate=0.5, window=30))
    np.testing.assert_allclose(whole, static, rtol=0, atol=1e-12)


@pytest.mark.parametrize("options", [SGDOptions(), RMSOptions()], ids=["sgd", "rms"])
def test_the_trained_model_is_left_as_it_was(options: AnyDynamicOptions) -> None:
    trained = model()
    before = {name: weight.clone() for name, weight in trained.state_dict().items()}
    rms = measure_gradient_rms(trained, text(90), START, 5)
    first, second = (score_dynamically(trained, text(40), START, options, rms) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert all(torch.equal(before[name], weight) for name, weight in trained.state_dict().items())
    assert all(weight.grad is None and weight.requires_grad for weight in trained.parameters())


@pytest.mark.parametrize("options", [SGDOptions(), RMSOptions()], ids=["sgd", "rms"])
def test_what_repeats_is_learnt(options: AnyDynamicOptions) -> None:
    trained, tokens = model(), np.tile(text(7), 60)
    rms = measure_gradient_rms(trained, text(500), START, options.window)
    static = score(trained, tokens, START)
    assert score_dynamically(trained, tokens, START, options, rms)[210:].mean() < 0.9 * static[210:].mean()


@pytest.mark.parametrize("output", [{"name": "adaptive", "cutoffs": (3, 9)}, {"name": "mixture", "n_experts": 2}])
def test_every_output_layer_learns_also_where_a_cluster_has_no_part_in_a_window(output: dict[str, Any]) -> None:
    trained, options = model(**output), SGDOptions(learning_rate=0.5, window=1)
    found = score_dynamically(trained, text(30), START, options)
    np.testing.assert_allclose(found, by_hand(trained, text(30), options, []), rtol=0, atol=1e-12)
    assert all(torch.isfinite(rms).all() for rms in measure_gradient_rms(trained, text(30), START, 1))


def test_another_measure_of_each_token() -> None:
    def both(layer: OutputLayer, features: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return torch.stack([layer.nats(features, targets), targets.double()], dim=-1)

    trained, options = model(), SGDOptions(window=4)
    found = score_dynamically(trained, text(10), START, options, measure=both)
    np.testing.assert_array_equal(found[:, 1], text(10))
    np.testing.assert_array_equal(found[:, 0], score_dynamically(trained, text(10), START, options))


@pytest.mark.parametrize("n_columns", [1, 3])
def test_the_mean_square_of_gradients_by_hand(n_columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two windows of each column count; the gradients of all columns are added up before they are squared."""
    monkeypatch.setattr(dynamic, "STATISTICS_COLUMNS", n_columns)
    monkeypatch.setattr(dynamic, "STATISTICS_TOKENS", n_columns * 8)
    asked, tokens, window = model(), text(30), 4
    read = [START, *tokens.tolist()]
    states = [asked.initial_state(1)] * n_columns
    squares = [torch.zeros_like(weight) for weight in asked.parameters()]
    for row in (0, window):
        sums = [torch.zeros_like(weight) for weight in asked.parameters()]
        for column in range(n_columns):
            first = column * (len(tokens) // n_columns) + row
            inputs, targets = read[first : first + window], read[first + 1 : first + 1 + window]
            _, states[column], gradients = gradients_of(asked, inputs, targets, states[column])
            sums = [total + gradient for total, gradient in zip(sums, gradients, strict=True)]
        squares = [square + total**2 for square, total in zip(squares, sums, strict=True)]
    asked.zero_grad()
    for found, square in zip(measure_gradient_rms(asked, tokens, START, window), squares, strict=True):
        torch.testing.assert_close(found, (square / (2 * n_columns)).sqrt(), rtol=1e-10, atol=1e-14)


def test_a_training_text_shorter_than_a_window() -> None:
    assert all(torch.isfinite(rms).all() for rms in measure_gradient_rms(model(), text(3), START, 5))


def test_beside_n_grams_each_token_is_counted_without_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or they would foresee the text that they are made of."""
    tokens, window = text(40), 4
    monkeypatch.setattr(dynamic, "STATISTICS_COLUMNS", 1)
    monkeypatch.setattr(dynamic, "STATISTICS_TOKENS", window)
    options = {"backbone": {"name": "lstm", "hidden_size": 8}, "embedding_size": 8, "ngram_order": 3}
    asked = build_language_model(ModelOptions.model_validate(options), VOCAB, seed=1)
    assert asked.ngrams is not None
    asked.ngrams.fill(NgramModel.estimate(tokens, VOCAB, START, 3))
    read = torch.tensor([START, *tokens[:window].tolist()])[:, None]
    features, _ = asked(read[:-1], asked.initial_state(1))
    assert isinstance(asked.output_layer, NgramMixtureLayer)
    loss = asked.output_layer.loss(features, read[1:], left_out=True)
    assert loss > asked.output_layer.loss(features, read[1:])
    wanted = torch.autograd.grad(loss / window, list(asked.parameters()), materialize_grads=True)
    for found, gradient in zip(measure_gradient_rms(asked, tokens, START, window), wanted, strict=True):
        torch.testing.assert_close(found, gradient.abs())
