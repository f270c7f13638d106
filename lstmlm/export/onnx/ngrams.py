"""The n-grams that a network is mixed with: contexts carried like a state, and what they say of every token.

A context is the row of an n-gram in the table of its length, from 1 on: 0, as which a state begins, is that of none.
Contexts are float32 among features and in a state, where they are one more layer, and int32 in between.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from onnx import TensorProto

from lstmlm.export.onnx.graph import Graph
from lstmlm.models.output_layers.ngram_tables import NgramTables


@dataclass(frozen=True)
class Table:
    """The n-grams of one length, all with one context side by side."""

    name: str
    first: np.ndarray
    """By context, where those with it begin; the next context's is where they end."""
    token: np.ndarray
    """The last of each n-gram."""
    probability: np.ndarray
    backoff: np.ndarray
    """By row from 1; 1 for that of none."""

    @property
    def arrays(self) -> Mapping[str, np.ndarray]:
        """What a file holds of it."""
        return {"first": self.first, "token": self.token, "probability": self.probability, "backoff": self.backoff}

    @property
    def most_tokens(self) -> int:
        """How many n-grams have one context, at most."""
        return int(np.diff(self.first).max())

    def add(self, graph: Graph, part: str) -> str:
        """Add one of `arrays` as a constant."""
        array = self.arrays[part]
        return graph.constant(array, f"{self.name}.{part}", array.dtype.type)


def tables_of(ngrams: NgramTables) -> list[Table]:
    """The tables of a model, by length."""
    tensors = {name: tensor.numpy() for name, tensor in ngrams.tensors().items()}
    found, n_contexts = [], 1
    for length in range(1, ngrams.order + 1):
        keys, probability, backoff = (tensors[f"{length}.{part}"] for part in ("keys", "probability", "backoff"))
        # Of single tokens the context is none, and there is but that.
        bounds = np.searchsorted(keys, np.arange(n_contexts + 1) * ngrams.vocab_size)
        first = np.concatenate([[0], bounds]).astype(np.int32)
        token = (keys % ngrams.vocab_size).astype(np.int32)
        longer = np.concatenate([[1], backoff]).astype(np.float32)
        found.append(Table(f"ngrams.{length}", first, token, probability, longer))
        n_contexts = len(keys)
    return found


def add_contexts(graph: Graph, tables: Sequence[Table], start_id: int, ids: str, before: str) -> tuple[str, str]:
    """Add the contexts after each of ids (batch, time).

    Args:
        graph: Where to.
        tables: By length.
        start_id: The token that ends a line: no n-gram goes on over it.
        ids: Token ids.
        before: The contexts before them, (1, batch, lengths).

    Returns:
        Contexts (batch, time, lengths), and the last of them (1, batch, lengths).
    """
    tokens = graph.add("Cast", ids, to=TensorProto.INT32)
    zero, last = graph.constant(0, dtype=np.int32), graph.constant([-1])
    is_inside = graph.add("Not", graph.add("Equal", tokens, graph.constant(start_id, dtype=np.int32)))
    carried = graph.add("Transpose", graph.add("Cast", before, to=TensorProto.INT32), perm=[1, 0, 2])
    of_lengths = [graph.add("Add", tokens, graph.constant(1, dtype=np.int32))]
    for index, table in enumerate(tables[1:-1]):
        earlier = graph.add("Slice", of_lengths[-1], graph.constant([0]), last, graph.constant([1]))
        at_start = _of_length(graph, carried, index)
        entries, is_there, following = _add_entries(graph, table, graph.add("Concat", at_start, earlier, axis=1))
        wanted = graph.add("Equal", following, graph.add("Unsqueeze", tokens, last))
        rows = graph.add("Add", entries, graph.constant(1, dtype=np.int32))
        found = graph.add("Where", graph.add("And", wanted, is_there), rows, zero)
        row = graph.add("ReduceMax", found, axes=[-1], keepdims=0)
        of_lengths.append(graph.add("Where", is_inside, row, zero))
    stacked = graph.add("Concat", *(graph.add("Unsqueeze", rows, last) for rows in of_lengths), axis=2)
    contexts = graph.add("Cast", stacked, to=TensorProto.FLOAT)
    end = graph.add("Slice", contexts, last, graph.constant([np.iinfo(np.int64).max]), graph.constant([1]))
    return contexts, graph.add("Transpose", end, perm=[1, 0, 2])


def add_probabilities(graph: Graph, tables: Sequence[Table], contexts: str) -> str:
    """Add the probability of every token (batch, time, vocab) after contexts (batch, time, lengths).

    p(w | h) is in the table of its length, or b(h) p(w | h without its first token); see `models/ngram.py`.
    """
    last, none = graph.constant([-1]), len(tables[0].probability)
    # One column more than there are tokens takes what is no n-gram.
    total = graph.constant(np.append(tables[0].probability, 0), "ngrams.1.all", np.float32)
    rows = graph.add("Cast", contexts, to=TensorProto.INT32)
    for index, (shorter, table) in enumerate(pairwise(tables)):
        context = _of_length(graph, rows, index)
        backoff = graph.add("Gather", shorter.add(graph, "backoff"), context)
        total = graph.add("Mul", total, graph.add("Unsqueeze", backoff, last))
        entries, is_there, following = _add_entries(graph, table, context)
        place = graph.add("Where", is_there, following, graph.constant(none, dtype=np.int32))
        found = graph.add("Gather", table.add(graph, "probability"), entries)
        total = graph.add("ScatterElements", total, place, found, axis=2)
    return graph.add("Slice", total, graph.constant([0]), graph.constant([none]), graph.constant([2]))


def _of_length(graph: Graph, contexts: str, index: int) -> str:
    """Add the contexts of one length, (batch, time)."""
    return graph.add("Gather", contexts, graph.constant(index), axis=2)


def _add_entries(graph: Graph, table: Table, context: str) -> tuple[str, str, str]:
    """Add what follows contexts (batch, time): places in a table, which of them are n-grams of theirs, their tokens."""
    one, last = graph.constant(1, dtype=np.int32), graph.constant([-1])
    bounds = (context, graph.add("Add", context, one))
    first, end = (
        graph.add("Unsqueeze", graph.add("Gather", table.add(graph, "first"), bound), last) for bound in bounds
    )
    steps = graph.constant(np.arange(table.most_tokens), f"{table.name}.steps", np.int32)
    entries = graph.add("Add", first, steps)
    is_there = graph.add("Less", entries, end)
    entries = graph.add("Min", entries, graph.constant(len(table.token) - 1, dtype=np.int32))
    return entries, is_there, graph.add("Gather", table.add(graph, "token"), entries)
