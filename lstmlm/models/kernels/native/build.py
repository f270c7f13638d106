"""Compile the C++ in `cpp/` for the machine it runs on: once, then kept in the user's cache directory.

What is compiled depends on nothing but the sources and the processor, so one file serves every model, window and batch,
and is used also where there is no compiler any more. It has a plain C interface that takes pointers: no part of torch
is compiled or linked.

What is kept is run when it is loaded. So where others can write to the cache, or it is on a file system that runs no
programs, or cannot be written, a directory among the temporary files takes its place.
"""

import ctypes
import hashlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from lstmlm.cache import CACHE_MODE, cache_directory
from lstmlm.errors import ConfigError, first_line

SOURCES = Path(__file__).parent / "cpp"
COMPILERS = ("c++", "g++", "clang++")
SECONDS_TO_COMPILE = 300

FLAGS = (
    *("-std=c++20", "-O3", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC"),
    "--param=avoid-fma-max-bits=0",
)
"""Not -ffast-math: a loss that is not a number must stay one. The parameter because GCC, where it tunes for Zen or
Alder Lake, rounds the products of a lone sum before it adds them, not of several: rows would depend on each other.
"""


def _machine_flags() -> tuple[tuple[str, ...], ...]:
    """Tried in this order: not every compiler knows every flag, and without OpenMP there is one thread.

    `LSTMLM_MARCH` names another processor than this one, as the compiler's -march does: "x86-64-v3" shows on a newer
    machine what one with AVX2 gets. On ARM it is -mcpu that finds out which processor this one is.
    """
    chosen = os.environ.get("LSTMLM_MARCH")
    native = "-mcpu=native" if platform.machine().lower() in ("arm64", "aarch64") else "-march=native"
    processor = f"-march={chosen}" if chosen else native
    width = "-mprefer-vector-width=512"
    return (processor, width, "-fopenmp"), (processor, "-fopenmp"), (processor, width), (processor,), ()


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


def _compiler() -> list[str]:
    """Return the command that `CXX` names, as for everything that is compiled, or the first compiler there is."""
    if chosen := shlex.split(os.environ.get("CXX", "")):
        if shutil.which(chosen[0]) is None:
            raise BuildError(f"CXX names {chosen[0]}, which is not there")
        return chosen
    found = next(filter(None, map(shutil.which, COMPILERS)), None)
    if found is None:
        raise BuildError("no C++ compiler")
    return [found]


def _load_or_build() -> ctypes.CDLL:
    name = f"kernels-{_fingerprint()}.so"
    unfit: list[str] = []
    for directory in _directories():
        trouble = _trouble_with(directory)
        if trouble is None:
            if (kept := _kept(directory / name)) is not None:
                return kept
            if os.access(directory, os.W_OK):
                return _compile(directory / name, f"once, into {directory}" if unfit else "once", unfit)
            trouble = "cannot be written"
        unfit.append(f"{directory} {trouble}")
    # A loaded library stays when its file is gone; Windows does not let it go.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as passing:
        return _compile(Path(passing) / name, "for this process alone", unfit)


def _kept(path: Path) -> ctypes.CDLL | None:
    if path.exists() and _is_ours_alone(path.stat()):
        try:
            return ctypes.CDLL(str(path))
        except OSError:
            logger.info("%s is damaged and compiled again.", path)
    return None


def _compile(to: Path, where: str, unfit: Sequence[str]) -> ctypes.CDLL:
    """Compile into a file beside `to`, rename it, so that no other process ever loads half of one, and load it."""
    compiler = _compiler()
    reasons = f": {'; '.join(unfit)}. LSTMLM_CACHE names another directory" if unfit else ""
    logger.info("Compiling the kernels for this machine, %s%s.", where, reasons)
    with tempfile.TemporaryDirectory(dir=to.parent) as directory:
        made = Path(directory) / to.name
        complaint = ""
        for machine_flags in _machine_flags():
            command = [*compiler, *FLAGS, *machine_flags, *map(str, sorted(SOURCES.glob("*.cpp"))), "-o", str(made)]
            result = subprocess.run(command, capture_output=True, timeout=SECONDS_TO_COMPILE, check=False)
            if result.returncode == 0:
                made.chmod(CACHE_MODE)  # a linker asks the umask who may write
                made.replace(to)
                if refused := " ".join(flag for flag in _machine_flags()[1] if flag not in machine_flags):
                    logger.info("The kernels are slower for want of %s (%s).", refused, complaint)
                return ctypes.CDLL(str(to))
            lines = result.stderr.decode(errors="replace").strip().splitlines() or [f"{compiler[0]} failed"]
            complaint = next((line for line in lines if "error" in line), lines[0])
        raise BuildError(complaint)


def _fingerprint() -> str:
    """Name what the result depends on: a home directory may be shared by machines of several kinds."""
    parts = [os.environ.get("CXX", ""), *FLAGS, *map(str, _machine_flags()), *_processor()]
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


def _directories() -> Iterator[Path]:
    """Where compiled kernels may be kept, the best place first."""
    with suppress(ConfigError):  # there is no home directory
        yield cache_directory()
    if sys.platform == "win32":  # which has temporary files for each user
        yield Path(tempfile.gettempdir()) / "lstmlm"
    else:
        yield Path(tempfile.gettempdir()) / f"lstmlm-{os.getuid()}"


def _is_ours_alone(status: os.stat_result) -> bool:
    return sys.platform == "win32" or (status.st_uid in (0, os.getuid()) and not status.st_mode & 0o022)


def _trouble_with(directory: Path) -> str | None:
    """Say why nothing may be loaded from there; make the directory where it is missing."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=CACHE_MODE)
        status = directory.stat()
    except OSError as error:
        return f"cannot be made ({error.strerror})"
    if not _is_ours_alone(status):
        return "can be written by others"
    if sys.platform == "linux" and os.statvfs(directory).f_flag & os.ST_NOEXEC:
        return "is on a file system that runs no programs"
    return None
