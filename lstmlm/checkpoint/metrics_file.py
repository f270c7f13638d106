"""The record of a run: `metrics.jsonl`, one JSON object a line."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lstmlm.checkpoint.storage import FileRecord
from lstmlm.files import append, force_to_disk, open_to_read, read_bytes, write_atomically

MOST_BYTES = 1 << 30
"""A longer file is no record of a training."""

MOST_BYTES_A_LINE = 1 << 20


class MetricsLog:
    """A file of events, each with a name under `event` and the step it belongs to under `step`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._waiting = b""

    def write(self, event: Mapping[str, object]) -> None:
        """Append one event; it is in the file when this returns. If it cannot be written, it goes before the next one.

        Raises:
            CheckpointError: The file cannot be written.
            ValueError: A number is NaN or infinite, which JSON does not have.
        """
        self._waiting += json.dumps(event, allow_nan=False).encode() + b"\n"
        self._write_waiting()

    def events(self) -> list[dict[str, Any]]:
        """All events, in order; not a line that a kill cut short.

        Raises:
            CheckpointError: The file cannot be read.
        """
        events, _ = MetricsReader(self.path).read_on()
        return events

    def read(self, name: str) -> list[dict[str, Any]]:
        """The events of that name; see `events`."""
        return [event for event in self.events() if event.get("event") == name]

    def record(self) -> FileRecord:
        """Size and digest of what is in the file.

        Raises:
            CheckpointError: The file cannot be read.
        """
        return FileRecord.of_file(self.path) if self.path.exists() else FileRecord.of([])

    def force_to_disk(self) -> None:
        """Let all events so far survive a loss of power.

        Raises:
            CheckpointError: The file cannot be written.
        """
        self._write_waiting()
        if self.path.exists():
            force_to_disk(self.path)

    def keep_until(self, step: int, /, **steps_of_kinds: int) -> None:
        """Drop the events of later steps, the end, and a line that a kill cut short: a resumed run writes them again.

        Args:
            step: Of the last events to keep.
            steps_of_kinds: The same for events of these names, where it is an earlier step: `validation=10`.

        Raises:
            CheckpointError: The file cannot be read or written.
        """
        if not self.path.exists():
            return
        content = read_bytes(self.path, MOST_BYTES)
        kept = b"".join(line for line in content.splitlines(keepends=True) if _is_kept(line, step, steps_of_kinds))
        if kept != content:
            write_atomically(self.path, kept)

    def _write_waiting(self) -> None:
        if self._waiting:
            append(self.path, self._waiting)
            self._waiting = b""


class MetricsReader:
    """Reads a file of events as it grows, without its lock: each event once, not a line that is not whole yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_bytes = 0
        self._identity: int | None = None

    def read_on(self) -> tuple[list[dict[str, Any]], bool]:
        """Return the events since the last call, and whether they are all there are: the file is new, or was replaced.

        Raises:
            CheckpointError: The file cannot be read.
        """
        if not self._path.exists():
            return [], False
        with open_to_read(self._path) as file:
            status = os.fstat(file.fileno())
            # A resume replaces the file by a shorter one, which may have grown past the old end since.
            is_anew = status.st_ino != self._identity or status.st_size < self._read_bytes
            if is_anew:
                self._read_bytes, self._identity = 0, status.st_ino
            file.seek(self._read_bytes)
            lines = file.read(MOST_BYTES).splitlines(keepends=True)
        if lines and not lines[-1].endswith(b"\n"):
            lines.pop()
        self._read_bytes += sum(map(len, lines))
        return [event for event in map(_event, lines) if event is not None], is_anew


def _is_kept(line: bytes, step: int, steps_of_kinds: Mapping[str, int]) -> bool:
    event = _event(line)
    # The end of a run that goes on was none.
    if event is None or event.get("event") == "end":
        return False
    last_step = min(step, steps_of_kinds.get(str(event.get("event")), step))
    return not isinstance(event.get("step"), int) or event["step"] <= last_step


def _event(line: bytes) -> dict[str, Any] | None:
    # A cut-off line may be valid JSON by chance; only its newline shows that it is whole.
    if not line.endswith(b"\n") or len(line) > MOST_BYTES_A_LINE:
        return None
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None
