"""The LSTM against hand computation."""

import math

import pytest
import torch

from lstmlm.models.cells.lstm import LSTMCell, LSTMState

BATCH, INPUT, HIDDEN = 3, 4, 5


def test_one_step_by_hand() -> None:
    """One unit, one input: every gate has its own weights, and the memories are multiplied element by element."""
    cell = LSTMCell(1, 1, forget_bias=1.0, input_gate_cap=False, coupled_gates=False).double()
    with torch.no_grad():
        cell.weight_ih.copy_(torch.tensor([[0.1], [0.2], [0.3], [0.4]]))
        cell.weight_hh.copy_(torch.tensor([[0.5], [0.6], [0.7], [0.8]]))
        cell.bias.copy_(torch.tensor([0.01, 0.02, 0.03, 0.04]))
    x, h, c = 2.0, 0.5, -1.5

    def sigmoid(z: float) -> float:
        return 1 / (1 + math.exp(-z))

    i = sigmoid(0.1 * x + 0.5 * h + 0.01)
    f = sigmoid(0.2 * x + 0.6 * h + 0.02)
    g = math.tanh(0.3 * x + 0.7 * h + 0.03)
    o = sigmoid(0.4 * x + 0.8 * h + 0.04)
    new_c = f * c + i * g
    new_h = o * math.tanh(new_c)

    def tensor(value: float) -> torch.Tensor:
        return torch.tensor([[value]], dtype=torch.float64)

    output, state = cell(tensor(x), LSTMState(tensor(h), tensor(c)))
    assert output.item() == pytest.approx(new_h, abs=1e-7)
    assert state.hidden.item() == pytest.approx(new_h, abs=1e-7)
    assert state.cell.item() == pytest.approx(new_c, abs=1e-7)


@pytest.mark.parametrize(
    ("f", "i_open"),
    [(2.0, 1 - 1 / (1 + math.exp(-2.0))), (-9.0, 1 / (1 + math.exp(-3.0)))],
    ids=["capped", "idle"],
)
def test_a_capped_input_gate_by_hand(f: float, i_open: float) -> None:
    """The input gate wants to open by sigmoid(3), and may as far as the forget gate is closed."""
    cell = LSTMCell(1, 1, forget_bias=1.0, input_gate_cap=True, coupled_gates=False).double()
    with torch.no_grad():
        cell.weight_ih.zero_()
        cell.weight_hh.zero_()
        cell.bias.copy_(torch.tensor([3.0, f, 0.75, 0.0]))
    _, state = cell(torch.zeros(1, 1).double(), LSTMState(torch.zeros(1, 1).double(), torch.full((1, 1), 0.5).double()))
    wanted = 0.5 / (1 + math.exp(-f)) + i_open * math.tanh(0.75)
    assert state.cell.item() == pytest.approx(wanted, abs=1e-12)


def test_a_capped_memory_stays_within_one() -> None:
    torch.manual_seed(0)
    memories = {}
    for cap in (True, False):
        cell = LSTMCell(2, 3, forget_bias=1.0, input_gate_cap=cap, coupled_gates=False)
        cell.initialize(torch.Generator().manual_seed(0))
        state = cell.initial_state(4)
        for _ in range(50):
            _, state = cell(torch.full((4, 2), 10.0), state)
        memories[cap] = state.cell.abs().max().item()
    assert memories[True] <= 1 < memories[False]


def test_coupled_gates_are_an_input_gate_with_the_weights_of_the_forget_gate_turned_round() -> None:
    """1 - sigmoid(f) is sigmoid(-f): so a cell with an input gate of its own can do what a coupled one does."""
    torch.manual_seed(0)
    coupled = LSTMCell(INPUT, HIDDEN, forget_bias=1.0, input_gate_cap=False, coupled_gates=True).double()
    plain = LSTMCell(INPUT, HIDDEN, forget_bias=1.0, input_gate_cap=False, coupled_gates=False).double()
    coupled.initialize(torch.Generator().manual_seed(0))
    with torch.no_grad():
        for three, four in zip(coupled.parameters(), plain.parameters(), strict=True):
            four.copy_(torch.cat([-three[:HIDDEN], three]))
    x, state = torch.randn(BATCH, INPUT).double(), LSTMState(*torch.randn(2, BATCH, HIDDEN).double())
    torch.testing.assert_close(coupled.gates(x, state), plain.gates(x, state))
    torch.testing.assert_close(coupled(x, state), plain(x, state))


@pytest.mark.parametrize("coupled", [False, True])
def test_the_forget_gate_starts_open(coupled: bool) -> None:
    cell = LSTMCell(3, 4, forget_bias=1.5, input_gate_cap=False, coupled_gates=coupled)
    cell.initialize(torch.Generator().manual_seed(0))
    *_, forget, _, _ = cell.bias.detach().chunk(3 if coupled else 4)
    assert forget.tolist() == [1.5] * 4
    assert cell.bias.detach().sum() == 6
