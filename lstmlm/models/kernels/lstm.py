r"""The window kernel of the LSTM: the pointwise steps of `models/cells/lstm.py`, forward and backward.

With :math:`\bar x = \partial L / \partial x` and :math:`\bar c_t` arriving from step t + 1, a step back is

.. math::

    \bar c_t &\mathrel{+}= \bar h_t \odot o \odot (1 - \tanh^2 c_t) \\
    \bar a_o &= \bar h_t \odot \tanh(c_t) \odot o (1 - o) \qquad
    \bar a_i = \bar c_t \odot g \odot i (1 - i) \\
    \bar a_f &= \bar c_t \odot c_{t-1} \odot f (1 - f) \qquad
    \bar a_g = \bar c_t \odot i \odot (1 - g^2) \\
    \bar c_{t-1} &= \bar c_t \odot f

where the letters i f g o are the activated gates, kept from the forward pass.
"""

from collections.abc import Iterable
from itertools import repeat
from typing import ClassVar

import torch
from torch import Tensor

from lstmlm.models.kernels.pointwise import PointwiseStep, fast_tanh
from lstmlm.models.kernels.window import Views, WindowKernel

sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
tanh_backward = torch.ops.aten.tanh_backward


def _forward_equations(
    projected: Tensor,
    recurrent: Tensor,
    mask: Tensor | None,
    hidden: Tensor,
    operand: Tensor | None,
    cell_before: Tensor,
    cell: Tensor,
    *gates: Tensor,
) -> None:
    a_i, a_f, a_g, a_o = (projected.float() + recurrent.float()).chunk(4, dim=1)
    i, f, g, o = torch.sigmoid(a_i), torch.sigmoid(a_f), fast_tanh(a_g), torch.sigmoid(a_o)
    c_t = f * cell_before + i * g
    h_t = o * fast_tanh(c_t)
    for gate, value in zip(gates, (i, f, g, o), strict=True):
        gate.copy_(value)
    cell.copy_(c_t)
    hidden.copy_(h_t)
    if operand is not None:
        operand.copy_(h_t if mask is None else h_t * mask)


def _forward_in_place(
    projected: Tensor,
    recurrent: Tensor,
    mask: Tensor | None,
    hidden: Tensor,
    operand: Tensor | None,
    cell_before: Tensor,
    cell: Tensor,
    i: Tensor,
    f: Tensor,
    g: Tensor,
    o: Tensor,
) -> None:
    a_i, a_f, a_g, a_o = recurrent.to(hidden.dtype).add_(projected).chunk(4, dim=1)
    torch.sigmoid(a_i, out=i)
    torch.sigmoid(a_f, out=f)
    torch.tanh(a_g, out=g)
    torch.sigmoid(a_o, out=o)
    torch.mul(f, cell_before, out=cell).addcmul_(i, g)
    torch.tanh(cell, out=hidden).mul_(o)
    if operand is not None:
        operand.copy_(hidden if mask is None else hidden * mask)


def _backward_equations(
    grad_output: Tensor,
    grad_recurrent: Tensor,
    mask: Tensor | None,
    cell_before: Tensor,
    cell: Tensor,
    gates: Tensor,
    *gradients: Tensor,
) -> None:
    *grad_gates, grad_cell = gradients
    i, f, g, o = gates.chunk(4, dim=1)
    grad_recurrent = grad_recurrent.float()
    grad_hidden = grad_output + (grad_recurrent if mask is None else grad_recurrent * mask)
    tanh_cell = fast_tanh(cell)
    grad_c = grad_cell + grad_hidden * o * (1 - tanh_cell * tanh_cell)
    values = (
        grad_c * g * i * (1 - i),
        grad_c * cell_before * f * (1 - f),
        grad_c * i * (1 - g * g),
        grad_hidden * tanh_cell * o * (1 - o),
    )
    for grad_gate, value in zip(grad_gates, values, strict=True):
        grad_gate.copy_(value)
    grad_cell.copy_(grad_c * f)


def _backward_in_place(
    grad_output: Tensor,
    grad_recurrent: Tensor,
    mask: Tensor | None,
    cell_before: Tensor,
    cell: Tensor,
    gates: Tensor,
    grad_i: Tensor,
    grad_f: Tensor,
    grad_g: Tensor,
    grad_o: Tensor,
    grad_cell: Tensor,
) -> None:
    i, f, g, o = gates.chunk(4, dim=1)
    grad_hidden = grad_recurrent.to(grad_output.dtype)
    grad_hidden = (grad_hidden if mask is None else grad_hidden.mul_(mask)).add_(grad_output)
    tanh_cell = torch.tanh(cell)
    scratch = torch.mul(grad_hidden, tanh_cell)
    sigmoid_backward(scratch, o, grad_input=grad_o)
    grad_cell.add_(tanh_backward(grad_hidden.mul_(o), tanh_cell))
    sigmoid_backward(torch.mul(grad_cell, g, out=scratch), i, grad_input=grad_i)
    sigmoid_backward(torch.mul(grad_cell, cell_before, out=scratch), f, grad_input=grad_f)
    tanh_backward.grad_input(torch.mul(grad_cell, i, out=scratch), g, grad_input=grad_g)
    grad_cell.mul_(f)


class LSTMKernel(WindowKernel):
    """The LSTM over a window. Its buffers: cells before and after every step, and activated gates i f g o."""

    n_gates: ClassVar[int] = 4
    forward_step = PointwiseStep(_forward_equations, _forward_in_place)
    backward_step = PointwiseStep(_backward_equations, _backward_in_place)

    def allocate(self, outputs: Tensor, memory: Views, n_kept: int) -> Views:
        """Return the cells (time + 1, batch, hidden) and the gates (n_kept, batch, 4 hidden)."""
        n_steps, batch_size, hidden_size = outputs.shape
        cells = outputs.new_empty(n_steps + 1, batch_size, hidden_size)
        cells[0] = memory[0]
        return cells, outputs.new_empty(n_kept, batch_size, self.n_gates * hidden_size)

    def forward_views(self, buffers: Views) -> Iterable[Views]:
        """Return cell before, cell, and the four gates of each step."""
        cells, gates = buffers[0].unbind(), buffers[1]
        return zip(cells[:-1], cells[1:], *_each_gate(gates, len(cells) - 1), strict=True)

    def backward_views(self, buffers: Views, outputs: Tensor, grad_gates: Tensor) -> Iterable[Views]:
        """Return cell before, cell, all gates, and the gradient of each gate of each step."""
        cells, gates = buffers[0].unbind(), buffers[1].unbind()
        return zip(cells[:-1], cells[1:], gates, *_each_gate(grad_gates, len(outputs)), strict=True)

    def last_memory(self, buffers: Views) -> Views:
        """Return the cells after the last step."""
        return (buffers[0][-1].clone(),)


def _each_gate(gates: Tensor, n_steps: int) -> list[Iterable[Tensor]]:
    """Return each gate's views of `n_steps` steps; a buffer of a single step is written again and again."""
    if len(gates) < n_steps:
        return [repeat(gate, n_steps) for gate in gates[0].chunk(LSTMKernel.n_gates, dim=-1)]
    return [gate.unbind() for gate in gates.chunk(LSTMKernel.n_gates, dim=-1)]
