"""Every file effect of a run: atomic, fsynced writes, the removal of what a killed process left behind, and locks.

A write either happens whole or not at all, whatever kills the process in between: the content is written under a
temporary name in the same directory, forced to the disk, and only then given its name. Reading needs no lock. Effects
go through `os.*` and nothing else, so that a test can stand in for `os` and fail any one of them. An error of the
operating system becomes a `CheckpointError` that names the file and says what to do.
"""

import errno
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from io import BufferedIOBase, BufferedReader
from pathlib import Path
from typing import TypeAlias, cast

from filelock import lock_descriptor, unlock_descriptor

from lstmlm.errors import RESTORE, CheckpointError, RunInUseError, explained

_TEMPORARY_NAME = re.compile(r"\..+\.[0-9a-f]{16}\.partial")
_ASIDE_NAME = re.compile(r"\.(.+)\.replaced")
LOCK_TRIES, LOCK_PAUSE_SECONDS = 10, 0.01
"""A lock is tried again, as `is_locked` has it for a moment; who takes it names itself at once, but after that."""

OWNER_BYTES = 20
"""The width of the owner's number in a lock file, which the next owner's replaces whole; fewer bytes say nothing."""

BLOCK_BYTES = 1 << 20
"""How much of a large file is in memory while it is read or compared."""

Block: TypeAlias = bytes | memoryview
"""A part of a file's content."""


def size_of(path: Path) -> int:
    """The size of a file, in bytes.

    Raises:
        CheckpointError: The file is missing, or is something else, such as a pipe or a device: reading need not end.
    """
    with explained(path, "read"):
        status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise CheckpointError(f"{path}: is not a regular file. {RESTORE}")
    return status.st_size


def read_bytes(path: Path, most_bytes: int) -> bytes:
    """The content of a file that can be as large as `most_bytes`.

    Raises:
        CheckpointError: The file is missing, cannot be read, is not a regular file or is larger.
    """
    size = size_of(path)
    if size > most_bytes:
        raise CheckpointError(f"{path}: is damaged ({size} bytes, at most {most_bytes} are read). {RESTORE}")
    with explained(path, "read"):
        return path.read_bytes()


def read_text(path: Path, most_bytes: int) -> str:
    """The content of a UTF-8 file, its line ends as they are; see `read_bytes`.

    Raises:
        CheckpointError: The file cannot be read, or is not UTF-8.
    """
    try:
        return read_bytes(path, most_bytes).decode("utf-8")
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path}: is damaged (not UTF-8 at offset {error.start}). {RESTORE}") from None


@contextmanager
def open_to_read(path: Path) -> Iterator[BufferedReader]:
    """A file that is read in pieces, while it is open.

    Raises:
        CheckpointError: The file is missing or cannot be read.
    """
    with explained(path, "read"), path.open("rb") as file:
        yield file


def list_directory(path: Path) -> list[Path]:
    """What a directory holds, sorted by name.

    Raises:
        CheckpointError: The directory is missing or cannot be read.
    """
    with explained(path, "read"):
        return sorted(path.iterdir())


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file: afterwards, even after a crash, it holds either what it held before or `content`.

    Raises:
        CheckpointError: The disk is full, not writable or failing; the old content is still there.
    """
    write_blocks_atomically(path, [content])


def write_blocks_atomically(path: Path, blocks: Iterable[Block], verify: Callable[[Path], None] | None = None) -> None:
    """Replace a file as `write_atomically` does, by blocks that need not be in memory as one; `verify` may refuse them.

    Raises:
        CheckpointError: The disk is full, not writable or failing; the old content is still there.
    """
    with explained(path, "written"):
        if path.exists() and (not path.is_file() or path.parent in (Path("/dev"), Path("/dev/fd"))):  # stays what it is
            with _opened(path, os.O_WRONLY | os.O_APPEND) as descriptor:
                _write_all(descriptor, blocks)
            return
        target = Path(os.path.realpath(path)) if path.is_symlink() else path  # and so does a link
        temporary = _temporary_beside(target)
        with _removed_on_error(temporary):
            _write_new(temporary, blocks)
            if verify is not None:
                verify(temporary)
            os.replace(temporary, target)
        _sync_directory(target.parent)


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Replace a file as `write_atomically` does, by lines that are given without their ends."""
    write_atomically(path, "".join(f"{line}\n" for line in lines).encode())


@contextmanager
def nameless_file(directory: Path) -> Iterator[BufferedIOBase]:
    """A file for what is needed for a while only: it has no name, and is gone with the process however that ends.

    Raises:
        CheckpointError: The disk is full, not writable or failing.
    """
    with explained(directory, "written"), tempfile.TemporaryFile(dir=directory) as file:
        yield cast(BufferedIOBase, file)  # on Windows, what does all that one does


def append(path: Path, content: bytes) -> None:
    """Add to the end of a file, which is created if it is missing. Not atomic: a kill can leave a part of `content`.

    Raises:
        CheckpointError: The disk is full, not writable or failing; the file is as it was.
    """
    with explained(path, "written"), _opened(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND) as descriptor:
        size = os.fstat(descriptor).st_size
        try:
            _write_all(descriptor, [content])
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, size)
            raise


def force_to_disk(path: Path) -> None:
    """Let what was appended to a file survive a loss of power.

    Raises:
        CheckpointError: The disk is full or failing.
    """
    with explained(path, "written"):
        with _opened(path, os.O_WRONLY) as descriptor:
            os.fsync(descriptor)
        _sync_directory(path.parent)


def free_bytes(path: Path) -> int:
    """How much can be written to a directory, or to one that is to be created.

    Raises:
        CheckpointError: The operating system does not say.
    """
    existing = next(directory for directory in (path, *path.absolute().parents) if directory.exists())
    with explained(path, "written"):
        return shutil.disk_usage(existing).free


def publish_directory(
    path: Path, files: Mapping[str, Iterable[Block]], verify: Callable[[Path], None] | None = None
) -> None:
    """Create or replace a directory of `files`: afterwards, even after a crash, `published` finds the old or the new.

    What reached the disk is read back and compared before the directory gets its name, so that the blocks of each file
    are gone through twice; `verify` may then refuse it, by an error.

    Raises:
        CheckpointError: The disk is full, not writable or failing; what was published before still is.
    """
    temporary, aside = _temporary_beside(path), _aside(path)
    with explained(path, "written"):
        with _removed_on_error(temporary):
            os.mkdir(temporary)
            for name, blocks in files.items():
                _write_new(temporary / name, blocks)
            _sync_directory(temporary)
            for name, blocks in files.items():
                if not _holds(temporary / name, blocks):
                    raise OSError(errno.EIO, f"the disk gave back other bytes for {name} than were written")
            if verify is not None:
                verify(temporary)
            if path.exists():
                # No rename replaces a directory that is not empty, so the old one steps aside.
                if aside.exists():
                    _delete(aside)
                os.rename(path, aside)
                _sync_directory(path.parent)
            os.rename(temporary, path)
        _sync_directory(path.parent)
        if aside.exists():
            with suppress(OSError):  # the new one is whole; `remove_leftovers` looks after the old one
                _delete(aside)


def published(path: Path) -> Path:
    """Where a directory is found: at `path`, or aside if the process that replaced it was killed in the middle."""
    aside = _aside(path)
    return aside if aside.exists() and not path.exists() else path


def make_directory(path: Path, mode: int = 0o777) -> None:
    """Create a directory and the parents it lacks, durably; one that exists is left as it is.

    `mode` has the permissions of what is created, less those that the umask takes away.

    Raises:
        CheckpointError: A part of the path is a file, or its parent is not writable.
    """
    with explained(path, "created"):
        for directory in reversed([directory for directory in (path, *path.parents) if not directory.exists()]):
            with suppress(FileExistsError):  # another process may be creating the same parents
                os.mkdir(directory, mode)
            _sync_directory(directory.parent)


def remove_directory(path: Path) -> None:
    """Remove a directory and all it holds. It loses its name first, so that no one ever sees a part of it.

    Raises:
        CheckpointError: The directory is missing or not writable.
    """
    with explained(path, "removed"):
        os.rename(path, nameless := _temporary_beside(path))
        _sync_directory(path.parent)
        _delete(nameless)


def set_aside(path: Path) -> Path:
    """Give a damaged directory another name, at which nothing looks for it; returns where it is.

    Raises:
        CheckpointError: It cannot be renamed.
    """
    aside = path.with_name(f"{path.name}.damaged")
    with explained(path, "set aside"):
        if aside.exists():
            _delete(aside)
        os.rename(path, aside)
        _sync_directory(path.parent)
    return aside


def remove_leftovers(directory: Path) -> None:
    """Undo what killed processes left unfinished in `directory`, as far as it can be removed; the caller has the lock.

    Raises:
        CheckpointError: The directory cannot be read, or what stepped aside cannot be put back.
    """
    with explained(directory, "cleaned up"):
        for path in list_directory(directory):
            if (aside := _ASIDE_NAME.fullmatch(path.name)) and not path.with_name(aside[1]).exists():
                os.rename(path, path.with_name(aside[1]))
            elif is_leftover(path):
                with suppress(OSError):  # such as NFS has, of what someone reads; it is in nobody's way
                    _delete(path)


def is_leftover(path: Path) -> bool:
    """Whether a file or directory has a name that only unfinished writes and removals have."""
    return any(name.fullmatch(path.name) for name in (_TEMPORARY_NAME, _ASIDE_NAME))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time work on the directory of a lock file: this one, within a `with` block, or none.

    The system drops the lock with the process that holds it, however that ends; the file stays and tells whose it was.

    Raises:
        CheckpointError: Another process holds the lock, or the file system has no locks.
    """
    with ExitStack() as held:
        with explained(path, "locked"):
            is_new = not path.exists()
            descriptor = held.enter_context(_opened(path, os.O_RDWR | os.O_CREAT))
            if (owner := _lock(descriptor)) is not None:
                whose = f"process {owner}" if owner else "another process"
                advice = "Wait until that has ended, or choose another directory."
                raise RunInUseError(f"{path.parent}: is in use by {whose}. {advice}")
            held.callback(unlock_descriptor, descriptor)
            os.lseek(descriptor, 0, os.SEEK_SET)  # a try that failed has read whose it was
            _write_all(descriptor, [b"%*d\n" % (OWNER_BYTES, os.getpid())])
            if is_new:
                # What is written under the lock must not outlive it when power is lost: the lock says whose it is.
                _sync_directory(path.parent)
        yield


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock of this file; not where that cannot be known."""
    for flags in (os.O_RDWR, os.O_RDONLY):  # network file systems need the first, other people's files have the second
        with suppress(OSError), _opened(path, flags) as descriptor:  # what is closed is unlocked
            return not lock_descriptor(descriptor, blocking=False)
    return False


def _lock(descriptor: int) -> str | None:
    """Lock a file; else return what it says of its owner, who may just be about to say it."""
    owner = ""
    for _ in range(LOCK_TRIES):
        if lock_descriptor(descriptor, blocking=False):
            return None
        # Windows lets nobody else read what is locked: the first byte, which is therefore always a space.
        os.lseek(descriptor, 1, os.SEEK_SET)
        said = os.read(descriptor, OWNER_BYTES)
        owner = said.decode("ascii", "replace").strip() if len(said) == OWNER_BYTES else ""
        time.sleep(LOCK_PAUSE_SECONDS)
    return owner


def _temporary_beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.partial")  # a rename is atomic in a file system alone


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.replaced")


def _write_new(path: Path, blocks: Iterable[Block]) -> None:
    with _opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as descriptor:
        _write_all(descriptor, blocks)
        os.fsync(descriptor)


def _write_all(descriptor: int, blocks: Iterable[Block]) -> None:
    for block in blocks:
        rest = memoryview(block)
        while rest:
            rest = rest[os.write(descriptor, rest) :]


def _holds(path: Path, blocks: Iterable[Block]) -> bool:
    with path.open("rb") as file:
        return all(file.read(len(block)) == bytes(block) for block in blocks) and not file.read(1)


def _sync_directory(path: Path) -> None:
    # A new name is durable only once the directory that holds it is. Windows opens no directories.
    if sys.platform != "win32":
        with _opened(path, os.O_RDONLY) as descriptor:
            os.fsync(descriptor)


def _delete(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        os.unlink(path)
        return
    for entry in path.iterdir():
        _delete(entry)
    os.rmdir(path)


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    # Readable for whom the umask allows: unlike those of `tempfile`, these files are meant to stay. Without O_BINARY,
    # which only Windows has, it would change line ends.
    descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0), 0o666)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _removed_on_error(temporary: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        # Best effort: the error that led here is the one to report, and the next run removes leftovers.
        with suppress(OSError):
            _delete(temporary)
        raise
