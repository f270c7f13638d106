"""What every cell must do, whichever it is. A new line in CELLS is tested here before its author writes a test."""

from pathlib import Path
from typing import get_args

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from lstmlm.config.model import (
    AnyBackboneOptions,
    BackboneOptions,
    DropoutOptions,
    ForgetGateOptions,
    MogrifierOptions,
    RNNOptions,
)
from lstmlm.models.backbone import Backbone, detach
from lstmlm.models.cells import CELLS, build_cell
from lstmlm.models.cells.cell import CellWeights, map_state, named
from lstmlm.models.language_model import load_weights, weights_of
from lstmlm.randomness import Randomness

TIME, BATCH, INPUT, HIDDEN = 9, 3, 4, 5
GENERATOR = torch.Generator().manual_seed(0)

every_cell = pytest.mark.parametrize(
    "options",
    [
        options_class.model_validate(
            {"n_layers": 2, "hidden_size": (HIDDEN, HIDDEN + 1), "implementation": implementation, **more}
        )
        for options_class in CELLS
        for implementation in ("reference", "auto")
        for more in ({}, *([{"coupled_gates": True}] if issubclass(options_class, ForgetGateOptions) else []))
    ],
    ids=lambda options: f"{options.name}-{options.implementation}-{getattr(options, 'coupled_gates', False)}",
)


def build(options: BackboneOptions, dropout: DropoutOptions | None = None) -> Backbone:
    backbone = Backbone(options, INPUT, dropout or DropoutOptions())
    for level, cell in enumerate(backbone.layers):
        cell.initialize(Randomness(1).generator(str(level)))
    return backbone


def inputs(seed: int = 0) -> torch.Tensor:
    return torch.randn(TIME, BATCH, INPUT, generator=torch.Generator().manual_seed(seed))


def test_the_table_lists_every_choice_of_the_configuration() -> None:
    assert set(CELLS) == set(get_args(get_args(AnyBackboneOptions)[0]))


@every_cell
def test_shapes(options: BackboneOptions) -> None:
    backbone = build(options)
    outputs, state = backbone(inputs(), backbone.initial_state(BATCH))
    assert outputs.shape == (TIME, BATCH, HIDDEN + 1)
    assert [tensor.shape[1] for tensor in state[0]] == [HIDDEN] * len(state[0])
    assert [tensor.shape[1] for tensor in state[1]] == [HIDDEN + 1] * len(state[1])


@every_cell
def test_windows_join_up_exactly(options: BackboneOptions) -> None:
    backbone, x = build(options).double(), inputs().double()
    whole, final = backbone(x, backbone.initial_state(BATCH))
    first, state = backbone(x[:4], backbone.initial_state(BATCH))
    second, state = backbone(x[4:], state)
    # float64: a product over fewer rows may add in another order.
    torch.testing.assert_close(torch.cat([first, second]), whole, rtol=0, atol=1e-14)
    torch.testing.assert_close(state, final, rtol=0, atol=1e-14)


@every_cell
def test_columns_do_not_influence_each_other(options: BackboneOptions) -> None:
    backbone, x = build(options).double(), inputs().double()
    together, _ = backbone(x, backbone.initial_state(BATCH))
    alone, _ = backbone(x[:, 1:2], backbone.initial_state(1))
    torch.testing.assert_close(together[:, 1:2], alone, rtol=0, atol=1e-14)


@every_cell
def test_no_gradient_flows_beyond_a_detached_state(options: BackboneOptions) -> None:
    backbone = build(options)
    x = inputs().requires_grad_()
    _, state = backbone(x, backbone.initial_state(BATCH))
    outputs, _ = backbone(inputs(1), detach(state))
    outputs.sum().backward()
    assert x.grad is None
    assert backbone.layers[0].weight_hh.grad is not None


@every_cell
def test_the_future_does_not_influence_the_past(options: BackboneOptions) -> None:
    backbone, x = build(options), inputs()
    before, _ = backbone(x, backbone.initial_state(BATCH))
    x[5:] += 1
    after, _ = backbone(x, backbone.initial_state(BATCH))
    torch.testing.assert_close(after[:5], before[:5], rtol=0, atol=0)
    assert not torch.equal(after[5:], before[5:])


@every_cell
def test_keeps_the_number_format(options: BackboneOptions) -> None:
    backbone = build(options).double()
    outputs, state = backbone(inputs().double(), backbone.initial_state(BATCH))
    assert {outputs.dtype, *(tensor.dtype for cell_state in state for tensor in cell_state)} == {torch.float64}


@every_cell
def test_weights_survive_a_file(options: BackboneOptions, tmp_path: Path) -> None:
    backbone = build(options)
    save_file(weights_of(backbone), tmp_path / "weights.safetensors")
    other = Backbone(options, INPUT, DropoutOptions())
    load_weights(other, load_file(tmp_path / "weights.safetensors"))
    wanted, _ = backbone(inputs(), backbone.initial_state(BATCH))
    found, _ = other(inputs(), other.initial_state(BATCH))
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)


@every_cell
def test_weight_drop_trains_the_raw_matrix_with_a_fresh_mask_a_step(options: BackboneOptions) -> None:
    backbone = build(options, DropoutOptions(weight_drop=0.5))
    state = backbone.initial_state(BATCH)
    first, _ = backbone(inputs(), state, Randomness(1, step=1))
    second, _ = backbone(inputs(), state, Randomness(1, step=2))
    again, _ = backbone(inputs(), state, Randomness(1, step=1))
    assert not torch.equal(first, second)
    torch.testing.assert_close(again, first, rtol=0, atol=0)
    first.sum().backward()
    gradient = backbone.layers[0].weight_hh.grad
    assert gradient is not None
    share_without_gradient = (gradient == 0).double().mean().item()
    assert 0.2 < share_without_gradient < 0.8


def test_a_kernel_agrees_with_its_cell() -> None:
    for options_class in CELLS:
        for dropout in (DropoutOptions(), DropoutOptions(locked=True, hidden=0.4, state=0.4, weight_drop=0.4)):
            found = []
            for implementation in ("reference", "auto"):
                options = options_class.model_validate({"hidden_size": 6, "implementation": implementation})
                backbone = build(options, dropout).double()
                x = inputs().double().requires_grad_()
                outputs, state = backbone(x, backbone.initial_state(BATCH), Randomness(1, step=2))
                outputs.square().sum().backward()
                gradients = [parameter.grad for parameter in backbone.parameters()]
                found.append([outputs, *(part for cell_state in state for part in cell_state), x.grad, *gradients])
            # float64: only the order of additions differs.
            torch.testing.assert_close(found[1], found[0], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("options_class", CELLS, ids=lambda options_class: options_class.__name__)
def test_state_dropout_touches_nothing_but_the_recurrent_product(options_class: type[BackboneOptions]) -> None:
    """With all of h_{t-1} dropped a step is that of a zero matrix W_h; what is carried on past W_h stays whole."""
    # A mogrifier without rounds: in its rounds too h_{t-1} is read.
    own = {"rounds": 0} if "rounds" in options_class.model_fields else {}
    (cell,) = build(options_class.model_validate({"n_layers": 1, "hidden_size": HIDDEN, **own})).layers
    state = map_state(lambda part: torch.randn(part.shape, generator=GENERATOR), cell.initial_state(BATCH))
    x_t = inputs()[0]
    nothing, everything = torch.zeros(BATCH, HIDDEN), torch.ones(BATCH, HIDDEN)
    torch.testing.assert_close(cell(x_t, state, None, everything), cell(x_t, state), rtol=0, atol=0)
    dropped = cell(x_t, state, None, nothing)
    assert not torch.equal(dropped[0], cell(x_t, state)[0])
    with torch.no_grad():
        cell.weight_hh.zero_()
    torch.testing.assert_close(dropped, cell(x_t, state))


@pytest.mark.parametrize("options_class", CELLS, ids=lambda options_class: options_class.__name__)
def test_gates_have_names_of_their_own_and_a_value_for_each_unit(options_class: type[BackboneOptions]) -> None:
    (cell,) = build(options_class.model_validate({"n_layers": 1, "hidden_size": HIDDEN})).layers
    state = cell.initial_state(BATCH)
    gates = named(cell.gates(inputs()[0], state))
    assert not gates.keys() & named(state).keys()
    assert all(gate.shape == (BATCH, HIDDEN) for gate in gates.values())


@pytest.mark.parametrize(
    "options",
    [
        *(options_class.model_validate({}) for options_class in CELLS),
        *(
            options_class.model_validate({switch: True})
            for options_class in CELLS
            for switch in ("input_gate_cap", "coupled_gates")
            if issubclass(options_class, ForgetGateOptions)
        ),
        RNNOptions(nonlinearity="relu"),
        *(MogrifierOptions(rounds=rounds, rank=rank) for rounds in (1, 4) for rank in (None, 2)),
    ],
    ids=lambda options: f"{options.name}-{options.model_dump(exclude_defaults=True)}",
)
def test_gradients_by_finite_differences(options: BackboneOptions) -> None:
    cell = build_cell(options, 2, 3).double()
    n_parts = len(cell.state_type._fields)

    def step(x_t: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        weight_ih, weight_hh, bias, *extra = rest[n_parts:]
        weights = CellWeights(weight_ih, weight_hh, bias, tuple(extra))
        output, state = cell(x_t, cell.state_type(*rest[:n_parts]), weights)
        return output, *state

    torch.manual_seed(0)
    read = (torch.empty(BATCH, 2), *cell.initial_state(BATCH), *cell.weights())
    leaves = [torch.randn(tensor.shape, dtype=torch.float64, requires_grad=True) for tensor in read]
    assert torch.autograd.gradcheck(step, leaves)


@every_cell
def test_evaluation_drops_nothing(options: BackboneOptions) -> None:
    dropping = build(options, DropoutOptions(locked=True, hidden=0.5, state=0.5, weight_drop=0.5))
    plain = build(options)
    wanted, _ = plain(inputs(), plain.initial_state(BATCH))
    found, _ = dropping(inputs(), dropping.initial_state(BATCH))
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)
