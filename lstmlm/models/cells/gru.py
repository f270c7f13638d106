r"""The gated recurrent unit (Cho et al. 2014), with the reset gate after the product as cuDNN and PyTorch have it.

.. math::

    r_t &= \sigma(W_{xr} x_t + W_{hr} h_{t-1} + b_r) \\
    z_t &= \sigma(W_{xz} x_t + W_{hz} h_{t-1} + b_z) \\
    n_t &= \tanh(W_{xn} x_t + b_n + r_t \odot (W_{hn} h_{t-1} + b_{hn})) \\
    h_t &= (1 - z_t) \odot n_t + z_t \odot h_{t-1}

The reset gate r says how much of the past the candidate n may see, the update gate z how much of it stays. There is no
memory beside the output. The paper resets :math:`h_{t-1}` before the product; after it, the three products with
:math:`h_{t-1}` are one. The gates share one matrix, in PyTorch's order (reset, update, candidate), so that weights can
be copied to and from `torch.nn.GRU`; `tests/models/cells/test_torch.py` does so. PyTorch's two biases of r and z are
one here, their sum; those of n are not the same thing, hence :math:`b_{hn}`, the one weight in `CellWeights.extra`.
"""

from typing import NamedTuple

import torch
from torch import nn

from lstmlm.models.cells.cell import Cell, CellState, CellWeights, Hidden, Input, Mask, masked


class GRUState(NamedTuple):
    """What a gated recurrent unit remembers."""

    hidden: Hidden


class GRUGates(NamedTuple):
    """What a gated recurrent unit decides in a step."""

    r: Hidden
    """Reset gate: how much of the past the candidate sees."""
    z: Hidden
    """Update gate: how much of the past stays."""
    n: Hidden
    """Candidate: what takes the place of the rest."""


class GRUCell(Cell):
    """One step of a gated recurrent unit."""

    n_gates = 3
    state_type = GRUState

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.bias_hn = nn.Parameter(torch.empty(hidden_size))

    def initialize(self, generator: torch.Generator) -> None:
        """Draw both matrices from U(-1/sqrt(hidden), 1/sqrt(hidden)), as `torch.nn.GRU` does."""
        bound = self.hidden_size**-0.5
        nn.init.uniform_(self.weight_ih, -bound, bound, generator=generator)
        nn.init.uniform_(self.weight_hh, -bound, bound, generator=generator)
        nn.init.zeros_(self.bias)
        nn.init.zeros_(self.bias_hn)

    def forward(
        self, x_t: Input, state: CellState, weights: CellWeights | None = None, state_mask: Mask = None
    ) -> tuple[Hidden, GRUState]:
        """Read one token a column; see `Cell.forward`."""
        (hidden,) = state
        _, z, n = self.gates(x_t, state, weights, state_mask)
        hidden = (1 - z) * n + z * hidden
        return hidden, GRUState(hidden)

    def gates(
        self, x_t: Input, state: CellState, weights: CellWeights | None = None, state_mask: Mask = None
    ) -> GRUGates:
        """Return the gates of a step; see `Cell.gates`."""
        w = weights or self.weights()
        (bias_hn,) = w.extra
        (hidden,) = state
        x_r, x_z, x_n = w.linear(x_t, w.weight_ih, w.bias).chunk(3, dim=1)
        h_r, h_z, h_n = w.linear(masked(hidden, state_mask), w.weight_hh).chunk(3, dim=1)
        r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
        return GRUGates(r, z, torch.tanh(x_n + r * (h_n + bias_hn)))
