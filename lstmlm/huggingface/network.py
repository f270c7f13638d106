"""A recurrent language model in plain PyTorch, equation by equation; this file needs nothing but torch.

`RecurrentNetwork(**options)` takes what `config.json` says under "network". Token ids are (batch, time), and so is
everything that is read from them, with features or the vocabulary along a third axis.
"""

from collections.abc import Sequence
from functools import reduce
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear, logsigmoid

CellState = tuple[Tensor, ...]
"""What a cell remembers, each (batch, hidden): its output first, then what else it has; n-grams have their contexts."""

ABSENT = -1
"""Stands for the row of an n-gram that does not occur."""

EPSILON = 1e-5
"""Of layer normalisation."""


def parameter(*shape: int) -> nn.Parameter:
    """A parameter whose values come from the file of weights."""
    return nn.Parameter(torch.zeros(*shape))


class RNNCell(nn.Module):
    """Elman 1990: h = tanh(W x + U h + b), or relu in place of tanh."""

    n_gates, n_states = 1, 1

    def __init__(self, input_size: int, hidden_size: int, nonlinearity: str = "tanh"):
        super().__init__()
        self.hidden_size, self.activation = hidden_size, {"tanh": torch.tanh, "relu": torch.relu}[nonlinearity]
        self.weight_ih = parameter(self.n_gates * hidden_size, input_size)
        self.weight_hh = parameter(self.n_gates * hidden_size, hidden_size)
        self.bias = parameter(self.n_gates * hidden_size)

    def initial_state(self, inputs: Tensor) -> CellState:
        """The state in which a text begins: zeros."""
        return (inputs.new_zeros(len(inputs), self.hidden_size),) * self.n_states

    def forward(self, x: Tensor, state: CellState) -> CellState:
        """Read one token of each text, (batch, input), and return the next state."""
        (h,) = state
        return (self.activation(linear(x, self.weight_ih, self.bias) + linear(h, self.weight_hh)),)


class GRUCell(RNNCell):
    """Cho et al. 2014, with the reset gate after the product, as PyTorch has it; gates in the order r, z, n."""

    n_gates, n_states = 3, 1

    def __init__(self, input_size: int, hidden_size: int):
        super().__init__(input_size, hidden_size)
        self.bias_hn = parameter(hidden_size)

    def forward(self, x: Tensor, state: CellState) -> CellState:
        """Read one token of each text; see `RNNCell.forward`."""
        (h,) = state
        x_r, x_z, x_n = linear(x, self.weight_ih, self.bias).chunk(3, dim=1)
        h_r, h_z, h_n = linear(h, self.weight_hh).chunk(3, dim=1)
        r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
        n = torch.tanh(x_n + r * (h_n + self.bias_hn))
        return ((1 - z) * n + z * h,)


class LSTMCell(RNNCell):
    """Hochreiter & Schmidhuber 1997 with a forget gate; gates in the order (input,) forget, candidate, output."""

    n_states = 2

    def __init__(self, input_size: int, hidden_size: int, input_gate_cap: bool = False, coupled_gates: bool = False):
        self.n_gates, self.input_gate_cap = 3 if coupled_gates else 4, input_gate_cap
        super().__init__(input_size, hidden_size)

    def forward(self, x: Tensor, state: CellState) -> CellState:
        """Read one token of each text; see `RNNCell.forward`."""
        h, c = state
        *own_i, f, g, o = self.sums(x, h).chunk(self.n_gates, dim=1)
        f, g, o = torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
        i = torch.sigmoid(own_i[0]) if own_i else 1 - f
        if self.input_gate_cap:
            i = torch.minimum(i, 1 - f)
        c = f * c + i * g
        return o * torch.tanh(self.seen(c)), c

    def sums(self, x: Tensor, h: Tensor) -> Tensor:
        """What the gates are functions of, (batch, gates hidden)."""
        return linear(x, self.weight_ih, self.bias) + linear(h, self.weight_hh)

    def seen(self, c: Tensor) -> Tensor:
        """What the output sees of the memory."""
        return c


class LayerNormLSTMCell(LSTMCell):
    """The LSTM with layer normalisation of its sums and of the memory that its output sees (Ba et al. 2016)."""

    def __init__(self, input_size: int, hidden_size: int, **gates: bool):
        super().__init__(input_size, hidden_size, **gates)
        self.gain_ih, self.gain_hh = parameter(self.n_gates * hidden_size), parameter(self.n_gates * hidden_size)
        self.gain_cell, self.bias_cell = parameter(hidden_size), parameter(hidden_size)

    def sums(self, x: Tensor, h: Tensor) -> Tensor:
        """What the gates are functions of; see `LSTMCell.sums`."""
        from_input = layer_norm(linear(x, self.weight_ih), self.gain_ih.shape, self.gain_ih, self.bias, EPSILON)
        from_hidden = layer_norm(linear(h, self.weight_hh), self.gain_hh.shape, self.gain_hh, eps=EPSILON)
        return from_input + from_hidden

    def seen(self, c: Tensor) -> Tensor:
        """What the output sees of the memory."""
        return layer_norm(c, self.gain_cell.shape, self.gain_cell, self.bias_cell, EPSILON)


class MogrifierCell(LSTMCell):
    """The LSTM whose input and last output gate each other first, the input in odd rounds (Melis et al. 2020)."""

    def __init__(self, input_size: int, hidden_size: int, rounds: int, rank: int | None = None, **gates: bool):
        super().__init__(input_size, hidden_size, **gates)
        sizes = ((hidden_size, input_size), (input_size, hidden_size))
        self.rounds = nn.ModuleList(MogrifierRound(*sizes[index % 2], rank) for index in range(rounds))

    def sums(self, x: Tensor, h: Tensor) -> Tensor:
        """What the gates are functions of; see `LSTMCell.sums`."""
        for number, gate in enumerate(self.rounds, start=1):
            if number % 2 == 1:
                x = gate(h) * x
            else:
                h = gate(x) * h
        return super().sums(x, h)


class MogrifierRound(nn.Module):
    """2 sigmoid(Q s + b), where Q may be a product of two matrices."""

    def __init__(self, source_size: int, target_size: int, rank: int | None):
        super().__init__()
        if rank is None:
            self.weight = parameter(target_size, source_size)
        else:
            self.weight_right, self.weight_left = parameter(rank, source_size), parameter(target_size, rank)
        self.bias = parameter(target_size)

    def forward(self, source: Tensor) -> Tensor:
        """The gates from what they are functions of."""
        for name in ("weight", "weight_right", "weight_left"):
            if hasattr(self, name):
                source = linear(source, getattr(self, name))
        return 2 * torch.sigmoid(source + self.bias)


CELLS = {
    "rnn": RNNCell,
    "gru": GRUCell,
    "lstm": LSTMCell,
    "layer_norm_lstm": LayerNormLSTMCell,
    "mogrifier": MogrifierCell,
}


class Backbone(nn.Module):
    """A stack of recurrent layers, each reading the outputs of the one below."""

    def __init__(self, cell: str, input_size: int, hidden_sizes: Sequence[int], layer_sum: bool, **options: Any):
        super().__init__()
        self.layer_sum = layer_sum
        sizes = pairwise((input_size, *hidden_sizes))
        self.cells = nn.ModuleList(CELLS[cell](below, width, **options) for below, width in sizes)

    def layers(self) -> list[RNNCell]:
        """The cell of each layer, from the input up."""
        return [cell for cell in self.cells if isinstance(cell, RNNCell)]

    def forward(
        self, inputs: Tensor, state: Sequence[CellState] | None, mask: Tensor | None
    ) -> tuple[Tensor, list[CellState]]:
        """Return the features and the next state; where `mask` is 0, state and output stay as they were."""
        outputs, next_state = [], []
        for level, cell in enumerate(self.layers()):
            cell_state = cell.initial_state(inputs) if state is None else state[level]
            steps = []
            for time in range(inputs.shape[1]):
                new = cell(inputs[:, time], cell_state)
                if mask is not None:
                    is_read = mask[:, time, None].bool()
                    new = tuple(torch.where(is_read, now, before) for now, before in zip(new, cell_state, strict=True))
                cell_state = new
                steps.append(cell_state[0])
            inputs = torch.stack(steps, dim=1)
            outputs.append(inputs)
            next_state.append(cell_state)
        return reduce(torch.add, outputs) if self.layer_sum else inputs, next_state


class SoftmaxLayer(nn.Module):
    """p = softmax(W h + b), or of W P h + b with a projection; W is the embedding's matrix where it is tied."""

    def __init__(self, vocab_size: int, embedding_size: int, hidden_size: int, tied: bool, projection: bool = False):
        super().__init__()
        self.weight = None if tied else parameter(vocab_size, embedding_size if projection else hidden_size)
        self.projection = parameter(embedding_size, hidden_size) if projection else None
        self.bias = parameter(vocab_size)

    def forward(self, features: Tensor, embedding: Tensor) -> Tensor:
        """The log-probability of every token."""
        features = features if self.projection is None else linear(features, self.projection)
        weight = embedding if self.weight is None else self.weight
        return torch.log_softmax(linear(features, weight, self.bias), dim=-1)


class AdaptiveSoftmaxLayer(nn.Module):
    """Grave et al. 2017: a softmax over frequent tokens and clusters, and one over the tokens of each cluster."""

    def __init__(
        self,
        vocab_size: int,
        embedding_size: int,
        hidden_size: int,
        tied: bool,
        cutoffs: Sequence[int],
        div_value: int,
        projection: bool = False,
    ):
        super().__init__()
        self.sizes = [end - start for start, end in pairwise((0, *cutoffs, vocab_size))]
        width = embedding_size if projection else hidden_size
        widths = [max(1, width // div_value**level) for level in range(len(self.sizes))]
        self.weights = nn.ParameterList([] if tied else map(parameter, self.sizes, widths))
        self.reductions = nn.ParameterList(parameter(narrow, width) for narrow in widths[1:] if div_value > 1)
        self.cluster_weight, self.cluster_bias = parameter(len(cutoffs), width), parameter(len(cutoffs))
        self.projection = parameter(embedding_size, hidden_size) if projection else None
        self.bias = parameter(vocab_size)

    def forward(self, features: Tensor, embedding: Tensor) -> Tensor:
        """The log-probability of every token."""
        features = features if self.projection is None else linear(features, self.projection)
        weights = list(self.weights) if len(self.weights) else list(embedding.split_with_sizes(self.sizes))
        biases = list(self.bias.split_with_sizes(self.sizes))
        head = torch.cat([weights[0], self.cluster_weight]), torch.cat([biases[0], self.cluster_bias])
        in_head, clusters = torch.log_softmax(linear(features, *head), dim=-1).tensor_split([self.sizes[0]], dim=-1)
        parts = [in_head]
        for level in range(1, len(self.sizes)):
            narrow = linear(features, self.reductions[level - 1]) if len(self.reductions) else features
            within = torch.log_softmax(linear(narrow, weights[level], biases[level]), dim=-1)
            parts.append(clusters[..., level - 1 : level] + within)
        return torch.cat(parts, dim=-1)


class MixtureOfSoftmaxesLayer(nn.Module):
    """Yang et al. 2018: p = sum_k pi_k softmax(W tanh(L_k h + a_k) + b), with pi = softmax(P h)."""

    def __init__(self, vocab_size: int, embedding_size: int, hidden_size: int, tied: bool, n_experts: int):
        super().__init__()
        self.n_experts = n_experts
        self.weight = None if tied else parameter(vocab_size, embedding_size)
        self.bias = parameter(vocab_size)
        self.latent_weight = parameter(n_experts * embedding_size, hidden_size)
        self.latent_bias = parameter(n_experts * embedding_size)
        self.prior_weight = parameter(n_experts, hidden_size)

    def forward(self, features: Tensor, embedding: Tensor) -> Tensor:
        """The log-probability of every token."""
        weight = embedding if self.weight is None else self.weight
        latents = torch.tanh(linear(features, self.latent_weight, self.latent_bias)).chunk(self.n_experts, dim=-1)
        priors = torch.log_softmax(linear(features, self.prior_weight), dim=-1).chunk(self.n_experts, dim=-1)
        experts = (
            torch.log_softmax(linear(latent, weight, self.bias), dim=-1) + prior
            for latent, prior in zip(latents, priors, strict=True)
        )
        return reduce(torch.logaddexp, experts)


OUTPUT_LAYERS = {"softmax": SoftmaxLayer, "adaptive": AdaptiveSoftmaxLayer, "mixture": MixtureOfSoftmaxesLayer}


class NgramTable(nn.Module):
    """The n-grams of one length, by rising keys: the row of all but the last token times the vocabulary, plus that."""

    keys: Tensor
    probability: Tensor
    backoff: Tensor

    def __init__(self, size: int):
        super().__init__()
        self.register_buffer("keys", torch.zeros(size, dtype=torch.long))
        self.register_buffer("probability", torch.zeros(size))
        self.register_buffer("backoff", torch.zeros(size))


class NgramTables(nn.ModuleDict):
    """Kneser-Ney: p(w | h) from the table of its length, else b(h) p(w | h without its first token)."""

    start_id: Tensor

    def __init__(self, vocab_size: int, sizes: Sequence[int]):
        super().__init__({str(length): NgramTable(size) for length, size in enumerate(sizes, start=1)})
        self.vocab_size = vocab_size
        self.register_buffer("start_id", torch.tensor(0))

    def tables(self) -> list[NgramTable]:
        """The table of each length, from single tokens up."""
        return [table for table in self.values() if isinstance(table, NgramTable)]

    def contexts(self, ids: Tensor, before: Tensor | None, mask: Tensor | None) -> Tensor:
        """For each length but the longest, the row of the n-gram that ends at a position; (batch, time, lengths)."""
        now = ids.new_full((len(ids), len(self) - 1), ABSENT) if before is None else before
        steps = []
        for time in range(ids.shape[1]):
            token, rows = ids[:, time], [ids[:, time]]
            for table, context in zip(self.tables()[1:-1], now.unbind(dim=1), strict=False):
                # An absent context has keys below zero, which none is; a line begins anew after the one before.
                keys = context * self.vocab_size + token
                found = torch.searchsorted(table.keys, keys).clamp(max=len(table.keys) - 1)
                is_there = (table.keys[found] == keys) & (token != self.start_id)
                rows.append(torch.where(is_there, found, ABSENT))
            after = torch.stack(rows, dim=1)
            now = after if mask is None else torch.where(mask[:, time, None].bool(), after, now)
            steps.append(now)
        return torch.stack(steps, dim=1)

    def forward(self, contexts: Tensor) -> Tensor:
        """The probability of every token after its contexts."""
        rows, tables = contexts.flatten(0, 1), self.tables()
        total = tables[0].probability.repeat(len(rows), 1)
        for row, (shorter, table) in zip(rows.unbind(dim=1), pairwise(tables), strict=True):
            total = total * torch.where(row == ABSENT, 1, shorter.backoff[row.clamp(min=0)])[:, None]
            # All n-grams with one context are neighbours.
            first, end = torch.searchsorted(table.keys, torch.stack([row, row + 1]) * self.vocab_size)
            place = torch.repeat_interleave(end - first)
            entries = torch.arange(len(place), device=row.device) + (end - (end - first).cumsum(0))[place]
            total[place, table.keys[entries] % self.vocab_size] = table.probability[entries]
        return total.view(*contexts.shape[:2], self.vocab_size)


class NgramMixtureLayer(nn.Module):
    """p = g p_network + (1 - g) p_ngram with the gate g = sigmoid(w h + a)."""

    def __init__(self, network: nn.Module, hidden_size: int):
        super().__init__()
        self.network = network
        self.gate_weight, self.gate_bias = parameter(hidden_size), parameter(1)

    def forward(self, features: Tensor, embedding: Tensor, of_ngrams: Tensor) -> Tensor:
        """The log-probability of every token, given its probability to the n-grams."""
        odds = linear(features, self.gate_weight[None], self.gate_bias)
        of_network = logsigmoid(odds) + self.network(features, embedding)
        return torch.logaddexp(of_network, logsigmoid(-odds) + of_ngrams.log())


class RecurrentNetwork(nn.Module):
    """Embedding, recurrent layers, output layer: from token ids to the log-probabilities of what follows them."""

    def __init__(
        self,
        vocab_size: int,
        embedding_size: int,
        hidden_sizes: Sequence[int],
        tied: bool,
        layer_sum: bool,
        cell: dict[str, Any],
        output: dict[str, Any],
        ngrams: Sequence[int] | None = None,
    ):
        super().__init__()
        # Not `nn.Embedding(...)` alone, which would draw what is read from the file anyway.
        self.embedding = nn.Embedding(vocab_size, embedding_size, _weight=torch.zeros(vocab_size, embedding_size))
        cell, output = dict(cell), dict(output)
        self.backbone = Backbone(cell.pop("name"), embedding_size, hidden_sizes, layer_sum, **cell)
        layer = OUTPUT_LAYERS[output.pop("name")]
        self.output_layer = layer(vocab_size, embedding_size, hidden_sizes[-1], tied, **output)
        self.ngrams = None
        if ngrams is not None:
            self.ngrams = NgramTables(vocab_size, ngrams)
            self.output_layer = NgramMixtureLayer(self.output_layer, hidden_sizes[-1])

    def forward(
        self, ids: Tensor, state: Sequence[CellState] | None = None, mask: Tensor | None = None, last: int = 0
    ) -> tuple[Tensor, list[CellState]]:
        """Read tokens in a state, without one as the beginning of a text.

        Args:
            ids: Token ids, (batch, time). A text begins with the token that ends a line.
            state: What the call before returned.
            mask: 1 where there is a token and 0 where there is padding, which is passed over; (batch, time).
            last: At how many of the last positions to predict; 0 for all.

        Returns:
            Log-probabilities (nats) of the token after each position, (batch, time, vocab), and the next state.
        """
        features, next_state = self.backbone(self.embedding(ids), state, mask)
        asked = features[:, -last:], self.embedding.weight
        if self.ngrams is None:
            return self.output_layer(*asked), next_state
        contexts = self.ngrams.contexts(ids, None if state is None else state[-1][0], mask)
        return self.output_layer(*asked, self.ngrams(contexts[:, -last:])), [*next_state, (contexts[:, -1],)]
