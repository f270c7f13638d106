"""Processes that want the same run directory at the same instant."""

import os
import signal
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from run_facts import facts_of
from torture import small_run
from torture.tally import Part, Tally
from torture.tiny_run import CHECKPOINT_ERROR, DONE, Tiny, stop_itself, wait

from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.errors import CheckpointError

N_RACES = 50
N_SAVES = 500
STOPPED_STEP = 5
REFUSALS = ("is in use by process", "holds a run without a checkpoint", "already holds")


def started(part: Part) -> list[Tally]:
    """Start two trainings on one directory: new, to be resumed if there is one, or to be resumed from a checkpoint."""
    tally = Tally("two processes started on one run directory, one winner")
    with TemporaryDirectory() as folder:
        tiny = Tiny(Path(folder), {"training.n_steps": 40})
        for race in part.of(range(N_RACES)):
            tiny.clear()
            if race % 3 == 2:
                tiny.train(stop_itself(STOPPED_STEP, signal.SIGTERM))
            tally.count(f"race {race}", _race(tiny, resume=race % 3 != 0))
    return [tally]


def _race(tiny: Tiny, *, resume: bool) -> str | None:
    logs = [tiny.folder / "first", tiny.folder / "second"]
    gate, opener = os.pipe()
    pids = []
    for tiny.log in logs:
        pids.append(tiny.start(lambda: (os.close(opener), os.read(gate, 1)), resume=resume))
    os.close(gate)
    time.sleep(0.05)
    os.close(opener)  # both read the end of the pipe now
    statuses = [wait(pid) for pid in pids]
    if sorted(statuses) != [DONE, CHECKPOINT_ERROR]:
        return f"ended with {statuses}: {' / '.join(log.read_text('utf-8')[-200:] for log in logs)}"
    refusal = logs[statuses.index(CHECKPOINT_ERROR)].read_text("utf-8")
    if not any(words in refusal for words in REFUSALS):
        return f"was refused with {refusal}"
    return None if facts_of(tiny.run_dir) == tiny.facts else "the winner's run is another one"


def read_while_saving(part: Part) -> list[Tally]:
    """Read the best checkpoint over and over while another process saves one after the other."""
    tally = Tally(f"reads of a run in which {N_SAVES} checkpoints are saved meanwhile, each whole")
    with TemporaryDirectory() as folder:
        path = Path(folder, "run")
        with small_run.create(path) as run:
            small_run.save(run, 0, is_best=True)
        writer = os.fork()
        if writer == 0:
            try:
                with run.lock():
                    for step in part.of(range(1, N_SAVES + 1)):
                        small_run.save(run, step, is_best=step % 3 == 0)
            finally:
                os._exit(DONE)
        while os.waitpid(writer, os.WNOHANG) == (0, 0):
            loss = _read(path)
            if loss != "overtaken":
                tally.count(f"read {tally.n_cases}", loss)
    return [tally]


def _read(path: Path) -> str | None:
    try:
        run = RunDirectory.open(path)
        step = run.best
        assert step is not None
        return None if small_run.holds(run, step) else f"step {step} is not as it was saved"
    except CheckpointError as error:
        # Between two looks, the step that was the best one was not kept any more. The message says to try again.
        return "overtaken" if "no such checkpoint" in str(error) else str(error)
