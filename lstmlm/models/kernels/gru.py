r"""The window kernel of the gated recurrent unit: the arithmetic of `models/cells/gru.py`, forward and backward.

With :math:`a_t = W_x x_t + b`, :math:`u_t = W_h h_{t-1} + (0, 0, b_{hn})` and :math:`\bar x = \partial L / \partial x`,
a step back is

.. math::

    \bar a_n &= \bar h_t \odot (1 - z) \odot (1 - n^2) \qquad
    \bar a_z = \bar h_t \odot (h_{t-1} - n) \odot z (1 - z) \\
    \bar a_r &= \bar a_n \odot u_n \odot r (1 - r) \qquad
    \bar u = (\bar a_r, \bar a_z, \bar a_n \odot r)

and :math:`\bar h_t \odot z` reaches :math:`h_{t-1}` beside the product: the carry. Kept are r, z, n and :math:`u_n`.
"""

import torch
from torch import Tensor

from lstmlm.models.cells.cell import CellState, CellWeights, Inputs, Mask, Outputs
from lstmlm.models.cells.gru import GRUCell
from lstmlm.models.kernels.step import WindowKernel
from lstmlm.models.kernels.window import Execution, run_kernel


def _forward(
    projected: Tensor, recurrent: Tensor, hidden_before: Tensor, memory: None
) -> tuple[Tensor, None, tuple[Tensor, ...]]:
    a_r, a_z, a_n = projected.chunk(3, dim=1)
    u_r, u_z, u_n = recurrent.chunk(3, dim=1)
    r, z = torch.sigmoid(a_r + u_r), torch.sigmoid(a_z + u_z)
    n = torch.tanh(a_n + r * u_n)
    return (1 - z) * n + z * hidden_before, None, (r, z, n, u_n)


def _backward(
    grad_hidden: Tensor,
    carry: Tensor,
    hidden_before: Tensor,
    hidden: Tensor,
    memory_before: None,
    memory: None,
    kept: tuple[Tensor, ...],
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], Tensor]:
    r, z, n, u_n = kept
    grad = grad_hidden + carry
    grad_n = grad * (1 - z) * (1 - n * n)
    grad_r, grad_z = grad_n * u_n * r * (1 - r), grad * (hidden_before - n) * z * (1 - z)
    return (grad_r, grad_z, grad_n), (grad_r, grad_z, grad_n * r), grad * z


KERNEL = WindowKernel("gru", n_gates=3, n_kept=4, has_memory=False, forward=_forward, backward=_backward)


def run_gru(
    cell: GRUCell, inputs: Inputs, state: CellState, weights: CellWeights, state_mask: Mask, execution: Execution
) -> tuple[Outputs, tuple[Tensor, ...]]:
    """Run a window; returns the outputs and the memory after the last step."""
    (bias_hn,) = weights.extra
    recurrent_bias = torch.cat([bias_hn.new_zeros(2 * cell.hidden_size), bias_hn])
    return run_kernel(KERNEL, inputs, state, weights, state_mask, execution, recurrent_bias)
