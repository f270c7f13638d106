"""Compiling the kernels: kept once made, never half made, and done without where it cannot be had."""

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from lstmlm.models.kernels import Execution, linear_cross_entropy
from lstmlm.models.kernels.native import build

SOURCE = 'extern "C" int answer() { return 42; }'


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Compile a line instead of the kernels; returns the cache directory."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "answer.cpp").write_text(SOURCE)
    monkeypatch.setattr(build, "SOURCES", tmp_path / "source")
    monkeypatch.setenv("LSTMLM_CACHE", str(tmp_path / "cache" / "lstmlm"))
    build.library.cache_clear()
    yield tmp_path / "cache" / "lstmlm"
    build.library.cache_clear()


def answer() -> int:
    build.library.cache_clear()
    compiled = build.library()
    assert compiled is not None
    return int(compiled.answer())


def fake_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    path = tmp_path / "bin" / "c++"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\nif [ "$1" = --version ]; then echo fake; exit; fi\n{script}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")


def test_what_was_compiled_is_kept_and_loaded_again(small: Path) -> None:
    assert answer() == 42
    (made,) = small.iterdir()
    before = made.stat().st_mtime_ns
    assert answer() == 42
    assert made.stat().st_mtime_ns == before


def test_a_damaged_file_is_compiled_again(small: Path) -> None:
    small.mkdir(parents=True)
    compiler = build._compiler()
    assert compiler is not None
    (small / f"kernels-{build._fingerprint(compiler)}.so").write_bytes(b"\x7fELF and no more")
    assert answer() == 42


@pytest.mark.parametrize("cause", ["no C++ compiler", "unknown flag"])
def test_without_a_compiler_it_is_said_once_and_the_numbers_are_the_same(
    cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if cause == "no C++ compiler":
        monkeypatch.setenv("PATH", str(tmp_path))
    else:
        fake_compiler(tmp_path, monkeypatch, 'echo "unknown flag" >&2; exit 1')
    with caplog.at_level(logging.WARNING):
        losses = [
            linear_cross_entropy(torch.ones(2, 3), torch.eye(5, 3), torch.ones(5), torch.ones(2).long(), Execution())
            for _ in range(2)
        ]
    assert losses[0] == losses[1] == pytest.approx(2 * (torch.tensor([2.0] * 3 + [1.0] * 2).logsumexp(0) - 2))
    assert caplog.messages == [f"The kernels are not compiled ({cause}): the slower way is taken."]


def test_a_compiler_without_openmp_makes_kernels_for_one_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = 'case "$*" in *-fopenmp*) echo "no OpenMP" >&2; exit 1;; esac\nPATH=${PATH#*:} exec c++ "$@"'
    fake_compiler(tmp_path, monkeypatch, script)
    assert answer() == 42


def test_a_complaint_may_be_in_any_encoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fake_compiler(tmp_path, monkeypatch, r"printf 'm\344chtig schief\n' >&2; exit 1")
    assert build.library() is None
    assert caplog.messages == ["The kernels are not compiled (m\ufffdchtig schief): the slower way is taken."]


@pytest.mark.parametrize(
    ("machine", "chosen", "flag"),
    [
        ("x86_64", "", "-march=native"),
        ("arm64", "", "-mcpu=native"),
        ("aarch64", "", "-mcpu=native"),
        ("arm64", "armv8.6-a", "-march=armv8.6-a"),
    ],
)
def test_the_processor_is_the_one_that_is_there_or_chosen(
    machine: str, chosen: str, flag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setenv("LSTMLM_MARCH", chosen)
    assert [flags[:1] for flags in build._machine_flags()] == [(flag,), (flag,), (flag,), ()]


@pytest.mark.parametrize("trouble", ["a file in its place", "writable by everyone"])
def test_a_cache_that_cannot_be_used_is_done_without(trouble: str, small: Path) -> None:
    small.parent.mkdir()
    if trouble == "a file in its place":
        small.touch()
    else:
        small.mkdir()
        small.chmod(0o777)
    assert answer() == 42
    assert small.is_file() or not list(small.iterdir())


def test_the_name_depends_on_what_is_compiled(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer()
    (build.SOURCES / "answer.cpp").write_text(SOURCE.replace("42", "43"))
    assert answer() == 43
    monkeypatch.setattr(build, "_processor", lambda: iter(["another processor"]))
    assert answer() == 43
    assert len(list(small.iterdir())) == 3
