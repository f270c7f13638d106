"""The Elman network against hand computation."""

import math

import pytest
import torch
from jaxtyping import TypeCheckError

from lstmlm.models.cells.rnn import RNNCell, RNNState

BATCH, INPUT, HIDDEN = 3, 4, 5


def test_one_step_by_hand() -> None:
    """The recurrence reads the hidden state, not the last input, and is bent by the nonlinearity."""
    cell = RNNCell(1, 1, "tanh").double()
    with torch.no_grad():
        cell.weight_ih.fill_(0.3)
        cell.weight_hh.fill_(-0.7)
        cell.bias.fill_(0.1)
    x, h = torch.tensor([[2.0]], dtype=torch.float64), torch.tensor([[0.5]], dtype=torch.float64)
    output, _ = cell(x, RNNState(h))
    assert output.item() == pytest.approx(math.tanh(0.3 * 2.0 - 0.7 * 0.5 + 0.1), abs=1e-7)


def test_shapes_are_checked() -> None:
    """That of the input lacks the batch."""
    cell = RNNCell(INPUT, HIDDEN, "tanh")
    with pytest.raises(TypeCheckError):
        cell(torch.zeros(INPUT), cell.initial_state(BATCH))


def test_the_recurrence_starts_without_stretching_or_shrinking() -> None:
    cell = RNNCell(3, 6, "tanh")
    cell.initialize(torch.Generator().manual_seed(0))
    torch.testing.assert_close(cell.weight_hh @ cell.weight_hh.T, torch.eye(6))
