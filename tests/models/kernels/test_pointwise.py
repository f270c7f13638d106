"""Compiled pointwise steps: the same results as running in place, and in place where compiling fails."""

import logging

import pytest
import torch
from torch import Tensor

from lstmlm.models.kernels import pointwise
from lstmlm.models.kernels.pointwise import PointwiseStep, fast_tanh


def _equations(x: Tensor, y: Tensor | None, out: Tensor) -> None:
    out.copy_(x * 2 if y is None else x * 2 + y)


def _in_place(x: Tensor, y: Tensor | None, out: Tensor) -> None:
    torch.mul(x, 2, out=out)
    if y is not None:
        out.add_(y)


STEP = PointwiseStep(_equations, _in_place)


@pytest.mark.parametrize("y", [None, torch.ones(3, 4)])
def test_compiled_or_not_the_result_is_the_same(y: Tensor | None) -> None:
    x, results = torch.arange(12.0).view(3, 4), []
    for fuse in (False, True):
        out = torch.empty(3, 4)
        step = STEP.bind((x, y, out), fuse=fuse)
        assert (step is _in_place) == (not fuse)
        step(x, y, out)
        results.append(out)
    assert results[0].equal(results[1])


def test_views_of_any_stride_are_written_where_they_lie() -> None:
    both = torch.zeros(3, 8)
    x = torch.arange(12.0).view(4, 3).t()
    out = both[:, 4:]
    STEP.bind((x, None, out), fuse=True)(x, None, out)
    assert both[:, :4].equal(torch.zeros(3, 4))
    assert out.equal(2 * x)


def test_where_compiling_fails_it_runs_in_place_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no compiler here\nand a page of reasons")

    monkeypatch.setattr(pointwise, "_compile_or_raise", fail)
    operands = (torch.ones(2, 13), None, torch.empty(2, 13))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert STEP.bind(operands, fuse=True) is _in_place
    assert caplog.messages == ["_equations is not compiled (no compiler here): the slower way is taken."]


def test_a_missing_compiler_is_no_error(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """The real failure: torch's compiler looks for g++ and finds nothing that it could run."""
    from torch._inductor import config

    monkeypatch.setattr(config.cpp, "cxx", ("no-such-compiler",))
    monkeypatch.setattr(config, "fx_graph_cache", False)
    x, out = torch.ones(2, 17), torch.empty(2, 17)
    STEP.bind((x, x, out), fuse=True)(x, x, out)
    assert out.equal(torch.full((2, 17), 3.0))
    assert len(caplog.messages) == 1


def test_fast_tanh_is_tanh() -> None:
    x = torch.linspace(-20, 20, 4001)
    torch.testing.assert_close(fast_tanh(x), torch.tanh(x), rtol=0, atol=2e-7)
