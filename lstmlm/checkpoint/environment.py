"""What a run is made with: versions, threads, digests of its data, memory. No host, user or path."""

import platform
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import torch

RECORDED_PACKAGES = ("lstmlm", "torch", "numpy", "tokenizers")
"""Those that compute: each is a dependency, so that it can be asked for its version wherever lstmlm runs."""

NOT_COMPARED = ("data", "matmul_milliseconds")
"""The data has to be the same, which is checked with the corpus; what was measured decides nothing any more."""


CPU = torch.device("cpu")

UNSAID = {"device": "cpu", "n_processes": 1}
"""What earlier versions did not record."""


def describe_environment(
    data: Mapping[str, object],
    milliseconds: Mapping[str, float],
    device: torch.device = CPU,
    n_processes: int = 1,
) -> dict[str, object]:
    """Return the content of environment.json.

    Args:
        data: Where the corpus came from, with its digests.
        milliseconds: What was measured to choose the route of matrix products.
        device: What computes.
        n_processes: How many share the columns.
    """
    return {
        "python": platform.python_version(),
        "packages": {name: version(name) for name in RECORDED_PACKAGES},
        "machine": platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "n_threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "n_processes": n_processes,
        "matmul_milliseconds": dict(milliseconds),
        "data": dict(data),
    }


def environment_differences(there: Mapping[str, object], here: Mapping[str, object]) -> list[str]:
    """Say in which respects two environments may compute other numbers: "torch 2.12.0, here 2.13.0"."""
    before, now = map(_flat, (there, here))
    return [
        f"{name} {before.get(name, 'unknown')}, here {now.get(name, 'unknown')}"
        for name in dict.fromkeys([*before, *now])
        if before.get(name) != now.get(name)
    ]


def _flat(environment: Mapping[str, object]) -> dict[str, object]:
    compared = UNSAID | {name: value for name, value in environment.items() if name not in NOT_COMPARED}
    packages = compared.pop("packages", {})
    if isinstance(packages, Mapping):  # earlier versions recorded others too
        compared |= {name: packages[name] for name in RECORDED_PACKAGES if name in packages}
    return compared


_STATUS = Path("/proc/self/status")


def resident_bytes(which: Literal["VmRSS", "VmHWM"]) -> int | None:
    """Return what is resident now (VmRSS) or was at the peak so far (VmHWM).

    Where the system does not tell them apart, the peak; None on Windows, where Python's own library does not tell it.
    """
    if _STATUS.exists():
        # On Linux ru_maxrss of a child starts with the peak of its parent; the status file does not.
        lines = dict(line.split(":", 1) for line in _STATUS.read_text(encoding="utf-8").splitlines())
        return int(lines[which].split()[0]) * 1024
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
