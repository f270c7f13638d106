"""The graphs that sherpa-onnx reads: the names and the metadata of icefall's `rnn_lm/export-onnx.py`."""

import numpy as np

from lstmlm.corpus.tokenizers import Tokenizer
from lstmlm.export.onnx.graph import Graph
from lstmlm.export.onnx.graphs import Network, add_nats, add_positions, add_prediction, add_reading


def with_state(network: Network) -> bytes:
    """Read tokens in a state, for fusion while decoding; a cell without a memory is given one that it passes on."""
    graph, names = Graph(is_int8=network.is_int8), ("h0", "c0")
    n_used = len(network.state_names)
    embedding, features, state = add_reading(graph, network, "x", names[:n_used])
    last = graph.add("Slice", features, *(graph.constant([bound]) for bound in (-1, np.iinfo(np.int64).max, 1)))
    predicted = add_prediction(graph, network, embedding, last)
    graph.named(graph.add("Squeeze", predicted, graph.constant([1])), "log_softmax")
    for name, value in zip(names, [*state, *names[n_used:]], strict=True):
        graph.named(value, f"next_{name}")
    n_layers, width = network.state_shape
    of_state = (n_layers, "N", width)
    return graph.serialized(
        {"x": ("N", "L")} | dict.fromkeys(names, of_state),
        {"log_softmax": ("N", network.vocab_size)} | {f"next_{name}": of_state for name in names},
        _metadata(network, "rnnlm state")
        | {
            "num_layers": str(n_layers),
            "hidden_size": str(width),
            "embedding_dim": str(network.options.embedding_size),
        },
    )


def no_state(network: Network) -> bytes:
    """Score whole texts, for rescoring: the token that begins them and the one that ends them are added inside."""
    graph = Graph(is_int8=network.is_int8)
    end = graph.constant(network.start_id)
    longer = graph.add("Pad", "x", graph.constant([0, 0, 0, 1]), end)
    lengths = graph.add("Unsqueeze", "x_lens", graph.constant([1]))
    targets = graph.add("Where", graph.add("Equal", add_positions(graph, longer), lengths), end, longer)
    nats = add_nats(graph, network, targets, graph.add("Add", "x_lens", graph.constant(1)))
    graph.named(graph.add("ReduceSum", nats, graph.constant([1]), keepdims=0), "nll")
    return graph.serialized(
        {"x": ("N", "L"), "x_lens": ("N",)}, {"nll": ("N",)}, _metadata(network, "rnnlm without state")
    )


def tokens_txt(tokenizer: Tokenizer) -> bytes:
    """The vocabulary, a token and its id a line, to be compared with the recogniser's own.

    White space cannot stand there, but for one blank, which is left out before the id: other is written as bytes, as
    SentencePiece writes them.
    """
    lines = [f"{_written(tokenizer.token(token_id))} {token_id}\n" for token_id in range(tokenizer.vocab_size)]
    return "".join(lines).encode()


def _written(token: str) -> str:
    if token == " ":
        return token
    return "".join("".join(f"<0x{byte:02X}>" for byte in c.encode()) if c.isspace() else c for c in token)


def _metadata(network: Network, comment: str) -> dict[str, str]:
    return {
        "model_type": "rnnlm",
        "version": "1",
        "model_author": "lstmlm",
        "comment": comment,
        "sos_id": str(network.start_id),
        "eos_id": str(network.start_id),
        "vocab_size": str(network.vocab_size),
    }
