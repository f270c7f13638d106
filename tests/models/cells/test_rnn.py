"""The Elman network against torch.nn.RNN, against hand computation, and by gradcheck."""

import math

import pytest
import torch
from jaxtyping import TypeCheckError
from torch import nn

from lstmlm.config.model import DropoutOptions, RNNOptions
from lstmlm.models.backbone import Backbone
from lstmlm.models.cells.cell import CellWeights
from lstmlm.models.cells.rnn import RNNCell, RNNState

TIME, BATCH, INPUT, HIDDEN = 7, 3, 4, 5


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
@pytest.mark.parametrize("implementation", ["reference", "fused"])
@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_equals_torch_in_outputs_states_and_gradients(n_layers: int, nonlinearity: str, implementation: str) -> None:
    torch.manual_seed(0)
    reference = nn.RNN(INPUT, HIDDEN, n_layers, nonlinearity=nonlinearity).double()
    options = RNNOptions.model_validate(
        {
            "n_layers": n_layers,
            "hidden_size": HIDDEN,
            "nonlinearity": nonlinearity,
            "implementation": implementation,
        }
    )
    backbone = Backbone(options, INPUT, DropoutOptions()).double()
    with torch.no_grad():
        for level, cell in enumerate(backbone.layers):
            cell.weight_ih.copy_(getattr(reference, f"weight_ih_l{level}"))
            cell.weight_hh.copy_(getattr(reference, f"weight_hh_l{level}"))
            cell.bias.copy_(getattr(reference, f"bias_ih_l{level}") + getattr(reference, f"bias_hh_l{level}"))
    inputs = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    hidden = torch.randn(n_layers, BATCH, HIDDEN, dtype=torch.float64)
    wanted, wanted_hidden = reference(inputs, hidden)
    weight = torch.randn_like(wanted)
    (wanted * weight).sum().backward()

    outputs, state = backbone(inputs, tuple(RNNState(h) for h in hidden))
    (outputs * weight).sum().backward()

    # float64: only the order of additions differs.
    close = {"rtol": 1e-10, "atol": 1e-10}
    torch.testing.assert_close(outputs, wanted, **close)
    torch.testing.assert_close(torch.stack([s.hidden for s in state]), wanted_hidden, **close)
    for level, ours in enumerate(backbone.layers):
        torch.testing.assert_close(ours.weight_ih.grad, getattr(reference, f"weight_ih_l{level}").grad, **close)
        torch.testing.assert_close(ours.weight_hh.grad, getattr(reference, f"weight_hh_l{level}").grad, **close)
        torch.testing.assert_close(ours.bias.grad, getattr(reference, f"bias_ih_l{level}").grad, **close)


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


def test_gradients_by_finite_differences() -> None:
    torch.manual_seed(0)
    cell = RNNCell(2, 3, "tanh").double()
    weights = [torch.randn_like(weight).requires_grad_() for weight in cell.weights()]
    x, h = (torch.randn(2, size, dtype=torch.float64, requires_grad=True) for size in (2, 3))

    def step(x: torch.Tensor, h: torch.Tensor, *w: torch.Tensor) -> torch.Tensor:
        return cell(x, RNNState(h), CellWeights(*w))[0]

    assert torch.autograd.gradcheck(step, (x, h, *weights))
