"""What two runs must have in common to be the same run: all that they are, but for clocks and extra checkpoints."""

import hashlib
import json
from pathlib import Path
from typing import Any

from lstmlm.checkpoint.run_directory import RunDirectory

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
