"""The routes of matrix products: they agree, fall back where they are missing, and the fastest is chosen."""

import pytest
import torch

from lstmlm.models.kernels import gemm
from lstmlm.models.kernels.gemm import Gemm, GemmPath, LayerShape, available_paths, choose_gemm_path

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
    rows, weight, bias = torch.randn(7, 40), torch.randn(30, 40), torch.randn(30)
    cast_rows, cast_weight = products.cast(rows), products.cast(weight)
    wanted = rows.double() @ weight.double().t()
    for prepared in (cast_weight, products.cast(weight.t().contiguous()).t()):
        assert distance(products.prepare(prepared, 7)(cast_rows), wanted) < TOLERANCES[path]
        assert distance(products.linear(cast_rows, prepared), wanted) < TOLERANCES[path]
    with_bias = products.linear(cast_rows, cast_weight, products.cast(bias))
    assert distance(with_bias, wanted + bias.double()) < TOLERANCES[path]
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


def test_the_fastest_route_is_chosen_and_all_measurements_are_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = LayerShape(n_steps=2, batch_size=3, input_size=4, hidden_size=5, n_gates=4)
    speeds = {GemmPath.NATIVE: 3.0, GemmPath.ONEDNN: 1.0, GemmPath.BFLOAT16: 2.0}
    monkeypatch.setattr(gemm, "_training_products", lambda products, _: lambda: speeds[products.path])
    choice = choose_gemm_path([shape, shape], GemmPath)
    assert choice.path == GemmPath.ONEDNN
    assert choice.seconds == {path: 2 * seconds for path, seconds in speeds.items()}


def test_a_choice_is_measured_on_this_machine() -> None:
    shape = LayerShape(n_steps=3, batch_size=2, input_size=8, hidden_size=16, n_gates=4)
    choice = choose_gemm_path([shape], n_rounds=1)
    assert choice.path in available_paths(torch.device("cpu"))
    assert all(seconds > 0 for seconds in choice.seconds.values())
