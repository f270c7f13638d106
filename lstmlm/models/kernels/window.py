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

A cell may add a bias to :math:`W_h h_{t-1}` alone, and hand a part of its gradient to step t - 1 beside :math:`W_h`:
the carry, which for an LSTM is the gradient of :math:`c_{t-1}`.

State, activations and gradients of the state are float32 also where the products are bfloat16. The loop over time runs
compiled (native/cpp/window.cpp) on a processor with a compiler, else as operations of torch.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from lstmlm.models.cells.cell import CellState, CellWeights, Hidden, Inputs, Mask, Outputs, masked
from lstmlm.models.kernels.gemm import Gemm, GemmPath
from lstmlm.models.kernels.native import Arguments, Window, native_function
from lstmlm.models.kernels.pointwise import bind
from lstmlm.models.kernels.step import WindowKernel


@dataclass(frozen=True)
class Execution:
    """How kernels compute: resolved once for a run, because each choice rounds differently."""

    gemm_path: GemmPath = GemmPath.NATIVE

    compiled: bool = True
    """Whether what lies between large products is compiled, where that can be done, and gradients of weights are."""

    def gemm(self, dtype: torch.dtype) -> Gemm:
        """Return the products for weights of `dtype`: in other formats than float32 torch's own, or ours."""
        path = self.gemm_path
        if dtype != torch.float32:
            path = GemmPath.OWN if path == GemmPath.OWN and dtype == torch.float64 else GemmPath.NATIVE
        return Gemm(path, self.compiled)


EVALUATION = Execution()
"""In the precision of the weights."""


def run_kernel(
    kernel: WindowKernel,
    inputs: Inputs,
    state: CellState,
    weights: CellWeights,
    state_mask: Mask,
    execution: Execution,
    recurrent_bias: Float[Tensor, " gates"] | None = None,
) -> tuple[Outputs, tuple[Tensor, ...]]:
    """Run `kernel` over a window; returns the outputs and the memory after the last step."""
    keep = needs_gradient(inputs, *state, *weights)
    outputs, *last_memory = _Window.apply(  # type: ignore[no-untyped-call]
        kernel,
        execution,
        keep,
        state_mask,
        inputs,
        weights.weight_ih,
        weights.weight_hh,
        weights.bias,
        recurrent_bias,
        *state,
    )
    return outputs, tuple(last_memory)


def needs_gradient(*tensors: Tensor) -> bool:
    """Return whether a backward pass may follow, for which everything of it must be kept."""
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def is_compiled(name: str, inputs: Inputs, execution: Execution) -> bool:
    """Return whether the loop over time called `name` runs compiled, for `inputs` in the format of their products."""
    operand = execution.gemm(inputs.dtype).cast(inputs[0])
    return execution.compiled and native_function(name, operand, "_forward") is not None


@dataclass(frozen=True)
class _Pass:
    """One pass over a window, and the tensors that its steps read and write: those of `Window` in window.cpp.

    Where it `is_whole`, our own products over all steps are computed in one go with the loop, from float32.
    """

    kernel: WindowKernel
    gemm: Gemm
    compiled: bool
    is_whole: bool
    inputs: Tensor
    weight_ih: Tensor
    mask: Tensor | None
    weight: Tensor
    bias: Tensor
    recurrent_bias: Tensor | None
    hiddens: Tensor
    operands: Tensor
    memories: Tensor | None
    kept: Tensor

    @property
    def n_rows(self) -> int:
        return self.hiddens.shape[1]

    @property
    def n_steps(self) -> int:
        return len(self.hiddens) - 1

    def forward(self, projected: Float[Tensor, "time batch gates"]) -> None:
        """Write the hidden states, operands, memories and kept values of all steps.

        A whole pass writes W_x x_t into `projected` first.
        """
        native = native_function(self.kernel.name, self.operands, "_forward") if self.compiled else None
        if native is not None:
            native(self._arguments(projected=projected))
            return
        product = self.gemm.prepare(self.gemm.cast(self.weight), self.n_rows)
        separate = self.operands is not self.hiddens
        # Only in training: an evaluation has windows of ever fewer columns, and for each number it would be compiled.
        fuse = self.compiled and projected.device.type == "cuda" and len(self.kept) > 1
        for t in range(self.n_steps):
            operands = (
                *(projected[t], product(self.operands[t]), self.bias, self.recurrent_bias, self.mask),
                *(self.hiddens[t], self.hiddens[t + 1], self.operands[t + 1] if separate else None),
                *self._memories_of(t),
                self.kept[t if len(self.kept) > 1 else 0],
            )
            bind(self.kernel.write_step, operands, fuse=fuse)(*operands)

    def backward(
        self,
        grad_outputs: Tensor,
        grad_projected: Tensor,
        grad_recurrent: Tensor,
        carry: Tensor,
        sums: Mapping[str, Tensor | None],
    ) -> Hidden:
        """Write the gradients of all pre-activations; returns the first hidden state's, through W_h.

        A whole pass makes the gradients `sums` of those before it returns.
        """
        native = native_function(self.kernel.name, self.operands, "_backward") if self.compiled else None
        if native is not None:
            grad_hidden = torch.empty_like(carry)
            gradients = {"grad_outputs": grad_outputs, "grad_projected": grad_projected, "carry": carry}
            native(self._arguments(**gradients, **sums, grad_recurrent=grad_recurrent, grad_hidden=grad_hidden))
            return grad_hidden
        product = self.gemm.prepare(self.gemm.cast(self.weight).t(), self.n_rows)
        through_weight = torch.zeros_like(carry)
        separate = grad_recurrent is not grad_projected
        fuse = self.compiled and grad_outputs.device.type == "cuda"
        for t in reversed(range(self.n_steps)):
            operands = (
                *(grad_outputs[t], through_weight, self.mask, self.hiddens[t], self.hiddens[t + 1]),
                *(*self._memories_of(t), self.kept[t], grad_projected[t]),
                *(grad_recurrent[t] if separate else None, carry),
            )
            bind(self.kernel.write_step_back, operands, fuse=fuse)(*operands)
            through_weight = product(grad_recurrent[t])
        return masked(through_weight.to(carry.dtype), self.mask)

    def room_for_sums(self, needed: Sequence[bool]) -> dict[str, Tensor | None]:
        """Return room for those gradients that a whole pass makes of `needed` ones: by inputs, W_x, W_h and bias."""
        like = {
            "grad_inputs": self.inputs,
            "grad_weight_ih": self.weight_ih,
            "grad_weight": self.weight,
            "grad_bias": self.bias,
        }
        return {
            name: torch.empty_like(tensor) if self.is_whole and is_needed else None
            for (name, tensor), is_needed in zip(like.items(), needed, strict=False)
        }

    def sums(self, needed: Sequence[bool], grad_projected: Tensor, grad_recurrent: Tensor) -> list[Tensor | None]:
        """Return the same gradients by the products of this route."""
        by_x, by_h, gemm = grad_projected.flatten(0, 1), grad_recurrent.flatten(0, 1), self.gemm
        makers: tuple[Callable[[], Tensor], ...] = (
            lambda: gemm.linear(by_x, self.weight_ih.t()).view_as(self.inputs),
            lambda: gemm.outer(by_x, self.inputs.flatten(0, 1)),
            lambda: gemm.outer(by_h, self.operands[:-1].flatten(0, 1)),
            lambda: gemm.total(by_x),
        )
        like = self.hiddens.dtype
        return [make().to(like) if is_needed else None for make, is_needed in zip(makers, needed, strict=False)]

    def _memories_of(self, t: int) -> tuple[Tensor | None, Tensor | None]:
        return (None, None) if self.memories is None else (self.memories[t], self.memories[t + 1])

    def _arguments(self, **more: Tensor | None) -> Arguments:
        return Window.of(
            n_steps=self.n_steps,
            n_rows=self.n_rows,
            n_inputs=self.inputs.shape[2] if self.is_whole else 0,
            n_units=self.hiddens.shape[2],
            keep=len(self.kept) > 1,
            inputs=self.inputs if self.is_whole else None,
            weight_ih=self.weight_ih,
            weight=self.weight,
            mask=self.mask,
            bias=self.bias,
            recurrent_bias=self.recurrent_bias,
            hiddens=self.hiddens,
            operands=self.operands,
            memories=self.memories,
            kept=self.kept,
            **more,
        )


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
        recurrent_bias: Tensor | None,
        hidden: Tensor,
        *memory: Tensor,
    ) -> tuple[Tensor, ...]:
        gemm, like = execution.gemm(inputs.dtype), inputs.dtype
        n_steps, n_rows, n_units = len(inputs), *hidden.shape
        hiddens = all_steps(hidden, n_steps)
        operands = first_operands(hiddens, gemm.format_of(like), mask)
        has_loop = execution.compiled and native_function(kernel.name, operands, "_forward") is not None
        is_whole = gemm.path.is_ours and has_loop
        if is_whole:
            rows, weight_ih = inputs.contiguous(), weight_ih.contiguous()
            projected = hidden.new_empty(n_steps, n_rows, kernel.n_gates * n_units)
        else:
            rows, weight_ih = gemm.cast(inputs), gemm.cast(weight_ih)
            projected = gemm.linear(rows.flatten(0, 1), weight_ih).to(like).view(n_steps, n_rows, -1)
        memories = all_steps(memory[0], n_steps) if memory else None
        kept_steps = n_steps if keep else 1
        kept = (
            projected
            if kernel.is_in_place(projected)
            else projected.new_empty(kept_steps, n_rows, kernel.n_kept * n_units)
        )
        weight_hh, bias, mask = weight_hh.contiguous(), bias.contiguous(), None if mask is None else mask.contiguous()
        how: tuple[WindowKernel, Gemm, bool, bool] = (kernel, gemm, execution.compiled, is_whole)
        tensors: Any = (rows, weight_ih, mask, weight_hh, bias, recurrent_bias, hiddens, operands, memories, kept)
        _Pass(*how, *tensors).forward(projected)
        if keep:
            ctx.how = how
            ctx.save_for_backward(*tensors)
        return hiddens[1:], *(() if memories is None else (memories[-1].clone(),))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_outputs: Tensor, *grad_memory: Tensor) -> tuple[Tensor | None, ...]:
        window, needed = _Pass(*ctx.how, *ctx.saved_tensors), ctx.needs_input_grad[4:]
        kernel, like = window.kernel, grad_outputs.dtype
        in_place = kernel.is_in_place(window.kept) and window.operands.dtype == like
        if in_place and graph_is_kept():
            window = replace(window, kept=window.kept.clone())
        n_steps, n_rows, n_units = grad_outputs.shape
        gates = (n_steps, n_rows, kernel.n_gates * n_units)
        grad_projected = window.kept if in_place else window.operands.new_empty(gates)
        grad_recurrent = grad_projected if window.recurrent_bias is None else torch.empty_like(grad_projected)
        before = grad_memory[0] if grad_memory else window.hiddens.new_zeros(n_rows, n_units)
        carry = before.clone(memory_format=torch.contiguous_format)
        sums = window.room_for_sums(needed)
        grad_hidden = window.backward(grad_outputs.contiguous(), grad_projected, grad_recurrent, carry, sums)
        if not kernel.has_memory:
            grad_hidden = grad_hidden + carry  # what reaches the first hidden state beside W_h
        gradients = sums.values() if window.is_whole else window.sums(needed, grad_projected, grad_recurrent)
        grad_recurrent_bias = window.gemm.total(grad_recurrent.flatten(0, 1)).to(like) if needed[4] else None
        state = (grad_hidden if needed[5] else None, *((carry,) if kernel.has_memory else ()))
        return None, None, None, None, *gradients, grad_recurrent_bias, *state


def graph_is_kept() -> bool:
    """Return whether the backward pass under way may be followed by another; True where torch does not tell."""
    ask = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", None)  # not public
    return ask is None or bool(ask())


def all_steps(first: Hidden, n_steps: int) -> Outputs:
    """Return room for a state before and after every step; the first is given."""
    states = first.new_empty(n_steps + 1, *first.shape)
    states[0] = first
    return states


def first_operands(hiddens: Outputs, dtype: torch.dtype, mask: Hidden | None) -> Outputs:
    """Return room for what products take of every hidden state, with the first of them: `hiddens` where that is it."""
    if mask is None and dtype == hiddens.dtype:
        return hiddens
    operands = torch.empty_like(hiddens, dtype=dtype)
    operands[0] = masked(hiddens[0], mask)
    return operands
