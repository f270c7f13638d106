"""The recurrent cells, one a file, each the readable specification of its equations.

`cell` says what a cell is. `rnn`, `gru`, `lstm`, `layer_norm_lstm` and `mogrifier` are those that a configuration can
name: a new one is a file beside them and a line in the table `CELLS` below. Others import `cell` or the table, a
kernel its cell.
"""

from lstmlm.config.model import (
    BackboneOptions,
    GRUOptions,
    LayerNormLSTMOptions,
    LSTMOptions,
    MogrifierOptions,
    RNNOptions,
)
from lstmlm.models.cells.cell import Cell
from lstmlm.models.cells.gru import GRUCell
from lstmlm.models.cells.layer_norm_lstm import LayerNormLSTMCell
from lstmlm.models.cells.lstm import LSTMCell
from lstmlm.models.cells.mogrifier import MogrifierCell
from lstmlm.models.cells.rnn import RNNCell

CELLS: dict[type[BackboneOptions], type[Cell]] = {
    RNNOptions: RNNCell,
    GRUOptions: GRUCell,
    LSTMOptions: LSTMCell,
    LayerNormLSTMOptions: LayerNormLSTMCell,
    MogrifierOptions: MogrifierCell,
}


def build_cell(options: BackboneOptions, input_size: int, hidden_size: int) -> Cell:
    """Build the cell that `options` choose; its options are those of the backbone that every stack does not share."""
    own_options = options.model_dump(include=set(type(options).model_fields) - set(BackboneOptions.model_fields))
    return CELLS[type(options)](input_size, hidden_size, **own_options)
