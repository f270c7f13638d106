"""What two processes do together in the tests. Run as a program by each of them: `scenarios.py FOLDER`.

Every scenario returns something that JSON has; FOLDER gets what each process returned. All are run by one start of the
processes, which takes longer than the scenarios.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from dotted_keys import with_changes

from lstmlm.checkpoint import storage
from lstmlm.config import RunConfig
from lstmlm.corpus.stream import Epoch
from lstmlm.distributed import World
from lstmlm.errors import CheckpointError, Interrupted, LstmlmError
from lstmlm.models.language_model import build_language_model
from lstmlm.models.output_layers.softmax import SoftmaxLayer
from lstmlm.scoring import score
from lstmlm.training.events import Event
from lstmlm.workflows import evaluate, load, train

CORPUS = Path(__file__).parent.parent.parent / "data" / "tiny"

DROPOUT = {"embedding": 0.2, "input": 0.2, "hidden": 0.2, "output": 0.2, "weight_drop": 0.2, "state": 0.1}
BASE: dict[str, Any] = {
    "seed": 3,
    "data": {"corpus": str(CORPUS), "batch_size": 4, "bptt": 12},
    "model": {"backbone": {"name": "lstm", "n_layers": 2, "hidden_size": 12}, "embedding_size": 12, "dropout": DROPOUT},
    "optimizer": {"name": "adam", "learning_rate": 0.01, "clip_norm": 0.25},
    "training": {"n_steps": 20, "log_every": 1, "sample_tokens": 5},
}

EQUAL: dict[str, dict[str, Any]] = {
    "tied": {"model__tie_weights": True},
    "untied": {"model__tie_weights": False, "optimizer": {"name": "sgd", "learning_rate": 2.0, "momentum": 0.5}},
    "a cluster without targets": {
        "model__output": {"name": "adaptive", "cutoffs": (40, 180)},
        "model__tie_weights": False,
        "training__n_steps": 6,
    },
    "drawn windows": {
        "data__variable_bptt": True,
        "data__partial_shuffle": True,
        "training__state_reset": 0.3,
        "training__regularization": {"alpha": 2.0, "beta": 1.0},
        "averaging": {"name": "ema", "decay": 0.8},
        "training__validate_every": 5,
    },
    "across epochs": {"data__bptt": 300, "training__n_steps": None, "training__n_epochs": 3},
}
"""Changes of BASE with which two processes make the very numbers that one makes in two groups of columns."""


def config(**changes: Any) -> RunConfig:
    """Return BASE with changes by dotted key."""
    return RunConfig.model_validate(with_changes(BASE, **changes))


def long_text() -> np.ndarray:
    """Tokens that make columns of several blocks."""
    return np.random.default_rng(5).integers(30, size=3001).astype(np.uint8)


def measured_nats(world: World, *, forgets: bool = True) -> np.ndarray:
    """Score a text in seven columns, which two processes cannot share equally, by one that forgets or does not."""
    model = build_language_model(config().model, 30, 1)
    for cell in () if forgets else model.backbone.layers:
        cell.bias.data.view(4, -1)[1] = 20.0
    return score(model, long_text(), 0, 7, world=world)


def error_of(act: Callable[[], object]) -> list[str]:
    """Return kind and text of the error that something ends with."""
    try:
        act()
    except LstmlmError as error:
        return [type(error).__name__, str(error)]
    return []


def same_numbers(world: World, folder: Path) -> None:
    for name, changes in EQUAL.items():
        train(config(**changes), folder / name, world=world)


def groups_within_processes(world: World, folder: Path) -> None:
    train(config(training__accumulate=2), folder / "groups", world=world)


def the_middle_of_a_run(world: World, folder: Path) -> list[Any]:
    """Go on with a run that one process began, until the second process alone gets a signal in a step."""
    with recorded_windows() as windows, signal_in(world, 1, "lstmlm.training.trainer.Trainer._backward", 8):
        try:
            train(config(), folder / "chain", resume=True, world=world)
        except Interrupted as stop:
            return [stop.signal_number, windows]
    return []


@contextmanager
def recorded_windows() -> Iterator[list[Any]]:
    """Take note of the inputs of every window that is read."""
    windows: list[Any] = []
    read = Epoch.window

    def recorded(*arguments: Any) -> Any:
        window = read(*arguments)
        windows.append(window.inputs.tolist())
        return window

    with patch.object(Epoch, "window", recorded):
        yield windows


@contextmanager
def signal_in(world: World, rank: int, target: str, n_calls: int) -> Iterator[None]:
    """Send one process SIGTERM at the call number `n_calls` of a method."""
    numbers = count(1)
    owner, _, name = target.rpartition(".")
    module, _, kind = owner.rpartition(".")
    method = getattr(getattr(sys.modules[module], kind), name)

    def signalled(*arguments: Any) -> Any:
        if next(numbers) == n_calls and world.rank == rank:
            signal.raise_signal(signal.SIGTERM)
        return method(*arguments)

    with patch(target, signalled):
        yield


def scoring(world: World, folder: Path) -> list[list[float]]:
    return [measured_nats(world, forgets=forgets).tolist() for forgets in (True, False)]


def evaluation(world: World, folder: Path) -> list[float]:
    """Measure a run on its training split, in several columns; return the nats and how many tokens were read here."""
    trained, n_read = load(folder / "tied"), []
    trained.model.register_forward_pre_hook(lambda _, given: n_read.append(given[0].numel()))
    with patch("lstmlm.scoring.TOKENS_PER_COLUMN", 500):
        report = evaluate(trained, split="train", world=world)
    return [report.values["nats"], sum(n_read)]


def a_full_disk(world: World, folder: Path) -> list[Any]:
    """Fail at the first checkpoint: at first training goes on, then it stops."""
    publish, outcomes = storage.publish_checkpoint, []
    for choice in ("warn", "stop"):
        failures = iter([True])

        def fail(*arguments: Any, failures: Iterator[bool] = failures) -> None:
            if next(failures, False):
                raise CheckpointError("somewhere: cannot be written.")
            publish(*arguments)

        changed = config(training__save_every=4, training__n_steps=8, training__on_save_error=choice)
        with patch.object(storage, "publish_checkpoint", fail):
            outcomes.append(error_of(partial(train, changed, folder / choice, world=world)))
    return outcomes


def not_a_number(world: World, folder: Path) -> list[str]:
    """Let one process alone find a loss that is none, in the third step."""
    numbers, loss = count(1), SoftmaxLayer.loss

    def broken(*arguments: Any) -> torch.Tensor:
        total = loss(*arguments)
        return total * float("nan") if next(numbers) == 3 and world.rank == 1 else total

    with patch.object(SoftmaxLayer, "loss", broken):
        return error_of(lambda: train(config(), folder / "nan", world=world))


def differences(world: World, folder: Path) -> list[Any]:
    """Give the processes other configurations, texts, and numbers of columns that they cannot share."""
    where = folder / f"rank-{world.rank}"
    where.mkdir()
    os.chdir(where)
    Path("corpus").mkdir()
    Path("corpus/train.txt").write_text(f"a b c {world.rank}\n" * 100, "utf-8")
    rate = config(optimizer__learning_rate=0.01 * (1 + world.rank))
    columns = config(data__batch_size=6, training__accumulate=2)
    text = config(data__corpus="corpus/")
    return [error_of(partial(train, changed, folder / "refused", world=world)) for changed in (rate, columns, text)]


def unequal_clocks(world: World, folder: Path) -> int:
    """Train with a budget on clocks of which one goes thrice as fast."""
    ticks = count()
    budgeted = config(training__n_steps=None, training__budget="5m")
    seconds = 3 if world.rank else 1
    events: list[Event] = []
    train(
        budgeted, folder / "budget", world=world, clock=lambda: float(seconds * next(ticks)), observers=[events.append]
    )
    return len(events)


def restart(world: World, folder: Path) -> None:
    """Call again for a finished run, as torchrun does after a failure: it is resumed without being asked."""
    train(config(), folder / "again", world=world)
    train(config(), folder / "again", world=World(world.rank, world.size, is_restart=True))


SCENARIOS: Sequence[Callable[[World, Path], Any]] = (
    same_numbers,
    groups_within_processes,
    the_middle_of_a_run,
    scoring,
    evaluation,
    a_full_disk,
    not_a_number,
    differences,
    unequal_clocks,
    restart,
)


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    written: list[str] = []

    def notice(event: str, arguments: Any) -> None:
        if event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR) and not str(arguments[0]).startswith("/dev/"):
            written.append(str(arguments[0]))

    sys.addaudithook(notice)
    with World.from_environment() as world:
        outcomes = {}
        for scenario in SCENARIOS:
            del written[:]
            outcomes[scenario.__name__] = {"returned": scenario(world, folder), "wrote": list(written)}
            os.chdir(folder)
    (folder / f"rank-{world.rank}.json").write_text(json.dumps(outcomes), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
