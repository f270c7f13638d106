"""A disk that is full for a while, and one that takes a few bytes at a time."""

import os
import random
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torture.tally import Part, Tally
from torture.tiny_run import CHECKPOINT_ERROR, DONE, Tiny

from lstmlm import files
from lstmlm.training.callbacks import Save
from lstmlm.training.trainer import Trainer

N_STEPS = 9
NEVER = N_STEPS + 1
N_SHORT_WRITES = 20


def full(part: Part) -> list[Tally]:
    """Fill a file system of 1 MB before a step is saved, and make room again before a later one, or never."""
    tally = Tally("a full tmpfs of 1 MB during a training")
    spans = [(first, last) for first in range(N_STEPS + 1) for last in (first + 1, first + 4, NEVER)]
    cases = [(policy, *span) for policy in ("warn", "stop") for span in spans]
    with TemporaryDirectory() as folder, TemporaryDirectory() as mount:
        try:
            with _small_disk(Path(mount)):
                for policy, first, last in part.of(cases):
                    tiny = Tiny(Path(folder), {"training.n_steps": N_STEPS, "training.on_save_error": policy})
                    tiny.run_dir = Path(mount, "run")
                    filler = Path(mount, "filler")
                    status = tiny.train(lambda: _fill_between(first, last, filler))  # noqa: B023 -- called at once
                    filler.unlink(missing_ok=True)
                    tally.count(f"{policy}, steps {first} to {last}", tiny.loss(status, [DONE, CHECKPOINT_ERROR]))
                    tiny.clear()
        except OSError as error:
            tally.notes.append(f"no tmpfs ({error}); tests/checkpoint/test_crashes.py lets each call fail instead")
    return [tally]


def short_writes(part: Part) -> list[Tally]:
    """Let each write take a random number of bytes, down to a single one."""
    tally = Tally("short writes throughout a training")
    with TemporaryDirectory() as folder:
        tiny = Tiny(Path(folder))
        for seed in part.of(range(N_SHORT_WRITES)):
            tiny.clear()
            status = tiny.train(lambda: setattr(files, "os", ShortWrites(seed)))  # noqa: B023 -- called at once
            tally.count(f"seed {seed}", tiny.loss(status, [DONE]))
    return [tally]


class ShortWrites:
    """Stands in for `os`."""

    def __init__(self, seed: int) -> None:
        self._randomness = random.Random(seed)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def write(self, descriptor: int, content: memoryview) -> int:
        """Write a part, as a signal or a nearly full disk can make the system do."""
        return os.write(descriptor, content[: self._randomness.choice([1, 7, 100, 4000, 10**6])])


@contextmanager
def _small_disk(mount: Path) -> Iterator[None]:
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(mount)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(done.stderr.strip() or "mount failed")
    try:
        yield
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def _fill_between(first: int, last: int, filler: Path) -> None:
    save: Callable[[Save, Trainer], None] = Save.after_step

    def after_step(self: Save, trainer: Trainer) -> None:
        if trainer.state.step == first:
            with suppress(OSError), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(1000))
        if trainer.state.step == last:
            filler.unlink()
        save(self, trainer)

    Save.after_step = after_step  # type: ignore[method-assign]
