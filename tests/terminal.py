"""A command on a pseudo-terminal, as a person has it: what it writes there, and what is typed into it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """What a person would sit at."""

    def __init__(self, end: int) -> None:
        self._end = end

    def __iter__(self) -> Iterator[bytes]:
        """What is written, as it comes, until the command ends."""
        while True:
            try:
                content = os.read(self._end, 65536)
            except OSError:  # how Linux says that the other side is closed
                return
            if not content:
                return
            yield content

    def read_until(self, prompt: str) -> list[str]:
        """The lines up to one that is the prompt, without codes for colours and the like."""
        content = b""
        for part in self:
            content += part
            lines = _CONTROL.sub("", content.decode("utf-8", "ignore")).splitlines()
            if lines[-1:] == [prompt]:
                return lines
        raise AssertionError(f"ended without {prompt!r}: {content!r}")

    def type(self, line: str) -> None:
        """Type a line."""
        os.write(self._end, f"{line}\n".encode())


@contextmanager
def on_a_terminal(folder: Path, width: int, height: int, *arguments: str, status: int = 0) -> Iterator[Terminal]:
    """Run lstmlm on a pseudo-terminal of that size, to its end, with that exit status."""
    pty = pytest.importorskip("pty", reason="needs pseudo-terminals")
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key not in ("CI", "COLUMNS", "LINES")}
    environment["TERM"] = "xterm-256color"
    command = [sys.executable, "-m", "lstmlm", *arguments]
    process = subprocess.Popen(command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    with process:
        os.close(theirs)
        try:
            yield Terminal(ours)
        finally:
            os.close(ours)
    assert process.returncode == status
