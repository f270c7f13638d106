"""Gradients by the memories of k tokens before: against a short graph of autograd, and on recurrences known by hand."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lstmlm.corpus.encoded_text import EncodedText
from lstmlm.errors import DataError
from lstmlm.evaluation.memory import gradients
from lstmlm.evaluation.memory.gradients import GradientNorms, measure_gradients
from lstmlm.models.language_model import LanguageModel, build_language_model
from lstmlm.scoring import score

VOCAB, START, HIDDEN = 7, 0, 5


def model(name: str, **backbone: Any) -> LanguageModel:
    from lstmlm.config.model import ModelOptions

    options = {
        "backbone": {"name": name, "hidden_size": HIDDEN, **backbone},
        "embedding_size": HIDDEN,
        "tie_weights": False,
    }
    built = build_language_model(ModelOptions.model_validate(options), VOCAB, seed=1).double()
    with torch.no_grad():
        # Large weights make a model with opinions, whose predictions depend on its state.
        built.embedding.weight.mul_(20)
        built.output_layer.weight.mul_(20)
    return built


def text(n_tokens: int) -> EncodedText:
    tokens = np.random.default_rng(0).integers(VOCAB, size=n_tokens).astype(np.int32)
    return EncodedText("text.txt", None, tokens, n_tokens, np.array([n_tokens]), np.array([n_tokens]), 0, 0, "")


def measure(asked: LanguageModel, read: EncodedText, max_lag: int) -> dict[str, np.ndarray]:
    return {norms.memory: norms.norms for norms in measure_gradients(asked, read, START, "runs/x", max_lag)}


def by_autograd(asked: LanguageModel, stretch: np.ndarray, lag: int) -> list[float]:
    """Read all but the last token of `stretch`, layer by layer; differentiate by what the last held `lag` before."""
    tokens = torch.from_numpy(stretch).long()
    inputs, features = asked.embedding(tokens[:-1, None]), torch.zeros(1, HIDDEN)
    for cell in asked.backbone.layers:
        state, outputs, states = cell.initial_state(1), [], []
        for x_t in inputs:
            output, state = cell(x_t, state)
            outputs.append(output)
            states.append(state)
        inputs = torch.stack(outputs)
        features = features + output if asked.backbone.skip == "layer_sum" else output
    nats = -asked.output_layer.log_probabilities(features)[0, tokens[-1]]
    return [gradient.norm().item() for gradient in torch.autograd.grad(nats, list(states[-1 - lag]))]


@pytest.mark.parametrize("implementation", ["reference", "auto"])
@pytest.mark.parametrize("skip", ["none", "layer_sum"])
@pytest.mark.parametrize("name", ["rnn", "gru", "lstm", "layer_norm_lstm", "mogrifier"])
def test_equals_autograd_on_each_stretch_of_the_text(name: str, skip: str, implementation: str) -> None:
    asked, read, max_lag = model(name, skip=skip, implementation=implementation), text(36), 5
    found = measure(asked, read, max_lag)
    assert list(found) == (["hidden", "cell"] if "lstm" in name or name == "mogrifier" else ["hidden"])
    assert all(norms.shape == (max_lag + 1, 5) for norms in found.values())
    stream = np.concatenate([[START], read.tokens])
    for position in range(5):
        stretch = stream[7 * position : 7 * (position + 1) + 1]
        for lag in range(max_lag + 1):
            wanted = by_autograd(asked, stretch, lag)
            assert [norms[lag, position] for norms in found.values()] == pytest.approx(wanted, rel=1e-9)


def test_at_lag_0_is_what_the_softmax_reads() -> None:
    asked, read = model("rnn"), text(5)
    found = measure(asked, read, 3)
    features, _ = asked(torch.tensor([[START], *read.tokens[:4, None].tolist()]), asked.initial_state(1))
    error = torch.softmax(asked.output_layer.log_probabilities(features[-1, 0]), dim=0)
    assert -error[read.tokens[4]].log().item() == pytest.approx(score(asked, read.tokens, START)[4], rel=1e-12)
    error[read.tokens[4]] -= 1
    assert found["hidden"][0, 0] == pytest.approx((error @ asked.output_layer.weight).norm().item(), rel=1e-12)


@pytest.mark.parametrize("rho", [0.9, 1.1])
def test_a_linear_recurrence_vanishes_or_explodes_as_its_matrix_says(rho: float) -> None:
    """At rest, tanh is linear: the gradient through k steps is W_h transposed, k times."""
    asked = model("rnn", n_layers=1)
    with torch.no_grad():
        asked.embedding.weight.zero_()
        nn.init.orthogonal_(asked.backbone.layers[0].weight_hh, gain=rho)
    norms = measure(asked, text(1000), 200)["hidden"]
    slope, _ = np.polyfit(np.arange(201), np.log(np.median(norms, axis=1)), 1)
    assert slope == pytest.approx(math.log(rho), rel=1e-2)
    np.testing.assert_allclose(norms, norms[0] * rho ** np.arange(201)[:, None], rtol=1e-9)


def test_the_forget_gate_hands_the_gradient_on() -> None:
    """Without recurrent weights only the memory cell remembers; it loses what the forget gate closes out."""
    asked = model("lstm", n_layers=1)
    cell = asked.backbone.layers[0]
    with torch.no_grad():
        for weight in (asked.embedding.weight, cell.weight_hh, cell.bias):
            weight.zero_()
        cell.bias[HIDDEN : 2 * HIDDEN] = math.log(0.75 / 0.25)
    found = measure(asked, text(100), 20)
    assert not found["hidden"][1:].any()
    # At rest the output gate is half open and tanh is linear.
    np.testing.assert_allclose(found["cell"], found["hidden"][0] * 0.5 * 0.75 ** np.arange(21)[:, None], rtol=1e-12)


def test_a_long_stretch_is_read_from_near_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradients, "MAX_POSITIONS", 2)
    monkeypatch.setattr(gradients, "WARM_UP_TOKENS", 4)
    asked, read = model("lstm"), text(60)
    found = measure(asked, read, 3)
    for position, end in enumerate((30, 60)):
        wanted = by_autograd(asked, read.tokens[end - 9 : end], 3)
        assert [norms[3, position] for norms in found.values()] == pytest.approx(wanted, rel=1e-9)


def test_leaves_the_model_as_it_was() -> None:
    asked = model("lstm").float()
    before = {name: weight.clone() for name, weight in asked.state_dict().items()}
    measure(asked, text(20), 4)
    assert all(torch.equal(before[name], weight) for name, weight in asked.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in asked.parameters())


def test_a_text_that_is_too_short() -> None:
    with pytest.raises(DataError) as error:
        measure(model("rnn"), text(20), 20)
    assert str(error.value) == "text.txt: 20 tokens, but a lag of 20 needs 22. Give --max-lag 18 or less."


def test_rows_have_quartiles() -> None:
    norms = np.array([[4.0, 1.0, 2.0, 3.0, 5.0], [0.0, 0.0, 1.0, 2.0, 2.0]])
    first, second = GradientNorms("runs/x", "text.txt", "hidden", norms).to_rows()
    assert first == {
        "run": "runs/x",
        "text": "text.txt",
        "n_positions": 5,
        "memory": "hidden",
        "lag": 0,
        "norm": 3.0,
        "norm_lower_quartile": 2.0,
        "norm_upper_quartile": 4.0,
    }
    assert (second["lag"], second["norm"]) == (1, 1.0)
