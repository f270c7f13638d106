"""The stack of recurrent layers: runs each cell over a window, carries the state, drops units and weights."""

from collections.abc import Sequence
from functools import reduce
from itertools import pairwise

import torch
from torch import Tensor, nn

from lstmlm.config.model import BackboneOptions, DropoutOptions
from lstmlm.models.cells import build_cell
from lstmlm.models.cells.cell import Cell, CellState, Inputs, Outputs, map_state, run_steps
from lstmlm.models.dropout import dropout, state_mask, weight_drop
from lstmlm.models.kernels import EVALUATION, Execution, run_window
from lstmlm.randomness import Randomness

BackboneState = tuple[CellState, ...]
"""The state of every layer, the first layer's first."""


class Backbone(nn.Module):
    """A stack of recurrent layers over a window.

    Each layer has one cell, shared by all time steps, and reads the outputs of the layer below.
    """

    def __init__(self, options: BackboneOptions, input_size: int, dropout: DropoutOptions) -> None:
        super().__init__()
        self.dropout = dropout
        self.skip = options.skip
        self.is_fused = options.implementation != "reference"
        sizes = (input_size, *options.hidden_sizes)
        self.cells = nn.ModuleList(build_cell(options, below, width) for below, width in pairwise(sizes))

    @property
    def layers(self) -> list[Cell]:
        """The cell of each layer, from the input up."""
        return [cell for cell in self.cells if isinstance(cell, Cell)]

    def initial_state(self, batch_size: int) -> BackboneState:
        """Return the state in which a text begins."""
        return tuple(cell.initial_state(batch_size) for cell in self.layers)

    def forward(
        self,
        inputs: Inputs,
        state: BackboneState,
        randomness: Randomness | None = None,
        execution: Execution = EVALUATION,
    ) -> tuple[Outputs, BackboneState]:
        """Read a window of vectors in the state that `initial_state` or the window before returned.

        Kernels compute as `execution` says. Without `randomness`, the step's draws in training, nothing is dropped.

        Returns:
            The last layer's outputs, or with `skip: layer_sum` the sum of all layers', and the state after the window,
            which still belongs to the graph: see `detach`.
        """
        outputs, next_state, drop = [], [], self.dropout
        for level, (cell, cell_state) in enumerate(zip(self.layers, state, strict=True)):
            if level > 0:
                inputs = dropout(inputs, drop.hidden, randomness, f"dropout.hidden.{level}", locked=drop.locked)
            weights = weight_drop(cell.weights(), drop.weight_drop, randomness, f"dropout.weight.{level}")
            mask = state_mask(cell_state[0], drop.state, randomness, f"dropout.state.{level}")
            if self.is_fused:
                inputs, cell_state = run_window(cell, inputs, cell_state, weights, mask, execution)
            else:
                inputs, cell_state = run_steps(cell, inputs, cell_state, weights, mask)
            outputs.append(inputs)
            next_state.append(cell_state)
        features = reduce(torch.add, outputs) if self.skip == "layer_sum" else outputs[-1]
        return features, tuple(next_state)


def part_of_state(state: BackboneState, part: int, n_parts: int) -> BackboneState:
    """Return the state of one of `n_parts` equal parts of the columns, from 0."""
    return tuple(map_state(lambda tensor: tensor.chunk(n_parts)[part], cell_state) for cell_state in state)


def join_states(parts: Sequence[BackboneState]) -> BackboneState:
    """Return the state of all columns from that of their parts."""
    layers = zip(*parts, strict=True)
    return tuple(type(layer[0])(*map(torch.cat, zip(*layer, strict=True))) for layer in layers)


def detach(state: BackboneState) -> BackboneState:
    """Cut `state` off the graph: the next window starts from its values, and no gradient flows back beyond it."""
    return tuple(map_state(Tensor.detach, cell_state) for cell_state in state)
