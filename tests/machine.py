"""What a test may need of the machine, found without asking lstmlm; each need is a mark that skips by its name."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

CXX = shlex.split(os.environ.get("CXX", ""))
COMPILES = any(map(shutil.which, CXX[:1] or ("c++", "g++", "clang++")))


def _torch_compiles() -> bool:
    """Whether the compiler that torch's own compiler calls is there, with OpenMP."""
    command = [*(CXX or ["clang++" if sys.platform == "darwin" else "g++"]), "-fopenmp", "-x", "c++", "-"]
    if shutil.which(command[0]) is None:
        return False
    source = "#include <omp.h>\nint main() { return omp_get_max_threads(); }"
    made = subprocess.run([*command, "-o", os.devnull], input=source, capture_output=True, text=True, check=False)
    return made.returncode == 0


MULTIPLIES_BFLOAT16 = torch.cpu._is_avx512_bf16_supported() and not {"LSTMLM_MARCH", "ONEDNN_MAX_CPU_ISA"} & set(
    os.environ
)
"""Whether kernels for bfloat16 are expected: the processor has the instructions, and may use them."""

IS_ROOT = hasattr(os, "getuid") and os.getuid() == 0


def _may(capability: int) -> bool:
    """Whether Linux grants this process a right, by its number; root in a container has few of them."""
    try:
        lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    except OSError:
        return False
    return any(line.startswith("CapEff:") and int(line.split()[1], 16) >> capability & 1 for line in lines)


def _may_attach() -> bool:
    """Whether a process may watch another one of the same user that it has not started."""
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    return _may(19) or not scope.exists() or scope.read_text("utf-8").strip() == "0"


def _runs(*command: str) -> bool:
    """Whether a command is there and ends well."""
    return shutil.which(command[0]) is not None and subprocess.run(command, check=False).returncode == 0


TRACES = shutil.which("strace") is not None and _may_attach()
MOUNTS = shutil.which("mount") is not None and _may(21)


def _needs(it_has: bool, what: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not it_has, reason=f"needs {what}")


needs_compiler = _needs(COMPILES, "a C++ compiler")
needs_torch_compiler = _needs(COMPILES and _torch_compiles(), "a C++ compiler with OpenMP, for torch")
needs_bfloat16 = _needs(MULTIPLIES_BFLOAT16, "a processor that multiplies bfloat16")
needs_ordinary_user = _needs(not IS_ROOT, "an ordinary user: root may read everything")
needs_strace = _needs(TRACES, "strace, and the right to use it")
needs_mount = _needs(MOUNTS, "the right to mount a file system")
needs_children_in_proc = _needs(
    Path(f"/proc/self/task/{os.getpid()}/children").exists(), "Linux's /proc/PID/task/PID/children"
)
needs_make = _needs(shutil.which("make") is not None, "make")
needs_perl = _needs(_runs("perl", "-MUnicode::Normalize", "-e", "1"), "perl with its Unicode::Normalize")
needs_iconv = _needs(shutil.which("iconv") is not None, "iconv")
needs_sh = _needs(shutil.which("sh") is not None, "a POSIX shell")
needs_open_files_in_proc = _needs(sys.platform == "linux", "/proc/self/fd, which only Linux has")
needs_resident_memory = _needs(sys.platform in ("linux", "darwin"), "Linux or macOS to ask for resident memory")
needs_avx2 = _needs(torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512"), "a processor with AVX2")
