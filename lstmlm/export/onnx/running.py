"""How files are asked, in onnxruntime, for the surprisal of texts: 0 beyond their lengths."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
from jaxtyping import Float, Int64

from lstmlm.export.onnx.graphs import Network

Texts = Int64[np.ndarray, "batch time"]


def session_of(source: str | bytes) -> onnxruntime.InferenceSession:
    """Load a file, by its path or content, for the processor; warnings of onnxruntime are not shown."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def nats_by_steps(
    session: onnxruntime.InferenceSession, network: Network, texts: Texts, lengths: Sequence[int], *, n_at_once: int = 1
) -> Float[np.ndarray, "batch time"]:
    """Read each text in pieces through a graph that takes a state."""
    inputs, outputs = ([value.name for value in values] for values in (session.get_inputs(), session.get_outputs()))
    n_layers, width = network.state_shape
    nats = np.zeros(texts.shape)
    for index, (text, length) in enumerate(zip(texts, lengths, strict=True)):
        state: list[Any] = [np.zeros((n_layers, 1, width), np.float32)] * (len(inputs) - 1)
        read = np.concatenate([[network.start_id], text[: length - 1]])
        for start in range(0, length, n_at_once):
            piece = read[None, start : start + n_at_once]
            log_probabilities, *state = session.run(outputs, dict(zip(inputs, [piece, *state], strict=True)))
            rows = np.reshape(log_probabilities, (piece.shape[1], network.vocab_size))
            end = start + len(rows)
            nats[index, start:end] = -rows[np.arange(len(rows)), text[start:end]]
    return nats


def nats_at_once(
    session: onnxruntime.InferenceSession, _: Network, texts: Texts, lengths: Sequence[int]
) -> Float[np.ndarray, "batch time"]:
    """Score texts whole, side by side."""
    (nats,) = session.run(None, {"ids": texts, "lengths": np.array(lengths)})
    return np.asarray(nats)


def nats_of_sentences(
    session: onnxruntime.InferenceSession, _: Network, texts: Texts, lengths: Sequence[int]
) -> Float[np.ndarray, " batch"]:
    """Score sentences by a graph that ends them itself, and adds up the nats of each."""
    (nats,) = session.run(None, {"x": texts[:, :-1], "x_lens": np.array(lengths) - 1})
    return np.asarray(nats)
