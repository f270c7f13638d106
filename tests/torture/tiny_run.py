"""A training of a second that the command line runs in a forked child: what is tortured."""

import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch._dynamo  # noqa: F401 -- torch.optim would import it in each child
import yaml
from dotted_keys import with_changes
from run_facts import facts_of

import lstmlm.workflows  # noqa: F401
from lstmlm import cli
from lstmlm.training.trainer import Trainer

PROJECT = Path(__file__).parent.parent.parent
DONE, CHECKPOINT_ERROR, KILLED = 0, 4, -signal.SIGKILL

CONFIG: dict[str, Any] = {
    "seed": 3,
    "data": {"corpus": str(PROJECT / "data" / "tiny"), "batch_size": 4, "bptt": 7},
    "model": {
        "backbone": {"name": "lstm", "hidden_size": 8},
        "embedding_size": 8,
        "dropout": {"input": 0.2, "output": 0.2},
    },
    "optimizer": {"name": "adam", "learning_rate": 0.01},
    "training": {"n_steps": 9, "save_every": 3, "validate_every": 6, "log_every": 1, "sample_tokens": 5},
}


class Tiny:
    """A tiny run in a folder, and what it is when nothing disturbs it.

    Args:
        folder: Where the run is, called `run`, beside the undisturbed one.
        changes: Values of the configuration by dotted key.
    """

    def __init__(self, folder: Path, changes: Mapping[str, object] | None = None) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.config = folder / "tiny.yaml"
        self.config.write_text(yaml.safe_dump(with_changes(CONFIG, **(changes or {}))), "utf-8")
        self.run_dir = self.undisturbed = folder / "undisturbed"
        self.clear()
        status = self.train()
        assert status == DONE, f"an undisturbed training ended with {status}: {self.log.read_text('utf-8')}"
        self.facts = facts_of(self.run_dir)
        self.run_dir = folder / "run"
        self.clear()

    def start(self, prepare: Callable[[], object] | None = None, *, resume: bool = True) -> int:
        """Begin or continue the run in a child and return its process number."""
        arguments = ["train", "--config", str(self.config), "--run-dir", str(self.run_dir)]
        return start([*arguments, *(["--resume"] if resume else [])], self.log, prepare)

    def train(self, prepare: Callable[[], object] | None = None) -> int:
        """Begin or continue the run and return how it ended."""
        return wait(self.start(prepare))

    def loss(self, status: int, allowed: Sequence[int]) -> str | None:
        """Return what was lost by a training that ended with `status`, after it has been continued to its end."""
        said = self.log.read_text(errors="replace")
        if status not in allowed:
            return f"ended with {status}: {said[-500:]}"
        status = self.train()
        if status != DONE:
            return f"continued, it ended with {status}: {self.log.read_text(errors='replace')[-500:]}"
        facts = facts_of(self.run_dir)
        differing = [name for name in self.facts if facts[name] != self.facts[name]]
        return f"{', '.join(differing)} differ: {_first_difference(facts, self.facts)}" if differing else None

    def clear(self) -> None:
        """Remove the run."""
        for path in sorted(self.run_dir.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        if self.run_dir.exists():
            self.run_dir.rmdir()


def stop_itself(step: int, number: signal.Signals) -> Callable[[], None]:
    """Return what makes a child signal itself after a step, to be called in it before it trains."""

    def prepare() -> None:
        train_step = Trainer.train_step

        def last_step(self: Trainer) -> None:
            train_step(self)
            if self.state.step == step:
                os.kill(os.getpid(), number)

        Trainer.train_step = last_step  # type: ignore[method-assign]

    return prepare


def _first_difference(ours: Any, theirs: Any) -> str:
    if isinstance(ours, list) and isinstance(theirs, list):
        return next((_first_difference(*pair) for pair in zip_longest(ours, theirs) if pair[0] != pair[1]), "")
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours.keys() == theirs.keys():
        return next(f"{key}: {_first_difference(ours[key], theirs[key])}" for key in ours if ours[key] != theirs[key])
    return f"{ours!r:.200} instead of {theirs!r:.200}"


def start(arguments: Sequence[str], log: Path, prepare: Callable[[], object] | None = None) -> int:
    """Run a command in a child that has all modules loaded already, and return its process number.

    Args:
        arguments: As on the command line.
        log: Where its output goes.
        prepare: Is called in the child before.
    """
    # A child that is interrupted before the command line takes over must die of it, as a program that starts does.
    handler = signal.signal(signal.SIGINT, signal.SIG_DFL)
    pid = os.fork()
    if pid != 0:
        signal.signal(signal.SIGINT, handler)
        return pid
    status = 1
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.close(descriptor)
        if prepare:
            prepare()
        sys.argv = ["lstmlm", *arguments]
        cli.main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0
    except BaseException:  # noqa: BLE001 -- the child must end here, whatever happens
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def wait(pid: int) -> int:
    """Return the exit status of a child, or the negative number of the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
