"""The gated recurrent unit against hand computation."""

import math

import pytest
import torch

from lstmlm.models.cells.gru import GRUCell, GRUState


def test_one_step_by_hand() -> None:
    """One unit: the reset gate scales the past after the product, with its bias, and the update gate mixes."""
    cell = GRUCell(1, 1).double()
    with torch.no_grad():
        cell.weight_ih.copy_(torch.tensor([[0.1], [0.2], [0.3]]))
        cell.weight_hh.copy_(torch.tensor([[0.4], [-0.5], [0.6]]))
        cell.bias.copy_(torch.tensor([0.01, 0.02, 0.03]))
        cell.bias_hn.fill_(0.5)
    x, h = 2.0, -0.5

    def sigmoid(a: float) -> float:
        return 1 / (1 + math.exp(-a))

    r = sigmoid(0.1 * x + 0.4 * h + 0.01)
    z = sigmoid(0.2 * x - 0.5 * h + 0.02)
    n = math.tanh(0.3 * x + 0.03 + r * (0.6 * h + 0.5))
    output, state = cell(torch.tensor([[x]]).double(), GRUState(torch.tensor([[h]]).double()))
    assert output.item() == pytest.approx((1 - z) * n + z * h, abs=1e-7)
    assert torch.equal(state.hidden, output)


def test_state_dropout_leaves_what_the_update_gate_carries_on_whole() -> None:
    cell = GRUCell(2, 3)
    cell.initialize(torch.Generator().manual_seed(0))
    x, state = torch.ones(1, 2), GRUState(torch.ones(1, 3))
    dropped, _ = cell(x, state, None, torch.zeros(1, 3))
    with torch.no_grad():
        cell.weight_hh.zero_()
    wanted, _ = cell(x, state)
    torch.testing.assert_close(dropped, wanted)
