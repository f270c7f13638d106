"""The graphs that lstmlm names: a step and a window, which take a state and give the next one, and a scorer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lstmlm.config.model import ModelOptions
from lstmlm.export.onnx.graph import Graph
from lstmlm.export.onnx.layers import add_layers, layers_of, stacked
from lstmlm.export.onnx.ngrams import Table, add_contexts, add_probabilities
from lstmlm.export.onnx.output_layers import add_mixed, add_output_layer


@dataclass(frozen=True)
class Network:
    """What a graph is made of. With `is_int8` its matrices are kept in 8 bits."""

    options: ModelOptions
    weights: Mapping[str, np.ndarray]
    """Float32, by the names of the model's parameters."""
    vocab_size: int
    start_id: int
    ngrams: Sequence[Table] = ()
    """What the network is mixed with, by length."""
    is_int8: bool = False

    @property
    def state_names(self) -> tuple[str, ...]:
        """What cells remember: their output, and an LSTM its memory."""
        return ("h",) if self.options.backbone.name in {"rnn", "gru"} else ("h", "c")

    @property
    def state_sizes(self) -> Sequence[int]:
        """The width of each layer; last of the contexts of n-grams, which pass for one."""
        return (*self.options.backbone.hidden_sizes, *([len(self.ngrams) - 1] if self.ngrams else []))

    @property
    def state_shape(self) -> tuple[int, int]:
        """Layers and the width of the widest: the first and the last axis of each tensor of a state."""
        return len(self.state_sizes), max(self.state_sizes)

    @property
    def metadata(self) -> dict[str, str]:
        """What a file says of itself."""
        return {"model_type": "lstmlm", "start_id": str(self.start_id), "vocab_size": str(self.vocab_size)}


def step(network: Network) -> bytes:
    """Read one token of one text; every shape is fixed."""
    return _stateful(network, 1, 1)


def window(network: Network) -> bytes:
    """Read any number of tokens of any number of texts."""
    return _stateful(network, "batch", "time")


def scorer(network: Network) -> bytes:
    """Read whole texts: from ids, and how many of each row are a text, to nats."""
    graph = Graph(is_int8=network.is_int8)
    graph.named(add_nats(graph, network, "ids", "lengths"), "nats")
    return graph.serialized(
        {"ids": ("batch", "time"), "lengths": ("batch",)}, {"nats": ("batch", "time")}, network.metadata
    )


def _stateful(network: Network, batch: int | str, time: int | str) -> bytes:
    graph, names = Graph(is_int8=network.is_int8), network.state_names
    embedding, features, state = add_reading(graph, network, "ids", names, is_one_step=time == 1)
    graph.named(add_prediction(graph, network, embedding, features), "log_probabilities")
    for value, name in zip(state, names, strict=True):
        graph.named(value, f"next_{name}")
    n_layers, width = network.state_shape
    of_state = (n_layers, batch, width)
    return graph.serialized(
        {"ids": (batch, time)} | dict.fromkeys(names, of_state),
        {"log_probabilities": (batch, time, network.vocab_size)} | {f"next_{name}": of_state for name in names},
        network.metadata,
    )


def add_reading(
    graph: Graph, network: Network, ids: str, state: Sequence[str], *, is_one_step: bool = False
) -> tuple[str, str, list[str]]:
    """Add embedding and layers to ids (batch, time).

    Returns:
        The embedding's matrix, features (batch, time, hidden), with the contexts of n-grams behind, and the next state.
    """
    embedding = graph.matrix("embedding.weight", network.weights["embedding.weight"])
    embedded = graph.add("Gather", embedding, graph.add("Transpose", ids, perm=[1, 0]))
    sizes, backbone = network.state_sizes, network.options.backbone
    of_layers = [layers_of(graph, tensor, sizes) for tensor in state]
    features, next_state = add_layers(graph, backbone, network.weights, embedded, of_layers, is_one_step=is_one_step)
    features = graph.add("Transpose", features, perm=[1, 0, 2])
    if network.ngrams:
        carried = [layers[-1] for layers in of_layers]
        contexts, carried[0] = add_contexts(graph, network.ngrams, network.start_id, ids, carried[0])
        features = graph.add("Concat", features, contexts, axis=2)
        next_state = [[*layers, last] for layers, last in zip(next_state, carried, strict=True)]
    return embedding, features, [stacked(graph, layers, sizes) for layers in next_state]


def add_prediction(graph: Graph, network: Network, embedding: str, features: str) -> str:
    """Add the log-probabilities (batch, time, vocab) of what follows each position."""
    if not network.ngrams:
        return add_output_layer(graph, network.options, network.weights, embedding, features)
    sizes = graph.constant([network.options.backbone.hidden_sizes[-1], len(network.ngrams) - 1])
    hidden, contexts = graph.add_with_outputs(2, "Split", features, sizes, axis=2)
    of_network = add_output_layer(graph, network.options, network.weights, embedding, hidden)
    of_ngrams = add_probabilities(graph, network.ngrams, contexts)
    return add_mixed(graph, network.weights, hidden, of_network, of_ngrams)


def add_nats(graph: Graph, network: Network, targets: str, lengths: str) -> str:
    """Add the surprisal of the tokens of texts (batch, time), after the token that begins a text; 0 beyond lengths."""
    zero, one = graph.constant([0]), graph.constant([1])
    before = graph.add("Slice", targets, zero, graph.constant([-1]), one)
    ids = graph.add("Pad", before, graph.constant([0, 1, 0, 0]), graph.constant(network.start_id))
    n_layers, width = network.state_shape
    batch = graph.add("Slice", graph.add("Shape", targets), zero, one)
    of_state = graph.add("Concat", graph.constant([n_layers]), batch, graph.constant([width]), axis=0)
    zeros = graph.add("ConstantOfShape", of_state)
    embedding, features, _ = add_reading(graph, network, ids, [zeros] * len(network.state_names))
    picked = graph.add(
        "GatherElements",
        add_prediction(graph, network, embedding, features),
        graph.add("Unsqueeze", targets, graph.constant([2])),
        axis=2,
    )
    nats = graph.add("Neg", graph.add("Squeeze", picked, graph.constant([2])))
    is_text = graph.add("Less", add_positions(graph, targets), graph.add("Unsqueeze", lengths, one))
    return graph.add("Where", is_text, nats, graph.constant(0, dtype=np.float32))


def add_positions(graph: Graph, ids: str) -> str:
    """Add the number of each position in time, from 0."""
    n_steps = graph.add("Gather", graph.add("Shape", ids), graph.constant(1))
    return graph.add("Range", graph.constant(0), n_steps, graph.constant(1))
