"""Signals that ask the program to stop are held back while a step or a save is under way."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from lstmlm.errors import Interrupted

STOPPING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """While active, SIGINT, SIGTERM and SIGHUP raise `Interrupted`: at once, or at the end of a `held` part.

    A second SIGINT within a held part stops at once, as a `KeyboardInterrupt`: the step is torn, nothing may be saved.
    """

    def __init__(self) -> None:
        self._is_held = False
        self._pending: int | None = None

    @contextmanager
    def active(self) -> Iterator["Interruption"]:
        """Take over the signals for the length of a `with` block (in the main thread; elsewhere nothing happens)."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {number: signal.signal(number, self._handle) for number in STOPPING_SIGNALS}
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
        if self._pending is not None:
            number, self._pending = self._pending, None
            raise Interrupted(number)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._is_held:
            raise Interrupted(number)
        if number == signal.SIGINT == self._pending:
            raise KeyboardInterrupt
        self._pending = number
