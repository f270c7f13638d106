"""Signals that ask the program to stop are held back while a step or a save is under way."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from lstmlm.errors import Interrupted

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK", "SIGUSR1", "SIGUSR2", "SIGXCPU", "SIGALRM")
STOPPING_SIGNALS = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))
"""A terminal that is closed sends SIGHUP; on Windows SIGBREAK, which is also Ctrl-Break. Before they kill a job, batch
systems send what it asks for, mostly SIGUSR1, SIGUSR2 or SIGALRM; the soft limit of CPU time sends SIGXCPU."""


class Interruption:
    """While active, each of `STOPPING_SIGNALS` raises `Interrupted`: at once, or at the end of a `held` part.

    The first signal decides; later ones change nothing, so that what follows it, such as a save, is not cut short. Only
    a second SIGINT stops that too, at once, as a `KeyboardInterrupt`: nothing that it tears may be saved.

    Args:
        agree: Where several processes work together, tells each of them of a signal that any of them has: then they all
            stop at the end of the same `held` part, and nowhere else.
    """

    def __init__(self, agree: Callable[[int | None], int | None] | None = None) -> None:
        self._agree = agree
        self._is_held = False
        self._received: list[int] = []
        self._pending: int | None = None
        self._is_over = False

    @contextmanager
    def active(self) -> Iterator["Interruption"]:
        """Take over the signals for the length of a `with` block (in the main thread; elsewhere nothing happens).

        A signal that is ignored, as SIGHUP is under `nohup`, stays ignored; one that is handled by what is not Python's
        stays so, as Python could not put that back.
        """
        is_main = threading.current_thread() is threading.main_thread()
        others = (signal.SIG_IGN, None)
        numbers = [number for number in STOPPING_SIGNALS if is_main and signal.getsignal(number) not in others]
        before = {number: signal.signal(number, self._handle) for number in numbers}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let the block run to its end before a signal takes effect."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
        if self._is_over:
            return
        number = self._pending if self._agree is None else self._agree(self._pending)
        if number is not None:
            self._is_over = True
            raise Interrupted(number)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._received.append(number)
        if number == signal.SIGINT and self._received.count(number) > 1:
            raise KeyboardInterrupt
        if len(self._received) > 1:
            return
        if not self._is_held and self._agree is None:
            raise Interrupted(number)
        self._pending = number
