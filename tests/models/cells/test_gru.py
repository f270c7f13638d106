"""The gated recurrent unit against torch.nn.GRU, against hand computation, and by gradcheck."""

import math

import pytest
import torch
from torch import nn

from lstmlm.config.model import DropoutOptions, GRUOptions
from lstmlm.models.backbone import Backbone
from lstmlm.models.cells.cell import CellWeights
from lstmlm.models.cells.gru import GRUCell, GRUState

TIME, BATCH, INPUT, HIDDEN = 7, 3, 4, 5


def copy_of(reference: nn.GRU, n_layers: int) -> Backbone:
    """Build our stack with the weights of torch's; torch keeps two biases, of which only the candidate's differ."""
    backbone = Backbone(GRUOptions(n_layers=n_layers, hidden_size=HIDDEN), INPUT, DropoutOptions()).double()
    with torch.no_grad():
        for level, cell in enumerate(backbone.layers):
            bias_ih, bias_hh = (getattr(reference, f"bias_{kind}_l{level}") for kind in ("ih", "hh"))
            cell.weight_ih.copy_(getattr(reference, f"weight_ih_l{level}"))
            cell.weight_hh.copy_(getattr(reference, f"weight_hh_l{level}"))
            cell.bias.copy_(bias_ih)
            cell.bias[: 2 * HIDDEN] += bias_hh[: 2 * HIDDEN]
            cell.weights().extra[0].copy_(bias_hh[2 * HIDDEN :])
    return backbone


@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_equals_torch_in_outputs_states_and_gradients(n_layers: int) -> None:
    torch.manual_seed(0)
    reference = nn.GRU(INPUT, HIDDEN, n_layers).double()
    backbone = copy_of(reference, n_layers)
    inputs = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64, requires_grad=True)
    hidden = torch.randn(n_layers, BATCH, HIDDEN, dtype=torch.float64)
    wanted, wanted_hidden = reference(inputs, hidden)
    weight = torch.randn_like(wanted)
    (wanted * weight).sum().backward()
    wanted_input_gradient, inputs.grad = inputs.grad, None

    outputs, state = backbone(inputs, tuple(GRUState(h) for h in hidden))
    (outputs * weight).sum().backward()

    # float64: only the order of additions differs.
    close = {"rtol": 1e-10, "atol": 1e-10}
    torch.testing.assert_close(outputs, wanted, **close)
    torch.testing.assert_close(torch.stack([s.hidden for s in state]), wanted_hidden, **close)
    torch.testing.assert_close(inputs.grad, wanted_input_gradient, **close)
    for level, ours in enumerate(backbone.layers):
        bias_hn = ours.weights().extra[0]
        torch.testing.assert_close(ours.weight_ih.grad, getattr(reference, f"weight_ih_l{level}").grad, **close)
        torch.testing.assert_close(ours.weight_hh.grad, getattr(reference, f"weight_hh_l{level}").grad, **close)
        torch.testing.assert_close(ours.bias.grad, getattr(reference, f"bias_ih_l{level}").grad, **close)
        wanted_gradient = getattr(reference, f"bias_hh_l{level}").grad[2 * HIDDEN :]
        torch.testing.assert_close(bias_hn.grad, wanted_gradient, **close)


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


def test_gradients_by_finite_differences() -> None:
    torch.manual_seed(0)
    cell = GRUCell(2, 3).double()
    weights = [torch.randn_like(weight).requires_grad_() for weight in cell.weights()]
    x, h = (torch.randn(2, size, dtype=torch.float64, requires_grad=True) for size in (2, 3))

    def step(x: torch.Tensor, h: torch.Tensor, *w: torch.Tensor) -> torch.Tensor:
        return cell(x, GRUState(h), CellWeights(*w[:3], extra=w[3:]))[0]

    assert torch.autograd.gradcheck(step, (x, h, *weights))
