r"""The window kernel of the LSTM with layer normalisation: `models/cells/layer_norm_lstm.py`, forward and backward.

One product gives :math:`W_x x_t` of all steps; what is normalised by it, by :math:`W_h h_{t-1}` and by :math:`c_t`
follows within the loop. Normalisation of n values a, :math:`\hat a = (a - \mu) / \sigma`, goes back as

.. math::

    \bar a = \frac{1}{\sigma} \Bigl(\bar{\hat a} - \frac{1}{n} \sum \bar{\hat a}
        - \hat a \odot \frac{1}{n} \sum \bar{\hat a} \odot \hat a \Bigr)

where :math:`\bar x = \partial L / \partial x`, so that the gradients of both products differ, and each is kept for the
products that give those of :math:`W_x`, :math:`W_h` and the inputs after the loop. The gradients of gains and biases
are added up in the loop.

The loops over time exist compiled only (native/cpp/layer_norm_lstm.cpp): elsewhere the cell itself runs, step by step.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lstmlm.models.cells.cell import CellState, CellWeights, Inputs, Mask, Outputs
from lstmlm.models.cells.layer_norm_lstm import EPSILON, LayerNormLSTMCell
from lstmlm.models.kernels.lstm import variant_of
from lstmlm.models.kernels.native import LayerNormLSTM, native_function
from lstmlm.models.kernels.window import Execution, all_steps, first_operands, is_compiled, needs_gradient


def run_layer_norm_lstm(
    cell: LayerNormLSTMCell,
    inputs: Inputs,
    state: CellState,
    weights: CellWeights,
    state_mask: Mask,
    execution: Execution,
) -> tuple[Outputs, tuple[Tensor, ...]] | None:
    """Run a window; returns the outputs and the memory after the last step, or None where the cell itself is to run."""
    name = f"layer_norm_lstm{variant_of(cell)}"
    if not is_compiled(name, inputs, execution):
        return None
    keep = needs_gradient(inputs, *state, *weights)
    outputs, memory = _LayerNormLSTM.apply(  # type: ignore[no-untyped-call]
        name, execution, keep, state_mask, inputs, *state, *weights
    )
    return outputs, (memory,)


def _sizes(n_steps: int, n_rows: int, n_units: int) -> dict[str, float]:
    return {"n_steps": n_steps, "n_rows": n_rows, "n_units": n_units, "epsilon": EPSILON}


class _LayerNormLSTM(torch.autograd.Function):
    """A window and its gradients; see the module."""

    @staticmethod
    def forward(
        ctx: Any,
        name: str,
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
        kept_steps, n_gates = n_steps if keep else 1, len(bias)
        rows, weight_ih = gemm.cast(inputs.flatten(0, 1)), gemm.cast(weight_ih)
        hiddens, memories = all_steps(hidden, n_steps), all_steps(memory, n_steps)
        gain_ih, gain_hh, gain_cell, bias_cell = (vector.contiguous() for vector in extra)
        tensors = {
            "weight": weight_hh.contiguous(),
            "bias": bias.contiguous(),
            "gain_ih": gain_ih,
            "gain_hh": gain_hh,
            "gain_cell": gain_cell,
            "bias_cell": bias_cell,
            "mask": None if mask is None else mask.contiguous(),
            "projected": gemm.linear(rows, weight_ih),
            "hiddens": hiddens,
            "operands": first_operands(hiddens, rows.dtype, mask),
            "memories": memories,
            "kept": hidden.new_empty(kept_steps, n_rows, n_gates),
            "normalized": hidden.new_empty(kept_steps, n_rows, n_gates),
            "statistics": hidden.new_empty(kept_steps, n_rows, 3, 2),
        }
        native = native_function(name, rows, "_forward")
        assert native is not None  # as `run_layer_norm_lstm` found
        native(LayerNormLSTM.of(**_sizes(n_steps, *hidden.shape), **tensors, keep=keep))
        if keep:
            ctx.name, ctx.gemm, ctx.names = name, gemm, tuple(tensors)
            ctx.save_for_backward(rows, weight_ih, *tensors.values())
        return hiddens[1:], memories[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_outputs: Tensor, grad_memory: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight_ih, *saved = ctx.saved_tensors
        tensors, gemm = dict(zip(ctx.names, saved, strict=True)), ctx.gemm
        n_steps, n_rows, n_units = grad_outputs.shape
        n_gates, like = len(tensors["bias"]), grad_outputs.dtype
        grad_projected, grad_recurrent = rows.new_empty(2, n_steps, n_rows, n_gates)
        grad_vectors = grad_outputs.new_zeros(torch.get_num_threads(), 3 * n_gates + 2 * n_units)
        grad_hidden = grad_outputs.new_zeros(n_rows, n_units)
        grad_memory = grad_memory.clone(memory_format=torch.contiguous_format)
        native = native_function(ctx.name, rows, "_backward")
        assert native is not None
        native(
            LayerNormLSTM.of(
                **_sizes(n_steps, n_rows, n_units),
                **tensors,
                keep=True,
                grad_outputs=grad_outputs.contiguous(),
                grad_projected=grad_projected,
                grad_recurrent=grad_recurrent,
                grad_vectors=grad_vectors,
                carry=grad_memory,
                grad_hidden=grad_hidden,
            )
        )
        grad_projected, grad_recurrent = grad_projected.flatten(0, 1), grad_recurrent.flatten(0, 1)
        grad_inputs = None
        if ctx.needs_input_grad[4]:
            grad_inputs = gemm.linear(grad_projected, weight_ih.t()).to(like).view(n_steps, n_rows, -1)
        matrices = (
            gemm.outer(grad_projected, rows).to(like),
            gemm.outer(grad_recurrent, tensors["operands"][:-1].flatten(0, 1)).to(like),
        )
        vectors = torch.split(grad_vectors.sum(0), [n_gates] * 3 + [n_units] * 2)
        return *(None,) * 4, grad_inputs, grad_hidden, grad_memory, *matrices, *vectors
