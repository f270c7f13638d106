r"""The window kernel of the Elman network: the pointwise steps of `models/cells/rnn.py`, forward and backward.

The derivative of both nonlinearities is a function of the output, so that nothing but the outputs is kept:

.. math::

    \bar a_t = \bar h_t \odot (1 - h_t^2) \quad\text{for tanh}, \qquad
    \bar a_t = \bar h_t \odot [h_t > 0] \quad\text{for relu}.
"""

from collections.abc import Iterable
from itertools import repeat
from typing import ClassVar

import torch
from torch import Tensor

from lstmlm.models.kernels.pointwise import PointwiseStep, fast_tanh
from lstmlm.models.kernels.window import Views, WindowKernel


def _store(h_t: Tensor, mask: Tensor | None, hidden: Tensor, operand: Tensor | None) -> None:
    hidden.copy_(h_t)
    if operand is not None:
        operand.copy_(h_t if mask is None else h_t * mask)


def _gradient_of_hidden(grad_output: Tensor, grad_recurrent: Tensor, mask: Tensor | None) -> Tensor:
    grad_recurrent = grad_recurrent.to(grad_output.dtype)
    return grad_output + (grad_recurrent if mask is None else grad_recurrent * mask)


def _tanh_forward(
    projected: Tensor, recurrent: Tensor, mask: Tensor | None, hidden: Tensor, operand: Tensor | None
) -> None:
    _store(fast_tanh(projected.float() + recurrent.float()), mask, hidden, operand)


def _tanh_forward_in_place(
    projected: Tensor, recurrent: Tensor, mask: Tensor | None, hidden: Tensor, operand: Tensor | None
) -> None:
    torch.tanh(recurrent.to(hidden.dtype).add_(projected), out=hidden)
    if operand is not None:
        operand.copy_(hidden if mask is None else hidden * mask)


def _tanh_backward(
    grad_output: Tensor, grad_recurrent: Tensor, mask: Tensor | None, hidden: Tensor, grad_gate: Tensor
) -> None:
    grad_gate.copy_(_gradient_of_hidden(grad_output, grad_recurrent, mask) * (1 - hidden * hidden))


def _relu_forward(
    projected: Tensor, recurrent: Tensor, mask: Tensor | None, hidden: Tensor, operand: Tensor | None
) -> None:
    _store(torch.relu(projected.to(hidden.dtype) + recurrent.to(hidden.dtype)), mask, hidden, operand)


def _relu_backward(
    grad_output: Tensor, grad_recurrent: Tensor, mask: Tensor | None, hidden: Tensor, grad_gate: Tensor
) -> None:
    grad_gate.copy_(_gradient_of_hidden(grad_output, grad_recurrent, mask) * (hidden > 0))


STEPS = {
    "tanh": (PointwiseStep(_tanh_forward, _tanh_forward_in_place), PointwiseStep(_tanh_backward, _tanh_backward)),
    "relu": (PointwiseStep(_relu_forward, _relu_forward), PointwiseStep(_relu_backward, _relu_backward)),
}


class RNNKernel(WindowKernel):
    """The Elman network over a window."""

    n_gates: ClassVar[int] = 1

    def __init__(self, nonlinearity: str) -> None:
        self.forward_step, self.backward_step = STEPS[nonlinearity]

    def allocate(self, outputs: Tensor, memory: Views, n_kept: int) -> Views:
        """Return no buffers: the outputs say it all."""
        return ()

    def forward_views(self, buffers: Views) -> Iterable[Views]:
        """Return no views for each step."""
        return repeat(buffers)

    def backward_views(self, buffers: Views, outputs: Tensor, grad_gates: Tensor) -> Iterable[Views]:
        """Return the output and the gradient of the pre-activation of each step."""
        return zip(outputs.unbind(), grad_gates.unbind(), strict=True)

    def last_memory(self, buffers: Views) -> Views:
        """Return nothing: the state is the output."""
        return buffers
