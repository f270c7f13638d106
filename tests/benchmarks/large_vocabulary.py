"""A vocabulary as large as WikiText-103's, in memory that a laptop has: adaptive beside full softmax.

    python tests/benchmarks/large_vocabulary.py [sgd | adam]

Trains on synthetic text whose 267,735 types follow Zipf's law, each softmax in a process of its own.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np

N_TYPES = 267_735
N_TOKENS = 3_000_000
WORDS_PER_LINE = 25
HIDDEN_SIZE = 400

OPTIONS = {
    "data.batch_size": 20,
    "data.bptt": 70,
    "model.backbone.hidden_size": HIDDEN_SIZE,
    "model.embedding_size": HIDDEN_SIZE,
    "training": "{n_steps: 6, log_every: 1, sample_tokens: 0}",
}

OPTIMIZERS = {
    "sgd": "{name: sgd, learning_rate: 5.0, clip_norm: 0.25}",
    "adam": "{name: adam, learning_rate: 0.001, clip_norm: 0.25}",
}


def write_text(path: Path) -> None:
    """Write a text in which every type occurs and the rank's inverse is its frequency."""
    draws = np.random.default_rng(1)
    probabilities = 1 / np.arange(1, N_TYPES + 1)
    ranks = draws.choice(N_TYPES, size=N_TOKENS - N_TYPES, p=probabilities / probabilities.sum())
    words = [f"w{rank}" for rank in draws.permutation(np.concatenate([np.arange(N_TYPES), ranks]))]
    lines = (words[start : start + WORDS_PER_LINE] for start in range(0, len(words), WORDS_PER_LINE))
    path.write_text("".join(" ".join(line) + "\n" for line in lines), "utf-8")


def train(corpus: Path, run_dir: Path, output: str, optimizer: str) -> tuple[float, float]:
    """Train a few steps; returns seconds a step, median without the first ones, and peak memory (GB)."""
    config = run_dir.with_suffix(".yaml")
    config.write_text("model: {backbone: {name: lstm, n_layers: 2}, tie_weights: true}\n", "utf-8")
    options = OPTIONS | {"data.corpus": corpus, "model.output.name": output, "optimizer": OPTIMIZERS[optimizer]}
    command = [sys.executable, "-m", "lstmlm", "train", "--config", str(config), "--run-dir", str(run_dir)]
    command += [word for key, value in options.items() for word in ("--set", f"{key}={value}")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(process.returncode)
    events = map(json.loads, (run_dir / "metrics.jsonl").read_text("utf-8").splitlines())
    elapsed = [event["elapsed_seconds"] for event in events if event["event"] == "step"]
    return median(np.diff(elapsed)[1:]), usage.ru_maxrss / 1e6


def main() -> None:
    """Print a row for each softmax."""
    optimizer = sys.argv[1] if len(sys.argv) > 1 else "sgd"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "text").mkdir()
        write_text(folder / "text" / "train.txt")
        measured = {
            output: train(folder / "text", folder / output, output, optimizer) for output in ("adaptive", "softmax")
        }
    for output, (seconds, gigabytes) in measured.items():
        print(f"{output:10} {1000 * seconds:7.0f} ms a step {gigabytes:5.2f} GB")
    print(f"adaptive is {measured['softmax'][0] / measured['adaptive'][0]:.1f} times as fast")


if __name__ == "__main__":
    main()
