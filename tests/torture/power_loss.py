"""Simulated loss of power: what a disk may hold after any prefix of what a run does to it.

Until a file is forced to the disk, each write to it may be there, missing, torn, or zeros in its place; until a
directory is, each name that appeared, changed or went in it may have done so or not, in any combination.
"""

import itertools
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from torture import small_run
from torture.tally import Part, Tally

from lstmlm import files
from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.errors import CheckpointError

MOST_EXHAUSTED = 12
N_SAMPLES = 2000
SECTOR = 512

SAVES = ((1, True), (2, False), (3, True), (3, True), (4, False))
"""Steps, and whether they are the best so far; one is saved again, and before the last one the run is continued."""


class Name(NamedTuple):
    """An entry of a directory came to be or went: `node` is None where it went."""

    directory: int
    name: str
    node: int | None


class Rename(NamedTuple):
    """An entry of a directory got another name."""

    directory: int
    old: str
    new: str
    node: int


class Write(NamedTuple):
    """Bytes were written into a file."""

    node: int
    offset: int
    content: bytes


class Truncate(NamedTuple):
    """A file got another length."""

    node: int
    size: int


Change = Name | Rename | Write | Truncate


class Sync(NamedTuple):
    """A file or directory was forced to the disk."""

    node: int


class Acknowledged(NamedTuple):
    """A save returned: from here on, its step must not be lost."""

    step: int


@dataclass
class Disk:
    """What would be found after a loss of power: names and contents by the numbers of their nodes; 0 is the root."""

    names: dict[tuple[int, str], int] = field(default_factory=dict)
    directories: set[int] = field(default_factory=lambda: {0})
    contents: dict[int, bytes] = field(default_factory=dict)

    def copy(self) -> "Disk":
        return Disk(dict(self.names), self.directories, dict(self.contents))

    def apply(self, change: Change) -> None:
        match change:
            case Name(directory, name, None):
                self.names.pop((directory, name), None)
            case Name(directory, name, node):
                self.names[directory, name] = node
            case Rename(directory, old, new, node):
                self.names.pop((directory, old), None)
                self.names[directory, new] = node
            case Write(node, offset, content):
                before = self.contents.get(node, b"").ljust(offset, b"\0")
                self.contents[node] = before[:offset] + content + before[offset + len(content) :]
            case Truncate(node, size):
                self.contents[node] = self.contents.get(node, b"")[:size]

    def tree(self, directory: int = 0, prefix: str = "") -> Iterator[tuple[str, bytes | None]]:
        """The files, and the directories with None for content, that can be reached from the root, by path."""
        for (parent, name), node in sorted(self.names.items()):
            if parent != directory:
                continue
            if node in self.directories:
                yield f"{prefix}{name}", None
                yield from self.tree(node, f"{prefix}{name}/")
            else:
                yield f"{prefix}{name}", self.contents.get(node, b"")


class RecordingOS:
    """Stands in for `os`: does everything but forcing to the disk, and writes down what would matter there."""

    def __init__(self, root: Path) -> None:
        self.record: list[Change | Sync | Acknowledged] = []
        self.directories = {0}
        self._root = root
        self._nodes: dict[Path, int] = {root: 0}
        self._opened: dict[int, int] = {}
        self._numbers = itertools.count(1)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        is_new = flags & os.O_CREAT and not path.exists()
        descriptor = os.open(path, flags, mode)
        if is_new:
            self._appear(path)
        self._opened[descriptor] = self._nodes[path]
        return descriptor

    def write(self, descriptor: int, content: memoryview) -> int:
        n_written = os.write(descriptor, content)
        offset = os.lseek(descriptor, 0, os.SEEK_CUR) - n_written
        self.record.append(Write(self._opened[descriptor], offset, bytes(content[:n_written])))
        return n_written

    def ftruncate(self, descriptor: int, size: int) -> None:
        os.ftruncate(descriptor, size)
        self.record.append(Truncate(self._opened[descriptor], size))

    def fsync(self, descriptor: int) -> None:
        self.record.append(Sync(self._opened[descriptor]))

    def mkdir(self, path: Path, mode: int = 0o777) -> None:
        os.mkdir(path, mode)
        self._appear(path)
        self.directories.add(self._nodes[path])

    def rename(self, old: Path, new: Path) -> None:
        os.rename(old, new)
        moved = {path: node for path, node in self._nodes.items() if path == old or old in path.parents}
        for path, node in moved.items():
            del self._nodes[path]
            self._nodes[new / path.relative_to(old)] = node
        self.record.append(Rename(self._nodes[new.parent], old.name, new.name, self._nodes[new]))

    replace = rename

    def unlink(self, path: Path) -> None:
        os.unlink(path)
        self._disappear(path)

    def rmdir(self, path: Path) -> None:
        os.rmdir(path)
        self._disappear(path)

    def _appear(self, path: Path) -> None:
        self._nodes[path] = next(self._numbers)
        self.record.append(Name(self._nodes[path.parent], path.name, self._nodes[path]))

    def _disappear(self, path: Path) -> None:
        del self._nodes[path]
        self.record.append(Name(self._nodes[path.parent], path.name, None))


def survived(part: Part) -> list[Tally]:
    """Lose power after each change of a run's disk, in every way that the changes still pending allow."""
    tally = Tally("states of the disk after a loss of power, in each a checkpoint that loads and none lost")
    randomness = random.Random(part.index)
    record, directories = _recorded()
    durable, pending, n_acknowledged = Disk(directories=directories), list[Change](), 0
    seen: set[tuple[int, frozenset[tuple[str, bytes | None]]]] = set()
    n_states = n_sampled = 0
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        for position, event in enumerate(record):
            if isinstance(event, Acknowledged):
                n_acknowledged += 1
            elif isinstance(event, Sync):
                pending = _force(durable, pending, event.node)
            else:
                pending.append(event)
            if position not in part.of(range(len(record))):
                continue
            n_sampled += len(pending) > MOST_EXHAUSTED
            for disk in _states(durable, pending, randomness):
                n_states += 1
                tree = frozenset(disk.tree())
                if (n_acknowledged, tree) not in seen:
                    seen.add((n_acknowledged, tree))
                    loss = _loss(Path(folder, str(len(seen))), dict(tree), n_acknowledged)
                    tally.count(f"state {n_states} after operation {position} ({event})", loss)
    tally.notes.append(
        f"{n_states:,} combinations of pending operations, those that look alike counted once; exhaustive up to "
        f"{MOST_EXHAUSTED} pending operations, {N_SAMPLES:,} drawn at each of {n_sampled} places with more"
    )
    return [tally]


def _recorded() -> tuple[Sequence[Change | Sync | Acknowledged], set[int]]:
    """What a run does to its disk: it is created, saves new steps and one of them again, and is continued."""
    with TemporaryDirectory() as folder:
        recording = RecordingOS(Path(folder))
        before, files.os = files.os, recording  # type: ignore[assignment]
        try:
            path = Path(folder, "run")
            with small_run.create(path) as run:
                _save(run, SAVES[:-1], recording)
            with RunDirectory.open(path).lock() as run:
                _save(run, SAVES[-1:], recording)
        finally:
            files.os = before
    return recording.record, recording.directories


def _save(run: RunDirectory, saves: Sequence[tuple[int, bool]], recording: RecordingOS) -> None:
    for step, is_best in saves:
        small_run.save(run, step, is_best=is_best)
        recording.record.append(Acknowledged(step))


def _force(durable: Disk, pending: Sequence[Change], node: int) -> list[Change]:
    """Make the changes of a file or directory durable, and return those that are still pending."""
    left = []
    for change in pending:
        if change[0] == node:
            durable.apply(change)
        else:
            left.append(change)
    # What is in a directory that is gone for good no longer matters.
    named = {0, *durable.names.values(), *(change.node for change in left if isinstance(change, Name | Rename))}
    return [change for change in left if change[0] in named]


def _states(durable: Disk, pending: Sequence[Change], randomness: random.Random) -> Iterator[Disk]:
    """Every disk that can be found while these changes are pending, or some where they are too many."""
    outcomes = [_outcomes(change) for change in pending]
    if len(pending) <= MOST_EXHAUSTED:
        combinations = itertools.product(*outcomes)
    else:
        combinations = iter([tuple(map(randomness.choice, outcomes)) for _ in range(N_SAMPLES)])
    for combination in combinations:
        disk = durable.copy()
        for change in combination:
            if change is not None:
                disk.apply(change)
        yield disk


def _outcomes(change: Change) -> list[Change | None]:
    """What may have become of a change: all of it, none, or for a write a part or zeros."""
    if not isinstance(change, Write):
        return [change, None]
    size = len(change.content)
    torn = size // 2 if size <= SECTOR else size // SECTOR // 2 * SECTOR
    return [change, None, change._replace(content=change.content[:torn]), change._replace(content=bytes(size))]


def _loss(folder: Path, tree: dict[str, bytes | None], n_acknowledged: int) -> str | None:
    for path, content in sorted(tree.items()):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            target.mkdir(exist_ok=True)
        else:
            target.write_bytes(content)
    try:
        return _recovery_loss(folder / "run", n_acknowledged)
    except CheckpointError as error:
        return str(error)


def _recovery_loss(path: Path, n_acknowledged: int) -> str | None:
    steps = [None, *(step for step, _ in SAVES)]
    saved, allowed = steps[n_acknowledged], steps[n_acknowledged : n_acknowledged + 2]
    if not RunDirectory.exists(path):
        with small_run.create(path):
            return None if saved is None else f"step {saved} is lost with all of the run"
    with RunDirectory.open(path).lock() as run:
        last = run.last
        if last not in allowed:
            return f"step {saved} was saved, now the last one is {last}"
        if last is not None and not small_run.holds(run, last):
            return f"step {last} is not as it was saved"
        if last is not None and not (path / "best").exists():
            return "there is no best checkpoint"
        run.metrics.keep_until(last or 0)
        lines = run.metrics.path.read_text("utf-8").count("\n") if run.metrics.path.exists() else 0
        if lines < (last or 0):
            return f"{last} events were written before step {last} was saved, {lines} are there"
        small_run.save(run, 9, is_best=True)
        return None if small_run.holds(run, 9) else "no further step can be saved"
