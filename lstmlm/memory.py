"""How much memory this process has, as the operating system counts it."""

import sys
from pathlib import Path
from typing import Literal

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
