"""The Mogrifier LSTM against hand computation and against the LSTM."""

import math

import pytest
import torch

from lstmlm.models.cells.cell import CellWeights
from lstmlm.models.cells.lstm import LSTMCell, LSTMState
from lstmlm.models.cells.mogrifier import MogrifierCell

BATCH, INPUT, HIDDEN = 2, 4, 3


def make_cell(rounds: int, rank: int | None) -> MogrifierCell:
    cell = MogrifierCell(
        INPUT, HIDDEN, forget_bias=1.0, input_gate_cap=False, coupled_gates=False, rounds=rounds, rank=rank
    )
    cell.initialize(torch.Generator().manual_seed(0))
    return cell.double()


def make_state() -> LSTMState:
    torch.manual_seed(1)
    return LSTMState(torch.randn(BATCH, HIDDEN).double(), torch.randn(BATCH, HIDDEN).double())


def make_input() -> torch.Tensor:
    return torch.randn(BATCH, INPUT, generator=torch.Generator().manual_seed(2)).double()


def test_three_rounds_by_hand() -> None:
    """One unit, one input: x is gated by h, h by the gated x, and the gated x by the gated h; then an LSTM."""
    cell = MogrifierCell(1, 1, forget_bias=1.0, input_gate_cap=False, coupled_gates=False, rounds=3, rank=None).double()
    numbers = [[[0.1], [0.2], [0.3], [0.4]], [[0.5], [0.6], [0.7], [0.8]], [0.01, 0.02, 0.03, 0.04]]
    numbers += [[[0.9]], [0.1], [[-0.7]], [0.2], [[1.1]], [-0.3]]
    with torch.no_grad():
        for weight, value in zip(cell.weights(), numbers, strict=True):
            weight.copy_(torch.tensor(value))
    x, h, c = 2.0, 0.5, -1.5

    def sigmoid(a: float) -> float:
        return 1 / (1 + math.exp(-a))

    x_1 = 2 * sigmoid(0.9 * h + 0.1) * x
    h_2 = 2 * sigmoid(-0.7 * x_1 + 0.2) * h
    x_3 = 2 * sigmoid(1.1 * h_2 - 0.3) * x_1
    i = sigmoid(0.1 * x_3 + 0.5 * h_2 + 0.01)
    f = sigmoid(0.2 * x_3 + 0.6 * h_2 + 0.02)
    g = math.tanh(0.3 * x_3 + 0.7 * h_2 + 0.03)
    o = sigmoid(0.4 * x_3 + 0.8 * h_2 + 0.04)
    new_c = f * c + i * g
    x, h, c = (torch.tensor([[value]], dtype=torch.float64) for value in (x, h, c))
    output, state = cell(x, LSTMState(h, c))
    assert state.cell.item() == pytest.approx(new_c, abs=1e-7)
    assert output.item() == pytest.approx(o * math.tanh(new_c), abs=1e-7)


def test_without_rounds_it_is_the_lstm() -> None:
    mogrifier = make_cell(rounds=0, rank=None)
    lstm = LSTMCell(INPUT, HIDDEN, forget_bias=1.0, input_gate_cap=False, coupled_gates=False)
    lstm.initialize(torch.Generator().manual_seed(0))
    found, wanted = mogrifier(make_input(), make_state()), lstm.double()(make_input(), make_state())
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)


@pytest.mark.parametrize("rank", [None, 2])
def test_gates_of_one_change_nothing(rank: int | None) -> None:
    cell = make_cell(rounds=5, rank=rank)
    without = make_cell(rounds=0, rank=None)
    with torch.no_grad():
        for weight in cell.weights().extra:
            weight.zero_()
    torch.testing.assert_close(cell(make_input(), make_state()), without(make_input(), make_state()), rtol=0, atol=0)


def test_low_rank_is_the_product_of_its_factors() -> None:
    """And saves weights: a round of rank 2 between 4 and 3 has (4 + 3) * 2 weights beside its bias."""
    cell, full = make_cell(rounds=2, rank=2), make_cell(rounds=2, rank=None)
    right_1, left_1, bias_1, right_2, left_2, bias_2 = cell.weights().extra
    assert [tuple(weight.shape) for weight in (right_1, left_1, bias_1)] == [(2, HIDDEN), (INPUT, 2), (INPUT,)]
    assert [tuple(weight.shape) for weight in (right_2, left_2, bias_2)] == [(2, INPUT), (HIDDEN, 2), (HIDDEN,)]
    own = cell.weights()
    weights = CellWeights(own.weight_ih, own.weight_hh, own.bias, (left_1 @ right_1, bias_1, left_2 @ right_2, bias_2))
    # float64: only the order of additions differs.
    found, wanted = full(make_input(), make_state(), weights), cell(make_input(), make_state())
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-14)


def test_state_dropout_acts_before_the_rounds() -> None:
    cell, state, mask = make_cell(rounds=5, rank=None), make_state(), torch.tensor([[0.0, 2.0, 2.0]]).double()
    mask = mask.expand(BATCH, HIDDEN)
    found = cell(make_input(), state, None, mask)
    wanted = cell(make_input(), LSTMState(state.hidden * mask, state.cell))
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)


@pytest.mark.parametrize("rank", [None, 2])
def test_every_factor_learns_from_the_first_step(rank: int | None) -> None:
    cell = make_cell(rounds=5, rank=rank)
    cell(make_input(), make_state())[0].sum().backward()
    for name, parameter in cell.named_parameters():
        assert parameter.grad is not None and parameter.grad.count_nonzero() > 0, name


@pytest.mark.parametrize("rank", [None, 20])
def test_the_matrix_of_a_round_starts_with_variance_one_over_fan_in(rank: int | None) -> None:
    cell = MogrifierCell(300, 200, forget_bias=1.0, input_gate_cap=False, coupled_gates=False, rounds=2, rank=rank)
    cell.initialize(torch.Generator().manual_seed(0))
    extra = cell.weights().extra
    *first, bias_1 = extra[: len(extra) // 2]
    *second, bias_2 = extra[len(extra) // 2 :]
    for factors, fan_in in ((first, 200), (second, 300)):
        matrix = factors[0] if rank is None else factors[1] @ factors[0]
        assert matrix.var().item() * fan_in == pytest.approx(1, rel=0.1)
    assert bias_1.count_nonzero() == bias_2.count_nonzero() == 0
