"""Compiled pointwise arithmetic: the same results as operation by operation, and that where compiling fails."""

import logging

import pytest
import torch
from machine import needs_torch_compiler
from torch import Tensor

from lstmlm.models.kernels import pointwise
from lstmlm.models.kernels.pointwise import bind


def double_and_add(x: Tensor, y: Tensor | None, out: Tensor) -> None:
    out.copy_(x * 2 if y is None else x * 2 + y)


@needs_torch_compiler
@pytest.mark.parametrize("y", [None, torch.ones(3, 4)])
def test_compiled_or_not_the_result_is_the_same(y: Tensor | None) -> None:
    x, results = torch.arange(12.0).view(3, 4), []
    for fuse in (False, True):
        out = torch.empty(3, 4)
        step = bind(double_and_add, (x, y, out), fuse=fuse)
        assert (step is double_and_add) == (not fuse)
        step(x, y, out)
        results.append(out)
    assert results[0].equal(results[1])


def test_views_of_any_stride_are_written_where_they_lie() -> None:
    both = torch.zeros(3, 8)
    x = torch.arange(12.0).view(4, 3).t()
    out = both[:, 4:]
    bind(double_and_add, (x, None, out), fuse=True)(x, None, out)
    assert both[:, :4].equal(torch.zeros(3, 4))
    assert out.equal(2 * x)


def test_where_compiling_fails_it_runs_as_it_stands_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no compiler here\nand a page of reasons")

    monkeypatch.setattr(pointwise, "_compile_or_raise", fail)
    operands = (torch.ones(2, 13), None, torch.empty(2, 13))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert bind(double_and_add, operands, fuse=True) is double_and_add
    assert caplog.messages == ["double_and_add is not compiled (no compiler here): the slower way is taken."]
