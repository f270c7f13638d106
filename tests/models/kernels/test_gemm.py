"""The routes of matrix products: they agree, fall back where they are missing, and the fastest is chosen."""

import pytest
import torch
from machine import COMPILES, MULTIPLIES_BFLOAT16, needs_compiler

from lstmlm.models.kernels import Execution, gemm
from lstmlm.models.kernels.gemm import Gemm, GemmPath, available_paths, linear

each_path = pytest.mark.parametrize("path", GemmPath)
# bfloat16 rounds both operands and the result to 8 bits; the sums are over at most 40 terms.
TOLERANCES = dict.fromkeys(GemmPath, 1e-6) | {path: 1e-2 for path in GemmPath if path.rounds}


def distance(got: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((got.double() - wanted).norm() / wanted.norm())


@each_path
@torch.no_grad()
def test_products_agree_with_float64(path: GemmPath) -> None:
    torch.manual_seed(0)
    products = Gemm(path)
    rows, weight = torch.randn(7, 40), torch.randn(30, 40)
    cast_rows, cast_weight = products.cast(rows), products.cast(weight)
    wanted = rows.double() @ weight.double().t()
    for prepared in (cast_weight, products.cast(weight.t().contiguous()).t()):
        assert distance(products.prepare(prepared, 7)(cast_rows), wanted) < TOLERANCES[path]
        assert distance(products.linear(cast_rows, prepared), wanted) < TOLERANCES[path]
    left = torch.randn(7, 30)
    assert (
        distance(products.outer(products.cast(left), cast_rows), left.double().t() @ rows.double()) < TOLERANCES[path]
    )
    assert distance(products.total(cast_rows), rows.double().sum(0)) < TOLERANCES[path]


@pytest.mark.parametrize(("n_rows", "n_left", "n_right"), [(1, 1, 1), (35, 12, 16), (513, 205, 47), (1030, 13, 33)])
def test_the_gradient_of_a_weight_in_any_shape_and_number_of_threads(n_rows: int, n_left: int, n_right: int) -> None:
    torch.manual_seed(0)
    left, right = (torch.randn(n_rows, n, dtype=torch.float64) for n in (n_left, n_right))
    products, before = [], torch.get_num_threads()
    try:
        for n_threads in (1, 2):
            torch.set_num_threads(n_threads)
            products.append(Gemm(GemmPath.NATIVE).outer(left, right))
    finally:
        torch.set_num_threads(before)
    assert products[0].equal(products[1])
    torch.testing.assert_close(products[0], torch.einsum("ri,rj->ij", left, right), rtol=0, atol=1e-11)


def test_whoever_wants_no_compiler_gets_torch_s_gradients_of_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a run that began without one goes on with the same bits where there is one."""
    monkeypatch.setattr(gemm, "multiply", pytest.fail)
    left, right = torch.randn(7, 5), torch.randn(7, 3)
    products = Execution(GemmPath.NATIVE, compiled=False).gemm(torch.float32)
    torch.testing.assert_close(products.outer(left, right), left.t() @ right)


@each_path
def test_other_number_formats_than_float32_take_the_native_route_or_ours(path: GemmPath) -> None:
    assert Execution(path).gemm(torch.float64) == Gemm(GemmPath.OWN if path == GemmPath.OWN else GemmPath.NATIVE)
    assert Execution(path).gemm(torch.float32) == Gemm(path)


@pytest.mark.parametrize("failure", [AttributeError("gone"), RuntimeError("no such processor"), TypeError("arguments")])
def test_a_binding_that_fails_is_not_used(failure: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(torch.ops.mkldnn, "_reorder_linear_weight", fail)
    gemm.onednn_linear.cache_clear()
    try:
        assert gemm.onednn_linear(torch.float32) is None
        assert GemmPath.ONEDNN not in available_paths(torch.device("cpu"))
        assert Gemm(GemmPath.ONEDNN).prepare(torch.eye(3), 2)(torch.ones(2, 3)).equal(torch.ones(2, 3))
    finally:
        gemm.onednn_linear.cache_clear()


def test_the_native_route_is_always_there() -> None:
    assert available_paths(torch.device("cpu"))[0] == GemmPath.NATIVE


def test_the_routes_of_the_machine_are_offered() -> None:
    """One that is not would cost nothing but speed, so that no other test would notice."""
    paths = available_paths(torch.device("cpu"))
    assert (GemmPath.OWN in paths) == COMPILES
    assert (GemmPath.BFLOAT16 in paths) == MULTIPLIES_BFLOAT16
    assert (GemmPath.OWN_BFLOAT16 in paths) == (COMPILES and MULTIPLIES_BFLOAT16)


@pytest.mark.parametrize("n_rows", [1, 2, 3, 5, 8, 9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@torch.no_grad()
def test_the_product_of_few_rows(n_rows: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    rows, weight, bias = (torch.randn(shape, dtype=torch.float64) for shape in ((n_rows, 37), (43, 37), (43,)))
    tolerance = 1e-6 if dtype == torch.float32 else 1e-14
    for b in (None, bias):
        got = linear(rows.to(dtype), weight.to(dtype), None if b is None else b.to(dtype))
        assert got.dtype == dtype
        assert distance(got, rows @ weight.t() + (0 if b is None else b)) < tolerance


@needs_compiler  # without one torch multiplies, and rounds both sides
@pytest.mark.parametrize("depth", [1, 5, 16, 17, 63, 64, 80, 650])
@pytest.mark.parametrize("n_rows", [1, 4, 11])
@pytest.mark.parametrize("has_bias", [True, False])
@torch.no_grad()
def test_a_rounded_matrix_rounds_nothing_else(depth: int, n_rows: int, has_bias: bool) -> None:
    torch.manual_seed(0)
    rows, weight = torch.randn(n_rows, depth), torch.randn(43, depth).bfloat16()
    bias = torch.randn(43) if has_bias else None
    wanted = rows.double() @ weight.double().t() + (0 if bias is None else bias)
    got = linear(rows, weight, bias)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, wanted.float(), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_torch_takes_the_place_of_a_compiler_for_a_rounded_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gemm, "native_function", lambda *_: None)
    torch.manual_seed(0)
    rows, weight, bias = torch.randn(3, 40), torch.randn(7, 40).bfloat16(), torch.randn(7)
    got = linear(rows, weight, bias)
    assert got.dtype == torch.float32
    assert distance(got, rows.double() @ weight.double().t() + bias) < TOLERANCES[GemmPath.BFLOAT16]


@needs_compiler  # torch's products do not promise that
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.no_grad()
def test_a_row_does_not_depend_on_the_others(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    rows, weight = torch.randn(8, 100), torch.randn(70, 100).to(dtype)
    together = linear(rows, weight)
    assert all(linear(rows[i : i + 1], weight).equal(together[i : i + 1]) for i in range(8))


def test_what_does_not_fit_together_is_left_to_torch() -> None:
    rows, weight = torch.randn(2, 64), torch.randn(10, 64)
    assert torch.equal(
        gemm.linear(rows.bfloat16(), weight.bfloat16()), torch.nn.functional.linear(rows.bfloat16(), weight.bfloat16())
    )
    for bias in (torch.randn(9), torch.randn(10).double()):
        with pytest.raises((RuntimeError, TypeError)):
            gemm.linear(rows, weight, bias)
    with pytest.raises((RuntimeError, TypeError)):
        gemm.linear(rows[:, :-1], weight)


def test_a_product_that_needs_a_gradient_has_one() -> None:
    rows, weight = torch.randn(2, 5), torch.randn(3, 5, requires_grad=True)
    linear(rows, weight).sum().backward()
    torch.testing.assert_close(weight.grad, rows.sum(0).expand(3, 5))
