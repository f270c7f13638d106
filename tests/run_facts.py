"""What tests ask of a run and do to it, and what two runs must have in common to be the same run.

That is all that they are, but for clocks and extra checkpoints.
"""

import hashlib
import json
import signal
from pathlib import Path
from typing import Any

from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.training.events import Event

TIMED = {"elapsed_seconds", "seconds", "tokens_per_second", "memory_bytes"}


def facts_of(run_dir: Path) -> dict[str, Any]:
    """Return the content of a run's last checkpoint, bit for bit, its best one and its record."""
    run = RunDirectory.open(run_dir)
    assert run.last is not None, f"{run_dir} has no checkpoint"
    state = run.load_training(run.last).state
    checkpoint = run_dir / "checkpoints" / f"{run.last:08d}"
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in checkpoint.glob("*.safetensors")}
    timeless = {key: value for key, value in state.items() if key not in TIMED}
    return {"last": run.last, "best": run.best, **digests, "state": timeless, "events": events_of(run_dir)}


def events_of(run_dir: Path) -> list[dict[str, Any]]:
    """Return the record of a run, without what a clock says and without checkpoints, which an interruption adds to."""
    events = map(json.loads, (run_dir / "metrics.jsonl").read_text("utf-8").splitlines())
    return [{k: v for k, v in event.items() if k not in TIMED} for event in events if event["event"] != "checkpoint"]


def events(run_dir: Path, name: str) -> list[dict[str, Any]]:
    """Return what a run has recorded of one kind."""
    lines = (run_dir / "metrics.jsonl").read_text("utf-8").splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == name]


class StopAfter:
    """Raises a signal when a step is reported, as a person pressing Ctrl-C would."""

    def __init__(self, step: int, signal_number: int = signal.SIGINT) -> None:
        self.step = step
        self.signal_number = signal_number

    def __call__(self, event: Event) -> None:
        if event.event == "step" and event.step == self.step:
            signal.raise_signal(self.signal_number)


def flip_last_byte(path: Path) -> None:
    """Damage a file as a disk may, by its last bit."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
