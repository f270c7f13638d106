"""What a test may need of the machine, found without asking lstmlm; each need is a mark that skips by its name."""

import os
import shutil
import sys
from pathlib import Path

import pytest
import torch

COMPILES = any(map(shutil.which, os.environ.get("CXX", "").split()[:1] or ("c++", "g++", "clang++")))

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


TRACES = shutil.which("strace") is not None and _may_attach()
MOUNTS = shutil.which("mount") is not None and _may(21)


def _needs(it_has: bool, what: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not it_has, reason=f"needs {what}")


needs_compiler = _needs(COMPILES, "a C++ compiler")
needs_bfloat16 = _needs(MULTIPLIES_BFLOAT16, "a processor that multiplies bfloat16")
needs_ordinary_user = _needs(not IS_ROOT, "an ordinary user: root may read everything")
needs_strace = _needs(TRACES, "strace, and the right to use it")
needs_mount = _needs(MOUNTS, "the right to mount a file system")
needs_children_in_proc = _needs(
    Path(f"/proc/self/task/{os.getpid()}/children").exists(), "Linux's /proc/PID/task/PID/children"
)
needs_resident_memory = _needs(sys.platform in ("linux", "darwin"), "Linux or macOS to ask for resident memory")
