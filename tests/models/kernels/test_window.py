"""Every window kernel against its cell, which is its specification: values, gradients, states, and what it costs."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from machine import MULTIPLIES_BFLOAT16, needs_bfloat16, needs_compiler
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from lstmlm.models.cells import CELLS
from lstmlm.models.cells.cell import Cell, CellState, CellWeights, run_steps
from lstmlm.models.cells.gru import GRUCell
from lstmlm.models.cells.layer_norm_lstm import LayerNormLSTMCell
from lstmlm.models.cells.lstm import LSTMCell
from lstmlm.models.cells.mogrifier import MogrifierCell
from lstmlm.models.cells.rnn import RNNCell, RNNState
from lstmlm.models.kernels import KERNELS, Execution, GemmPath, gemm, run_window

TIME, BATCH, INPUT, HIDDEN = 6, 3, 5, 7

MAKERS: dict[str, Callable[[], Cell]] = {
    "lstm": lambda: LSTMCell(INPUT, HIDDEN, forget_bias=1.0, input_gate_cap=False, coupled_gates=False),
    "lstm-capped": lambda: LSTMCell(INPUT, HIDDEN, forget_bias=1.0, input_gate_cap=True, coupled_gates=False),
    "lstm-coupled": lambda: LSTMCell(INPUT, HIDDEN, forget_bias=1.0, input_gate_cap=False, coupled_gates=True),
    "layer-norm-lstm": lambda: LayerNormLSTMCell(
        INPUT, HIDDEN, forget_bias=1.0, input_gate_cap=False, coupled_gates=False
    ),
    "layer-norm-lstm-capped": lambda: LayerNormLSTMCell(
        INPUT, HIDDEN, forget_bias=1.0, input_gate_cap=True, coupled_gates=False
    ),
    "layer-norm-lstm-coupled": lambda: LayerNormLSTMCell(
        INPUT, HIDDEN, forget_bias=1.0, input_gate_cap=False, coupled_gates=True
    ),
    "mogrifier": lambda: MogrifierCell(
        INPUT, HIDDEN, forget_bias=1.0, input_gate_cap=False, coupled_gates=False, rounds=5, rank=None
    ),
    "mogrifier-of-low-rank": lambda: MogrifierCell(
        INPUT, HIDDEN, 1.0, input_gate_cap=False, coupled_gates=False, rounds=4, rank=3
    ),
    "mogrifier-capped": lambda: MogrifierCell(
        INPUT, HIDDEN, 1.0, input_gate_cap=True, coupled_gates=False, rounds=1, rank=None
    ),
    "mogrifier-coupled": lambda: MogrifierCell(
        INPUT, HIDDEN, 1.0, input_gate_cap=False, coupled_gates=True, rounds=2, rank=None
    ),
    "mogrifier-without-rounds": lambda: MogrifierCell(
        INPUT, HIDDEN, 1.0, input_gate_cap=False, coupled_gates=False, rounds=0, rank=None
    ),
    "gru": lambda: GRUCell(INPUT, HIDDEN),
    "rnn-tanh": lambda: RNNCell(INPUT, HIDDEN, "tanh"),
    "rnn-relu": lambda: RNNCell(INPUT, HIDDEN, "relu"),
}
each_cell = pytest.mark.parametrize("name", MAKERS)
each_execution = pytest.mark.parametrize(
    "execution", [Execution(path, compiled) for path in GemmPath for compiled in (False, True)], ids=str
)

# Largest distance of a result from the float64 reference, relative to the result's own norm. float32 carries 24 bits;
# bfloat16 operands carry 8, an error of 2^-9 each, which the jumps of relu and of the cap turn into whole gradients.
# Normalisation divides by the deviation of a column's few units, and enlarges what was lost before it.
TOLERANCES = {
    "float32": 2e-6,
    "float32-normalized": 5e-6,
    "bfloat16": 0.02,
    "bfloat16-normalized": 0.05,
    "bfloat16-jumps": 0.15,
}


def tolerance_of(name: str, execution: Execution) -> float:
    number_format = "bfloat16" if execution.gemm_path.rounds else "float32"
    if number_format == "bfloat16" and (name == "rnn-relu" or name.endswith("-capped")):
        return TOLERANCES["bfloat16-jumps"]
    return TOLERANCES[f"{number_format}-normalized" if "layer-norm" in name else number_format]


@dataclass
class Case:
    """A cell with everything that it reads, all of it asking for gradients."""

    cell: Cell
    inputs: Tensor
    state: CellState
    mask: Tensor | None

    @property
    def leaves(self) -> list[Tensor]:
        return [self.inputs, *self.state, *self.cell.weights()]

    def reference(self, inputs: Tensor, state: CellState, mask: Tensor | None = None) -> tuple[Tensor, CellState]:
        """Apply the cell step by step, with autograd's own derivatives."""
        return run_steps(self.cell, inputs, state, self.cell.weights(), mask)

    def kernel(self, inputs: Tensor, state: CellState, execution: Execution) -> tuple[Tensor, CellState]:
        return run_window(self.cell, inputs, state, self.cell.weights(), self.mask, execution)

    def to(self, dtype: torch.dtype) -> "Case":
        def leaf(tensor: Tensor) -> Tensor:
            return tensor.detach().to(dtype).requires_grad_()

        state = type(self.state)(*map(leaf, self.state))
        mask = None if self.mask is None else self.mask.to(dtype)
        return Case(self.cell.to(dtype), leaf(self.inputs), state, mask)


def with_rounded_operands(case: Case) -> Case:
    """The case where bfloat16 has rounded what is multiplied, and nothing else."""
    rounded = deepcopy(case)
    with torch.no_grad():
        for operand in (rounded.inputs, *(weight for weight in rounded.cell.weights() if weight.dim() == 2)):
            operand.copy_(operand.bfloat16())
    return rounded


def make_case(name: str, *, masked: bool = False, batch: int = BATCH, dtype: torch.dtype = torch.float64) -> Case:
    generator = torch.Generator().manual_seed(3)
    cell = MAKERS[name]()
    cell.initialize(generator)
    state = cell.initial_state(batch)
    state = type(state)(*(torch.randn(batch, HIDDEN, generator=generator) for _ in state))
    inputs = torch.randn(TIME, batch, INPUT, generator=generator)
    mask = torch.rand(batch, HIDDEN, generator=generator).gt(0.4) / 0.6 if masked else None
    return Case(cell, inputs, state, mask).to(dtype)


def results(case: Case, outputs: Tensor, state: CellState) -> list[Tensor]:
    """Return values and all gradients of a loss that weighs every output and every part of the last state."""
    generator = torch.Generator().manual_seed(7)
    terms = [(t * torch.randn(t.shape, generator=generator).to(t.dtype)).sum() for t in (outputs, *state)]
    return [outputs, *state, *torch.autograd.grad(sum(terms[1:], terms[0]), case.leaves)]


def assert_all_close(got: list[Tensor], wanted: list[Tensor], tolerance: float) -> None:
    for place, (ours, theirs) in enumerate(zip(got, wanted, strict=True)):
        # Not as a quotient: where the mask drops every unit, the gradient by W_h is zero.
        distance, length = (ours.double() - theirs.double()).norm(), theirs.double().norm()
        assert distance <= tolerance * length, f"result {place}, of length {length:.2e}, is off by {distance:.2e}"


def test_every_kernel_is_of_a_cell_and_is_tested_here() -> None:
    assert set(KERNELS) <= set(CELLS.values())  # a cell without one runs step by step
    assert {type(make()) for make in MAKERS.values()} == set(KERNELS)


@each_cell
@pytest.mark.parametrize("masked", [False, True])
def test_float64_equals_the_cell(name: str, masked: bool) -> None:
    case = make_case(name, masked=masked)
    wanted = results(case, *case.reference(case.inputs, case.state, case.mask))
    for path in GemmPath:  # of which float64 has two: torch's products and ours
        assert_all_close(results(case, *case.kernel(case.inputs, case.state, Execution(path))), wanted, 1e-13)


@each_cell
@pytest.mark.parametrize("masked", [False, True])
@each_execution
def test_every_execution_is_near_float64(name: str, masked: bool, execution: Execution) -> None:
    case = make_case(name, masked=masked)
    wanted = results(case, *case.reference(case.inputs, case.state, case.mask))
    case = case.to(torch.float32)
    got = results(case, *case.kernel(case.inputs, case.state, execution))
    assert {result.dtype for result in got} == {torch.float32}
    assert_all_close(got, wanted, tolerance_of(name, execution))


@each_cell
@pytest.mark.parametrize("masked", [False, True])
def test_gradients_are_those_of_finite_differences(name: str, masked: bool) -> None:
    case = make_case(name, masked=masked)

    def run(inputs: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        n_parts = len(case.state)
        state, (weight_ih, weight_hh, bias, *extra) = type(case.state)(*rest[:n_parts]), rest[n_parts:]
        weights = CellWeights(weight_ih, weight_hh, bias, tuple(extra))
        outputs, last = run_window(case.cell, inputs, state, weights, case.mask)
        return outputs, *last

    assert torch.autograd.gradcheck(run, case.leaves)


@each_cell
@each_execution
def test_windows_join_up(name: str, execution: Execution) -> None:
    """Two windows of different length that hand on the state are the long window, gradients included."""
    case = make_case(name, masked=True, dtype=torch.float32)
    wanted = results(case, *case.kernel(case.inputs, case.state, execution))
    first, state = case.kernel(case.inputs[:2], case.state, execution)
    second, state = case.kernel(case.inputs[2:], state, execution)
    # In bfloat16 each window rounds its own sum over time of the gradients of weights.
    tolerance = 0.02 if execution.gemm_path.rounds else tolerance_of(name, execution)
    assert_all_close(results(case, torch.cat([first, second]), state), wanted, tolerance)


@each_cell
@pytest.mark.parametrize("batch", [1, 2])
def test_columns_do_not_touch_each_other(name: str, batch: int) -> None:
    wide = make_case(name)
    outputs, _ = wide.kernel(wide.inputs, wide.state, Execution())
    narrow = type(wide.state)(*(part[:batch] for part in wide.state))
    some, _ = wide.kernel(wide.inputs[:, :batch], narrow, Execution())
    torch.testing.assert_close(some, outputs[:, :batch], rtol=0, atol=1e-14)


@each_cell
def test_threads_change_nothing_but_the_order_of_sums(name: str) -> None:
    n_threads, found = torch.get_num_threads(), []
    try:
        for n in (1, 2, 3):
            torch.set_num_threads(n)
            case = make_case(name, masked=True, batch=10)
            found.append(results(case, *case.kernel(case.inputs, case.state, Execution())))
    finally:
        torch.set_num_threads(n_threads)
    assert_all_close(found[1], found[0], 1e-14)
    assert_all_close(found[2], found[0], 1e-14)


@needs_compiler
@settings(max_examples=25, deadline=None)
@given(
    make=st.sampled_from(
        [
            lambda n_in, n: LSTMCell(n_in, n, forget_bias=1.0, input_gate_cap=False, coupled_gates=False),
            GRUCell,
            lambda n_in, n: RNNCell(n_in, n, "tanh"),
        ]
    ),
    n_steps=st.integers(1, 5),
    batch=st.one_of(st.integers(1, 9), st.integers(10, 60)),
    n_inputs=st.integers(1, 70),
    n_units=st.one_of(st.integers(1, 9), st.integers(10, 70)),
    masked=st.booleans(),
)
def test_a_whole_pass_is_the_cell_in_any_shape_and_the_same_again_to_the_bit(
    make: Callable[[int, int], Cell], n_steps: int, batch: int, n_inputs: int, n_units: int, masked: bool
) -> None:
    """Products over all steps and the loop in one region of threads."""
    generator = torch.Generator().manual_seed(3)
    cell = make(n_inputs, n_units)
    cell.initialize(generator)
    state = cell.initial_state(batch)
    state = type(state)(*(torch.randn(batch, n_units, generator=generator) for _ in state))
    mask = torch.rand(batch, n_units, generator=generator).gt(0.2) / 0.8 if masked else None
    case = Case(cell, torch.randn(n_steps, batch, n_inputs, generator=generator), state, mask).to(torch.float64)
    wanted = results(case, *case.reference(case.inputs, case.state, case.mask))
    rounded = with_rounded_operands(case)
    of_rounding = results(rounded, *rounded.reference(rounded.inputs, rounded.state, rounded.mask))
    n_threads = torch.get_num_threads()
    try:
        for path in (GemmPath.OWN, *([GemmPath.OWN_BFLOAT16] if MULTIPLIES_BFLOAT16 else [])):
            for dtype in (torch.float64, torch.float32):
                of_dtype, tolerance = (
                    case.to(dtype),
                    1e-12 if dtype == torch.float64 else tolerance_of("", Execution(path)),
                )
                for n in (1, 2):
                    torch.set_num_threads(n)
                    first, again = (
                        results(of_dtype, *of_dtype.kernel(of_dtype.inputs, of_dtype.state, Execution(path)))
                        for _ in range(2)
                    )
                    assert_all_close(again, first, 0)
                    for ours, theirs, by_rounding in zip(first, wanted, of_rounding, strict=True):
                        # Of few numbers all may happen to be small, and sums over many rows may cancel.
                        bound = 2 * tolerance * theirs.norm().clamp(min=1)
                        if path == GemmPath.OWN_BFLOAT16 and dtype == torch.float32:
                            bound = bound.maximum(2 * (by_rounding - theirs).norm())
                        assert (ours.double() - theirs).norm() <= bound
    finally:
        torch.set_num_threads(n_threads)


@pytest.mark.parametrize("n_steps", [1, 4])
@pytest.mark.parametrize("compiled", [False, True])
@each_cell
def test_what_does_not_fit_together_is_left_to_the_cell(name: str, compiled: bool, n_steps: int) -> None:
    cell = MAKERS[name]()
    cell.initialize(torch.Generator().manual_seed(1))
    inputs, weights = torch.randn(n_steps, 6, INPUT), cell.weights()
    rounded = CellWeights(weights.weight_ih.bfloat16(), weights.weight_hh.bfloat16(), weights.bias, weights.extra)

    def outcome(run: Callable[..., tuple[Tensor, CellState]], *arguments: Any, **how: Any) -> Tensor | None:
        try:
            return run(cell, *arguments, **how)[0]
        except (RuntimeError, TypeError):  # by torch, or by the annotations, which are checked in tests alone
            return None

    for read, n_columns, chosen in (
        *((inputs, n_columns, weights) for n_columns in (1, 3, 5, 12)),  # of which some divide what a window holds
        (inputs[:, :0], 0, weights),
        (inputs.double(), 6, weights),
        (inputs, 6, rounded),
    ):
        state = cell.initial_state(n_columns)
        found = outcome(run_window, read, state, chosen, execution=Execution(compiled=compiled))
        wanted = outcome(run_steps, read, state, chosen, None)
        assert (found is None) == (wanted is None)
        assert found is None or (wanted is not None and found.equal(wanted))


@pytest.mark.parametrize("compiled", [False, True])
@each_cell
def test_a_model_in_bfloat16_is_the_cell_in_bfloat16(name: str, compiled: bool) -> None:
    cell = MAKERS[name]()
    cell.initialize(torch.Generator().manual_seed(1))
    cell = cell.bfloat16()
    inputs, weights = torch.randn(4, 6, INPUT).bfloat16(), cell.weights()
    found, _ = run_window(cell, inputs, cell.initial_state(6), weights, execution=Execution(compiled=compiled))
    wanted, _ = run_steps(cell, inputs, cell.initial_state(6), weights, None)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, wanted)


def test_a_cell_without_a_kernel_runs_step_by_step() -> None:
    class OwnCell(RNNCell):
        pass

    cell = OwnCell(INPUT, HIDDEN, "tanh")
    cell.initialize(torch.Generator().manual_seed(1))
    arguments = (cell, torch.ones(TIME, BATCH, INPUT), cell.initial_state(BATCH), cell.weights())
    outputs, state = run_window(*arguments)
    wanted, wanted_state = run_steps(*arguments)
    assert_all_close([outputs, *state], [wanted, *wanted_state], 0)


@each_cell
@each_execution
def test_outputs_may_be_used_twice_and_gradients_arrive_in_any_layout(name: str, execution: Execution) -> None:
    case = make_case(name, dtype=torch.float32)
    outputs, _ = case.kernel(case.inputs, case.state, execution)
    # A transposed and an expanded gradient: neither is contiguous.
    weight = torch.randn(HIDDEN, BATCH, TIME, generator=torch.Generator().manual_seed(7))
    loss = (outputs.permute(2, 1, 0) * weight).sum() + 2 * outputs.sum()
    once = torch.autograd.grad(loss, case.leaves, retain_graph=True)
    assert_all_close(list(torch.autograd.grad(loss, case.leaves)), list(once), 0)
    plain = make_case(name)
    reference, _ = plain.reference(plain.inputs, plain.state)
    wanted = torch.autograd.grad((reference.permute(2, 1, 0) * weight).sum() + 2 * reference.sum(), plain.leaves)
    assert_all_close(list(once), list(wanted), tolerance_of(name, execution))


@each_cell
def test_only_gradients_that_are_asked_for_are_computed(name: str) -> None:
    """A first layer above a frozen embedding, and a carried state that was detached."""
    case = make_case(name)
    state = type(case.state)(*(part.detach() for part in case.state))
    outputs, _ = case.kernel(case.inputs.detach(), state, Execution())
    got = torch.autograd.grad(outputs.sum(), list(case.cell.parameters()))
    wanted, _ = case.reference(case.inputs, case.state)
    assert_all_close(list(got), list(torch.autograd.grad(wanted.sum(), list(case.cell.parameters()))), 1e-13)


@each_cell
@each_execution
def test_evaluation_gives_the_same_values_and_keeps_nothing(name: str, execution: Execution) -> None:
    case = make_case(name, masked=True, dtype=torch.float32)
    outputs, state = case.kernel(case.inputs, case.state, execution)
    with torch.no_grad():
        again, state_again = case.kernel(case.inputs, case.state, execution)
    assert not again.requires_grad
    assert_all_close([again, *state_again], [outputs, *state], 0)


@each_cell
def test_a_step_writes_to_nothing_that_it_was_given(name: str) -> None:
    case = make_case(name, masked=True)
    before = [leaf.detach().clone() for leaf in case.leaves]
    results(case, *case.kernel(case.inputs, case.state, Execution()))
    assert all(torch.equal(now, then) for now, then in zip(case.leaves, before, strict=True))


def test_a_changed_output_is_noticed() -> None:
    """The backward pass reads the outputs, so changing them in place must not pass for their gradient."""
    case = make_case("lstm")
    outputs, _ = case.kernel(case.inputs, case.state, Execution())
    outputs.detach().mul_(2)
    with pytest.raises(RuntimeError, match="inplace"):
        outputs.sum().backward()


def test_the_carried_state_does_not_hold_the_window() -> None:
    case = make_case("lstm", dtype=torch.float32)
    _, state = case.kernel(case.inputs, case.state, Execution())
    assert all(part.untyped_storage().nbytes() == part.nbytes for part in state)


@pytest.fixture
def _without_onednn(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delattr(torch.ops.mkldnn, "_linear_pointwise")
    gemm.onednn_linear.cache_clear()
    yield
    monkeypatch.undo()
    gemm.onednn_linear.cache_clear()


@each_cell
@pytest.mark.usefixtures("_without_onednn")
def test_every_route_works_where_onednn_has_no_binding(name: str) -> None:
    wanted_case = make_case(name)
    wanted = results(wanted_case, *wanted_case.reference(wanted_case.inputs, wanted_case.state))
    for path in GemmPath:
        case = make_case(name, dtype=torch.float32)
        execution = Execution(path)
        assert_all_close(
            results(case, *case.kernel(case.inputs, case.state, execution)), wanted, tolerance_of(name, execution)
        )


class CountingMode(TorchDispatchMode):
    """Counts the operations that torch dispatches, views apart: those cost no arithmetic and no memory."""

    VIEWS = frozenset({"aten::view", "aten::select", "aten::slice", "aten::unbind", "aten::split", "aten::t"})

    def __init__(self) -> None:
        super().__init__()
        self.n_operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.n_operations += func.name().split(".")[0] not in self.VIEWS
        return func(*args, **(kwargs or {}))


def operations_per_step(name: str, execution: Execution, *, backward: bool) -> float:
    """Return by how many operations a window grows with each of its steps."""

    def count(n_steps: int) -> int:
        case = make_case(name, dtype=torch.float32)
        inputs = torch.randn(n_steps, BATCH, INPUT)
        case.kernel(inputs, case.state, execution)[0].sum().backward()  # compiles what is to be compiled
        with CountingMode() as mode:
            outputs, _ = case.kernel(inputs, case.state, execution)
        if backward:
            with CountingMode() as mode:
                outputs.sum().backward()
        return mode.n_operations

    return (count(12) - count(4)) / 8


each_compiled_path = pytest.mark.parametrize(
    "path", [pytest.param(path, marks=needs_bfloat16 if path.rounds else ()) for path in GemmPath]
)


@needs_compiler
@each_compiled_path
@pytest.mark.parametrize("backward", [False, True])
@each_cell
def test_a_compiled_window_dispatches_nothing_for_its_steps(name: str, path: GemmPath, backward: bool) -> None:
    """The guard of speed: no clock, but what is dispatched. The compiled loop is no operation of torch's."""
    assert operations_per_step(name, Execution(path, compiled=True), backward=backward) == 0


@pytest.mark.parametrize(("name", "backward", "most"), [("lstm", False, 21), ("lstm", True, 30), ("rnn-tanh", True, 8)])
def test_an_uncompiled_step_takes_few_operations(name: str, backward: bool, most: int) -> None:
    for path in GemmPath:
        # Copies between number formats come on top in bfloat16.
        extra = 3 if path.rounds else 0
        assert operations_per_step(name, Execution(path, compiled=False), backward=backward) <= most + extra


@pytest.mark.parametrize("compiled", [True, False])
@torch.no_grad()
def test_a_window_of_very_many_tokens(compiled: bool) -> None:
    """CuDNN fails beyond 65,535 steps (pytorch issue 133751); here the length of a window is nothing special."""
    cell, execution = MAKERS["rnn-tanh"](), Execution(compiled=compiled)
    cell.initialize(torch.Generator().manual_seed(0))
    inputs = torch.randn(66_000, 1, INPUT, generator=torch.Generator().manual_seed(1))
    outputs, last = run_window(cell, inputs, cell.initial_state(1), cell.weights(), None, execution)
    first, _ = run_window(cell, inputs[:1000], cell.initial_state(1), cell.weights(), None, execution)
    torch.testing.assert_close(outputs[:1000], first)
    state = RNNState(outputs[64_999])  # what an Elman network says is its state
    again, state = run_window(cell, inputs[65_000:], state, cell.weights(), None, execution)
    torch.testing.assert_close(outputs[65_000:], again)
    torch.testing.assert_close(last, state)


@needs_compiler
def test_fewer_threads_than_asked_for_do_all_the_work() -> None:
    """Under a limit OpenMP starts fewer threads than it is asked for, and says nothing."""
    program = (
        "import torch; from lstmlm.models.cells.rnn import RNNCell; from lstmlm.models.kernels import run_window\n"
        "torch.set_num_threads(2); cell = RNNCell(3, 70, 'tanh'); cell.initialize(torch.Generator().manual_seed(0))\n"
        "outputs, _ = run_window(cell, torch.ones(4, 9, 3), cell.initial_state(9), cell.weights())\n"
        "print(f'{outputs.sum().item():.4f}')"
    )
    command, limited = [sys.executable, "-c", program], os.environ | {"OMP_THREAD_LIMIT": "1"}
    results = [subprocess.check_output(command, env=env, text=True) for env in (os.environ, limited)]
    assert results[0] == results[1]
