"""Our own product of matrices: right in any shape, layout and number of threads, and one and the same in each."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from machine import needs_bfloat16, needs_compiler
from torch import Tensor

from lstmlm.models.kernels.gemm import multiply

pytestmark = needs_compiler

# None, one, about a vector, a tile and a block; depth and columns also beyond the blocks that are packed at a time.
SIZES = st.one_of(st.integers(0, 3), st.integers(4, 70), st.sampled_from([144, 145, 300]))
DEPTHS = st.one_of(SIZES, st.sampled_from([512, 513, 1025, 1400]))
COLUMNS = st.one_of(SIZES, st.sampled_from([4096, 4097, 8200]))
FORMATS = {torch.float32: 1e-6, torch.float64: 1e-14}


@contextmanager
def threads(n: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def product(left: Tensor, right: Tensor, n_threads: int = 1) -> Tensor:
    out = left.new_empty(len(left), right.shape[1])
    with threads(n_threads):
        multiply(out, left, right)
    return out


def matrix(n_rows: int, n_columns: int, layout: str, dtype: torch.dtype) -> Tensor:
    """Return a random matrix that lies by rows, by columns, or apart in a larger one."""
    if layout == "by columns":
        return torch.randn(n_columns, n_rows, dtype=dtype).t()
    if layout == "apart":
        return torch.randn(2 * n_rows + 1, 3 * n_columns + 2, dtype=dtype)[1::2, 2::3]
    return torch.randn(n_rows, n_columns, dtype=dtype)


@settings(max_examples=100, deadline=None)
@given(
    shape=st.tuples(SIZES, COLUMNS, DEPTHS),
    layouts=st.tuples(*[st.sampled_from(["by rows", "by columns", "apart"])] * 2),
    dtype=st.sampled_from(list(FORMATS)),
    add=st.booleans(),
    n_threads=st.integers(1, 3),
)
def test_it_agrees_with_float64_in_any_shape(
    shape: tuple[int, int, int], layouts: tuple[str, str], dtype: torch.dtype, add: bool, n_threads: int
) -> None:
    torch.manual_seed(0)
    n_rows, n_columns, depth = shape
    left, right = matrix(n_rows, depth, layouts[0], dtype), matrix(depth, n_columns, layouts[1], dtype)
    around = torch.randn(n_rows, n_columns + 4, dtype=dtype)
    out, before = around[:, 1 : n_columns + 1], around.double()
    wanted = left.double() @ right.double() + (before[:, 1 : n_columns + 1] if add else 0)
    with threads(n_threads):
        multiply(out, left, right, add=add)
    scale = max(1, depth) ** 0.5 * 10  # of sums of so many products of normal numbers
    torch.testing.assert_close(out.double(), wanted, rtol=0, atol=FORMATS[dtype] * scale)
    outside = [0, *range(n_columns + 1, n_columns + 4)]
    assert around[:, outside].double().equal(before[:, outside])


@needs_bfloat16
@settings(max_examples=100, deadline=None)
@given(
    shape=st.tuples(SIZES, COLUMNS, DEPTHS),
    layouts=st.tuples(*[st.sampled_from(["by rows", "by columns", "apart"])] * 2),
    is_rounded=st.booleans(),
    add=st.booleans(),
    n_threads=st.integers(1, 3),
)
def test_products_of_bfloat16_are_summed_in_float32_and_rounded_once(
    shape: tuple[int, int, int], layouts: tuple[str, str], is_rounded: bool, add: bool, n_threads: int
) -> None:
    torch.manual_seed(0)
    n_rows, n_columns, depth = shape
    left = matrix(n_rows, depth, layouts[0], torch.bfloat16)
    right = matrix(depth, n_columns, layouts[1], torch.bfloat16)
    out = torch.randn(n_rows, n_columns)
    wanted = left.double() @ right.double() + (out.double() if add and not is_rounded else 0)
    out = out.bfloat16() if is_rounded else out
    with threads(n_threads):
        multiply(out, left, right, add=add and not is_rounded)
    scale = max(1, depth) ** 0.5 * 10
    torch.testing.assert_close(out.double(), wanted, rtol=2**-8 if is_rounded else 0, atol=1e-6 * scale)


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("shape", [(1, 700, 300), (7, 33, 600), (20, 130, 64), (500, 47, 530)])
def test_the_number_of_threads_changes_no_bit(dtype: torch.dtype, shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    n_rows, n_columns, depth = shape
    left, right = torch.randn(n_rows, depth, dtype=dtype), torch.randn(depth, n_columns, dtype=dtype)
    alone = product(left, right)
    assert all(product(left, right, n_threads).equal(alone) for n_threads in (2, 3, 5))


def test_a_row_and_a_column_do_not_depend_on_the_others() -> None:
    torch.manual_seed(0)
    left, right = torch.randn(29, 530), torch.randn(530, 71)
    together = product(left, right)
    assert all(product(left[i : i + 1], right).equal(together[i : i + 1]) for i in range(29))
    assert product(left, right[:, 40:]).equal(together[:, 40:])


@pytest.mark.parametrize("special", [torch.nan, torch.inf, -torch.inf, 1e-40, 3e38])
def test_special_numbers_travel_as_in_torch(special: float) -> None:
    """In their row or column alone: what fills up panels and tiles never meets them."""
    torch.manual_seed(0)
    for left_at, right_at in (((3, 5), None), (None, (600, 16)), ((13, 600), (600, 40))):
        left, right = torch.randn(14, 601), torch.randn(601, 41)
        if left_at is not None:
            left[left_at] = special
        if right_at is not None:
            right[right_at] = special
        got, wanted = product(left, right), (left.double() @ right.double()).float()
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4, equal_nan=True)


def test_products_of_denormal_numbers_are_not_flushed() -> None:
    small = torch.full((2, 3), 2.0**-140)
    assert product(small, torch.ones(3, 2)).equal(torch.full((2, 2), 3 * 2.0**-140))
