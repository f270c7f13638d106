"""The same training again and again, in other surroundings: the same bytes."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from run_facts import facts_of
from torture.tally import Part, Tally
from torture.tiny_run import DONE, PROJECT, Tiny

N_REPETITIONS = 100
SURROUNDINGS: tuple[Mapping[str, str], ...] = (
    {"PYTHONHASHSEED": "1"},
    {"PYTHONHASHSEED": "2", "TZ": "Asia/Kathmandu"},
    {"PYTHONHASHSEED": "random", "LC_ALL": "C"},
    {"PYTHONHASHSEED": "random", "PYTHONMALLOC": "malloc"},
)
"""Every tenth repetition is in an interpreter of its own, in one of these."""


def repeated(part: Part) -> list[Tally]:
    """Train over and over and compare everything with the first time."""
    tally = Tally("repetitions of a training with the digest of the first")
    with TemporaryDirectory() as folder:
        tiny = Tiny(Path(folder))
        for number in part.of(range(N_REPETITIONS)):
            tiny.clear()
            status = _train_elsewhere(tiny, number) if number % 10 == 9 else tiny.train()
            loss = f"ended with {status}: {tiny.log.read_text('utf-8')[-500:]}" if status != DONE else None
            if status == DONE and facts_of(tiny.run_dir) != tiny.facts:
                loss = "is another run"
            tally.count(f"repetition {number}", loss)
    return [tally]


def _train_elsewhere(tiny: Tiny, number: int) -> int:
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), **SURROUNDINGS[number // 10 % len(SURROUNDINGS)]}
    command = [sys.executable, "-m", "lstmlm", "train", "--config", str(tiny.config), "--run-dir", str(tiny.run_dir)]
    with tiny.log.open("w") as log:
        return subprocess.run(command, env=environment, cwd=tiny.folder, stdout=log, stderr=log, check=False).returncode
