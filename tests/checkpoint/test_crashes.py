"""A process that dies, or a disk that fails, at any file operation loses nothing that was saved before."""

import errno
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from lstmlm import files
from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.checkpoint.storage import Checkpoint
from lstmlm.errors import CheckpointError

EFFECTS = {"open", "write", "fsync", "replace", "rename", "mkdir", "unlink", "rmdir", "ftruncate"}

Create = Callable[[str], RunDirectory]
Content = Callable[..., Checkpoint]
AssertHolds = Callable[..., None]


class Killed(BaseException):
    """Stands for the end of the process: nothing in the package catches it."""


class FailingOS:
    """Stands in for `os`: lets `n_effects` file operations happen; the next one fails, a write after half its bytes.

    A killed process does nothing any more; after anything else, everything works again. Nothing is really forced to the
    disk: the process that looks afterwards runs on the same machine, and these tests save a thousand times.
    """

    def __init__(self, n_effects: int = -1, failure: BaseException | None = None) -> None:
        self._n_left = n_effects
        self._failure = failure
        self.has_failed = False

    def __getattr__(self, name: str) -> Any:
        return self._effect(name) if name in EFFECTS else getattr(os, name)

    def _effect(self, name: str) -> Callable[..., Any]:
        def effect(*arguments: Any, **options: Any) -> Any:
            if self._n_left != 0:
                self._n_left -= 1
                return None if name == "fsync" else getattr(os, name)(*arguments, **options)
            if name == "write" and not self.has_failed:
                descriptor, content = arguments
                os.write(descriptor, content[: len(content) // 2])
            self.has_failed = True
            assert self._failure is not None
            if not isinstance(self._failure, Killed):
                self._n_left = -1
            raise self._failure

        return effect


@pytest.fixture(autouse=True)
def _nothing_is_forced_to_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "os", FailingOS())


@contextmanager
def failure_after(n_effects: int, failure: BaseException) -> Iterator[FailingOS]:
    failing = FailingOS(n_effects, failure)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "os", failing)
        yield failing


def assert_no_leftovers(path: Path) -> None:
    assert [entry for entry in path.rglob("*") if files.is_leftover(entry)] == []


def version_of(run: RunDirectory, step: int) -> object:
    return run.load_training(step).state["version"]


# What `save` is asked for after version 0 of step 300 was saved as `best` and `last`: step, version, is_best.
SAVES = [(400, 0, True), (400, 0, False), (300, 1, True)]


def saved_run(create: Create, content: Content, number: int) -> RunDirectory:
    run = create(f"runs/{number}")
    with run.lock():
        run.save(200, content(200), is_best=True)
        run.save(300, content(300), is_best=True)
    return run


@pytest.mark.parametrize("stop", [Killed, KeyboardInterrupt])
@pytest.mark.parametrize(("step", "version", "is_best"), SAVES)
def test_a_kill_at_any_operation_of_a_save_leaves_the_old_or_the_new_checkpoint(
    create: Create,
    content: Content,
    assert_holds: AssertHolds,
    step: int,
    version: int,
    is_best: bool,
    stop: type[BaseException],
) -> None:
    outcomes = []
    has_failed, n_effects = True, 0
    while has_failed:
        run = saved_run(create, content, n_effects)
        with failure_after(n_effects, stop()) as failing:
            with suppress(stop), run.lock():
                run.save(step, content(step, version), is_best=is_best)
            has_failed = failing.has_failed
        # A reader without the lock, before anything is tidied up.
        reader = RunDirectory.open(run.path)
        outcomes.append((reader.last, version_of(reader, reader.last)))
        for saved in {reader.best, reader.last}:
            assert_holds(reader, saved, version_of(reader, saved))
        # The process that resumes. Of the two pointers `best` moves first, and then the new checkpoint is whole.
        newest = max(reader.best, reader.last)
        expected = (newest, version_of(reader, newest))
        with reader.lock():
            assert_no_leftovers(run.path)
            assert (reader.last, version_of(reader, reader.last)) == expected
            reader.save(step, content(step, version), is_best=is_best)
        assert_holds(reader, step, version)
        kept = {reader.best, reader.last, 300 if step == 400 else 200}
        assert kept == {int(path.name) for path in (run.path / "checkpoints").iterdir()}
        n_effects += 1
    # Until some operation the old one, from then on the new one; a save has far more than twenty operations.
    n_old = outcomes.index((step, version))
    assert outcomes == [(300, 0)] * n_old + [(step, version)] * (len(outcomes) - n_old)
    assert n_old > 20


@pytest.mark.parametrize(("step", "version", "is_best"), SAVES)
def test_a_full_disk_at_any_operation_of_a_save_is_a_sentence_and_loses_nothing(
    create: Create, content: Content, assert_holds: AssertHolds, step: int, version: int, is_best: bool
) -> None:
    """Where it only keeps what is not needed any more from being removed, the save is whole."""
    full_disk = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    has_failed, n_effects = True, 0
    while has_failed:
        run = saved_run(create, content, n_effects)
        with run.lock():
            refusal = ""
            with failure_after(n_effects, full_disk) as failing:
                try:
                    run.save(step, content(step, version), is_best=is_best)
                except CheckpointError as error:
                    refusal = str(error)
                has_failed = failing.has_failed
            sentence = rf"{run.path}/\S+: cannot be \w+ \(No space left on device\)\. Free some space there\."
            is_saved = (run.last, version_of(run, run.last)) == (step, version)
            assert re.fullmatch(sentence, refusal) or (refusal == "" and is_saved)
            assert_holds(run, run.last, version_of(run, run.last))
            # The training goes on, and there is space again.
            run.save(500, content(500), is_best=False)
        for saved in {run.best, run.last}:
            run.load_weights(saved)
        with run.lock():
            assert_no_leftovers(run.path)
        n_effects += 1


def test_a_kill_at_any_operation_of_create_leaves_a_run_or_room_for_one(create: Create) -> None:
    outcomes = []
    has_failed, n_effects = True, 0
    while has_failed:
        path = f"runs/{n_effects}"
        with failure_after(n_effects, Killed()) as failing:
            with suppress(Killed):
                create(path)
            has_failed = failing.has_failed
        outcomes.append(RunDirectory.exists(Path(path)))
        run = RunDirectory.open(Path(path)) if outcomes[-1] else create(path)
        with run.lock():
            assert_no_leftovers(Path(path))
        names = sorted(entry.name for entry in Path(path).iterdir())
        assert names == ["config.yaml", "environment.json", "format", "lock", "tokenizer.json"]
        n_effects += 1
    assert outcomes == sorted(outcomes)
    assert outcomes.count(False) > 20
