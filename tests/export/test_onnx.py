"""What onnxruntime gives from exported files is what the run gives; skipped where it is not installed."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lstmlm.errors import CheckpointError, ConfigError, MissingExtraError
from lstmlm.export import EXPORTS
from lstmlm.export.onnx import export_onnx
from lstmlm.scoring import score, score_each

onnx = pytest.importorskip("onnx", reason="needs the extra onnx: pip install 'lstmlm[onnx]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx: pip install 'lstmlm[onnx]'")

LINES = ["the farmer waits by the old river", "don't ask the sailor , he says", "", "a cat , a dog and 東京 !"]
N_TOKENS = 2000


def small(**backbone: Any) -> dict[str, Any]:
    return {"backbone": {"n_layers": 2, "hidden_size": 8, "name": "lstm", **backbone}, "embedding_size": 8}


MODELS = {
    "rnn": small(name="rnn"),
    "relu, projection": small(name="rnn", nonlinearity="relu", hidden_size=12)
    | {"output": {"name": "softmax", "projection": True}},
    "lstm": small(),
    "capped lstm, layer_sum": small(input_gate_cap=True, skip="layer_sum"),
    "lstm, widths": small(hidden_size=(12, 6, 9), n_layers=3) | {"tie_weights": False},
    "lstm, adaptive": small() | {"output": {"name": "adaptive", "cutoffs": (5, 9)}},
    "gru, mixture": small(name="gru", hidden_size=(12, 6)) | {"output": {"name": "mixture"}},
    "gru": small(name="gru") | {"tie_weights": False},
    "layer_norm_lstm": small(name="layer_norm_lstm") | {"output": {"name": "mixture"}, "tie_weights": False},
    "mogrifier": small(name="mogrifier", rounds=3) | {"output": {"name": "adaptive", "cutoffs": (9,)}},
    "low rank, narrow clusters": small(name="mogrifier", rounds=4, rank=2, hidden_size=(12, 6))
    | {"tie_weights": False, "output": {"name": "adaptive", "cutoffs": (9,), "div_value": 2, "projection": True}},
    "no clusters": small() | {"output": {"name": "adaptive", "cutoffs": ()}},
}
TOKENIZERS: dict[str, dict[str, Any]] = {
    "word": {"name": "word"},
    "char": {"name": "char"},
    "bpe": {"name": "bpe", "vocab_size": 270},
}


def export(trained: Any, path: Path, **options: Any) -> Path:
    export_onnx(trained.run, trained.model, trained.tokenizer, path, **options)
    return path


def session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options)


def text_of(trained: Any) -> np.ndarray:
    """A text of `N_TOKENS` tokens."""
    lines = np.random.default_rng(0).choice(LINES, 400)
    tokens = trained.tokenizer.encode("\n".join(lines) + "\n")[:N_TOKENS].astype(np.int64)
    assert len(tokens) == N_TOKENS
    return tokens


def read(asked: Any, ids: np.ndarray, state: dict[str, Any] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
    """Log-probabilities after each of some ids, and the next state, of a step or window in a state, or in that of zeros."""
    if state is None:
        shapes = {value.name: value.shape for value in asked.get_inputs()[1:]}
        state = {name: np.zeros((layers, 1, width), np.float32) for name, (layers, _, width) in shapes.items()}
    found, *after = asked.run(None, {"ids": ids[None], **state})
    return found[0], dict(zip(state, after, strict=True))


def in_pieces(asked: Any, start_id: int, tokens: np.ndarray, sizes: list[int]) -> np.ndarray:
    """Nats of tokens that are read in pieces of these sizes by turns."""
    before, nats, state, at = np.array([start_id, *tokens[:-1]]), [], None, 0
    while at < len(tokens):
        size = sizes[0]
        sizes = [*sizes[1:], size]
        found, state = read(asked, before[at : at + size], state)
        nats.append(-found[np.arange(len(found)), tokens[at : at + size]])
        at += size
    return np.concatenate(nats)


@pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_every_token_has_the_surprisal_of_the_run(
    make_run: Callable[..., Any], tmp_path: Path, model: Any, tokenizer: Any
) -> None:
    trained = make_run(model, tokenizer)
    directory, tokens, start_id = export(trained, tmp_path / "out"), text_of(trained), trained.tokenizer.start_id
    nats = score(trained.model, tokens, start_id)
    (scored,) = session(directory / "scorer.onnx").run(None, {"ids": tokens[None], "lengths": np.array([N_TOKENS])})
    np.testing.assert_allclose(scored[0], nats, atol=1e-4, rtol=0)
    window = session(directory / "window.onnx")
    for sizes in ([N_TOKENS], [1, 7, 256, 3]):
        np.testing.assert_allclose(in_pieces(window, start_id, tokens, sizes), nats, atol=1e-4, rtol=0)
    by_steps = in_pieces(session(directory / "step.onnx"), start_id, tokens, [1])
    np.testing.assert_allclose(by_steps, nats, atol=1e-4, rtol=0)
