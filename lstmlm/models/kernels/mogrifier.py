r"""The window kernel of the Mogrifier LSTM: the arithmetic of `models/cells/mogrifier.py`, forward and backward.

With :math:`v^{-1} = x_t`, :math:`v^0 = m \odot h_{t-1}` and :math:`W^i` the matrix of round i, all values of a step are

.. math::

    s^i = \sigma(W^i v^{i-1} + b^i), \qquad v^i = 2 s^i \odot v^{i-2},

and the LSTM reads the last two. It gives the gradients of these; then with :math:`\bar x = \partial L / \partial x`,
from the last round to the first,

.. math::

    \bar a^i = 2 \bar v^i \odot v^{i-2} \odot s^i (1 - s^i), \qquad
    \bar v^{i-2} = 2 \bar v^i \odot s^i, \qquad
    \bar v^{i-1} \mathrel{+}= W^{i\top} \bar a^i.

What products read and the gradients of their results are kept for all steps, so that the gradient of each matrix is one
product after the loop: :math:`\partial W^i = \sum_t \bar a^i_t v^{i-1\top}_t`, likewise for factors of low rank.

The loops over time exist compiled only (native/cpp/mogrifier.cpp): elsewhere the cell itself runs, step by step.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lstmlm.models.cells.cell import CellState, CellWeights, Inputs, Mask, Outputs
from lstmlm.models.cells.mogrifier import MogrifierCell
from lstmlm.models.kernels.gemm import Gemm
from lstmlm.models.kernels.lstm import variant_of
from lstmlm.models.kernels.native import Mogrifier, native_function
from lstmlm.models.kernels.window import Execution, all_steps, is_compiled, needs_gradient


def run_mogrifier(
    cell: MogrifierCell, inputs: Inputs, state: CellState, weights: CellWeights, state_mask: Mask, execution: Execution
) -> tuple[Outputs, tuple[Tensor, ...]] | None:
    """Run a window; returns the outputs and the memory after the last step, or None where the cell itself is to run."""
    name = f"mogrifier{variant_of(cell)}"
    if not is_compiled(name, inputs, execution):
        return None
    keep = needs_gradient(inputs, *state, *weights)
    layout = _Layout(cell.input_size, cell.hidden_size, len(cell.rounds), cell.rank or 0)
    outputs, memory = _Mogrifier.apply(  # type: ignore[no-untyped-call]
        name, layout, execution, keep, state_mask, inputs, *state, *weights
    )
    return outputs, (memory,)


@dataclass(frozen=True)
class _Layout:
    """Where the values v^i of a step lie in a row, and what belongs to round i; as in mogrifier.cpp."""

    input_size: int
    hidden_size: int
    n_rounds: int
    rank: int

    def begin(self, i: int) -> int:
        return (i + 2) // 2 * self.input_size + (i + 1) // 2 * self.hidden_size

    def values(self, i: int) -> slice:
        return slice(self.begin(i), self.begin(i + 1))

    def gates(self, i: int) -> slice:
        return slice(self.begin(i) - self.begin(1), self.begin(i + 1) - self.begin(1))

    def inner(self, i: int) -> slice:
        return slice((i - 1) * self.rank, i * self.rank)

    @property
    def values_size(self) -> int:
        return self.begin(self.n_rounds + 1)

    @property
    def gates_size(self) -> int:
        return self.begin(self.n_rounds + 1) - self.begin(1)

    @property
    def inner_size(self) -> int:
        return self.n_rounds * self.rank

    def side_by_side(self, of_input: Tensor, of_hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return what belongs to x and to h in the order in which the last two values lie."""
        return (of_hidden, of_input) if self.n_rounds % 2 else (of_input, of_hidden)

    def sizes(self, n_steps: int, n_rows: int) -> dict[str, int]:
        return {
            "n_steps": n_steps,
            "n_rows": n_rows,
            "n_inputs": self.input_size,
            "n_units": self.hidden_size,
            "n_rounds": self.n_rounds,
            "rank": self.rank,
        }


class _Mogrifier(torch.autograd.Function):
    """A window and its gradients; see the module."""

    @staticmethod
    def forward(
        ctx: Any,
        name: str,
        layout: _Layout,
        execution: Execution,
        keep: bool,
        mask: Tensor | None,
        inputs: Tensor,
        hidden: Tensor,
        memory: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias: Tensor,
        *extra: Tensor,
    ) -> tuple[Tensor, Tensor]:
        gemm = execution.gemm(inputs.dtype)
        n_steps, n_rows, _ = inputs.shape
        kept_steps = n_steps if keep else 1
        operands = gemm.cast(inputs.new_empty(0)).new_empty(kept_steps, n_rows, layout.values_size)
        hiddens, memories = all_steps(hidden, n_steps), all_steps(memory, n_steps)
        tensors = {
            "inputs": inputs.contiguous(),
            "weight": torch.cat(layout.side_by_side(weight_ih, weight_hh), dim=1),
            "bias": bias.contiguous(),
            "rounds": torch.cat([bias.new_empty(0), *(weight.flatten() for weight in extra)]),
            "mask": None if mask is None else mask.contiguous(),
            "hiddens": hiddens,
            "memories": memories,
            "operands": operands,
            "inner": operands.new_empty(kept_steps, n_rows, layout.inner_size),
            "opened": inputs.new_empty(kept_steps, n_rows, layout.gates_size),
            "kept": inputs.new_empty(kept_steps, n_rows, len(bias)),
        }
        native = native_function(name, operands, "_forward")
        assert native is not None  # as `run_mogrifier` found
        native(Mogrifier.of(**layout.sizes(n_steps, n_rows), **tensors, keep=keep))
        if keep:
            ctx.name, ctx.layout, ctx.gemm, ctx.names = name, layout, gemm, tuple(tensors)
            ctx.save_for_backward(*tensors.values())
        return hiddens[1:], memories[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_outputs: Tensor, grad_memory: Tensor) -> tuple[Tensor | None, ...]:
        layout, tensors = ctx.layout, dict(zip(ctx.names, ctx.saved_tensors, strict=True))
        inputs, operands = tensors["inputs"], tensors["operands"]
        n_steps, n_rows, _ = inputs.shape
        grad_gates = operands.new_empty(n_steps, n_rows, len(tensors["bias"]))
        grad_opened = operands.new_empty(n_steps, n_rows, layout.gates_size)
        grad_inner = operands.new_empty(n_steps, n_rows, layout.inner_size)
        grad_inputs, grad_hidden = torch.empty_like(inputs), inputs.new_zeros(n_rows, layout.hidden_size)
        grad_memory = grad_memory.clone(memory_format=torch.contiguous_format)
        native = native_function(ctx.name, operands, "_backward")
        assert native is not None
        native(
            Mogrifier.of(
                **layout.sizes(n_steps, n_rows),
                **tensors,
                keep=True,
                grad_outputs=grad_outputs.contiguous(),
                grad_gates=grad_gates,
                grad_opened=grad_opened,
                grad_inner=grad_inner,
                grad_inputs=grad_inputs,
                carry=grad_memory,
                grad_hidden=grad_hidden,
            )
        )
        weights = _sums_over_time(layout, ctx.gemm, operands, tensors["inner"], grad_gates, grad_opened, grad_inner)
        return *(None,) * 5, grad_inputs, grad_hidden, grad_memory, *(grad.to(inputs.dtype) for grad in weights)


def _sums_over_time(
    layout: _Layout, gemm: Gemm, operands: Tensor, inner: Tensor, grad_gates: Tensor, *grad_rounds: Tensor
) -> list[Tensor]:
    """Return the gradients of all weights, in the order of `CellWeights`."""
    values, inner, by_gates = operands.flatten(0, 1), inner.flatten(0, 1), grad_gates.flatten(0, 1)
    by_opened, by_inner = (gradients.flatten(0, 1) for gradients in grad_rounds)
    first, second = (gemm.outer(by_gates, values[:, layout.values(i)]) for i in (layout.n_rounds - 1, layout.n_rounds))
    gradients = [*layout.side_by_side(first, second), gemm.total(by_gates)]
    for i in range(1, layout.n_rounds + 1):
        source, by_sums = values[:, layout.values(i - 1)], by_opened[:, layout.gates(i)]
        if layout.rank:
            gradients.append(gemm.outer(by_inner[:, layout.inner(i)], source))
            source = inner[:, layout.inner(i)]
        gradients += [gemm.outer(by_sums, source), gemm.total(by_sums)]
    return gradients
