"""Compiling the kernels: kept once made, never half made, and done without where it cannot be had."""

import logging
import os
import re
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from machine import needs_compiler

from lstmlm.models.kernels import Execution, linear_cross_entropy
from lstmlm.models.kernels.native import build

SOURCE = 'extern "C" int answer() { return 42; }'


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Compile a line instead of the kernels; returns the cache directory."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "answer.cpp").write_text(SOURCE, "utf-8")
    monkeypatch.setattr(build, "SOURCES", tmp_path / "source")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("LSTMLM_CACHE", str(tmp_path / "cache" / "lstmlm"))
    monkeypatch.delenv("CXX", raising=False)
    build.library.cache_clear()
    yield tmp_path / "cache" / "lstmlm"
    build.library.cache_clear()


def answer() -> int:
    build.library.cache_clear()
    compiled = build.library()
    assert compiled is not None
    return int(compiled.answer())


def fake_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, name: str = "c++") -> None:
    path = tmp_path / "bin" / name
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")


@needs_compiler
def test_what_was_compiled_is_kept_and_loaded_again(small: Path) -> None:
    assert answer() == 42
    (made,) = small.iterdir()
    before = made.stat().st_mtime_ns
    assert answer() == 42
    assert made.stat().st_mtime_ns == before


@needs_compiler
def test_what_was_compiled_is_used_where_there_is_no_compiler_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert answer() == 42
    monkeypatch.setenv("PATH", str(tmp_path))
    assert answer() == 42


@needs_compiler
def test_a_damaged_file_is_compiled_again(small: Path) -> None:
    small.mkdir(parents=True, mode=0o755)
    (small / f"kernels-{build._fingerprint()}.so").write_bytes(b"\x7fELF and no more")
    assert answer() == 42


@needs_compiler
def test_cxx_is_the_compiler_with_its_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert answer() == 42
    fake_compiler(tmp_path, monkeypatch, 'PATH=${PATH#*:}; shift; exec c++ -Danswer=named "$@"', name="mine")
    monkeypatch.setenv("CXX", "mine --quietly")
    build.library.cache_clear()
    compiled = build.library()
    assert compiled is not None
    assert compiled.named() == 42


@pytest.mark.parametrize("cause", ["no C++ compiler", "unknown flag", "CXX names clang++-99, which is not there"])
def test_without_a_compiler_it_is_said_once_and_the_numbers_are_the_same(
    cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if cause == "no C++ compiler":
        monkeypatch.setenv("PATH", str(tmp_path))
    elif cause.startswith("CXX"):
        monkeypatch.setenv("CXX", "clang++-99 -v")
    else:
        fake_compiler(tmp_path, monkeypatch, 'echo "unknown flag" >&2; exit 1')
    with caplog.at_level(logging.WARNING):
        losses = [
            linear_cross_entropy(torch.ones(2, 3), torch.eye(5, 3), torch.ones(5), torch.ones(2).long(), Execution())
            for _ in range(2)
        ]
    assert losses[0] == losses[1] == pytest.approx(2 * (torch.tensor([2.0] * 3 + [1.0] * 2).logsumexp(0) - 2))
    assert caplog.messages == [f"The kernels are not compiled ({cause}): the slower way is taken."]


@needs_compiler
def test_a_compiler_without_openmp_makes_kernels_for_one_thread_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    script = 'case "$*" in *-fopenmp*) echo "no OpenMP" >&2; exit 1;; esac\nPATH=${PATH#*:} exec c++ "$@"'
    fake_compiler(tmp_path, monkeypatch, script)
    with caplog.at_level(logging.INFO):
        assert answer() == 42
    assert caplog.messages[1:] == ["The kernels are slower for want of -fopenmp (no OpenMP)."]


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
    assert [flags[:1] for flags in build._machine_flags()] == [(flag,), (flag,), (flag,), (flag,), ()]


@needs_compiler
@pytest.mark.parametrize("umask", [0o002, 0o000])
def test_a_new_cache_is_for_its_owner_to_write_whatever_the_umask(umask: int, small: Path) -> None:
    before = os.umask(umask)
    try:
        assert answer() == 42
    finally:
        os.umask(before)
    assert stat.S_IMODE(small.stat().st_mode) == 0o755
    [made] = small.iterdir()
    assert made.suffix == ".so"
    assert stat.S_IMODE(made.stat().st_mode) == 0o755


@needs_compiler
def test_what_others_may_write_is_compiled_again(small: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert answer() == 42
    [made] = small.iterdir()
    made.chmod(0o775)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        assert answer() == 42
    assert caplog.messages == ["Compiling the kernels for this machine, once."]
    assert stat.S_IMODE(made.stat().st_mode) == 0o755


def make_unfit(directory: Path, trouble: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a directory a trouble; what only another user or a mount can do has a stand-in."""
    directory.parent.mkdir(exist_ok=True)
    if "File exists" in trouble:
        directory.touch()
        return
    directory.mkdir()
    directory.chmod(0o770 if "by others" in trouble else 0o700)
    if "no programs" in trouble:
        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.setattr(os, "ST_NOEXEC", 8, raising=False)
        monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_flag=8 * (Path(path) == directory)))
    if "cannot be written" in trouble:
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != directory)


TROUBLES = (
    "cannot be made (File exists)",
    "can be written by others",
    "is on a file system that runs no programs",
    "cannot be written",
)


@needs_compiler
@pytest.mark.parametrize("trouble", TROUBLES)
def test_where_the_cache_is_unfit_another_directory_keeps_what_was_compiled(
    trouble: str, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    make_unfit(small, trouble, monkeypatch)
    with caplog.at_level(logging.INFO):
        assert answer() == answer() == 42
    (made,) = (tmp_path / "temporary").glob("*/*")
    assert caplog.messages == [
        f"Compiling the kernels for this machine, once, into {made.parent}: {small} {trouble}. "
        "LSTMLM_CACHE names another directory."
    ]
    assert small.is_file() or not list(small.iterdir())


@needs_compiler
def test_what_a_cache_that_cannot_be_written_has_is_used(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer()
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setenv("PATH", "")
    assert answer() == 42


@needs_compiler
def test_where_no_directory_is_fit_each_process_compiles_for_itself(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for directory in build._directories():
        make_unfit(directory, "can be written by others", monkeypatch)
    with caplog.at_level(logging.INFO):
        assert answer() == answer() == 42
    assert len(caplog.messages) == 2
    assert re.fullmatch(
        f"Compiling the kernels for this machine, for this process alone: {small} can be written by others; "
        f"{tmp_path}/temporary/lstmlm-.* can be written by others. LSTMLM_CACHE names another directory.",
        caplog.messages[0],
    )
    assert not list(tmp_path.glob("temporary/*/*"))


@needs_compiler
def test_the_name_depends_on_what_is_compiled(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer()
    (build.SOURCES / "answer.cpp").write_text(SOURCE.replace("42", "43"), "utf-8")
    assert answer() == 43
    monkeypatch.setattr(build, "_processor", lambda: iter(["another processor"]))
    assert answer() == 43
    assert len(list(small.iterdir())) == 3
