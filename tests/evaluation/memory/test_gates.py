"""Gates and memories, token by token: they satisfy the equations of their cell, and are those that the model used."""

import json
from typing import Any

import numpy as np
import pytest
import torch

from lstmlm.config.data import WordTokenizerOptions
from lstmlm.corpus.tokenizers import Tokenizer, train_tokenizer
from lstmlm.errors import ConfigError, DataError
from lstmlm.evaluation.memory.gates import LayerActivity, read_gates
from lstmlm.models.language_model import LanguageModel, build_language_model

SENTENCE = "the cat saw the dog"


@pytest.fixture
def tokenizer() -> Tokenizer:
    return train_tokenizer(WordTokenizerOptions(), [f"{SENTENCE}\n"])


def model(name: str, tokenizer: Tokenizer) -> LanguageModel:
    from lstmlm.config.model import ModelOptions

    options: dict[str, Any] = {"backbone": {"name": name, "hidden_size": (4, 6)}, "embedding_size": 6}
    return build_language_model(ModelOptions.model_validate(options), tokenizer.vocab_size, seed=1).double()


def after(values: np.ndarray) -> np.ndarray:
    """What each token finds that another token left."""
    return values[:-1]


@pytest.mark.parametrize("layer", [1, 2])
@pytest.mark.parametrize("name", ["lstm", "layer_norm_lstm", "mogrifier"])
def test_of_a_long_short_term_memory(name: str, layer: int, tokenizer: Tokenizer) -> None:
    units = read_gates(model(name, tokenizer), tokenizer, SENTENCE, "runs/x", layer).units
    assert list(units) == ["i", "f", "g", "o", "hidden", "cell"]
    i, f, g, o, hidden, cell = units.values()
    assert hidden.shape == (5, 4 if layer == 1 else 6)
    np.testing.assert_allclose(cell[1:], f[1:] * cell[:-1] + i[1:] * g[1:], rtol=1e-12)
    if name != "layer_norm_lstm":
        np.testing.assert_allclose(hidden, o * np.tanh(cell), rtol=1e-12)


@pytest.mark.parametrize("layer", [1, 2])
def test_of_a_gated_recurrent_unit(layer: int, tokenizer: Tokenizer) -> None:
    units = read_gates(model("gru", tokenizer), tokenizer, SENTENCE, "runs/x", layer).units
    assert list(units) == ["r", "z", "n", "hidden"]
    _, z, n, hidden = units.values()
    np.testing.assert_allclose(hidden[1:], (1 - z[1:]) * n[1:] + z[1:] * hidden[:-1], rtol=1e-12)


def test_an_elman_network_has_no_gates(tokenizer: Tokenizer) -> None:
    assert list(read_gates(model("rnn", tokenizer), tokenizer, SENTENCE, "runs/x", None).units) == ["hidden"]


def test_the_last_layer_holds_what_the_model_predicts_from(tokenizer: Tokenizer) -> None:
    asked = model("lstm", tokenizer)
    activity = read_gates(asked, tokenizer, SENTENCE, "runs/x", None)
    tokens = torch.tensor([tokenizer.start_id, *tokenizer.encode_prompt(SENTENCE)])[:, None]
    features, _ = asked(tokens, asked.initial_state(1))
    assert (activity.layer, activity.tokens) == (2, SENTENCE.split())
    np.testing.assert_allclose(activity.units["hidden"], features[1:, 0].detach(), rtol=1e-12)


def test_a_layer_that_does_not_exist(tokenizer: Tokenizer) -> None:
    with pytest.raises(ConfigError) as error:
        read_gates(model("lstm", tokenizer), tokenizer, SENTENCE, "runs/x", 3)
    assert str(error.value) == "--layer: runs/x has no layer 3. Choose one from 1 to 2."


def test_nothing_to_read(tokenizer: Tokenizer) -> None:
    with pytest.raises(DataError) as error:
        read_gates(model("lstm", tokenizer), tokenizer, " ", "runs/x", None)
    wanted = 'sentence: is empty. Give a few words, as in: lstmlm inspect gates "the cat sat on the mat"'
    assert str(error.value) == wanted


def test_a_row_has_mean_magnitudes_and_json_all_units() -> None:
    units = {"f": np.array([[0.25, 0.75], [0.5, 1.0]]), "hidden": np.array([[-0.5, 1.0], [0.0, -1.0]])}
    activity = LayerActivity("runs/x", 2, ["a", "é"], units)
    assert activity.to_rows() == [
        {"token": "a", "f": 0.5, "hidden": 0.75},
        {"token": "é", "f": 0.75, "hidden": 0.5},
    ]
    assert json.loads(activity.to_json()) == {
        "run": "runs/x",
        "layer": 2,
        "tokens": ["a", "é"],
        "f": [[0.25, 0.75], [0.5, 1.0]],
        "hidden": [[-0.5, 1.0], [0.0, -1.0]],
    }
