"""The output layers: from features to the log-probability of every token."""

from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np

from lstmlm.config.model import ModelOptions
from lstmlm.export.onnx.graph import Graph

Weights = Mapping[str, np.ndarray]
"""Of the model, by the names of its parameters."""

PREFIX = "output_layer."


def add_output_layer(graph: Graph, options: ModelOptions, weights: Weights, embedding: str, features: str) -> str:
    """Add the output layer to features (batch, time, hidden); returns log-probabilities (batch, time, vocab)."""
    found = {name.removeprefix(PREFIX): value for name, value in weights.items() if name.startswith(PREFIX)}
    # Where it is mixed with n-grams, it is but a part of the output layer.
    layer = {name.removeprefix("network."): value for name, value in found.items()}
    if "projection" in layer:
        features = graph.linear(features, f"{PREFIX}projection", layer["projection"])
    return OUTPUT_LAYERS[options.output.name](graph, options, layer, embedding, features)


def add_mixed(graph: Graph, weights: Weights, hidden: str, of_network: str, of_ngrams: str) -> str:
    """Mix the log-probabilities of a network with probabilities of n-grams, by a gate that depends on its outputs."""
    gate_weight, gate_bias = (weights[f"{PREFIX}gate_{part}"] for part in ("weight", "bias"))
    product = graph.add("MatMul", hidden, graph.vector(f"{PREFIX}gate_weight", gate_weight[:, None]))
    odds = graph.add("Add", product, graph.vector(f"{PREFIX}gate_bias", gate_bias))
    gate, rest = graph.add("Sigmoid", odds), graph.add("Sigmoid", graph.add("Neg", odds))
    parts = graph.add("Mul", gate, graph.add("Exp", of_network)), graph.add("Mul", rest, of_ngrams)
    return graph.add("Log", graph.add("Add", *parts))


def _add_softmax(graph: Graph, options: ModelOptions, layer: Weights, embedding: str, features: str) -> str:
    return _log_softmax(graph, features, _decoder(graph, options, layer, embedding), _vector(graph, layer, "bias"))


def _add_mixture(graph: Graph, options: ModelOptions, layer: Weights, embedding: str, features: str) -> str:
    n_experts = len(layer["prior_weight"])
    prior_logits = graph.linear(features, f"{PREFIX}prior_weight", layer["prior_weight"])
    priors = graph.add("Unsqueeze", graph.add("LogSoftmax", prior_logits, axis=-1), graph.constant([3]))
    sums = graph.linear(
        features, f"{PREFIX}latent_weight", layer["latent_weight"], _vector(graph, layer, "latent_bias")
    )
    # 0: as many as there are.
    shape = graph.constant([0, 0, n_experts, options.embedding_size])
    latents = graph.add("Reshape", graph.add("Tanh", sums), shape)
    decoder = _decoder(graph, options, layer, embedding)
    experts = graph.add("Add", priors, _log_softmax(graph, latents, decoder, _vector(graph, layer, "bias")))
    return graph.add("ReduceLogSumExp", experts, axes=[2], keepdims=0)


def _add_adaptive(graph: Graph, options: ModelOptions, layer: Weights, embedding: str, features: str) -> str:
    cutoffs: tuple[int, ...] = getattr(options.output, "cutoffs")  # noqa: B009
    bounds = list(pairwise((0, *cutoffs, len(layer["bias"]))))

    def transposed(level: int) -> str:
        if not options.tie_weights:
            return graph.matrix(f"{PREFIX}weights.{level}", layer[f"weights.{level}"], np.transpose)
        start, end = (graph.constant([bound]) for bound in bounds[level])
        rows = graph.add("Slice", embedding, start, end, graph.constant([0]))
        return graph.add("Transpose", rows, perm=[1, 0])

    def bias(level: int) -> str:
        start, end = bounds[level]
        values = layer["bias"][start:end]
        in_head = [values, layer["cluster_bias"]] if level == 0 else [values]
        return graph.vector(f"{PREFIX}bias.{level}", np.concatenate(in_head))

    head = transposed(0)
    if len(bounds) == 1:
        return _log_softmax(graph, features, head, bias(0))
    clusters = graph.matrix(f"{PREFIX}cluster_weight", layer["cluster_weight"], np.transpose)
    in_head = _log_softmax(graph, features, graph.add("Concat", head, clusters, axis=1), bias(0))
    sizes = graph.constant([bounds[0][1], *(1 for _ in bounds[1:])])
    frequent, *of_tails = graph.add_with_outputs(len(bounds), "Split", in_head, sizes, axis=-1)
    parts = [frequent]
    for level, of_tail in enumerate(of_tails, start=1):
        reduction = f"reductions.{level - 1}"
        narrow = graph.linear(features, PREFIX + reduction, layer[reduction]) if reduction in layer else features
        parts.append(graph.add("Add", of_tail, _log_softmax(graph, narrow, transposed(level), bias(level))))
    return graph.add("Concat", *parts, axis=-1)


OUTPUT_LAYERS: Mapping[str, Callable[[Graph, ModelOptions, Weights, str, str], str]] = {
    "softmax": _add_softmax,
    "adaptive": _add_adaptive,
    "mixture": _add_mixture,
}


def _decoder(graph: Graph, options: ModelOptions, layer: Weights, embedding: str) -> str:
    """The vectors of tokens, transposed; where they are the embedding's, they are kept once."""
    if options.tie_weights:
        return graph.add("Transpose", embedding, perm=[1, 0])
    return graph.matrix(f"{PREFIX}weight", layer["weight"], np.transpose)


def _vector(graph: Graph, layer: Weights, name: str) -> str:
    return graph.vector(f"{PREFIX}{name}", layer[name])


def _log_softmax(graph: Graph, features: str, transposed: str, bias: str) -> str:
    return graph.add("LogSoftmax", graph.product(features, transposed, bias), axis=-1)
