"""The fused last layer and loss against the plain one: values, gradients, ignored targets, memory."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from machine import needs_compiler
from torch import Tensor
from torch.nn.functional import cross_entropy, linear
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from lstmlm.metrics import NO_TARGET
from lstmlm.models.kernels import Execution, GemmPath, linear_cross_entropy, linear_nats
from lstmlm.models.kernels import cross_entropy as module
from lstmlm.models.kernels.native import CrossEntropy, native_function

ROWS, HIDDEN, VOCAB = 23, 6, 50
each_execution = pytest.mark.parametrize(
    "execution", [Execution(path, fuse) for path in GemmPath for fuse in (False, True)], ids=str
)
# bfloat16 rounds logits to 8 bits: an error of 2^-9 of a logit, each its own, of which sums keep little.
TOLERANCES = dict.fromkeys(GemmPath, 1e-6) | {path: 1e-2 for path in GemmPath if path.rounds}


@pytest.fixture(params=[ROWS, 5], ids=["one block", "blocks of 5 rows"])
def _blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_BYTES", request.param * VOCAB * torch.float32.itemsize)
    monkeypatch.setattr(module, "EAGER_ROWS", 3)
    monkeypatch.setattr(module, "SLICE_BYTES", 20 * HIDDEN * 4)


def operands(dtype: torch.dtype, rows: int = ROWS) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    features, weight, bias = (
        torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
        for shape in ((rows, HIDDEN), (VOCAB, HIDDEN), (VOCAB,))
    )
    targets = torch.randint(VOCAB, (rows,), generator=generator)
    targets[1::4] = NO_TARGET
    return features, weight, bias, targets


def reference(*arguments: Tensor) -> Tensor:
    features, weight, bias, targets = arguments
    return cross_entropy(linear(features, weight, bias), targets, ignore_index=NO_TARGET, reduction="sum")


def distances(got: list[Tensor], wanted: list[Tensor]) -> list[float]:
    return [float((a.double() - b).norm().detach() / b.norm().detach()) for a, b in zip(got, wanted, strict=True)]


@each_execution
def test_wrong_targets_are_refused_and_narrow_ones_read(execution: Execution) -> None:
    features, weight, bias, targets = operands(torch.float32)
    wanted = linear_nats(features, weight, bias, targets, execution)
    assert torch.equal(linear_nats(features, weight, bias, targets.int(), execution), wanted)
    for wrong in (VOCAB, 10**9, -100):
        targets[2] = wrong
        with pytest.raises(IndexError, match=f"targets: {wrong} is none of {VOCAB} outcomes"):
            linear_cross_entropy(features, weight, bias, targets, execution)


@pytest.mark.parametrize("compiled", [False, True])
def test_what_does_not_fit_together_is_left_to_torch(compiled: bool) -> None:
    features, weight, bias, targets = operands(torch.float32)
    halves = features.bfloat16(), weight.bfloat16()
    for wrong in ((halves[0], weight, bias), (features, halves[1], bias), (features[:-1], weight, bias)):
        with pytest.raises((RuntimeError, TypeError)):
            linear_nats(*wrong, targets, Execution(compiled=compiled))


@pytest.mark.usefixtures("_blocks")
def test_float64_is_exact() -> None:
    *leaves, targets = operands(torch.float64)
    results = []
    for function in (reference, linear_cross_entropy):
        loss = function(*leaves, targets)
        results.append([loss, *torch.autograd.grad(3 * loss, leaves)])
    assert max(distances(results[1], results[0])) < 1e-13


@pytest.mark.usefixtures("_blocks")
def test_gradients_are_those_of_finite_differences() -> None:
    *leaves, targets = operands(torch.float64)
    assert torch.autograd.gradcheck(lambda *leaves: linear_cross_entropy(*leaves, targets), leaves)


@pytest.mark.usefixtures("_blocks")
@each_execution
def test_every_execution_is_near_float64(execution: Execution) -> None:
    *leaves, targets = operands(torch.float64)
    loss = reference(*leaves, targets)
    wanted = [loss, *torch.autograd.grad(3 * loss, leaves)]
    *leaves, targets = operands(torch.float32)
    loss = linear_cross_entropy(*leaves, targets, execution)
    got = [loss, *torch.autograd.grad(3 * loss, leaves)]
    assert {result.dtype for result in got} == {torch.float32}
    assert max(distances(got, wanted)) < TOLERANCES[execution.gemm_path]


@pytest.mark.usefixtures("_blocks")
@each_execution
def test_nats_of_each_token(execution: Execution) -> None:
    *leaves, targets = operands(torch.float64)
    wanted = cross_entropy(linear(leaves[0], leaves[1], leaves[2]), targets, ignore_index=NO_TARGET, reduction="none")
    *leaves, targets = operands(torch.float32)
    nats = linear_nats(*leaves, targets, execution)
    assert nats[targets == NO_TARGET].count_nonzero() == 0
    assert not nats.requires_grad
    assert distances([nats], [wanted])[0] < TOLERANCES[execution.gemm_path]
    with torch.no_grad():
        torch.testing.assert_close(linear_cross_entropy(*leaves, targets, execution), nats.sum())


@pytest.mark.parametrize("compiled", [False, True])
@each_execution
def test_operands_may_lie_transposed_in_memory(execution: Execution, compiled: bool) -> None:
    *leaves, targets = operands(torch.float32)
    execution = replace(execution, compiled=compiled)
    wanted = torch.autograd.grad(linear_cross_entropy(*leaves, targets, execution), leaves)
    features, weight, bias = (leaf.detach().t().contiguous().t().requires_grad_() for leaf in leaves)
    got = torch.autograd.grad(
        linear_cross_entropy(features, weight, bias, targets, execution), (features, weight, bias)
    )
    for ours, theirs in zip(got, wanted, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_uniform_model_costs_the_logarithm_of_the_vocabulary() -> None:
    zeros = torch.zeros(VOCAB, HIDDEN)
    nats = linear_nats(torch.ones(4, HIDDEN), zeros, zeros[:, 0], torch.arange(4))
    torch.testing.assert_close(nats, torch.full((4,), math.log(VOCAB)))


def test_a_graph_that_is_kept_gives_its_gradients_again(monkeypatch: pytest.MonkeyPatch) -> None:
    *leaves, targets = operands(torch.float64)
    loss = linear_cross_entropy(*leaves, targets)
    wanted = torch.autograd.grad(2 * loss, leaves, retain_graph=True)
    again = torch.autograd.grad(2 * loss, leaves)  # the last time, in place
    assert max(distances(list(again), list(wanted))) == 0
    monkeypatch.delattr(torch._C._autograd, "_get_current_graph_task_keep_graph")
    got = torch.autograd.grad(2 * linear_cross_entropy(*leaves, targets), leaves)
    assert max(distances(list(got), list(wanted))) == 0


@each_execution
def test_rows_without_a_target_have_no_gradient(execution: Execution) -> None:
    features, weight, bias, targets = operands(torch.float32)
    linear_cross_entropy(features, weight, bias, torch.full_like(targets, NO_TARGET), execution).backward()
    assert all(leaf.grad is not None and leaf.grad.count_nonzero() == 0 for leaf in (features, weight, bias))


@each_execution
def test_huge_logits_stay_finite(execution: Execution) -> None:
    features, weight, bias, targets = operands(torch.float32)
    loss = linear_cross_entropy(features * 1e4, weight * 1e4, bias, targets, execution)
    loss.backward()
    assert loss.isfinite()
    assert weight.grad is not None and weight.grad.isfinite().all()


def test_only_gradients_that_are_asked_for_are_computed() -> None:
    features, weight, bias, targets = operands(torch.float64)
    linear_cross_entropy(features, weight.detach(), bias.detach(), targets).backward()
    wanted = torch.autograd.grad(reference(features, weight, bias, targets), features)
    assert features.grad is not None and distances([features.grad], list(wanted))[0] < 1e-13


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows(rows: int) -> None:
    features, weight, bias, targets = operands(torch.float64, rows)
    loss = linear_cross_entropy(features, weight, bias, targets)
    torch.testing.assert_close(loss, reference(features, weight, bias, targets))
    assert linear_nats(features, weight, bias, targets).shape == (rows,)
    wanted = torch.autograd.grad(reference(features, weight, bias, targets), weight)
    torch.testing.assert_close(torch.autograd.grad(loss, weight), wanted)


SHAPES = [(1, 1, 1), (2, 3, 2), (13, 17, 33), (70, 31, 97), (197, 33, 401), (64, 650, 129), (7, 1, 1025)]


def of_shape(n_rows: int, hidden_size: int, vocab_size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(n_rows)
    features, weight, bias = (
        torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()
        for shape in ((n_rows, hidden_size), (vocab_size, hidden_size), (vocab_size,))
    )
    return features, weight.detach().div_(hidden_size**0.5).requires_grad_(), bias, torch.arange(n_rows) % vocab_size


@each_execution
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sizes_that_are_no_multiple_of_anything(shape: tuple[int, int, int], execution: Execution) -> None:
    *leaves, targets = of_shape(*shape)
    loss = reference(*leaves, targets)
    wanted = [loss, *torch.autograd.grad(loss, leaves)]
    rounded = [leaf.detach().float().requires_grad_() for leaf in leaves]
    loss = linear_cross_entropy(*rounded, targets, execution)
    got = [loss, *torch.autograd.grad(loss, rounded)]
    tolerance = 2 * TOLERANCES[execution.gemm_path]
    for result, right in zip(got, wanted, strict=True):
        # Of a single outcome the loss is zero.
        assert float((result.double() - right).norm().detach()) <= tolerance * max(1e-3, float(right.norm().detach()))


@needs_compiler
def test_numbers_do_not_depend_on_the_number_of_threads() -> None:
    *leaves, targets = of_shape(197, 33, 401)
    rounded = [leaf.detach().float().requires_grad_() for leaf in leaves]
    results, n_threads = [], torch.get_num_threads()
    try:
        for n in (1, 2, 3):
            torch.set_num_threads(n)
            loss = linear_cross_entropy(*rounded, targets, Execution())
            results.append([loss, *torch.autograd.grad(loss, rounded)])
    finally:
        torch.set_num_threads(n_threads)
    assert all(map(torch.equal, results[0], results[1])) and all(map(torch.equal, results[0], results[2]))


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 1e-42])
def test_what_is_not_an_ordinary_number_travels_as_in_torch(value: float) -> None:
    *leaves, targets = of_shape(13, 17, 33)
    rounded = [leaf.detach().float() for leaf in leaves]
    rounded[0][3, 5] = value
    nats = linear_nats(*rounded, targets)
    wanted = cross_entropy(linear(*rounded), targets, reduction="none")
    assert torch.equal(nats.isfinite(), wanted.isfinite())
    torch.testing.assert_close(nats[nats.isfinite()], wanted[nats.isfinite()])


class LargestTensor(TorchDispatchMode):
    """Remembers the most elements of a tensor of each number format that an operation returned."""

    def __init__(self) -> None:
        super().__init__()
        self.n_elements: dict[torch.dtype, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_iter(result):
            if isinstance(tensor, Tensor):
                self.n_elements[tensor.dtype] = max(self.n_elements.get(tensor.dtype, 0), tensor.numel())
        return result


@each_execution
def test_no_float32_tensor_of_tokens_by_vocabulary_is_ever_alive(
    execution: Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, n_rows_a_block = 120, 20
    monkeypatch.setattr(module, "BLOCK_BYTES", n_rows_a_block * VOCAB * torch.float32.itemsize)
    monkeypatch.setattr(module, "EAGER_ROWS", n_rows_a_block)
    *leaves, targets = operands(torch.float32, rows)
    linear_cross_entropy(*leaves, targets, execution)  # compiles, which handles tensors without memory
    with LargestTensor() as largest:
        linear_cross_entropy(*leaves, targets, execution).backward()
        linear_nats(*leaves, targets, execution)
    # Twice, because rows of logits begin with lines of the cache.
    assert largest.n_elements[torch.float32] <= 2 * n_rows_a_block * VOCAB


@needs_compiler
def test_rows_that_lie_beyond_two_to_the_31() -> None:
    """Offsets are 64 bits wide. The tensor is never touched but in its two rows, so it takes no memory."""
    function = native_function("cross_entropy", torch.empty(0))
    assert function is not None
    stride, n_columns = 2**31 + 64, 5
    logits = torch.empty(stride + n_columns).as_strided((2, n_columns), (stride, 1))
    values = torch.randn(2, n_columns)
    logits.copy_(values)
    targets, bias, nats = torch.tensor([3, 1]), torch.zeros(n_columns), torch.empty(2)
    sizes = {"n_rows": 2, "rows_at_once": 2, "n_columns": n_columns, "stride": stride, "n_threads": 1}
    function(CrossEntropy.of(**sizes, logits=logits, bias=bias, targets=targets, nats=nats))
    torch.testing.assert_close(nats, cross_entropy(values, targets, reduction="none"))
