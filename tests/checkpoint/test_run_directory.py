"""Names and layout of a run directory, who may create, open and write one, and which checkpoints it keeps."""

import errno
import os
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from filelock import lock_descriptor

from lstmlm import files
from lstmlm.checkpoint.checkpoints import Keep, kept_steps
from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.checkpoint.storage import Checkpoint
from lstmlm.errors import CheckpointError

Create = Callable[[str], RunDirectory]
Content = Callable[..., Checkpoint]
AssertHolds = Callable[..., None]


def refusal(function: Callable[..., object], *arguments: object) -> str:
    with pytest.raises(CheckpointError) as error:
        function(*arguments)
    return str(error.value)


def listing(path: str) -> list[str]:
    return sorted(entry.name for entry in Path(path).iterdir())


def test_a_run_is_laid_out_as_documented(run: RunDirectory, content: Content) -> None:
    assert listing("runs/a") == ["config.yaml", "environment.json", "format", "lock", "tokenizer.json"]
    with run.lock():
        run.save(400, content(400), is_best=True)
    assert listing("runs/a") == [
        *("best", "checkpoints", "config.yaml", "environment.json", "format", "last", "lock", "tokenizer.json")
    ]
    assert listing("runs/a/checkpoints/00000400") == [
        *("manifest.json", "manifest.sha256", "model.safetensors", "state.json", "training.safetensors")
    ]
    contents = [Path("runs/a", name).read_text("utf-8") for name in ("format", "best", "last")]
    assert contents == ["1\n", "400\n", "400\n"]
    run.metrics.write({"event": "step", "step": 1})
    assert Path("runs/a/metrics.jsonl").exists()


def test_an_opened_run_is_the_one_that_was_created(run: RunDirectory) -> None:
    opened = RunDirectory.open(Path("runs/a"))
    assert (opened.path, opened.config, opened.tokenizer_json) == (run.path, run.config, run.tokenizer_json)
    assert opened.config.data.corpus == "data/tiny"
    assert opened.tokenizer_json == '{"vocab": ["<unk>", "<eos>", "naïve\\r"]}\n'
    assert (opened.best, opened.last) == (None, None)


def test_a_run_with_checkpoints_is_not_created_again(run: RunDirectory, create: Create, content: Content) -> None:
    with run.lock():
        run.save(400, content(400), is_best=True)
    message = "runs/a: already holds 400 steps. Use --resume to continue it, or another --run-dir."
    assert refusal(create, "runs/a") == message
    assert refusal(RunDirectory.require_free, Path("runs/a")) == message


def test_a_run_that_died_before_its_first_checkpoint_can_be_resumed(run: RunDirectory, create: Create) -> None:
    message = "runs/a: holds a run without a checkpoint. Use --resume to start it, or another --run-dir."
    assert refusal(create, "runs/a") == message
    assert RunDirectory.exists(run.path)
    assert RunDirectory.open(run.path).last is None


def test_a_directory_of_something_else_is_left_alone(create: Create) -> None:
    Path("mine").mkdir()
    Path("mine/config.yaml").write_text("mine", "utf-8")
    assert refusal(create, "mine") == "mine: is not empty and holds no run. Choose another --run-dir."
    assert listing("mine") == ["config.yaml"]
    Path("file").write_text("mine", "utf-8")
    assert refusal(create, "file") == "file: is not a directory. Choose another --run-dir."
    assert Path("file").read_text("utf-8") == "mine"


def test_an_empty_directory_is_as_good_as_none(create: Create) -> None:
    Path("empty").mkdir()
    assert create("empty").path == Path("empty")
    RunDirectory.require_free(Path("runs/b"))
    assert not Path("runs/b").exists()


@pytest.mark.parametrize("name", ["runs/b", "other"])
def test_a_run_that_does_not_exist_cannot_be_opened(name: str) -> None:
    Path("other").mkdir()
    message = f"{name}: no such run. Train one: lstmlm train --config quickstart --run-dir {name}"
    assert refusal(RunDirectory.open, Path(name)) == message
    assert not RunDirectory.exists(Path(name))


def test_another_format_is_refused(run: RunDirectory) -> None:
    Path("runs/a/format").write_text("2\n", "utf-8")
    message = "runs/a/format: is 2, this lstmlm reads 1. Use the version of lstmlm that wrote the run."
    assert refusal(RunDirectory.open, run.path) == message


NO_NUMBERS = ["", "1", "1\x0b", "x\n", "-1\n", "1\n1\n", "١\n"]


@pytest.mark.parametrize("damaged", NO_NUMBERS)
def test_a_damaged_format_is_refused(run: RunDirectory, damaged: str) -> None:
    Path("runs/a/format").write_bytes(damaged.encode())
    message = f"runs/a/format: is damaged (expected a number, got {damaged.encode()!r}). Restore it from a copy."
    assert refusal(RunDirectory.open, run.path) == message


def test_a_number_is_not_read_from_a_file_of_any_length(run: RunDirectory) -> None:
    Path("runs/a/format").write_bytes(b"1" * 1000)
    message = "runs/a/format: is damaged (1000 bytes, at most 20 are read). Restore it from a copy."
    assert refusal(RunDirectory.open, run.path) == message


@pytest.mark.parametrize("damaged", [None, *NO_NUMBERS, "1" * 1000])
def test_the_checkpoints_know_what_the_files_that_name_them_say(
    run: RunDirectory, content: Content, damaged: str | None
) -> None:
    with run.lock():
        for step in (200, 300):
            run.save(step, content(step), is_best=step == 200)
    for name in ("best", "last"):
        (run.path / name).unlink() if damaged is None else (run.path / name).write_text(damaged, "utf-8")
    assert (run.best, run.last) == (200, 300)
    empty = run.path.with_name("a copy without checkpoints")
    empty.mkdir()
    for name, content_of_copy in (("format", "1\n"), ("best", "200\n")):
        (empty / name).write_text(content_of_copy, "utf-8")
    assert RunDirectory.newest(run.path.parent).path == run.path
    with run.lock():
        pass
    assert [(run.path / name).read_text("utf-8") for name in ("best", "last")] == ["200\n", "300\n"]


def test_the_newest_run_is_the_one_that_published_last(create: Create, content: Content) -> None:
    runs = {name: create(f"runs/{name}") for name in ("a", "b", "c", "d")}
    Path("runs/notes").mkdir()
    Path("runs/notes/last").write_text("1\n", "utf-8")
    for name in ("a", "b", "c"):
        with runs[name].lock():
            runs[name].save(400, content(400), is_best=False)
    for name, seconds in [("a", 2), ("b", 3), ("c", 3), ("notes", 9)]:
        os.utime(f"runs/{name}/last", (seconds, seconds))
    assert RunDirectory.newest(Path("runs")).path == Path("runs/c")
    os.utime("runs/a/last", (4, 4))
    assert RunDirectory.newest(Path("runs")).path == Path("runs/a")
    of_lab = create("runs/lab/seed-1")
    with of_lab.lock():
        of_lab.save(400, content(400), is_best=False)
    assert RunDirectory.newest(Path("runs")).path == of_lab.path  # as `report` and `watch` have it


def test_without_a_trained_run_there_is_no_newest(create: Create) -> None:
    message = "runs: holds no trained run. Train one first: lstmlm train --config quickstart"
    assert refusal(RunDirectory.newest, Path("runs")) == message
    create("runs/a")
    assert refusal(RunDirectory.newest, Path("runs")) == message


def test_the_best_the_last_and_the_one_before_it_are_kept(
    run: RunDirectory, content: Content, assert_holds: AssertHolds
) -> None:
    kept = []
    with run.lock():
        for step, is_best in [(100, False), (200, True), (300, False), (400, False), (500, True), (600, False)]:
            run.save(step, content(step), is_best=is_best)
            kept.append((run.best, run.last, listing("runs/a/checkpoints")))
    assert kept == [
        (100, 100, ["00000100"]),  # none was marked: the newest is it
        (200, 200, ["00000100", "00000200"]),
        (200, 300, ["00000200", "00000300"]),
        (200, 400, ["00000200", "00000300", "00000400"]),
        (500, 500, ["00000400", "00000500"]),
        (500, 600, ["00000500", "00000600"]),
    ]
    for step in (500, 600):
        assert_holds(run, step)


def test_an_old_checkpoint_that_cannot_be_removed_is_no_fault_of_a_save(
    run: RunDirectory, content: Content, assert_holds: AssertHolds, caplog: pytest.LogCaptureFixture
) -> None:
    """On NFS, a folder in which someone reads stays."""

    def refuse(path: Path) -> None:
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "rmdir", refuse)
        with run.lock():
            for step, version in [(100, 0), (200, 0), (300, 0), (300, 1)]:
                run.save(step, content(step, version), is_best=True)
        with run.lock():
            assert_holds(run, 300, 1)
            assert (run.steps, run.best, run.last) == ([200, 300], 300, 300)
    assert [record.getMessage() for record in caplog.records] == [
        "runs/a/checkpoints/00000100: cannot be removed (Directory not empty). Check the path and the disk. "
        "It is no longer needed."
    ]
    assert len(listing("runs/a/checkpoints")) == 4
    with run.lock():
        assert listing("runs/a/checkpoints") == ["00000200", "00000300"]


def test_a_step_can_be_saved_again(run: RunDirectory, content: Content, assert_holds: AssertHolds) -> None:
    with run.lock():
        run.save(400, content(400, version=1), is_best=False)
        run.save(400, content(400, version=2), is_best=True)
    assert_holds(run, 400, 2)
    assert (run.best, run.last) == (400, 400)
    assert listing("runs/a/checkpoints") == ["00000400"]


def test_a_missing_checkpoint_is_named_with_those_there_are(run: RunDirectory, content: Content) -> None:
    with run.lock():
        run.save(400, content(400), is_best=True)
        run.save(500, content(500), is_best=False)
    assert refusal(run.load_weights, 300) == (
        "runs/a/checkpoints/00000300: no such checkpoint (saved: 400, 500). "
        "Run the command again if the run is being trained, or restore it from a copy."
    )


def test_a_checkpoint_vouches_for_what_the_run_worked_with(run: RunDirectory, content: Content) -> None:
    Path("runs/a/tokenizer.json").write_text("{}", "utf-8")
    with run.lock():
        run.save(400, content(400), is_best=True)
    assert refusal(run.load_weights, 400).startswith("runs/a/tokenizer.json: is damaged (")


def test_a_run_has_one_writer_and_readers_need_no_lock(run: RunDirectory, content: Content) -> None:
    with pytest.raises(RuntimeError, match="needs the lock"):
        run.save(400, content(400), is_best=True)
    other = RunDirectory.open(run.path)
    with run.lock():
        run.save(400, content(400), is_best=True)
        assert refusal(other.lock().__enter__).startswith(f"runs/a: is in use by process {os.getpid()}. ")
        assert RunDirectory.open(run.path).load_weights(400).keys() == {"embedding", "bias"}
    with other.lock():
        other.save(500, content(500), is_best=False)
    assert run.last == 500


def test_whoever_only_looks_keeps_no_writer_out(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    path = run.path / "lock"
    path.touch()
    looks = path.open("r+b")
    assert lock_descriptor(looks.fileno(), blocking=False)
    monkeypatch.setattr(time, "sleep", lambda _: looks.close())  # as `is_locked` does after a moment
    with run.lock():
        assert looks.closed


def test_a_new_run_has_one_writer_from_the_first_file_on(run: RunDirectory) -> None:
    with RunDirectory.create(Path("runs/b"), run.config, "{}", {}) as new:
        in_use = f"runs/b: is in use by process {os.getpid()}. "
        assert refusal(RunDirectory.open(new.path).lock().__enter__).startswith(in_use)
        new.save(1, Checkpoint({}, {}, {}), is_best=False)
    with new.lock():
        pass


@pytest.mark.parametrize("corpus", ["a\u2028b", "a\u2029b", "a\x85b", "a\x0cb"])
def test_a_place_of_any_name_can_be_written_down(run: RunDirectory, corpus: str) -> None:
    with run.lock():
        run.record_changes({"data.corpus": corpus, "training.n_steps": 2000})
    config = RunDirectory.open(run.path).config
    assert (config.data.corpus, config.training.n_steps) == (corpus, 2000)


def test_damaged_changes_are_named(run: RunDirectory) -> None:
    """No one has typed them."""
    Path("runs/a/changes").write_text("training.n_steps=1\ntraining.n_epoch=x\n", "utf-8")
    assert refusal(RunDirectory.open, run.path) == (
        "runs/a/changes: is damaged: training.n_epoch: unknown key. Did you mean 'n_epochs'? Restore it from a copy."
    )


def test_a_disk_without_room_for_the_checkpoints_is_refused_before_anything_is_written(
    run: RunDirectory, content: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "free_bytes", lambda path: 3_500_000)
    RunDirectory.require_space(Path("runs/b"), 875_000, 4)
    assert refusal(RunDirectory.require_space, Path("runs/b"), 1_000_000, 4) == (
        "runs/b: has 3.5 MB free, but its checkpoints (4 of 1.0 MB at most) still need 4.0 MB. "
        "Free some space there, or choose another --run-dir."
    )
    assert not Path("runs/b").exists()
    # One is there already.
    with run.lock():
        run.save(400, content(400), is_best=True)
    RunDirectory.require_space(run.path, 1_000_000, 4)


def test_a_new_run_is_not_created_while_another_process_creates_it(create: Create) -> None:
    from lstmlm.files import locked

    Path("runs/b").mkdir(parents=True)
    with locked(Path("runs/b/lock")):
        assert refusal(create, "runs/b").startswith(f"runs/b: is in use by process {os.getpid()}. ")
    create("runs/b")


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        (None, []),
        ("all", [3, 6, 9, 12, 15, 18, 21, 24]),
        ("2^k", [3, 6, 9, 18]),
        (8, [3, 6, 9, 12, 15, 18, 21, 24]),
        (4, [9, 18, 24]),
        (3, [9, 18, 24]),
        (2, [18]),
        (1, [18]),
    ],
)
def test_which_checkpoints_are_kept(keep: Keep, kept: list[int]) -> None:
    steps: list[int] = []
    for step in range(3, 25, 3):
        steps = kept_steps([*steps, step], keep)
    assert steps == kept


@pytest.mark.parametrize("keep", range(1, 12))
@pytest.mark.parametrize("save_every", [30, 100, 977])
def test_checkpoints_are_evenly_spread_however_many_there_were(keep: int, save_every: int) -> None:
    """The longest way between two is twice that of an even spread at most; beside them the last two stay."""
    steps: list[int] = []
    for step in range(save_every, 200 * save_every + 1, save_every):
        kept = kept_steps([*steps, step], keep)
        assert len(kept) <= keep
        steps = sorted({*kept, *steps[-1:], step})
    assert max(after - before for before, after in pairwise([0, *steps])) <= 2 * 200 * save_every / keep


def test_checkpoints_are_kept_beside_the_best_and_the_last(run: RunDirectory, content: Content) -> None:
    training = run.config.training.model_copy(update={"keep": 3})
    run.config = run.config.model_copy(update={"training": training})
    with run.lock():
        for step in (2, 4, 6, 8, 10, 12):
            run.save(step, content(step), is_best=step == 8)
    assert run.steps == [4, 8, 10, 12]


def test_a_checkpoint_vouches_for_the_metrics_before_it(run: RunDirectory, content: Content) -> None:
    with run.lock():
        run.metrics.write({"event": "step", "step": 1, "nats": 5.5})
        run.save(1, content(1), is_best=True)
        run.metrics.write({"event": "step", "step": 2, "nats": 5.25})
    assert run.verify(1)
    path = run.metrics.path
    path.write_bytes(path.read_bytes().replace(b"5.25", b"5.24"))
    assert run.verify(1)
    path.write_bytes(path.read_bytes().replace(b"5.5", b"4.5"))
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl: is damaged \(its SHA-256 differs from the manifest"):
        run.verify(1)
    path.write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl: is damaged \(has fewer than the 42 bytes"):
        run.verify(1)
