"""A checkpoint that cannot be written ends a training or does not, as configured, and never costs the one before."""

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from run_facts import StopAfter, facts_of

from lstmlm import files
from lstmlm.checkpoint.run_directory import NGRAMS, RunDirectory
from lstmlm.errors import CheckpointError, DivergenceError, Interrupted
from lstmlm.training.events import Event
from lstmlm.workflows import train, try_out


class Disk:
    """A disk that is full while `is_full`; an observer makes it so between two steps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, full_after: int, free_after: int = 1000) -> None:
        self._span = range(full_after, free_after)
        self._is_full = False
        monkeypatch.setattr(files, "os", SimpleNamespace(**{**vars(os), "write": self._write}))

    def __call__(self, event: Event) -> None:
        if event.event == "step":
            self._is_full = event.step in self._span

    def _write(self, descriptor: int, content: bytes) -> int:
        if self._is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.write(descriptor, content)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Disk]:
    return lambda **span: Disk(monkeypatch, **span)


def saved_steps(run_dir: Path) -> list[int]:
    return sorted(int(path.name) for path in (run_dir / "checkpoints").iterdir())


def test_training_goes_on_with_a_warning_and_loses_no_line(
    make_config: Any, tmp_path: Path, disk: Callable[..., Disk], caplog: pytest.LogCaptureFixture
) -> None:
    config = make_config(training__save_every=2)
    train(config, tmp_path / "whole")
    train(config, tmp_path / "run", observers=[disk(full_after=3, free_after=7)])
    said = [record.getMessage() for record in caplog.records]
    full = r"cannot be written (No space left on device). Free some space there."
    assert said == [
        f"{tmp_path}/run/metrics.jsonl: {full} Events wait until they can be written.",
        f"{tmp_path}/run/metrics.jsonl: {full} Step 4 is not saved; training goes on.",
        f"{tmp_path}/run/metrics.jsonl: {full} Step 6 is not saved; training goes on.",
    ]
    assert facts_of(tmp_path / "run") == facts_of(tmp_path / "whole")
    assert saved_steps(tmp_path / "run") == [8, 10]


def test_it_stops_if_that_is_asked_for(make_config: Any, tmp_path: Path, disk: Callable[..., Disk]) -> None:
    config = make_config(training__save_every=2, training__on_save_error="stop")
    with pytest.raises(CheckpointError, match="No space left on device"):
        train(config, tmp_path / "run", observers=[disk(full_after=3, free_after=7)])
    assert RunDirectory.open(tmp_path / "run").last == 2


def test_the_last_checkpoint_must_succeed(make_config: Any, tmp_path: Path, disk: Callable[..., Disk]) -> None:
    config = make_config(training__save_every=2)
    train(config, tmp_path / "whole")
    with pytest.raises(CheckpointError, match="No space left on device"):
        train(config, tmp_path / "run", observers=[disk(full_after=7)])
    assert RunDirectory.open(tmp_path / "run").last == 6
    train(config, tmp_path / "run", resume=True, observers=[disk(full_after=1000)])
    assert facts_of(tmp_path / "run") == facts_of(tmp_path / "whole")


def test_that_of_an_interruption_must_succeed_too(make_config: Any, tmp_path: Path, disk: Callable[..., Disk]) -> None:
    config = make_config(training__save_every=2)
    with pytest.raises(CheckpointError, match="No space left on device"):
        train(config, tmp_path / "run", observers=[disk(full_after=5), StopAfter(5, signal.SIGTERM)])
    assert RunDirectory.open(tmp_path / "run").last == 4


def test_the_newest_weights_stand_in_for_the_best_ones_that_could_not_be_saved(
    make_config: Any, tmp_path: Path, disk: Callable[..., Disk]
) -> None:
    config = make_config(training__validate_every=4)
    with pytest.raises(Interrupted):
        train(config, tmp_path / "run", observers=[disk(full_after=4, free_after=5), StopAfter(5)])
    run = RunDirectory.open(tmp_path / "run")
    assert (run.best, run.last) == (5, 5)


def test_a_disk_that_is_too_small_is_refused_before_training(
    make_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(averaging={"name": "ema"}, training__save_every=1)
    train(config, tmp_path / "run")
    newest = max((tmp_path / "run" / "checkpoints").iterdir())
    n_bytes = sum((newest / name).stat().st_size for name in ("model.safetensors", "training.safetensors"))
    monkeypatch.setattr(files, "free_bytes", lambda path: 3 * n_bytes)
    with pytest.raises(CheckpointError, match=r"its checkpoints \(4 of 0\.\d MB at most\) still need 0\.\d MB\."):
        train(config, tmp_path / "other")
    assert not (tmp_path / "other").exists()
    # A run that does not go on is no longer than it was.
    longer = make_config(averaging={"name": "ema"}, training__save_every=1, training__n_steps=20)
    monkeypatch.setattr(files, "free_bytes", lambda path: 0)
    with pytest.raises(CheckpointError, match="still need"):
        train(longer, tmp_path / "run", resume=True)
    assert not (tmp_path / "run" / "changes").exists()
    # The estimate leaves out little: names, shapes, the carried state.
    monkeypatch.setattr(files, "free_bytes", lambda path: 4 * n_bytes)
    train(config, tmp_path / "other")


def test_n_grams_take_room_once(make_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = make_config(training__save_every=5, model__ngram_order=3)
    train(config, tmp_path / "run")
    n_bytes = (tmp_path / "run" / NGRAMS).stat().st_size
    found = try_out(config, tmp_path / "other", 0.0)
    # The file has their names and shapes, too.
    assert 0 < n_bytes - (found.disk_bytes - 2 * found.checkpoint_bytes) < 5_000
    monkeypatch.setattr(files, "free_bytes", lambda path: 2 * found.checkpoint_bytes)
    with pytest.raises(
        CheckpointError, match=r"its n-grams \(\d\.\d MB\) and checkpoints \(2 of 0\.\d MB at most\) still"
    ):
        train(config, tmp_path / "other")
    train(
        make_config(training__n_steps=15, training__save_every=5, model__ngram_order=3), tmp_path / "run", resume=True
    )
    monkeypatch.setattr(files, "free_bytes", lambda path: found.disk_bytes)
    train(config, tmp_path / "other")


def test_weights_that_overflowed_are_not_saved(
    make_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lstmlm.training.trainer import Trainer

    train_step = Trainer.train_step

    def overflowing_step(self: Trainer) -> None:
        train_step(self)
        if self.state.step == 5:
            self.model.embedding.weight.data[1, 2] = float("inf")

    monkeypatch.setattr(Trainer, "train_step", overflowing_step)
    with pytest.raises(DivergenceError) as error:
        train(make_config(training__save_every=1), tmp_path / "run")
    assert str(error.value) == (
        "step 5: embedding.weight has numbers that are not finite (learning rate 0.01). It is not saved. "
        "Lower optimizer.learning_rate or set clip_norm."
    )
    assert RunDirectory.open(tmp_path / "run").last == 4
