"""A damaged checkpoint is named and set aside, and an intact one takes its place."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lstmlm.checkpoint import storage
from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.checkpoint.storage import Checkpoint
from lstmlm.errors import CheckpointError, StorageError

Content = Callable[..., Checkpoint]
AssertHolds = Callable[..., None]

FILES = ("model.safetensors", "training.safetensors", "state.json", "manifest.json", "manifest.sha256")


@pytest.fixture
def saved(run: RunDirectory, content: Content) -> RunDirectory:
    """A run with checkpoints 200 (best), 300 and 400 (last)."""
    with run.lock():
        for step in (100, 200, 300, 400):
            run.save(step, content(step), is_best=step == 200)
    return run


def directory(step: int) -> Path:
    return Path("runs/a/checkpoints", f"{step:08d}")


def damage(step: int, name: str = "model.safetensors") -> None:
    path = directory(step) / name
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)


def tidied_up(run: RunDirectory, caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.WARNING, "lstmlm"), RunDirectory.open(run.path).lock():
        pass
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("name", FILES)
def test_the_one_before_a_damaged_last_one_is_used(
    saved: RunDirectory, assert_holds: AssertHolds, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    damage(400, name)
    damaged = (directory(400) / name).read_bytes()
    first, second = tidied_up(saved, caplog)
    assert first.startswith(f"{directory(400)}/{'manifest.json' if name == 'manifest.sha256' else name}: is damaged (")
    assert first.endswith(f". It is set aside as {directory(400)}.damaged.")
    assert second == "runs/a: step 400 is lost; training goes on from step 300."
    assert (saved.best, saved.last) == (200, 300)
    assert_holds(saved, 300)
    assert (directory(400).with_name("00000400.damaged") / name).read_bytes() == damaged
    assert tidied_up(saved, caplog) == []


def test_the_last_one_stands_in_for_a_damaged_best_one(
    saved: RunDirectory, assert_holds: AssertHolds, caplog: pytest.LogCaptureFixture
) -> None:
    damage(200)
    first, second = tidied_up(saved, caplog)
    assert first.startswith(f"{directory(200)}/model.safetensors: is damaged (")
    assert second == "runs/a: the best weights, of step 200, are lost; those of step 400 stand in."
    assert (saved.best, saved.last) == (400, 400)
    assert_holds(saved, 400)


def test_a_missing_checkpoint_is_as_good_as_damaged(saved: RunDirectory, caplog: pytest.LogCaptureFixture) -> None:
    directory(400).rename("elsewhere")
    assert tidied_up(saved, caplog) == ["runs/a: step 400 is lost; training goes on from step 300."]
    assert saved.last == 300


def test_a_checkpoint_beyond_the_last_is_not_gone_on_from(
    saved: RunDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    Path("runs/a/last").write_text("300\n", "utf-8")
    damage(300)
    tidied_up(saved, caplog)
    assert (saved.best, saved.last) == (200, 200)


def test_a_kill_before_last_follows_best_loses_nothing(
    saved: RunDirectory, content: Content, caplog: pytest.LogCaptureFixture
) -> None:
    with saved.lock():
        saved.save(500, content(500), is_best=True)
    Path("runs/a/last").write_text("400\n", "utf-8")
    assert tidied_up(saved, caplog) == []
    assert (saved.best, saved.last) == (500, 500)
    Path("runs/a/last").unlink()
    assert tidied_up(saved, caplog) == []
    assert (saved.best, saved.last) == (500, 500)


@pytest.mark.parametrize("name", [*FILES, "all"])
def test_the_newest_state_that_is_intact_names_the_best(
    saved: RunDirectory, caplog: pytest.LogCaptureFixture, assert_holds: AssertHolds, name: str
) -> None:
    Path("runs/a/best").unlink()
    if name == "all":
        directory(400).rename("elsewhere")
    else:
        damage(400, name)
    assert saved.best == 200
    assert tidied_up(saved, caplog)[-1] == "runs/a: step 400 is lost; training goes on from step 300."
    assert (saved.best, saved.last) == (200, 300)
    assert_holds(saved, 200)


def test_the_last_one_is_the_best_where_no_state_knows_it(
    saved: RunDirectory, content: Content, caplog: pytest.LogCaptureFixture
) -> None:
    damage(200)
    tidied_up(saved, caplog)
    with saved.lock():
        saved.save(500, content(500), is_best=True)
    Path("runs/a/best").unlink()  # which said 500, while the states speak of what was lost
    assert (saved.best, saved.last) == (500, 500)
    with saved.lock():
        saved.save(600, content(600), is_best=False)
    assert Path("runs/a/best").read_text("utf-8") == "500\n"


@contextmanager
def withheld(wanted: int) -> Iterator[None]:
    """Let the disk not give the checkpoint of a step."""

    def verify(path: Path, step: int, run_files: list[Path]) -> None:
        if step == wanted:
            raise StorageError(f"{path}: cannot be read (Stale file handle).")
        verify_checkpoint(path, step, run_files)

    verify_checkpoint = storage.verify_checkpoint
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "verify_checkpoint", verify)
        yield


def test_what_the_disk_does_not_give_now_is_not_set_aside(
    saved: RunDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    before = sorted(Path("runs/a").rglob("*"))
    with withheld(300):  # neither the best nor the last
        assert tidied_up(saved, caplog) == []
    damage(200)
    with withheld(400), pytest.raises(StorageError, match="Stale file handle"):
        tidied_up(saved, caplog)
    assert sorted(Path("runs/a").rglob("*")) == before
    assert (saved.best, saved.last) == (200, 400)
    tidied_up(saved, caplog)
    assert (saved.best, saved.last) == (400, 400)


def test_where_none_is_intact_nothing_is_changed(saved: RunDirectory, caplog: pytest.LogCaptureFixture) -> None:
    for step in (200, 300, 400):
        damage(step)
    with pytest.raises(CheckpointError) as error:
        tidied_up(saved, caplog)
    assert str(error.value).startswith(f"{directory(200)}/model.safetensors: is damaged (")
    assert (saved.best, saved.last) == (200, 400)
    assert sorted(path.name for path in Path("runs/a/checkpoints").iterdir()) == ["00000200", "00000300", "00000400"]


def test_damaged_files_of_the_run_are_no_fault_of_the_checkpoints(saved: RunDirectory) -> None:
    other = RunDirectory.open(saved.path)
    Path("runs/a/config.yaml").write_text("x", "utf-8")
    with pytest.raises(CheckpointError, match=r"^runs/a/config\.yaml: is damaged \("), other.lock():
        pass
    assert sorted(path.name for path in Path("runs/a/checkpoints").iterdir()) == ["00000200", "00000300", "00000400"]


def test_a_reader_needs_only_what_it_reads_to_be_intact(saved: RunDirectory, assert_holds: AssertHolds) -> None:
    damage(400, "manifest.json")
    assert_holds(RunDirectory.open(saved.path), 200)
    with pytest.raises(CheckpointError, match="is damaged"):
        saved.load_weights(400)


def test_who_reads_what_is_damaged_or_missing_is_told_what_stands_in(saved: RunDirectory) -> None:
    way_out = " Or let another stand in, and the training go on: lstmlm train --resume --run-dir runs/a"
    damage(200)
    directory(400).rename("elsewhere")
    for step in (200, 400):
        with pytest.raises(CheckpointError) as error:
            saved.load_weights(step)
        assert str(error.value).startswith(str(directory(step)))
        assert str(error.value).endswith(way_out)
    damage(300, "manifest.json")
    for path in (directory(200), Path("runs/a/config.yaml")):
        with pytest.raises(CheckpointError) as error:
            saved.load_weights(200)
        assert str(error.value).startswith(str(path))
        assert not str(error.value).endswith(way_out)
        Path("runs/a/config.yaml").write_text("x", "utf-8")


def test_a_checkpoint_that_is_replaced_while_it_is_read_is_read_again(
    saved: RunDirectory, content: Content, assert_holds: AssertHolds, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_manifest = storage.read_manifest

    def overtaken(*arguments: Any) -> storage.Manifest:
        manifest = read_manifest(*arguments)
        monkeypatch.setattr(storage, "read_manifest", read_manifest)
        with saved.lock():
            saved.save(400, content(400, version=1), is_best=False)
        return manifest

    monkeypatch.setattr(storage, "read_manifest", overtaken)
    assert_holds(saved, 400, 1)
