r"""The LSTM with layer normalisation (Ba et al. 2016, "Layer Normalization", equations 20-22).

.. math::

    \mathrm{LN}(a; \alpha) &= \alpha \odot \frac{a - \mu(a)}{\sqrt{\mathrm{var}(a) + \epsilon}} \\
    (i, f, g, o) &= \mathrm{LN}(W_x x_t; \alpha_x) + \mathrm{LN}(W_h h_{t-1}; \alpha_h) + b \\
    c_t &= \sigma(f) \odot c_{t-1} + \sigma(i) \odot \tanh(g) \\
    h_t &= \sigma(o) \odot \tanh(\mathrm{LN}(c_t; \alpha_c) + \beta_c)

Mean and variance are those of one column at one step, over all four gates together. What is carried on is :math:`c_t`
itself; only what the output sees of it is normalised. The paper adds three biases to the gates, one for each
normalisation and that of the LSTM; their sum is the b here.

`CellWeights.extra` holds :math:`\alpha_x, \alpha_h, \alpha_c, \beta_c`.
"""

import torch
from torch import nn
from torch.nn.functional import layer_norm

from lstmlm.models.cells.cell import CellState, CellWeights, Hidden, Input, Mask, masked
from lstmlm.models.cells.lstm import LSTMCell, LSTMGates, LSTMState

EPSILON = 1e-5


class LayerNormLSTMCell(LSTMCell):
    """One step of a long short-term memory whose sums are normalised."""

    def __init__(
        self, input_size: int, hidden_size: int, forget_bias: float, input_gate_cap: bool, coupled_gates: bool
    ) -> None:
        super().__init__(input_size, hidden_size, forget_bias, input_gate_cap, coupled_gates)
        self.gain_ih = nn.Parameter(torch.empty(self.n_gates * hidden_size))
        self.gain_hh = nn.Parameter(torch.empty(self.n_gates * hidden_size))
        self.gain_cell = nn.Parameter(torch.empty(hidden_size))
        self.bias_cell = nn.Parameter(torch.empty(hidden_size))

    def initialize(self, generator: torch.Generator) -> None:
        """Start like an LSTM, with gains of one: the normalised values as they are (Ba et al. 2016)."""
        super().initialize(generator)
        for gain in (self.gain_ih, self.gain_hh, self.gain_cell):
            nn.init.ones_(gain)
        nn.init.zeros_(self.bias_cell)

    def forward(
        self, x_t: Input, state: CellState, weights: CellWeights | None = None, state_mask: Mask = None
    ) -> tuple[Hidden, LSTMState]:
        """Read one token a column; see `Cell.forward`."""
        w = weights or self.weights()
        *_, gain_cell, bias_cell = w.extra
        _, cell = state
        i, f, g, o = self.gates(x_t, state, w, state_mask)
        cell = f * cell + i * g
        hidden = o * torch.tanh(layer_norm(cell, gain_cell.shape, gain_cell, bias_cell, EPSILON))
        return hidden, LSTMState(hidden, cell)

    def gates(
        self, x_t: Input, state: CellState, weights: CellWeights | None = None, state_mask: Mask = None
    ) -> LSTMGates:
        """Return the gates of a step; see `Cell.gates`."""
        w = weights or self.weights()
        gain_ih, gain_hh, *_ = w.extra
        hidden, _ = state
        from_input = layer_norm(w.linear(x_t, w.weight_ih), gain_ih.shape, gain_ih, w.bias, EPSILON)
        recurrent = w.linear(masked(hidden, state_mask), w.weight_hh)
        from_hidden = layer_norm(recurrent, gain_hh.shape, gain_hh, eps=EPSILON)
        return self.activate(from_input + from_hidden)
