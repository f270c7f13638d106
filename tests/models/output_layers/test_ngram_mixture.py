"""The mixture with n-grams: of the two parts that it is made of, whatever way a text is read."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lstmlm.config.model import ModelOptions
from lstmlm.errors import CheckpointError
from lstmlm.metrics import NO_TARGET
from lstmlm.models.kernels import EVALUATION
from lstmlm.models.language_model import LanguageModel, build_language_model
from lstmlm.models.ngram import NgramModel
from lstmlm.models.output_layers import ngram_tables
from lstmlm.models.output_layers.ngram_mixture import LEAST_SHARE, NgramMixtureLayer
from lstmlm.models.output_layers.ngram_tables import NgramState, NgramTables
from lstmlm.randomness import Randomness
from lstmlm.scoring import next_log_probabilities, score, score_each, score_tree

VOCAB, START, ORDER = 11, 2, 4
LAYERS: dict[str, dict[str, Any]] = {
    "softmax": {"name": "softmax"},
    "adaptive": {"name": "adaptive", "cutoffs": (3, 7)},
    "mixture": {"name": "mixture"},
}


def text(n_tokens: int, seed: int = 0) -> np.ndarray:
    """Tokens among which a few are frequent; lines end here and there."""
    return np.random.default_rng(seed).zipf(1.4, size=n_tokens).clip(max=VOCAB) - 1


def build(output: str = "softmax", order: int | None = ORDER) -> LanguageModel:
    options = ModelOptions.model_validate(
        {
            "backbone": {"name": "lstm", "n_layers": 2, "hidden_size": 6},
            "embedding_size": 6,
            "output": LAYERS[output],
            "ngram_order": order,
        }
    )
    model = build_language_model(options, VOCAB, seed=1)
    with torch.no_grad():
        for site, parameter in model.named_parameters():
            parameter.add_(torch.randn(parameter.shape, generator=Randomness(1).generator(site)))
    if model.ngrams is not None:
        model.ngrams.fill(ngrams())
    return model.double()


def ngrams(order: int = ORDER) -> NgramModel:
    return NgramModel.estimate(text(800), VOCAB, START, order)


def layer_of(model: LanguageModel) -> NgramMixtureLayer:
    assert isinstance(model.output_layer, NgramMixtureLayer)
    return model.output_layer


def read(model: LanguageModel, tokens: np.ndarray, randomness: Randomness | None = None) -> tuple[Tensor, Tensor]:
    """Features of a text in one column, and what follows each."""
    column = torch.from_numpy(np.concatenate([[START], tokens]))[:, None]
    features, _ = model(column[:-1], model.initial_state(1), randomness)
    return features, column[1:]


@pytest.mark.parametrize("output", LAYERS)
def test_is_the_gate_between_network_and_ngrams(output: str) -> None:
    model, tokens = build(output), text(60, seed=1)
    layer, (features, targets) = layer_of(model), read(model, tokens)
    hidden = model.hidden_of(features)
    assert hidden.shape == (60, 1, 6)
    gate = torch.sigmoid(hidden @ layer.gate_weight + layer.gate_bias)[:, 0]
    of_network = torch.exp(-layer.network.nats(hidden, targets))[:, 0]
    of_ngrams = torch.from_numpy(np.exp(-ngrams().nats(tokens)))
    wanted = gate * of_network + (1 - gate) * of_ngrams
    # The tables are float32.
    torch.testing.assert_close(torch.exp(-layer.nats(features, targets))[:, 0], wanted, rtol=1e-6, atol=0)
    distribution = layer.log_probabilities(features).exp()
    torch.testing.assert_close(distribution.sum(-1), torch.ones(60, 1, dtype=torch.float64), rtol=0, atol=1e-6)
    torch.testing.assert_close(distribution.gather(-1, targets[..., None])[:, 0, 0], wanted, rtol=1e-6, atol=0)


@pytest.mark.parametrize("output", LAYERS)
def test_learns_from_ngrams_that_have_not_seen_the_token(output: str) -> None:
    """With randomness the loss is that of the leave-one-out mixture; the network descends a part of its own, too."""
    model, tokens = build(output), text(800)[:50]
    layer, (features, targets) = layer_of(model), read(model, tokens)
    features = features.detach()
    targets = torch.where(torch.arange(50)[:, None] % 9 == 4, NO_TARGET, targets)
    hidden, contexts = features.split([6, ORDER - 1], dim=-1)
    parameters = list(layer.parameters())

    def losses() -> tuple[Tensor, Tensor]:
        gate = torch.sigmoid(hidden @ layer.gate_weight + layer.gate_bias)
        picked = layer.network.log_probabilities(hidden).gather(-1, targets.clamp(min=0)[..., None])[..., 0]
        left_out = layer.ngrams.probability(contexts.long(), targets, left_out=True)
        mixed = -(gate * picked.exp() + (1 - gate) * left_out).log()
        return mixed[targets != NO_TARGET].sum(), -picked[targets != NO_TARGET].sum()

    (mixed, _), (_, alone) = losses(), losses()
    found = layer.loss(features, targets, EVALUATION, Randomness(1))
    torch.testing.assert_close(found, mixed, rtol=1e-12, atol=0)
    is_gate = [parameter is layer.gate_weight or parameter is layer.gate_bias for parameter in parameters]
    gradients = [torch.autograd.grad(loss, parameters, materialize_grads=True) for loss in (found, mixed)]
    of_network = torch.autograd.grad(alone, parameters, materialize_grads=True)
    for of_gate, given, of_mixture, own in zip(is_gate, *gradients, of_network, strict=True):
        wanted = of_mixture if of_gate else torch.lerp(of_mixture, own, LEAST_SHARE)
        torch.testing.assert_close(given, wanted, rtol=1e-9, atol=1e-12)


def test_contexts_go_on_over_windows_and_end_with_lines() -> None:
    tables, tokens = NgramTables(ORDER, VOCAB), torch.from_numpy(text(200, seed=2)).view(4, 50).T
    tables.fill(ngrams())
    whole = tables.contexts(tokens, tables.initial_state(4))
    parts, state = [], tables.initial_state(4)
    for window in tokens.split([1, 3, 1, 20, 25]):
        parts.append(tables.contexts(window, state))
        state = NgramState(parts[-1][-1])
    assert torch.equal(torch.cat(parts), whole)
    assert torch.equal(whole[..., 0], tokens)
    assert (whole[..., 1:][tokens == START] == -1).all()
    after = torch.zeros_like(tokens, dtype=torch.bool)
    after[1:] = tokens[:-1] == START
    assert (whole[..., 2][after] == -1).all()
    assert (whole[..., 1:] >= 0).any()


def test_before_anything_is_read_nothing_is_known_but_frequencies() -> None:
    model = build()
    layer, features = layer_of(model), model.first_features(3)
    frequencies = torch.from_numpy(ngrams().tables[0].probability)
    found = layer.ngrams.distribution(features[0, 0, 6:].long())
    torch.testing.assert_close(found, frequencies, rtol=1e-6, atol=0)
    [nats] = score_each(model, [[4, 5]], None)
    wanted = layer.log_probabilities(features)[0, 0]
    assert nats[0] == pytest.approx(-wanted[4].item(), rel=1e-12)


@pytest.mark.parametrize("n_columns", [1, 3, 7])
def test_a_text_is_scored_token_by_token_as_in_columns(n_columns: int) -> None:
    model, tokens = build("adaptive"), text(150, seed=3)
    state, previous, wanted = model.initial_state(1), START, []
    for token in tokens.tolist():
        log_probabilities, state = next_log_probabilities(model, torch.tensor([[previous]]), state)
        wanted.append(-log_probabilities[0, token].item())
        previous = token
    np.testing.assert_allclose(score(model, tokens, START, n_columns), wanted, rtol=0, atol=1e-11)
    halves = [tokens[:70].tolist(), tokens[:90].tolist()]
    for scored in (score_each(model, halves, START), score_tree(model, halves, START)):
        for nats, half in zip(scored, halves, strict=True):
            np.testing.assert_allclose(nats, wanted[: len(half)], rtol=0, atol=1e-11)


def test_dropout_and_penalties_leave_contexts_alone() -> None:
    model = build()
    model.dropout = model.dropout.model_copy(update={"output": 0.9})
    plain, _ = read(model, text(30))
    dropped, _ = read(model, text(30), Randomness(1))
    assert torch.equal(plain[..., 6:], dropped[..., 6:])
    assert (model.hidden_of(dropped) == 0).any()


def test_tables_survive_as_tensors_and_others_are_refused() -> None:
    tables, other = NgramTables(ORDER, VOCAB), NgramTables(ORDER, VOCAB)
    tables.fill(ngrams())
    other.load(tables.tensors())
    tokens = torch.from_numpy(text(40, seed=4))[:, None]
    contexts = tables.contexts(tokens, tables.initial_state(1))
    assert torch.equal(other.contexts(tokens, other.initial_state(1)), contexts)
    assert torch.equal(other.distribution(contexts), tables.distribution(contexts))
    for order, vocab_size in [(ORDER - 1, VOCAB), (ORDER + 1, VOCAB), (ORDER, VOCAB + 1)]:
        with pytest.raises(CheckpointError, match=f"not those of order {order} over {vocab_size} tokens"):
            NgramTables(order, vocab_size).load(tables.tensors())


def test_without_tables_every_token_is_as_likely() -> None:
    """As where the speed of a step is measured before a text is counted."""
    tables = NgramTables(ORDER, VOCAB)
    tokens = torch.tensor([[3], [4]])
    contexts = tables.contexts(tokens, tables.initial_state(1))
    torch.testing.assert_close(tables.distribution(contexts), torch.full((2, 1, VOCAB), 1 / VOCAB))
    torch.testing.assert_close(tables.probability(contexts, tokens, left_out=True), torch.full((2, 1), 1 / VOCAB))


def test_more_ngrams_than_features_can_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ngram_tables, "MOST_NGRAMS", 50)
    with pytest.raises(ngram_tables.ConfigError, match=r"model.ngram_order: 4 makes \d+ n-grams of one length"):
        NgramTables(ORDER, VOCAB).fill(ngrams())


def test_a_copy_in_another_precision_leaves_the_model_as_it_was() -> None:
    model = build().float()
    copied = copy.deepcopy(model).double()
    features, targets = read(model, text(20))
    assert layer_of(copied).ngrams.uniform.dtype == torch.float64
    assert layer_of(model).nats(features, targets).dtype == torch.float32


def test_copies_share_the_tables() -> None:
    """As the averages of weights are: n-grams may be larger than all weights."""
    model = build()
    copied = copy.deepcopy(model)
    for name, tensor in layer_of(model).ngrams.tensors().items():
        if name != "start_id":
            assert layer_of(copied).ngrams.tensors()[name] is tensor
