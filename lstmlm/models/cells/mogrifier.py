r"""The Mogrifier LSTM (Melis et al. 2020, "Mogrifier LSTM", section 2.2): input and output gate each other first.

.. math::

    x^i &= 2 \sigma(Q^i h^{i-1} + b^i) \odot x^{i-2} \quad \text{for odd } i \le r \\
    h^i &= 2 \sigma(R^i x^{i-1} + b^i) \odot h^{i-2} \quad \text{for even } i \le r

from :math:`x^{-1} = x_t` and :math:`h^0 = h_{t-1}`; an LSTM then reads the last :math:`x^i` and :math:`h^i` in their
place. A gate of one, the sigmoid of 0 doubled, changes nothing, and without rounds this is the LSTM. Each matrix may
have low rank, :math:`Q^i = Q^i_\text{left} Q^i_\text{right}`. The biases are those of the authors' code; the paper
leaves them out. State dropout acts on :math:`h^0`, before the rounds, there as here.

`CellWeights.extra` holds, for each round, its matrices in the order in which they are applied (right, left; or the one
of full rank), then its bias.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from lstmlm.models.cells.cell import CellState, CellWeights, Input, Mask, masked
from lstmlm.models.cells.lstm import LSTMCell, LSTMGates, LSTMState


class MogrifierCell(LSTMCell):
    """One step of a Mogrifier LSTM: x and h are gated by turns, x first, by `rounds` matrices of a rank; None: full."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        forget_bias: float,
        input_gate_cap: bool,
        coupled_gates: bool,
        rounds: int,
        rank: int | None,
    ) -> None:
        super().__init__(input_size, hidden_size, forget_bias, input_gate_cap, coupled_gates)
        self.rank = rank
        x_from_h, h_from_x = (hidden_size, input_size), (input_size, hidden_size)
        self.rounds = nn.ModuleList(
            MogrifierRound(*(h_from_x if index % 2 else x_from_h), rank) for index in range(rounds)
        )

    def initialize(self, generator: torch.Generator) -> None:
        """Start as an LSTM whose input and output are hardly gated.

        The matrix of a round gets variance 1 / fan-in, whether it is one or a product of two, as in the authors' code.
        Embeddings and outputs are small at first, hence so are the sums that gates read, and gates are near one.
        Factors of zero would do that too, but never learn: the gradient of each is a product with the other.
        """
        super().initialize(generator)
        for *matrices, bias in self._by_round(self.weights().extra):
            source_size, rank = matrices[0].shape[1], matrices[-1].shape[1]
            variance = 1 / source_size if len(matrices) == 1 else (source_size * rank) ** -0.5
            for matrix in matrices:
                nn.init.normal_(matrix, std=variance**0.5, generator=generator)
            nn.init.zeros_(bias)

    def gates(
        self, x_t: Input, state: CellState, weights: CellWeights | None = None, state_mask: Mask = None
    ) -> LSTMGates:
        """Return the gates of the LSTM, which reads what the rounds leave of x and h; see `Cell.gates`."""
        w = weights or self.weights()
        hidden, cell = state
        x, h = x_t, masked(hidden, state_mask)
        for number, (*matrices, bias) in enumerate(self._by_round(w.extra), start=1):
            if number % 2 == 1:
                x = _gate(w, h, matrices, bias) * x
            else:
                h = _gate(w, x, matrices, bias) * h
        return super().gates(x, LSTMState(h, cell), w)

    def _by_round(self, weights: tuple[Tensor, ...]) -> Iterator[tuple[Tensor, ...]]:
        n_weights = 2 if self.rank is None else 3
        for start in range(0, len(weights), n_weights):
            yield weights[start : start + n_weights]


class MogrifierRound(nn.Module):
    """The weights of one round: a full matrix, or two factors with `rank` rows between them, and a bias."""

    def __init__(self, source_size: int, target_size: int, rank: int | None) -> None:
        super().__init__()
        if rank is None:
            self.weight = nn.Parameter(torch.empty(target_size, source_size))
        else:
            self.weight_right = nn.Parameter(torch.empty(rank, source_size))
            self.weight_left = nn.Parameter(torch.empty(target_size, rank))
        self.bias = nn.Parameter(torch.empty(target_size))


def _gate(w: CellWeights, source: Tensor, matrices: Sequence[Tensor], bias: Tensor) -> Tensor:
    for matrix in matrices:
        source = w.linear(source, matrix)
    return 2 * torch.sigmoid(source + bias)
