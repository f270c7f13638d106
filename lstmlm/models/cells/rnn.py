r"""The simple recurrent network (Elman 1990, "Finding Structure in Time", section "Networks with memory").

.. math::

    h_t = \phi(W_x x_t + W_h h_{t-1} + b)

where :math:`\phi` is tanh or relu. The output is :math:`h_t` itself. The gradient through k steps is a product of k
Jacobians :math:`\mathrm{diag}(\phi') W_h`, so it vanishes or explodes with k (Bengio et al. 1994).
"""

from typing import Literal, NamedTuple

import torch
from torch import nn

from lstmlm.models.cells.cell import Cell, CellState, CellWeights, Hidden, Input, Mask, masked

ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu}


class RNNState(NamedTuple):
    """What an Elman network remembers."""

    hidden: Hidden


class RNNCell(Cell):
    """One step of an Elman network."""

    n_gates = 1
    state_type = RNNState

    def __init__(self, input_size: int, hidden_size: int, nonlinearity: Literal["tanh", "relu"]) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = nonlinearity

    def initialize(self, generator: torch.Generator) -> None:
        """Draw W_x uniformly with variance 1 / fan-in and W_h orthogonal, so that gradients start with norm near one.

        Orthogonal recurrence: Saxe et al. 2014; for relu scaled down a little, which would explode otherwise.
        """
        bound = (3 / self.input_size) ** 0.5
        nn.init.uniform_(self.weight_ih, -bound, bound, generator=generator)
        nn.init.orthogonal_(self.weight_hh, gain=1.0 if self.nonlinearity == "tanh" else 0.9, generator=generator)
        nn.init.zeros_(self.bias)

    def forward(
        self, x_t: Input, state: CellState, weights: CellWeights | None = None, state_mask: Mask = None
    ) -> tuple[Hidden, RNNState]:
        """Read one token a column; see `Cell.forward`."""
        w = weights or self.weights()
        (hidden,) = state
        hidden = ACTIVATIONS[self.nonlinearity](
            w.linear(x_t, w.weight_ih, w.bias) + w.linear(masked(hidden, state_mask), w.weight_hh)
        )
        return hidden, RNNState(hidden)
