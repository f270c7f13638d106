"""A training that is killed or interrupted again and again at random instants, until it is done."""

import os
import random
import signal
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from run_facts import events_of
from torture.tally import Part, Tally
from torture.tiny_run import DONE, KILLED, Tiny, wait

from lstmlm.checkpoint.run_directory import last_step

N_KILLS = 200
STATUSES = {signal.SIGKILL: KILLED, signal.SIGTERM: 143, signal.SIGINT: 130}


def chained(part: Part) -> list[Tally]:
    """Kill a run and what continues it, by the three signals in turn; what is left at the end is the same run."""
    tally = Tally("SIGKILL, SIGTERM, SIGINT at random instants of a training, chained")
    n_kills = len(part.of(range(N_KILLS)))
    randomness = random.Random(part.index)
    with TemporaryDirectory() as folder:
        tiny = Tiny(Path(folder), {"training.n_steps": 60, "training.validate_every": 15, "training.save_every": 5})
        longest = _seconds_of_training(tiny)
        saved = n_chained = most_chained = 0
        while tally.n_cases < n_kills:
            number = list(STATUSES)[tally.n_cases % len(STATUSES)]
            before = _record(tiny)
            status = _stop(tiny, number, after_seconds=randomness.uniform(0, longest / 2))
            is_over = status == DONE
            if not is_over:
                n_chained += 1
                most_chained = max(most_chained, n_chained)
                is_over = tally.n_cases == n_kills - 1
                loss = _loss(tiny, status, number, saved, before)
                tally.count(f"kill {tally.n_cases} ({number.name})", loss)
                saved = last_step(tiny.run_dir) or 0
                is_over |= loss is not None
            if is_over:
                loss = tiny.loss(status, [status])
                if loss:
                    tally.losses.append(f"after {n_chained} kills: {loss}")
                tiny.clear()
                saved = n_chained = 0
    tally.notes.append(f"up to {most_chained} kills of one run")
    return [tally]


def _seconds_of_training(tiny: Tiny) -> float:
    started = time.monotonic()
    tiny.train()
    seconds = time.monotonic() - started
    tiny.clear()
    return seconds


def _stop(tiny: Tiny, number: signal.Signals, *, after_seconds: float) -> int:
    pid = tiny.start()
    time.sleep(after_seconds)
    os.kill(pid, number)
    return wait(pid)


def _record(tiny: Tiny) -> bytes:
    path = tiny.run_dir / "metrics.jsonl"
    return path.read_bytes() if path.exists() else b""


def _loss(tiny: Tiny, status: int, number: signal.Signals, saved: int, before: bytes) -> str | None:
    # Before the command line takes over, a signal just kills.
    if status not in (STATUSES[number], -number):
        return f"ended with {status}: {tiny.log.read_text(errors='replace')[-500:]}"
    now = last_step(tiny.run_dir) or 0
    if now < saved:
        return f"step {saved} was saved, now the last one is {now}"
    # A signal that comes before the first step leaves the record of what was killed before, with steps never saved.
    if status > 0 and now and _record(tiny) != before:
        done = max(event["step"] for event in events_of(tiny.run_dir))
        if now != done:
            return f"step {done} was completed, but step {now} is saved"
    return None
