"""The recurrent layers: a standard operator where the cell is one, else its equations, in a loop where time is open."""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np

from lstmlm.config.model import BackboneOptions
from lstmlm.export.onnx.graph import Graph

Weights = Mapping[str, np.ndarray]
"""Of a cell, by the names of its parameters."""

EPSILON = 1e-5
"""Of layer normalisation."""

GATE_ORDER = {"rnn": [0], "gru": [1, 0, 2], "lstm": [0, 3, 1, 2]}
"""Where each gate of an operator is among the cell's: z, r, n of r, z, n; i, o, f, g of i, f, g, o."""


def is_operator(options: BackboneOptions) -> bool:
    """Whether ONNX has the cell."""
    has_other_gates = any(getattr(options, name, False) for name in ("input_gate_cap", "coupled_gates"))
    return options.name in GATE_ORDER and not has_other_gates


def add_layers(
    graph: Graph,
    options: BackboneOptions,
    weights: Weights,
    inputs: str,
    state: Sequence[Sequence[str]],
    *,
    is_one_step: bool,
) -> tuple[str, list[list[str]]]:
    """Add all layers.

    Args:
        graph: Where to.
        options: The stack.
        weights: Of the model.
        inputs: Embedded tokens, (time, batch, embedding).
        state: Of each tensor that cells remember, the layers, (1, batch, hidden), and whatever comes behind them.
        is_one_step: There is one step of time.

    Returns:
        Features (time, batch, hidden) and the next state, likewise, of layers alone.
    """
    outputs: list[str] = []
    next_state: list[tuple[str, ...]] = []
    for level, layer_state in zip(range(options.n_layers), zip(*state, strict=True), strict=False):
        prefix = f"backbone.cells.{level}."
        cell = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
        add = _add_operator if is_operator(options) else _add_step if is_one_step else _add_loop
        inputs, *after = add(graph, options, cell, prefix, inputs, layer_state)
        outputs.append(inputs)
        next_state.append(tuple(after))
    features = reduce(lambda a, b: graph.add("Add", a, b), outputs) if options.skip == "layer_sum" else inputs
    return features, [list(layers) for layers in zip(*next_state, strict=True)]


def layers_of(graph: Graph, state: str, sizes: Sequence[int]) -> list[str]:
    """Cut a state into those of layers, (1, batch, hidden); narrow ones are filled up with zeros in it."""
    layers = graph.add_with_outputs(len(sizes), "Split", state, graph.constant([1] * len(sizes)), axis=0)
    return [
        layer
        if size == max(sizes)
        else graph.add("Slice", layer, graph.constant([0]), graph.constant([size]), graph.constant([2]))
        for layer, size in zip(layers, sizes, strict=True)
    ]


def stacked(graph: Graph, layers: Sequence[str], sizes: Sequence[int]) -> str:
    """Put states of layers together to one; the inverse of `layers_of`."""
    filled = [
        layer if size == max(sizes) else graph.add("Pad", layer, graph.constant([0, 0, 0, 0, 0, max(sizes) - size]))
        for layer, size in zip(layers, sizes, strict=True)
    ]
    return graph.add("Concat", *filled, axis=0)


def _add_operator(
    graph: Graph, options: BackboneOptions, cell: Weights, prefix: str, inputs: str, state: Sequence[str]
) -> list[str]:
    """Add a layer as `RNN`, `GRU` or `LSTM`: returns outputs (time, batch, hidden) and the next state."""
    order = GATE_ORDER[options.name]

    def arranged(stacked: np.ndarray) -> np.ndarray:
        gates = stacked.reshape(len(order), -1, *stacked.shape[1:])
        return gates[order].reshape(1, *stacked.shape)

    bias, of_hidden = cell["bias"], np.zeros_like(cell["bias"])
    if options.name == "gru":
        of_hidden[-len(cell["bias_hn"]) :] = cell["bias_hn"]
    attributes: dict[str, Any] = {"hidden_size": cell["weight_hh"].shape[1]}
    if options.name == "gru":
        attributes["linear_before_reset"] = 1
    if options.name == "rnn":
        attributes["activations"] = [getattr(options, "nonlinearity").capitalize()]  # noqa: B009
    outputs, *next_state = graph.add_with_outputs(
        1 + len(state),
        options.name.upper(),
        inputs,
        *(graph.matrix(f"{prefix}{name}", cell[name], arranged) for name in ("weight_ih", "weight_hh")),
        graph.vector(f"{prefix}bias", np.concatenate([arranged(bias), arranged(of_hidden)], axis=1)),
        "",
        *state,
        **attributes,
    )
    return [graph.add("Squeeze", outputs, graph.constant([1])), *next_state]


def _add_step(
    graph: Graph, options: BackboneOptions, cell: Weights, prefix: str, inputs: str, state: Sequence[str]
) -> list[str]:
    """Add a layer of one step; see `_add_operator`."""
    first = graph.constant([0])
    x, *before = (graph.add("Squeeze", value, first) for value in (inputs, *state))
    hidden, memory = _lstm(graph, options, cell, prefix, x, *before)
    next_state = [graph.add("Unsqueeze", value, first) for value in (hidden, memory)]
    return [next_state[0], *next_state]


def _add_loop(
    graph: Graph, options: BackboneOptions, cell: Weights, prefix: str, inputs: str, state: Sequence[str]
) -> list[str]:
    """Add a layer as a loop over the steps; see `_add_operator`."""
    first, body = graph.constant([0]), graph.body()
    before = [graph.add("Squeeze", value, first) for value in state]
    names = [body.new_name(name) for name in ("hidden", "memory", "x")]
    hidden, memory = _lstm(body, options, cell, prefix, names[2], names[0], names[1])
    outputs = [hidden, memory, body.add("Identity", hidden)]
    *after, all_hidden = graph.add_with_outputs(
        3, "Scan", *before, inputs, body=body.as_loop_body(names, outputs), num_scan_inputs=1
    )
    return [all_hidden, *(graph.add("Unsqueeze", value, first) for value in after)]


def _lstm(
    graph: Graph, options: BackboneOptions, cell: Weights, prefix: str, x: str, hidden: str, memory: str
) -> tuple[str, str]:
    """Add one step of some kind of LSTM, on (batch, input) and (batch, hidden); returns its next state."""
    sums = SUMS[options.name](graph, cell, prefix, x, hidden)
    n_rows, width = cell["weight_hh"].shape
    n_gates = n_rows // width
    *own_i, f, g, o = graph.add_with_outputs(n_gates, "Split", sums, graph.constant([width] * n_gates), axis=1)
    f, g, o = graph.add("Sigmoid", f), graph.add("Tanh", g), graph.add("Sigmoid", o)
    rest = graph.add("Sub", graph.constant(1, dtype=np.float32), f)
    i = graph.add("Sigmoid", own_i[0]) if own_i else rest
    if getattr(options, "input_gate_cap", False):
        i = graph.add("Min", i, rest)
    memory = graph.add("Add", graph.add("Mul", f, memory), graph.add("Mul", i, g))
    seen = memory
    if options.name == "layer_norm_lstm":
        gain, bias = (graph.vector(f"{prefix}{name}", cell[name]) for name in ("gain_cell", "bias_cell"))
        seen = graph.add("LayerNormalization", memory, gain, bias, epsilon=EPSILON)
    return graph.add("Mul", o, graph.add("Tanh", seen)), memory


def _plain_sums(graph: Graph, cell: Weights, prefix: str, x: str, hidden: str) -> str:
    from_input = graph.linear(x, f"{prefix}weight_ih", cell["weight_ih"], graph.vector(f"{prefix}bias", cell["bias"]))
    return graph.add("Add", from_input, graph.linear(hidden, f"{prefix}weight_hh", cell["weight_hh"]))


def _normalized_sums(graph: Graph, cell: Weights, prefix: str, x: str, hidden: str) -> str:
    parts = []
    for source, part in ((x, "ih"), (hidden, "hh")):
        product = graph.linear(source, f"{prefix}weight_{part}", cell[f"weight_{part}"])
        gain = graph.vector(f"{prefix}gain_{part}", cell[f"gain_{part}"])
        bias = [graph.vector(f"{prefix}bias", cell["bias"])] if part == "ih" else []
        parts.append(graph.add("LayerNormalization", product, gain, *bias, epsilon=EPSILON))
    return graph.add("Add", *parts)


def _mogrified_sums(graph: Graph, cell: Weights, prefix: str, x: str, hidden: str) -> str:
    two = graph.constant(2, dtype=np.float32)
    n_rounds = sum(name.startswith("rounds.") and name.endswith(".bias") for name in cell)
    for index in range(n_rounds):
        source = hidden if index % 2 == 0 else x
        for name in ("weight", "weight_right", "weight_left"):
            if (rows := cell.get(f"rounds.{index}.{name}")) is not None:
                source = graph.linear(source, f"{prefix}rounds.{index}.{name}", rows)
        bias = graph.vector(f"{prefix}rounds.{index}.bias", cell[f"rounds.{index}.bias"])
        gate = graph.add("Mul", two, graph.add("Sigmoid", graph.add("Add", source, bias)))
        if index % 2 == 0:
            x = graph.add("Mul", gate, x)
        else:
            hidden = graph.add("Mul", gate, hidden)
    return _plain_sums(graph, cell, prefix, x, hidden)


SUMS: Mapping[str, Callable[[Graph, Weights, str, str, str], str]] = {
    "lstm": _plain_sums,
    "layer_norm_lstm": _normalized_sums,
    "mogrifier": _mogrified_sums,
}
"""By cell, what its gates are functions of, (batch, gates hidden)."""
