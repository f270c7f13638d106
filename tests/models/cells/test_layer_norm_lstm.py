"""The LSTM with layer normalisation against hand computation and against its invariances."""

import math

import pytest
import torch

from lstmlm.models.cells.layer_norm_lstm import EPSILON, LayerNormLSTMCell
from lstmlm.models.cells.lstm import LSTMState


def normalized(values: list[float]) -> list[float]:
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / len(values)
    return [(value - mean) / math.sqrt(variance + EPSILON) for value in values]


def make_cell(input_size: int, hidden_size: int) -> LayerNormLSTMCell:
    """A cell with every weight drawn, gains and biases too."""
    cell = LayerNormLSTMCell(
        input_size, hidden_size, forget_bias=1.0, input_gate_cap=False, coupled_gates=False
    ).double()
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in cell.weights():
            weight.normal_()
    return cell


def test_one_step_by_hand() -> None:
    """Two units, one input: sums of input and past are normalised apart, over all gates; the memory for the output."""
    cell = make_cell(1, 2)
    x, h, c = 2.0, [0.5, -0.3], [-1.5, 0.2]

    def sigmoid(a: float) -> float:
        return 1 / (1 + math.exp(-a))

    w_x, w_h, b, gain_x, gain_h, gain_c, bias_c = (weight.tolist() for weight in cell.weights())
    from_x = normalized([row[0] * x for row in w_x])
    from_h = normalized([row[0] * h[0] + row[1] * h[1] for row in w_h])
    gates = [gx * vx + gh * vh + bias for gx, vx, gh, vh, bias in zip(gain_x, from_x, gain_h, from_h, b, strict=True)]
    i, f, g, o = (gates[k : k + 2] for k in range(0, 8, 2))
    new_c = [sigmoid(f[k]) * c[k] + sigmoid(i[k]) * math.tanh(g[k]) for k in range(2)]
    seen = normalized(new_c)
    new_h = [sigmoid(o[k]) * math.tanh(gain_c[k] * seen[k] + bias_c[k]) for k in range(2)]

    output, state = cell(
        torch.tensor([[x]]).double(), LSTMState(torch.tensor([h]).double(), torch.tensor([c]).double())
    )
    assert output[0].tolist() == pytest.approx(new_h, abs=1e-7)
    assert state.hidden[0].tolist() == pytest.approx(new_h, abs=1e-7)
    assert state.cell[0].tolist() == pytest.approx(new_c, abs=1e-7)


def test_state_dropout_acts_before_the_normalisation() -> None:
    cell = make_cell(3, 4)
    x, state = torch.randn(2, 3).double(), LSTMState(torch.randn(2, 4).double(), torch.randn(2, 4).double())
    mask = torch.tensor([[0.0, 2.0, 2.0, 0.0]]).double().expand(2, 4)
    wanted = cell(x, LSTMState(state.hidden * mask, state.cell))
    torch.testing.assert_close(cell(x, state, None, mask), wanted, rtol=0, atol=0)


def test_the_scale_of_the_matrices_does_not_matter() -> None:
    cell = make_cell(3, 4)
    x, state = torch.randn(2, 3).double(), LSTMState(torch.randn(2, 4).double(), torch.randn(2, 4).double())
    wanted, _ = cell(x, state)
    with torch.no_grad():
        cell.weight_ih *= 7
        cell.weight_hh *= 0.5
    found, _ = cell(x, state)
    # Up to the epsilon under the root, beside variances of about one.
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)


def test_starts_with_gains_of_one_and_the_forget_gate_open() -> None:
    cell = LayerNormLSTMCell(3, 4, forget_bias=1.5, input_gate_cap=False, coupled_gates=False)
    cell.initialize(torch.Generator().manual_seed(0))
    assert all((gain == 1).all() for gain in (cell.gain_ih, cell.gain_hh, cell.gain_cell))
    assert cell.bias_cell.count_nonzero() == 0
    assert cell.bias.chunk(4)[1].tolist() == [1.5] * 4
