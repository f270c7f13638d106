"""Compiled pointwise steps: the same results as running in place, and in place where compiling fails."""

import logging
import math
import os
import subprocess
import sys
from pathlib import Path

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


COMPUTE = """
import torch
from lstmlm.models.kernels import Execution, linear_cross_entropy
weight = torch.eye(5, 3, requires_grad=True)
for _ in range(2):
    loss = linear_cross_entropy(torch.ones(2, 3), weight, torch.ones(5), torch.ones(2).long(), Execution(fuse=True))
print(f"{loss.item():.4f}")
"""


@pytest.mark.parametrize("cause", ["no compiler", "a cache that cannot be written"])
def test_the_real_failures_are_no_errors(cause: str, tmp_path: Path) -> None:
    """In a process of its own: torch looks for its compiler and its cache once."""
    a_file = tmp_path / "file"
    a_file.touch()
    settings = {
        "no compiler": {"CXX": str(tmp_path / "no-such-compiler"), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")},
        "a cache that cannot be written": {"TORCHINDUCTOR_CACHE_DIR": str(a_file / "cache")},
    }
    command = [sys.executable, "-c", COMPUTE]
    result = subprocess.run(command, env=os.environ | settings[cause], capture_output=True, text=True, check=False)
    assert result.stdout == f"{2 * (math.log(3 * math.e + 2) - 1):.4f}\n", result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("_softmax_equations is not compiled (")


def test_fast_tanh_is_tanh() -> None:
    x = torch.linspace(-20, 20, 4001)
    torch.testing.assert_close(fast_tanh(x), torch.tanh(x), rtol=0, atol=2e-7)
