"""The cells of `models/cells/` over a whole window, fast; each agrees with its cell, which is its specification.

`window` is the loop as one function of autograd, which takes the arithmetic of `rnn`, `gru` and `lstm` as a `step` (on
a GPU through `pointwise`); `layer_norm_lstm` and `mogrifier` have loops of their own. `cross_entropy` and `mixture` are
the last layer with its loss. Products take one of the routes of `gemm`, loops are C++ in `native`. Others import from
this page alone, where `KERNELS` has a line for each cell that has a kernel.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from lstmlm.models.cells.cell import Cell, CellState, CellWeights, Inputs, Mask, Outputs, run_steps
from lstmlm.models.cells.gru import GRUCell
from lstmlm.models.cells.layer_norm_lstm import LayerNormLSTMCell
from lstmlm.models.cells.lstm import LSTMCell
from lstmlm.models.cells.mogrifier import MogrifierCell
from lstmlm.models.cells.rnn import RNNCell
from lstmlm.models.kernels.cross_entropy import Beside, cross_entropy_and_nats, linear_cross_entropy, linear_nats
from lstmlm.models.kernels.gemm import GemmPath, available_paths, linear
from lstmlm.models.kernels.gru import run_gru
from lstmlm.models.kernels.layer_norm_lstm import run_layer_norm_lstm
from lstmlm.models.kernels.lstm import run_lstm
from lstmlm.models.kernels.mixture import mixture_cross_entropy, mixture_nats
from lstmlm.models.kernels.mogrifier import run_mogrifier
from lstmlm.models.kernels.native import library
from lstmlm.models.kernels.rnn import run_rnn
from lstmlm.models.kernels.window import EVALUATION, Execution, is_compiled, needs_gradient

__all__ = [
    "EVALUATION",
    "KERNELS",
    "Beside",
    "Execution",
    "GemmPath",
    "available_paths",
    "cross_entropy_and_nats",
    "is_compiled",
    "library",
    "linear",
    "linear_cross_entropy",
    "linear_nats",
    "mixture_cross_entropy",
    "mixture_nats",
    "run_window",
]

KERNELS: dict[type[Cell], Callable[..., tuple[Tensor, tuple[Tensor, ...]] | None]] = {
    GRUCell: run_gru,
    LayerNormLSTMCell: run_layer_norm_lstm,
    LSTMCell: run_lstm,
    MogrifierCell: run_mogrifier,
    RNNCell: run_rnn,
}
"""What runs a window of a cell, with the arguments of `run_window`: returns the outputs and what the state holds beside
the last of them, or None where the cell itself is to run, step by step."""


def run_window(
    cell: Cell,
    inputs: Inputs,
    state: CellState,
    weights: CellWeights,
    state_mask: Mask = None,
    execution: Execution = EVALUATION,
) -> tuple[Outputs, CellState]:
    """Apply `cell` to every time step of a window.

    Args:
        cell: Which equations to follow; its own weights are not read. Without a kernel it runs step by step.
        inputs: One vector a token and column.
        state: State before the window.
        weights: The weights to use, already dropped where weight drop is on.
        state_mask: State dropout: what h_{t-1} is multiplied with on its way into W_h, the same at all steps.
        execution: How to compute.

    Returns:
        The outputs of all steps and the state after the last one, which still belongs to the graph.
    """
    if len(inputs) == 1 and not execution.gemm_path.rounds and not needs_gradient(inputs, *state, *weights):
        # To lay out matrices for a single product, as in generation, does not pay.
        return run_steps(cell, inputs, state, replace(weights, linear=linear), state_mask)
    kernel = KERNELS.get(type(cell)) if _fit_together(inputs, state, weights) else None
    result = None if kernel is None else kernel(cell, inputs, state, weights, state_mask, execution)
    if result is None:
        return run_steps(cell, inputs, state, weights, state_mask)
    outputs, memory = result
    # A copy: the state is carried on, and must not keep the outputs of the whole window alive.
    return outputs, type(state)(outputs[-1].clone(), *memory)


def _fit_together(inputs: Inputs, state: CellState, weights: CellWeights) -> bool:
    """Whether kernels can take these: C++ is told sizes and one format. The cell itself broadcasts, or refuses."""
    real, n_columns = inputs.dtype, inputs.shape[1]
    return (
        real in (torch.float32, torch.float64)
        and n_columns > 0
        and all(part.dtype == real and len(part) == n_columns for part in state)
        and all(part.dtype == real for part in weights)
    )
