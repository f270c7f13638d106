r"""The window kernels of the Elman network: the arithmetic of `models/cells/rnn.py` on pre-activations, both ways.

The derivative of both nonlinearities is a function of the output, so that nothing but the outputs is kept:

.. math::

    \bar a_t = \bar h_t \odot (1 - h_t^2) \quad\text{for tanh}, \qquad
    \bar a_t = \bar h_t \odot [h_t > 0] \quad\text{for relu}.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from lstmlm.models.cells.cell import CellState, CellWeights, Inputs, Mask, Outputs
from lstmlm.models.cells.rnn import RNNCell
from lstmlm.models.kernels.step import WindowKernel
from lstmlm.models.kernels.window import Execution, run_kernel


def _kernel(name: str, activate: Callable[[Tensor], Tensor], derivative: Callable[[Tensor], Tensor]) -> WindowKernel:
    """Build the kernel of a nonlinearity whose `derivative` is a function of its result."""

    def forward(
        projected: Tensor, recurrent: Tensor, hidden_before: Tensor, memory: None
    ) -> tuple[Tensor, None, tuple[Tensor, ...]]:
        return activate(projected + recurrent), None, ()

    def backward(
        grad_hidden: Tensor, carry: Tensor, hidden_before: Tensor, hidden: Tensor, *_: object
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], None]:
        gradients = (grad_hidden * derivative(hidden),)
        return gradients, gradients, None

    return WindowKernel(name, n_gates=1, n_kept=0, has_memory=False, forward=forward, backward=backward)


KERNELS = {
    "tanh": _kernel("rnn_tanh", torch.tanh, lambda hidden: 1 - hidden * hidden),
    "relu": _kernel("rnn_relu", torch.relu, lambda hidden: (hidden > 0).to(hidden.dtype)),
}


def run_rnn(
    cell: RNNCell, inputs: Inputs, state: CellState, weights: CellWeights, state_mask: Mask, execution: Execution
) -> tuple[Outputs, tuple[Tensor, ...]]:
    """Run a window; returns the outputs and the memory after the last step."""
    return run_kernel(KERNELS[cell.nonlinearity], inputs, state, weights, state_mask, execution)
