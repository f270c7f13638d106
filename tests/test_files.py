"""What files.py promises: a write happens whole or not at all, errors are sentences, a lock has one holder."""

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lstmlm import files
from lstmlm.errors import CheckpointError

StandIn = Callable[..., None]


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Replace functions of `os`, for files.py only."""

    def replace(**functions: Callable[..., Any]) -> None:
        monkeypatch.setattr(files, "os", SimpleNamespace(**{**vars(os), **functions}))

    return replace


def names() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def failing(number: int) -> Callable[..., Any]:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.fixture(autouse=True)
def _relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_write_replaces_the_content_and_leaves_nothing_else() -> None:
    path = Path("best")
    files.write_atomically(path, b"1\n")
    files.write_atomically(path, b"2\n")
    assert path.read_bytes() == b"2\n"
    assert names() == ["best"]


def test_a_write_in_blocks_is_one_write() -> None:
    def blocks(fails: bool) -> Iterator[bytes]:
        yield b"1\n"
        assert names() != ["best"]
        if fails:
            raise ZeroDivisionError
        yield b"2\n"

    files.write_blocks_atomically(Path("best"), blocks(fails=False))
    assert (Path("best").read_bytes(), names()) == (b"1\n2\n", ["best"])
    with pytest.raises(ZeroDivisionError):
        files.write_blocks_atomically(Path("best"), blocks(fails=True))
    assert (Path("best").read_bytes(), names()) == (b"1\n2\n", ["best"])


def test_what_is_no_file_is_written_to_and_stays_what_it_is() -> None:
    os.mkfifo("pipe")
    reader = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
    files.write_blocks_atomically(Path("pipe"), [b"1\n", b"2\n"])
    assert os.read(reader, 9) == b"1\n2\n"
    os.close(reader)
    Path("null").symlink_to(os.devnull)
    files.write_atomically(Path("null"), b"1\n")
    assert (Path("pipe").is_fifo(), Path("null").readlink(), names()) == (True, Path(os.devnull), ["null", "pipe"])


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="needs /dev/stdout")
def test_what_stdout_leads_to_keeps_what_it_has() -> None:
    Path("log").write_bytes(b"before\n")
    program = "from pathlib import Path; from lstmlm import files; files.write_atomically(Path('/dev/stdout'), b'1\\n')"
    with Path("log").open("ab") as log:
        subprocess.run([sys.executable, "-c", program], stdout=log, check=True)
    assert (Path("log").read_bytes(), names()) == (b"before\n1\n", ["log"])


@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_stays_and_the_file_that_it_names_is_replaced(is_there: bool) -> None:
    Path("reports").mkdir()
    if is_there:
        Path("reports/best").write_bytes(b"1\n")
    Path("link").symlink_to("reports/best")
    files.write_atomically(Path("link"), b"2\n")
    assert (Path("link").is_symlink(), Path("reports/best").read_bytes()) == (True, b"2\n")
    assert [path.name for path in Path("reports").iterdir()] == ["best"]


def test_a_file_is_readable_for_whom_the_umask_allows() -> None:
    mask = os.umask(0o022)
    try:
        files.write_atomically(Path("best"), b"1\n")
        files.publish_directory(Path("checkpoint"), {"a": [b"1"]})
    finally:
        os.umask(mask)
    modes = [stat.S_IMODE(Path(name).stat().st_mode) for name in ("best", "checkpoint", "checkpoint/a")]
    assert modes == [0o644, 0o755, 0o644]


@pytest.mark.parametrize("function", ["open", "write", "fsync", "replace"])
def test_a_failed_write_keeps_the_old_content(stand_in: StandIn, function: str) -> None:
    files.write_atomically(Path("best"), b"1\n")
    stand_in(**{function: failing(errno.EIO)})
    with pytest.raises(CheckpointError, match=r"^best: cannot be written \(Input/output error\)\. "):
        files.write_atomically(Path("best"), b"2\n")
    assert Path("best").read_bytes() == b"1\n"
    assert names() == ["best"]


def test_a_write_is_forced_to_the_disk_before_and_after_it_gets_its_name(stand_in: StandIn) -> None:
    calls = []

    def recorded(name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            calls.append(name)
            return getattr(os, name)(*arguments, **options)

        return call

    stand_in(**{name: recorded(name) for name in ("write", "fsync", "replace", "rename", "mkdir", "unlink")})
    files.write_atomically(Path("best"), b"1\n")
    assert calls == ["write", "fsync", "replace", "fsync"]
    calls.clear()
    files.publish_directory(Path("checkpoint"), {"a": [b"1"], "b": [b"2"]})
    assert calls == ["mkdir", "write", "fsync", "write", "fsync", "fsync", "rename", "fsync"]


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "runs/a/best: cannot be written (No space left on device). Free some space there."),
        (errno.EACCES, "runs/a/best: cannot be written (Permission denied). Allow it, or choose another directory."),
        (errno.EROFS, "runs/a/best: cannot be written (Read-only file system). Choose another directory."),
        (errno.EIO, "runs/a/best: cannot be written (Input/output error). Check the path and the disk."),
    ],
)
def test_an_error_of_the_system_says_what_to_do(stand_in: StandIn, number: int, message: str) -> None:
    files.make_directory(Path("runs/a"))
    stand_in(open=failing(number))
    with pytest.raises(CheckpointError) as error:
        files.write_atomically(Path("runs/a/best"), b"1\n")
    assert str(error.value) == message


def test_a_directory_below_a_file_cannot_be_created() -> None:
    Path("runs").write_text("mine", "utf-8")
    with pytest.raises(CheckpointError) as error:
        files.make_directory(Path("runs/a"))
    assert str(error.value) == "runs/a: cannot be created (Not a directory). Choose another directory."


def test_short_writes_are_continued(stand_in: StandIn) -> None:
    stand_in(write=lambda descriptor, content: os.write(descriptor, content[:3]))
    files.write_atomically(Path("best"), b"0123456789")
    assert Path("best").read_bytes() == b"0123456789"


def test_bytes_that_changed_on_their_way_to_the_disk_are_not_published(stand_in: StandIn) -> None:
    stand_in(write=lambda descriptor, content: os.write(descriptor, bytes(content).replace(b"4", b"5")))
    with pytest.raises(CheckpointError) as error:
        files.publish_directory(Path("checkpoint"), {"a": [b"4"]})
    assert str(error.value) == (
        "checkpoint: cannot be written (the disk gave back other bytes for a than were written). "
        "Check the path and the disk."
    )
    assert names() == []


def test_a_published_directory_replaces_the_one_before() -> None:
    path = Path("checkpoint")
    files.publish_directory(path, {"a": [b"1"], "b": [b"2"]})
    files.publish_directory(path, {"a": [b"3"]})
    assert {entry.name: entry.read_bytes() for entry in path.iterdir()} == {"a": b"3"}
    assert names() == ["checkpoint"]


def test_leftovers_are_removed_and_everything_else_stays() -> None:
    files.publish_directory(Path("checkpoint"), {"a": [b"1"]})
    Path(".checkpoint.0123456789abcdef.partial").mkdir()
    Path(".checkpoint.0123456789abcdef.partial/a").write_text("torn", "utf-8")
    Path(".best.0123456789abcdef.partial").write_text("torn", "utf-8")
    Path(".mine.partial").write_text("the user's", "utf-8")
    files.remove_leftovers(Path())
    assert names() == [".mine.partial", "checkpoint"]


def test_a_replacement_that_was_cut_short_is_undone() -> None:
    files.publish_directory(Path("checkpoint"), {"a": [b"1"]})
    Path("checkpoint").rename(".checkpoint.replaced")
    assert (files.published(Path("checkpoint")) / "a").read_bytes() == b"1"
    files.remove_leftovers(Path())
    assert Path("checkpoint/a").read_bytes() == b"1"


def test_reading_what_is_missing_or_no_text_is_an_error() -> None:
    with pytest.raises(CheckpointError) as error:
        files.read_bytes(Path("best"), 100)
    assert str(error.value) == "best: is missing. Restore it from a copy."
    Path("tokenizer.json").write_bytes(b"{\xff}")
    with pytest.raises(CheckpointError) as error:
        files.read_text(Path("tokenizer.json"), 100)
    assert str(error.value) == "tokenizer.json: is damaged (not UTF-8 at offset 1). Restore it from a copy."


def test_no_more_is_read_than_a_file_can_hold() -> None:
    Path("best").write_bytes(b"12345\n")
    assert files.read_bytes(Path("best"), 6) == b"12345\n"
    with pytest.raises(CheckpointError) as error:
        files.read_bytes(Path("best"), 5)
    assert str(error.value) == "best: is damaged (6 bytes, at most 5 are read). Restore it from a copy."


def test_what_need_not_end_is_not_read() -> None:
    os.mkfifo("pipe")
    Path("device").symlink_to("/dev/zero")
    Path("folder").mkdir()
    for name in ("pipe", "device", "folder"):
        with pytest.raises(CheckpointError) as error:
            files.read_bytes(Path(name), 100)
        assert str(error.value) == f"{name}: is not a regular file. Restore it from a copy."


def test_what_cannot_be_appended_whole_is_not_appended_at_all(stand_in: StandIn) -> None:
    files.append(Path("metrics.jsonl"), b"first\n")
    has_written = []

    def write_once(descriptor: int, content: bytes) -> int:
        if has_written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        has_written.append(True)
        return os.write(descriptor, content[:3])

    stand_in(write=write_once)
    with pytest.raises(CheckpointError, match="No space left"):
        files.append(Path("metrics.jsonl"), b"second\n")
    assert Path("metrics.jsonl").read_bytes() == b"first\n"


def test_a_damaged_directory_is_set_aside_in_place_of_an_earlier_one() -> None:
    for content in (b"1", b"2"):
        files.publish_directory(Path("checkpoint"), {"a": [content]})
        assert files.set_aside(Path("checkpoint")) == Path("checkpoint.damaged")
    assert names() == ["checkpoint.damaged"]
    assert Path("checkpoint.damaged/a").read_bytes() == b"2"


def test_the_free_space_is_that_of_the_file_system_of_a_directory_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    n_free = {Path.cwd(): 1000, Path.cwd() / "runs": 2000}
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=n_free[path]))
    assert files.free_bytes(Path("runs/a")) == 1000
    Path("runs").mkdir()
    assert files.free_bytes(Path("runs/a")) == 2000


def test_text_keeps_its_line_ends() -> None:
    files.write_atomically(Path("tokenizer.json"), "ä\r\nb\rc\n".encode())
    assert files.read_text(Path("tokenizer.json"), 100) == "ä\r\nb\rc\n"


HOLD_THE_LOCK = """
import sys
from pathlib import Path
from lstmlm.files import locked
with locked(Path("runs/a/lock")):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder() -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the lock until its stdin is closed."""
    files.make_directory(Path("runs/a"))
    project = Path(__file__).parent.parent
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD_THE_LOCK],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(project)},
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"locked\n"
        yield process


def test_a_lock_names_its_owner_and_is_free_once_that_has_ended(holder: subprocess.Popen[bytes]) -> None:
    with pytest.raises(CheckpointError) as error, files.locked(Path("runs/a/lock")):
        pass
    assert str(error.value) == (
        f"runs/a: is in use by process {holder.pid}. Wait until that has ended, or choose another directory."
    )
    holder.communicate()
    with files.locked(Path("runs/a/lock")):
        assert Path("runs/a/lock").read_text("utf-8").split() == [str(os.getpid())]


def test_a_lock_dies_with_its_owner(holder: subprocess.Popen[bytes]) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with files.locked(Path("runs/a/lock")):
        assert Path("runs/a/lock").read_text("utf-8").split() == [str(os.getpid())]


def test_a_lock_that_was_waited_for_names_its_new_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("lock").write_bytes(b"%*d\n" % (files.OWNER_BYTES, 1))
    answers = iter([False, True])
    monkeypatch.setattr(files, "lock_descriptor", lambda *_, **__: next(answers))
    with files.locked(Path("lock")):
        assert Path("lock").read_text("utf-8").split() == [str(os.getpid())]


def test_a_lock_holds_within_a_process_too_and_is_released_by_an_error() -> None:
    path = Path("lock")
    with pytest.raises(CheckpointError, match="is in use"), files.locked(path), files.locked(path):
        pass
    with files.locked(path):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(descriptor: int, blocking: bool) -> bool:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files, "lock_descriptor", refuse)
    with pytest.raises(CheckpointError) as error, files.locked(Path("lock")):
        pass
    assert str(error.value) == (
        f"lock: cannot be locked ({os.strerror(number)}). Choose a directory on another file system."
    )


def test_the_first_byte_of_a_lock_file_which_windows_locks_says_nothing() -> None:
    with files.locked(Path("lock")):
        assert Path("lock").read_bytes()[:1] == b" "


def test_an_owner_that_is_not_named_whole_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LOCK_PAUSE_SECONDS", 0)
    with files.locked(Path("runs.lock")):
        Path("runs.lock").write_bytes(b"12345\n")
        with (
            pytest.raises(CheckpointError, match=r"^\.: is in use by another process\. "),
            files.locked(Path("runs.lock")),
        ):
            pass
