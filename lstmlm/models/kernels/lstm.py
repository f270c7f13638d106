r"""The window kernel of the LSTM: the arithmetic of `models/cells/lstm.py` on pre-activations, forward and backward.

With :math:`\bar x = \partial L / \partial x` and :math:`\bar c_t` arriving from step t + 1, a step back is

.. math::

    \bar c_t &\mathrel{+}= \bar h_t \odot o \odot (1 - \tanh^2 c_t) \\
    \bar a_o &= \bar h_t \odot \tanh(c_t) \odot o (1 - o) \qquad
    \bar a_i = \bar c_t \odot g \odot i (1 - i) \\
    \bar a_f &= \bar c_t \odot c_{t-1} \odot f (1 - f) \qquad
    \bar a_g = \bar c_t \odot i \odot (1 - g^2) \\
    \bar c_{t-1} &= \bar c_t \odot f

where the letters i f g o are the activated gates, kept from the forward pass. Where the input gate is capped and the
cap :math:`1 - f` takes its place, its own gradient is zero and f's is
:math:`\bar c_t \odot (c_{t-1} - g) \odot f (1 - f)`. Where gates are coupled, the cap has always taken it.
"""

import torch
from torch import Tensor

from lstmlm.models.cells.cell import CellState, CellWeights, Inputs, Mask, Outputs
from lstmlm.models.cells.lstm import LSTMCell
from lstmlm.models.kernels.step import WindowKernel
from lstmlm.models.kernels.window import Execution, run_kernel


def variant_of(cell: LSTMCell) -> str:
    """Return what the name of a kernel ends in by how its input gate opens."""
    if cell.n_gates == 3:
        return "_coupled"
    return "_capped" if cell.input_gate_cap else ""


def _kernel(variant: str) -> WindowKernel:
    """Build the kernel of a variant; what it keeps of the input gate is the one without a cap."""
    is_coupled, is_capped = variant == "_coupled", variant == "_capped"
    n_gates = 3 if is_coupled else 4

    def forward(
        projected: Tensor, recurrent: Tensor, hidden_before: Tensor, cell_before: Tensor
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        *a_i, a_f, a_g, a_o = (projected + recurrent).chunk(n_gates, dim=1)
        f, g, o = torch.sigmoid(a_f), torch.tanh(a_g), torch.sigmoid(a_o)
        if is_coupled:
            cell = f * cell_before + (1 - f) * g
            return o * torch.tanh(cell), cell, (f, g, o)
        i = torch.sigmoid(a_i[0])
        cell = f * cell_before + (torch.minimum(i, 1 - f) if is_capped else i) * g
        return o * torch.tanh(cell), cell, (i, f, g, o)

    def backward(
        grad_hidden: Tensor,
        grad_cell: Tensor,
        hidden_before: Tensor,
        hidden: Tensor,
        cell_before: Tensor,
        cell: Tensor,
        gates: tuple[Tensor, ...],
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], Tensor]:
        *own_i, f, g, o = gates
        tanh_cell = torch.tanh(cell)
        grad_cell = grad_cell + grad_hidden * o * (1 - tanh_cell * tanh_cell)
        grad_o = grad_hidden * tanh_cell * o * (1 - o)
        if is_coupled:
            by_sums = grad_cell * (cell_before - g) * f * (1 - f), grad_cell * (1 - f) * (1 - g * g), grad_o
            return by_sums, by_sums, grad_cell * f
        (i,) = own_i
        grad_i, grad_f, input_gate = grad_cell * g, grad_cell * cell_before, i
        if is_capped:
            cap = 1 - f
            is_over = i > cap
            input_gate = torch.where(is_over, cap, i)
            grad_f = torch.where(is_over, grad_f - grad_i, grad_f)
            grad_i = grad_i.masked_fill(is_over, 0)
        gradients = (
            grad_i * i * (1 - i),
            grad_f * f * (1 - f),
            grad_cell * input_gate * (1 - g * g),
            grad_o,
        )
        return gradients, gradients, grad_cell * f

    return WindowKernel(f"lstm{variant}", n_gates, n_gates, has_memory=True, forward=forward, backward=backward)


KERNEL_OF = {variant: _kernel(variant) for variant in ("", "_capped", "_coupled")}


def run_lstm(
    cell: LSTMCell, inputs: Inputs, state: CellState, weights: CellWeights, state_mask: Mask, execution: Execution
) -> tuple[Outputs, tuple[Tensor, ...]]:
    """Run a window; returns the outputs and the memory after the last step."""
    return run_kernel(KERNEL_OF[variant_of(cell)], inputs, state, weights, state_mask, execution)
