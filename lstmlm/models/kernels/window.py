r"""A recurrent layer over a whole window as one function of autograd.

With :math:`a_t` the pre-activations of all gates, every cell here reads

.. math::

    a_t = W_x x_t + W_h (m \odot h_{t-1}) + b, \qquad (h_t, c_t) = \phi(a_t, c_{t-1})

where m is the mask of state dropout or one, and c what the cell remembers beside its output. Only :math:`W_h h_{t-1}`
must wait for the step before. So a window takes one product for all :math:`W_x x_t + b`, then per step one product with
few rows and one pointwise step. Backwards, per step, with :math:`\delta_t = \partial L / \partial a_t`,

.. math::

    \partial L / \partial h_{t-1} = \partial L / \partial y_{t-1} + m \odot W_h^\top \delta_t

and after the last one a single product for each sum over time:

.. math::

    \partial W_x = \sum_t \delta_t x_t^\top, \quad \partial W_h = \sum_t \delta_t (m \odot h_{t-1})^\top, \quad
    \partial b = \sum_t \delta_t, \quad \partial x_t = W_x^\top \delta_t.

State, activations and gradients of the state are float32 also where the products are bfloat16.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from lstmlm.models.cells.cell import CellWeights
from lstmlm.models.kernels.gemm import Gemm, GemmPath
from lstmlm.models.kernels.pointwise import PointwiseStep

Views = tuple[Tensor, ...]


@dataclass(frozen=True)
class Execution:
    """How kernels compute: resolved once for a run, because each choice rounds differently."""

    gemm_path: GemmPath = GemmPath.NATIVE

    fuse: bool = True
    """Whether pointwise steps are compiled, where a compiler is present."""


EVALUATION = Execution(fuse=False)
"""Exact and at once: nothing is rounded to another format, and nothing waits for a compiler."""


class WindowKernel(ABC):
    """The pointwise steps of a cell and the buffers that they read and write.

    Operands of `forward_step`, all (batch, ·): `projected` W_x x_t + b, `recurrent` W_h (m ⊙ h_{t-1}), `mask`, `hidden`
    (written), `operand` (written: m ⊙ h_t as the next product takes it), then the views of `forward_views`.

    Operands of `backward_step`: `grad_output` ∂L/∂y_t, `grad_recurrent` W_hᵀ δ_{t+1}, `mask`, then the views of
    `backward_views`, which end in those of δ_t (written), then the gradients of the memory (updated).

    A step may use `recurrent` and `grad_recurrent` up. `mask` and `operand` are None where there is none.
    """

    n_gates: ClassVar[int]
    forward_step: PointwiseStep
    backward_step: PointwiseStep

    @abstractmethod
    def allocate(self, outputs: Tensor, memory: Views, n_kept: int) -> Views:
        """Return the buffers that steps write beside `outputs` (time, batch, hidden); the backward pass reads them.

        Args:
            outputs: Outputs of all steps, for their shape and type.
            memory: The state beside the output before the window.
            n_kept: Steps whose activations are kept: all of them, or 1 where no gradient is asked for.
        """

    @abstractmethod
    def forward_views(self, buffers: Views) -> Iterable[Views]:
        """Return each step's views of the buffers, first step first."""

    @abstractmethod
    def backward_views(self, buffers: Views, outputs: Tensor, grad_gates: Tensor) -> Iterable[Views]:
        """Return each step's views of the buffers, the outputs and the gradients of the gates, first step first."""

    @abstractmethod
    def last_memory(self, buffers: Views) -> Views:
        """Return copies of the state beside the output after the window."""


def run_kernel(
    kernel: WindowKernel,
    inputs: Float[Tensor, "time batch input"],
    hidden: Float[Tensor, "batch hidden"],
    memory: Views,
    weights: CellWeights,
    state_mask: Float[Tensor, "batch hidden"] | None,
    execution: Execution,
) -> tuple[Float[Tensor, "time batch hidden"], Views]:
    """Run `kernel` over a window; returns the outputs and the memory after the last step."""
    keep = torch.is_grad_enabled() and any(t.requires_grad for t in (inputs, hidden, *memory, *weights))
    outputs, *last_memory = _Window.apply(  # type: ignore[no-untyped-call]
        kernel, execution, keep, state_mask, inputs, *weights, hidden, *memory
    )
    return outputs, tuple(last_memory)


class _Window(torch.autograd.Function):
    """The forward and the backward pass of any `WindowKernel`."""

    @staticmethod
    def forward(
        ctx: Any,
        kernel: WindowKernel,
        execution: Execution,
        keep: bool,
        mask: Tensor | None,
        inputs: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias: Tensor,
        hidden: Tensor,
        *memory: Tensor,
    ) -> Views:
        gemm = Gemm.of(execution.gemm_path, inputs.dtype)
        fuse = execution.fuse and inputs.dtype == torch.float32
        n_steps, n_rows, _ = inputs.shape
        rows, weight_ih, weight_hh = (gemm.cast(tensor) for tensor in (inputs.flatten(0, 1), weight_ih, weight_hh))
        projected = gemm.linear(rows, weight_ih, gemm.cast(bias)).view(n_steps, n_rows, -1)

        hiddens = hidden.new_empty(n_steps + 1, *hidden.shape)
        hiddens[0] = hidden
        outputs = hiddens[1:]
        operands: Tensor = hiddens
        operand_views: list[Tensor | None] = [None] * n_steps
        if mask is not None or rows.dtype != hiddens.dtype:
            operands = torch.empty_like(hiddens, dtype=rows.dtype)
            operands[0] = hidden if mask is None else hidden * mask
            operand_views = list(operands[1:].unbind())
        buffers = kernel.allocate(outputs, memory, n_steps if keep else 1)

        product = gemm.prepare(weight_hh, n_rows)
        step = None
        for projected_t, hidden_before, hidden_t, operand_t, views in zip(
            projected.unbind(),
            operands[:-1].unbind(),
            outputs.unbind(),
            operand_views,
            kernel.forward_views(buffers),
            strict=False,  # what a kernel gives for each step may be endless
        ):
            recurrent = product(hidden_before)
            if step is None:
                step = kernel.forward_step.bind((projected_t, recurrent, mask, hidden_t, operand_t, *views), fuse=fuse)
            step(projected_t, recurrent, mask, hidden_t, operand_t, *views)

        if keep:
            ctx.kernel, ctx.gemm, ctx.fuse = kernel, gemm, fuse
            ctx.save_for_backward(mask, rows, weight_ih, weight_hh, operands, outputs, *buffers)
        return outputs, *kernel.last_memory(buffers)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_outputs: Tensor, *grad_last_memory: Tensor) -> tuple[Tensor | None, ...]:
        mask, rows, weight_ih, weight_hh, operands, outputs, *buffers = ctx.saved_tensors
        kernel, gemm = ctx.kernel, ctx.gemm
        n_steps, n_rows, hidden_size = outputs.shape
        needs_inputs, needs_ih, needs_hh, needs_bias, needs_hidden, *_ = ctx.needs_input_grad[4:]

        grad_gates = rows.new_empty(n_steps, n_rows, weight_hh.shape[0])
        grad_memory = tuple(gradient.clone(memory_format=torch.contiguous_format) for gradient in grad_last_memory)
        grad_recurrent = rows.new_zeros(n_rows, hidden_size)
        product = gemm.prepare(weight_hh.t(), n_rows)
        step, grad_gates_after = None, None
        for grad_output, grad_gates_t, views in _reversed_steps(
            grad_outputs.contiguous().unbind(),
            grad_gates.unbind(),
            kernel.backward_views(tuple(buffers), outputs, grad_gates),
        ):
            if grad_gates_after is not None:
                grad_recurrent = product(grad_gates_after)
            if step is None:
                operands_t = (grad_output, grad_recurrent, mask, *views, *grad_memory)
                step = kernel.backward_step.bind(operands_t, fuse=ctx.fuse)
            step(grad_output, grad_recurrent, mask, *views, *grad_memory)
            grad_gates_after = grad_gates_t

        grad_hidden = None
        if needs_hidden and grad_gates_after is not None:
            grad_hidden = product(grad_gates_after).to(outputs.dtype)
            grad_hidden = grad_hidden if mask is None else grad_hidden * mask
        flat = grad_gates.flatten(0, 1)
        like = outputs.dtype
        grad_inputs = gemm.linear(flat, weight_ih.t()).to(like).view(n_steps, n_rows, -1) if needs_inputs else None
        grad_ih = gemm.outer(flat, rows).to(like) if needs_ih else None
        grad_hh = gemm.outer(flat, operands[:-1].flatten(0, 1)).to(like) if needs_hh else None
        grad_bias = gemm.total(flat).to(like) if needs_bias else None
        return None, None, None, None, grad_inputs, grad_ih, grad_hh, grad_bias, grad_hidden, *grad_memory


def _reversed_steps(
    grad_outputs: Views, grad_gates: Views, views: Iterable[Views]
) -> Iterator[tuple[Tensor, Tensor, Views]]:
    return reversed(list(zip(grad_outputs, grad_gates, views, strict=True)))
