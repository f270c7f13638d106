"""A training that is killed, or refused by the operating system, at every call that changes a file (by strace)."""

import errno
import os
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from machine import TRACES
from torture.tally import Part, Tally
from torture.tiny_run import CHECKPOINT_ERROR, DONE, KILLED, Tiny, wait

CHANGING_CALLS = ("openat", "write", "fsync", "rename", "mkdir", "unlink", "rmdir", "ftruncate")
A_CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)")


class Call(NamedTuple):
    """The n-th use of a system call by a training."""

    name: str
    number: int
    arguments: str


def killed(part: Part) -> list[Tally]:
    """Kill at every call, before it happens, and continue; then the same with SIGTERM, which may save first."""
    tallies = [
        Tally("SIGKILL at every file-changing system call of a training"),
        Tally("SIGTERM at every file-changing system call of a training"),
        Tally("SIGINT at every file-changing system call of a training"),
    ]
    stops = [(signal.SIGKILL, [KILLED]), (signal.SIGTERM, [DONE, 143]), (signal.SIGINT, [DONE, 130])]
    for tally, (number, allowed) in zip(tallies, stops, strict=True):
        _inject(tally, part, f"signal={number.name}", allowed)
    return tallies


def refused(part: Part) -> list[Tally]:
    """Let every call fail once. The training goes on, or ends with a message; continued, it is the same."""
    tallies = []
    for number in (errno.ENOSPC, errno.EIO, errno.EROFS):
        name = errno.errorcode[number]
        tallies.append(Tally(f"{name} at every file-changing system call of a training"))
        _inject(tallies[-1], part, f"error={name}", [DONE, CHECKPOINT_ERROR])
    return tallies


def _inject(tally: Tally, part: Part, what: str, allowed: Sequence[int]) -> None:
    if not TRACES:
        tally.notes.append(
            "strace is missing, or not allowed; tests/checkpoint/test_crashes.py does the same to the calls of files.py"
        )
        return
    with TemporaryDirectory() as folder:
        tiny = Tiny(Path(folder))
        for call in part.of(_calls(tiny)):
            tiny.clear()
            status = _traced(tiny, ["-e", f"trace={call.name}", "-e", f"inject={call.name}:{what}:when={call.number}"])
            if "INJECTED" not in _trace(tiny) and "+++ killed" not in _trace(tiny) and "--- SIG" not in _trace(tiny):
                tally.count(str(call), "was never reached")
                continue
            tally.count(str(call), tiny.loss(status, allowed))


def _calls(tiny: Tiny) -> list[Call]:
    """List the calls of a whole training that change a file of its run."""
    tiny.clear()
    status = _traced(tiny, ["-y", "-e", f"trace={','.join(CHANGING_CALLS)}"])
    assert status == DONE, tiny.log.read_text("utf-8")
    counts: Counter[str] = Counter()
    calls = []
    for name, arguments in (match.groups() for match in map(A_CALL.match, _trace(tiny).splitlines()) if match):
        counts[name] += 1
        only_reads = name == "openat" and not re.search("O_WRONLY|O_RDWR|O_CREAT", arguments)
        if str(tiny.run_dir) in arguments and not only_reads:
            calls.append(Call(name, counts[name], arguments))
    return calls


def _trace(tiny: Tiny) -> str:
    return (tiny.folder / "trace").read_text(errors="replace")


def _traced(tiny: Tiny, options: Sequence[str]) -> int:
    """Train in a child that waits until strace watches it; return how it ended."""
    gate, opener = os.pipe()
    pid = tiny.start(lambda: (os.close(opener), os.read(gate, 1)))
    os.close(gate)
    command = ["strace", "-o", str(tiny.folder / "trace"), "-s", "16", *options, "-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        assert strace.stderr is not None
        said = strace.stderr.readline()
        assert "attached" in said, said
        os.close(opener)
        return wait(pid)
