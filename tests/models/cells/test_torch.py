"""The cells that torch has too, step by step and as kernels, against torch's with the same weights."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lstmlm.config.model import BackboneOptions, DropoutOptions, GRUOptions, LSTMOptions, RNNOptions
from lstmlm.models.backbone import Backbone
from lstmlm.models.cells.cell import Cell

TIME, BATCH, INPUT, HIDDEN = 7, 3, 4, 5


def as_torch(cell: Cell, level: int) -> dict[str, Tensor]:
    """Return weights as torch has them, with a second bias: that of a GRU's candidate, zero wherever we have one."""
    weight_ih, weight_hh, bias, *extra = cell.weights()
    second = torch.cat([bias.new_zeros(len(bias) - sum(map(len, extra))), *extra])
    weights = {"weight_ih": weight_ih, "weight_hh": weight_hh, "bias_ih": bias, "bias_hh": second}
    return {f"{name}_l{level}": weight for name, weight in weights.items()}


@pytest.mark.parametrize(
    ("torch_class", "options_class", "own"),
    [
        (nn.RNN, RNNOptions, {"nonlinearity": "tanh"}),
        (nn.RNN, RNNOptions, {"nonlinearity": "relu"}),
        (nn.GRU, GRUOptions, {}),
        (nn.LSTM, LSTMOptions, {}),
    ],
    ids=["rnn-tanh", "rnn-relu", "gru", "lstm"],
)
@pytest.mark.parametrize("implementation", ["reference", "fused"])
@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_equals_torch_in_outputs_states_and_gradients(
    n_layers: int,
    implementation: str,
    torch_class: type[nn.RNNBase],
    options_class: type[BackboneOptions],
    own: dict[str, Any],
) -> None:
    torch.manual_seed(0)
    options = {"n_layers": n_layers, "hidden_size": HIDDEN, "implementation": implementation, **own}
    backbone = Backbone(options_class.model_validate(options), INPUT, DropoutOptions()).double()
    for parameter in backbone.parameters():
        nn.init.normal_(parameter, std=0.4)
    state_type = backbone.layers[0].state_type
    inputs, *state = (
        torch.randn(*shape, dtype=torch.float64, requires_grad=True)
        for shape in ((TIME, BATCH, INPUT), *[(n_layers, BATCH, HIDDEN)] * len(state_type._fields))
    )

    found, last = backbone(inputs, tuple(map(state_type, *state)))
    weights = {name: w for level, cell in enumerate(backbone.layers) for name, w in as_torch(cell, level).items()}
    arguments = (inputs, tuple(state) if len(state) > 1 else state[0])
    wanted, wanted_last = torch.func.functional_call(
        torch_class(INPUT, HIDDEN, n_layers, **own).double(), weights, arguments
    )

    results = []
    for outputs, parts in (
        (found, tuple(map(torch.stack, zip(*last, strict=True)))),
        (wanted, wanted_last if isinstance(wanted_last, tuple) else (wanted_last,)),
    ):
        total = sum(tensor.square().sum() for tensor in (outputs, *parts))
        results.append([outputs, *parts, *torch.autograd.grad(total, [inputs, *state, *backbone.parameters()])])
    # float64: only the order of additions differs.
    torch.testing.assert_close(*results, rtol=1e-10, atol=1e-10)
