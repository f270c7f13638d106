"""The cells of `models/cells/` over a whole window, fast; each agrees with its cell, which is its specification."""

from collections.abc import Callable
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor

from lstmlm.models.cells.cell import Cell, CellState, CellWeights
from lstmlm.models.cells.gru import GRUCell
from lstmlm.models.cells.lstm import LSTMCell
from lstmlm.models.cells.rnn import RNNCell
from lstmlm.models.kernels.cross_entropy import linear_cross_entropy, linear_nats
from lstmlm.models.kernels.gemm import GemmPath, available_paths, linear
from lstmlm.models.kernels.gru import GRU_KERNEL
from lstmlm.models.kernels.lstm import CAPPED_LSTM_KERNEL, LSTM_KERNEL
from lstmlm.models.kernels.mixture import mixture_cross_entropy, mixture_nats
from lstmlm.models.kernels.native import library
from lstmlm.models.kernels.rnn import RNN_KERNELS
from lstmlm.models.kernels.window import EVALUATION, Execution, WindowKernel, run_kernel

__all__ = [
    "EVALUATION",
    "KERNELS",
    "Execution",
    "GemmPath",
    "available_paths",
    "library",
    "linear",
    "linear_cross_entropy",
    "linear_nats",
    "mixture_cross_entropy",
    "mixture_nats",
    "run_window",
]

KERNELS: dict[type[Cell], Callable[[Cell], WindowKernel]] = {
    GRUCell: lambda _: GRU_KERNEL,
    LSTMCell: lambda cell: CAPPED_LSTM_KERNEL if cast(LSTMCell, cell).input_gate_cap else LSTM_KERNEL,
    RNNCell: lambda cell: RNN_KERNELS[cast(RNNCell, cell).nonlinearity],
}


def run_window(
    cell: Cell,
    inputs: Float[Tensor, "time batch input"],
    state: CellState,
    weights: CellWeights,
    state_mask: Float[Tensor, "batch hidden"] | None = None,
    execution: Execution = EVALUATION,
) -> tuple[Float[Tensor, "time batch hidden"], CellState]:
    """Apply `cell` to every time step of a window.

    Args:
        cell: Which equations to follow; its own weights are not read.
        inputs: One vector a token and column.
        state: State before the window.
        weights: The weights to use, already dropped where weight drop is on.
        state_mask: State dropout: what h_{t-1} is multiplied with on its way into W_h, the same at all steps.
        execution: How to compute.

    Returns:
        The outputs of all steps and the state after the last one, which still belongs to the graph.
    """
    hidden, *memory = state
    recurrent_bias = None
    if isinstance(cell, GRUCell):
        (bias_hn,) = weights.extra
        recurrent_bias = torch.cat([bias_hn.new_zeros(2 * cell.hidden_size), bias_hn])
    outputs, last_memory = run_kernel(
        KERNELS[type(cell)](cell), inputs, hidden, tuple(memory), weights, state_mask, execution, recurrent_bias
    )
    # A copy: the state is carried on, and must not keep the outputs of the whole window alive.
    return outputs, type(state)(outputs[-1].clone(), *last_memory)
