r"""Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000).

.. math::

    (i, f, g, o) &= W_x x_t + W_h h_{t-1} + b \\
    c_t &= \sigma(f) \odot c_{t-1} + \sigma(i) \odot \tanh(g) \\
    h_t &= \sigma(o) \odot \tanh(c_t)

:math:`c_t` is the long memory: what the forget gate lets stay is carried on unchanged, so that its gradient does not
vanish. :math:`h_t` is the short one, and the output. The four gates share one matrix, in PyTorch's order (input,
forget, candidate, output), so that weights can be copied to and from `torch.nn.LSTM`;
`tests/models/cells/test_torch.py` does so.

With `input_gate_cap` the input gate is :math:`\min(\sigma(i), 1 - \sigma(f))` instead: :math:`c_t` is then at most a
weighted mean of :math:`c_{t-1}` and :math:`\tanh(g)`, so it stays within -1 and 1 (Melis et al. 2018, "On the State of
the Art of Evaluation in Neural Language Models"). With `coupled_gates` it is :math:`1 - \sigma(f)` itself, and the
matrix has three parts (Greff et al. 2017, "LSTM: A Search Space Odyssey", CIFG).
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lstmlm.models.cells.cell import Cell, CellState, CellWeights, Hidden, Input, Mask, masked


class LSTMState(NamedTuple):
    """What an LSTM remembers: `hidden` for a short, `cell` for a long time."""

    hidden: Hidden
    cell: Hidden


class LSTMGates(NamedTuple):
    """What an LSTM decides in a step."""

    i: Hidden
    """Input gate: how much of the candidate is added to the memory."""
    f: Hidden
    """Forget gate: how much of the memory stays."""
    g: Hidden
    """Candidate: what could be added."""
    o: Hidden
    """Output gate: how much of the memory is seen."""


class LSTMCell(Cell):
    """One step of a long short-term memory."""

    state_type = LSTMState

    def __init__(
        self, input_size: int, hidden_size: int, forget_bias: float, input_gate_cap: bool, coupled_gates: bool
    ) -> None:
        self.n_gates = 3 if coupled_gates else 4
        super().__init__(input_size, hidden_size)
        self.forget_bias = forget_bias
        self.input_gate_cap = input_gate_cap

    def initialize(self, generator: torch.Generator) -> None:
        """Draw both matrices from U(-1/sqrt(hidden), 1/sqrt(hidden)), as `torch.nn.LSTM` does; set the forget bias."""
        bound = self.hidden_size**-0.5
        nn.init.uniform_(self.weight_ih, -bound, bound, generator=generator)
        nn.init.uniform_(self.weight_hh, -bound, bound, generator=generator)
        nn.init.zeros_(self.bias)
        with torch.no_grad():
            self.bias.view(self.n_gates, self.hidden_size)[-3] = self.forget_bias

    def forward(
        self, x_t: Input, state: CellState, weights: CellWeights | None = None, state_mask: Mask = None
    ) -> tuple[Hidden, LSTMState]:
        """Read one token a column; see `Cell.forward`."""
        _, cell = state
        i, f, g, o = self.gates(x_t, state, weights, state_mask)
        cell = f * cell + i * g
        hidden = o * torch.tanh(cell)
        return hidden, LSTMState(hidden, cell)

    def gates(
        self, x_t: Input, state: CellState, weights: CellWeights | None = None, state_mask: Mask = None
    ) -> LSTMGates:
        """Return the gates of a step; see `Cell.gates`."""
        w = weights or self.weights()
        hidden, _ = state
        return self.activate(w.linear(x_t, w.weight_ih, w.bias) + w.linear(masked(hidden, state_mask), w.weight_hh))

    def activate(self, sums: Float[Tensor, "batch gates"]) -> LSTMGates:
        """Return the gates from the sums that they are functions of."""
        *own_i, f, g, o = sums.chunk(self.n_gates, dim=1)
        f, g, o = torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
        i = torch.sigmoid(own_i[0]) if own_i else 1 - f
        if self.input_gate_cap:
            i = torch.minimum(i, 1 - f)
        return LSTMGates(i, f, g, o)
