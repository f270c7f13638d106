"""The record of a run: `metrics.jsonl`, one JSON object a line."""

import json
from collections.abc import Mapping
from pathlib import Path

from lstmlm.files import append, read_bytes, write_atomically


class MetricsLog:
    """A file of events, each with a name under `event` and the step it belongs to under `step`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, event: Mapping[str, object]) -> None:
        """Append one event; it is in the file when this returns.

        Raises:
            CheckpointError: The file cannot be written.
            ValueError: A number is NaN or infinite, which JSON does not have.
        """
        append(self.path, json.dumps(event, allow_nan=False).encode() + b"\n")

    def keep_until(self, step: int) -> None:
        """Drop the events of later steps, the end, and a line that a kill cut short: a resumed run writes them again.

        Raises:
            CheckpointError: The file cannot be read or written.
        """
        if not self.path.exists():
            return
        content = read_bytes(self.path)
        kept = b"".join(line for line in content.splitlines(keepends=True) if _is_event_until(step, line))
        if kept != content:
            write_atomically(self.path, kept)


def _is_event_until(step: int, line: bytes) -> bool:
    try:
        event = json.loads(line)
    except ValueError:
        return False
    # A cut-off line may be valid JSON by chance; only its newline shows that it is whole.
    if not (isinstance(event, dict) and line.endswith(b"\n")):
        return False
    # The end of a run that goes on was none.
    if event.get("event") == "end":
        return False
    return not isinstance(event.get("step"), int) or event["step"] <= step
