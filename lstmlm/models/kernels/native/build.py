"""Compile the C++ beside this file for the machine it runs on: once, then kept in the user's cache directory.

What is compiled depends on nothing but the sources, the compiler and the processor, so one file serves every model,
window and batch. It has a plain C interface that takes pointers: no part of torch is compiled or linked.
"""

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from lstmlm.cache import cache_directory
from lstmlm.errors import ConfigError, first_line

SOURCES = Path(__file__).parent
COMPILERS = ("c++", "g++", "clang++")
SECONDS_TO_COMPILE = 300

FLAGS = ("-std=c++20", "-O3", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
"""Not -ffast-math: a loss that is not a number must stay one."""


def _machine_flags() -> tuple[tuple[str, ...], ...]:
    """Tried in this order: not every compiler knows every flag, and without OpenMP there is one thread.

    `LSTMLM_MARCH` names another processor than this one, as the compiler's -march does: "x86-64-v3" shows on a newer
    machine what one with AVX2 gets. On ARM it is -mcpu that finds out which processor this one is.
    """
    chosen = os.environ.get("LSTMLM_MARCH")
    native = "-mcpu=native" if platform.machine().lower() in ("arm64", "aarch64") else "-march=native"
    processor = f"-march={chosen}" if chosen else native
    return (processor, "-mprefer-vector-width=512", "-fopenmp"), (processor, "-fopenmp"), (processor,), ()


logger = logging.getLogger(__name__)


class BuildError(Exception):
    """There is no compiler, or it failed; the message says why in a line."""


@cache
def library() -> ctypes.CDLL | None:
    """Return the compiled kernels; None where they cannot be had, with one line in the log that says why."""
    try:
        return _load_or_build()
    except (BuildError, OSError, subprocess.SubprocessError) as error:
        logger.warning("The kernels are not compiled (%s): the slower way is taken.", first_line(error))
        return None


def _compiler() -> str | None:
    return next(filter(None, map(shutil.which, COMPILERS)), None)


def _load_or_build() -> ctypes.CDLL:
    compiler = _compiler()
    if compiler is None:
        raise BuildError("no C++ compiler")
    name = f"kernels-{_fingerprint(compiler)}.so"
    directory = _kernel_directory()
    if directory is not None:
        kept = directory / name
        if kept.exists():
            try:
                return ctypes.CDLL(str(kept))
            except OSError:
                logger.info("%s is damaged and compiled again.", kept)
        _compile(compiler, kept)
        return ctypes.CDLL(str(kept))
    # A loaded library stays when its file is gone; Windows does not let it go.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as passing:
        _compile(compiler, Path(passing) / name)
        return ctypes.CDLL(str(Path(passing) / name))


def _compile(compiler: str, to: Path) -> None:
    """Compile into a file beside `to` and rename it, so that no other process ever loads half of one."""
    logger.info("Compiling the kernels for this machine, once.")
    with tempfile.TemporaryDirectory(dir=to.parent) as directory:
        made = Path(directory) / to.name
        complaint = ""
        for machine_flags in _machine_flags():
            command = [compiler, *FLAGS, *machine_flags, *map(str, sorted(SOURCES.glob("*.cpp"))), "-o", str(made)]
            result = subprocess.run(command, capture_output=True, timeout=SECONDS_TO_COMPILE, check=False)
            if result.returncode == 0:
                made.replace(to)
                return
            complaint = complaint or result.stderr.decode(errors="replace")
        raise BuildError(complaint.strip().partition("\n")[0] or f"{compiler} failed")


def _fingerprint(compiler: str) -> str:
    """Name what the result depends on: a home directory may be shared by machines of several kinds."""
    version = subprocess.run([compiler, "--version"], capture_output=True, timeout=60, check=True).stdout
    parts = [version.decode(errors="replace"), *FLAGS, *map(str, _machine_flags()), *_processor()]
    parts += [path.read_text("utf-8") for path in sorted(SOURCES.glob("*.*")) if path.suffix in (".h", ".cpp")]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _processor() -> Iterator[str]:
    yield platform.machine()
    yield platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return
    for field in ("model name", "flags", "Features"):
        yield from [line for line in lines if line.startswith(field)][:1]


def _kernel_directory() -> Path | None:
    """Return where compiled kernels are kept; None where that is not writable, or writable by others."""
    try:
        directory = cache_directory()
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        status = directory.stat()
    except (OSError, ConfigError):
        return None
    is_own = not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o022)
    return directory if is_own and os.access(directory, os.W_OK) else None
