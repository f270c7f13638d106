"""torchrun starts the processes, ends them, and starts them anew when one is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from machine import needs_children_in_proc
from processes import PROJECT, TIMEOUT_SECONDS, environment
from run_facts import facts_of

CONFIG = f"""
data: {{corpus: {PROJECT / "data" / "tiny"}, batch_size: 4, bptt: 7}}
model: {{backbone: {{name: lstm, hidden_size: 12}}, embedding_size: 12, dropout: {{output: 0.3}}}}
optimizer: {{name: adam, learning_rate: 0.01}}
training: {{n_steps: 150, save_every: 10, validate_every: 50, log_every: 1, sample_tokens: 3}}
"""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("torchrun")
    (folder / "tiny.yaml").write_text(CONFIG, "utf-8")
    return folder


def torchrun(here: Path, run: str, *overrides: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--max-restarts=1"]
    command += ["--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0", "--monitor-interval=0.1"]
    command += ["-m", "lstmlm", "train", "--config", "tiny.yaml", "--run-dir", run, *overrides]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=here, env=environment(), stdout=pipe, stderr=pipe, text=True)


@pytest.fixture(scope="module")
def undisturbed(here: Path) -> Path:
    process = torchrun(here, "undisturbed")
    stdout, stderr = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 0, stderr
    assert stdout.startswith("valid perplexity ")
    assert stdout.count("\n") == stderr.count("is ready. Try it: ") == 1
    return here / "undisturbed"


def workers_of(agent: int) -> list[int]:
    """The processes that torchrun has started, the first rank first."""
    children = Path(f"/proc/{agent}/task/{agent}/children")
    return [int(number) for number in children.read_text("utf-8").split()]


def wait_for_step(run: Path, step: int) -> None:
    ends = time.monotonic() + TIMEOUT_SECONDS
    while not any(int(path.name) >= step for path in run.glob("checkpoints/[0-9]*")):
        assert time.monotonic() < ends
        time.sleep(0.02)


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@needs_children_in_proc
@pytest.mark.parametrize(
    ("rank", "step"),
    [
        (1, 30),
        *(pytest.param(rank, step, marks=pytest.mark.slow) for rank, step in [(0, 10), (1, 50), (0, 70), (1, 110)]),
    ],
)
def test_a_killed_worker_restarts_all_from_the_last_checkpoint(
    rank: int, step: int, undisturbed: Path, here: Path
) -> None:
    run = here / f"killed-{rank}-{step}"
    agent = torchrun(here, run.name)
    try:
        wait_for_step(run, step)
        first = workers_of(agent.pid)
        os.kill(first[rank], signal.SIGKILL)
        _, stderr = agent.communicate(timeout=TIMEOUT_SECONDS)
    finally:
        agent.kill()
    assert agent.returncode == 0, stderr
    assert facts_of(run) == facts_of(undisturbed)
    assert not any(map(is_alive, first))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_torchrun_saves_one_step(number: int, here: Path) -> None:
    run = here / f"signalled-{number}"
    agent = torchrun(here, run.name, "--set", "training.n_steps=100000")
    try:
        wait_for_step(run, 20)
        agent.send_signal(number)
        _, stderr = agent.communicate(timeout=TIMEOUT_SECONDS)
    finally:
        agent.kill()
    assert agent.returncode != 0
    saved = facts_of(run)["last"]
    again = f"train --config tiny.yaml --run-dir {run.name} --set training.n_steps=100000 --resume"
    advice = f"Interrupted. Step {saved:,} is saved; continue: torchrun --nproc-per-node 2 -m lstmlm {again}\n"
    assert stderr.count("Interrupted. ") == stderr.count(advice) == 1
