"""The routes of matrix products: they agree, fall back where they are missing, and the fastest is chosen."""

import pytest
import torch

from lstmlm.models.kernels import gemm
from lstmlm.models.kernels.gemm import Gemm, GemmPath, available_paths

each_path = pytest.mark.parametrize("path", GemmPath)
# bfloat16 rounds both operands and the result to 8 bits; the sums are over at most 40 terms.
TOLERANCES = {GemmPath.NATIVE: 1e-6, GemmPath.ONEDNN: 1e-6, GemmPath.BFLOAT16: 1e-2}


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


@each_path
def test_other_number_formats_than_float32_take_the_native_route(path: GemmPath) -> None:
    assert Gemm.of(path, torch.float64) == Gemm(GemmPath.NATIVE)
    assert Gemm.of(path, torch.float32) == Gemm(path)


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
