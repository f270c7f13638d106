"""What checkpoints cost: their share of the time of a training that saves as it does by default."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from torture.tally import Part, Tally
from torture.tiny_run import DONE, PROJECT, start, wait

CONFIG = PROJECT / "configs" / "quickstart.yaml"
MOST_SHARE = 0.01


def of_checkpoints(part: Part) -> list[Tally]:
    """Train the quickstart for an epoch and add up what its record says; there is but one case."""
    tally = Tally("trainings that spend 1 % of their time or less on checkpoints at the default interval")
    for _ in part.of(range(1)):
        with TemporaryDirectory() as folder:
            run_dir, log = Path(folder, "run"), Path(folder, "log")
            length = ["--set", "training.budget=null", "--set", "training.n_epochs=1"]
            status = wait(start(["train", "--config", str(CONFIG), "--run-dir", str(run_dir), *length], log))
            assert status == DONE, log.read_text("utf-8")
            events = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text("utf-8").splitlines()]
        seconds = sum(event["seconds"] for event in events if event["event"] == "checkpoint")
        share = seconds / events[-1]["elapsed_seconds"]
        tally.notes.append(f"{seconds:.2f} s of {events[-1]['elapsed_seconds']:.0f} s, {share:.2%}")
        tally.count("quickstart", None if share <= MOST_SHARE else f"{share:.2%}")
    return [tally]
