"""The checkpoints of a run: which there are, which is the best and which the last, which are intact and kept."""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

from lstmlm import files
from lstmlm.checkpoint import storage
from lstmlm.checkpoint.storage import Checkpoint, FileRecord, Manifest
from lstmlm.errors import CheckpointError, StorageError, as_command

DIRECTORY = "checkpoints"
BEST = "best"
LAST = "last"

MOST_CHECKPOINTS = 4
"""On the disk at once: the best, the last, the one before it, and the one that is being written; `keep` adds others."""

Keep: TypeAlias = Literal["all", "2^k"] | int | None
"""Which others stay; see `TrainingOptions.keep`."""

_MOST_NUMBER_BYTES = 20

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Checkpoints:
    """The checkpoints below a run directory. Reading always finds whole ones; changes need the lock of the run.

    Args:
        run: The run directory.
        run_files: The files of the run that give the tensors their meaning; every checkpoint vouches for them.
    """

    def __init__(self, run: Path, run_files: list[Path]) -> None:
        self._run = run
        self._run_files = run_files
        self._directory = run / DIRECTORY
        self._best = run / BEST
        self._last = run / LAST

    @property
    def steps(self) -> list[int]:
        """The steps of which there is a checkpoint, ascending; not those that were set aside."""
        entries = files.list_directory(self._directory) if self._directory.is_dir() else []
        return sorted(int(entry.name) for entry in entries if re.fullmatch("[0-9]{8,18}", entry.name))

    @property
    def best(self) -> int | None:
        """The step of the best checkpoint, if there is one; where its file is lost, the one the newest state names.

        Raises:
            CheckpointError: The disk does not give the file now.
        """
        if (marked := _number_in(self._best)) is not None:
            return marked
        last, steps = self.last, self.steps
        for step in reversed([step for step in steps if step <= (last or 0)]):
            with suppress(CheckpointError):  # whoever reads the checkpoint hears what is wrong with it
                state = storage.load_state(files.published(self.path(step)), step, self._run_files)
                return state["best_step"] if state.get("best_step") in steps else last
        return last

    @property
    def last(self) -> int | None:
        """The step of the last checkpoint, if there is one; where the file that names it is lost, the newest.

        Raises:
            CheckpointError: The disk does not give the file now.
        """
        pointed = _number_in(self._last)
        return max(self.steps, default=_number_in(self._best)) if pointed is None else pointed

    @property
    def published_at(self) -> int | None:
        """When the last checkpoint was made, in nanoseconds of the clock of files; None if there is none."""
        with suppress(OSError, CheckpointError):
            if self._last.exists():
                return self._last.stat().st_mtime_ns
            if self.steps:
                return self._directory.stat().st_mtime_ns
        return None

    def publish(
        self,
        step: int,
        content: Checkpoint,
        run_files: Mapping[str, FileRecord],
        metrics: FileRecord,
        *,
        is_best: bool,
        keep: Keep,
    ) -> None:
        """Write a checkpoint, move `last` (and `best`) to it, and only then remove what is not kept.

        See `RunDirectory.save`. The one before the last is kept so that a damaged one has a predecessor to go back to.
        """
        before = self.best
        best = step if is_best or before is None else before
        files.make_directory(self._directory)
        storage.publish_checkpoint(self.path(step), step, content, run_files, metrics)
        # `last` comes second: after a kill between the two, `tidy_up` finds by `best` which step is the last.
        if _number_in(self._best) != best:
            _point(self._best, best)
        _point(self._last, step)
        steps = self.steps
        earlier = [saved for saved in steps if saved < step]
        kept = {best, step, *earlier[-1:], *kept_steps([*earlier, step], keep)}
        for saved in steps:
            if saved not in kept:
                try:
                    files.remove_directory(self.path(saved))
                except CheckpointError as error:  # such as NFS has, of what someone reads; what was saved is whole
                    logger.warning("%s It is no longer needed.", error)

    def read(self, step: int, read: Callable[[Path, int, list[Path]], T]) -> T:
        """Read a checkpoint by a function of `storage`; again if a training replaces it meanwhile, which it does whole.

        Raises:
            CheckpointError: There is no such checkpoint, or a file of it or of the run is missing or damaged.
        """
        while True:
            found = self._identity(step)
            try:
                return read(files.published(self.path(step)), step, self._run_files)
            except CheckpointError as error:
                now = self._identity(step)
                if now is None:
                    raise self._no_such(step) from None
                if now == found:
                    # Of what the disk does not give now nothing may be wrong.
                    way_out = "" if isinstance(error, StorageError) else self._way_out(step)
                    raise type(error)(f"{error}{way_out}") from None

    def n_parameters(self, step: int) -> int:
        """Return how many numbers the model of a checkpoint has; refused as by `read`, but not verified."""
        return self.read(step, lambda path, *_: storage.n_parameters(path))

    def verify_run_files(self, run_files: Sequence[Path]) -> None:
        """Compare some files of the run with the newest manifest that is intact itself.

        Raises:
            CheckpointError: One of them, or every manifest, is missing or damaged.
        """
        damage: CheckpointError | None = None
        for step in reversed(self.steps):
            try:
                manifest = self.read(step, storage.read_manifest)
            except CheckpointError as error:
                damage = damage or error
            else:
                storage.verify_run_files(manifest, run_files)
                return
        raise damage or self._no_such(self.last or 0)

    def manifest(self, step: int) -> Manifest:
        """What a checkpoint vouches for, after every byte of it was verified; refused as by `read`."""
        self.read(step, storage.verify_checkpoint)
        return self.read(step, storage.read_manifest)

    def path(self, step: int) -> Path:
        """Where a checkpoint is, by what messages call it."""
        return self._directory / f"{step:08d}"

    def tidy_up(self) -> None:
        """Undo what a killed process left unfinished, and set aside what a disk has damaged.

        Afterwards the files `last` and `best` name intact checkpoints: where one was lost, the newest before `last`.

        Raises:
            CheckpointError: None is intact, or the disk does not give the best or the last now; nothing was set aside.
        """
        if self._directory.is_dir():
            files.remove_leftovers(self._directory)
        last, best, steps = self.last, self.best, self.steps
        if last is None or best is None:
            return
        # One beyond both was published by a process that was killed before it said so.
        last = max(last, best)
        damage = {step: error for step in steps if (error := self._damage(step))}
        intact = [step for step in steps if step <= last and step not in damage]
        if not intact:
            raise next(iter(damage.values()), self._no_such(last))
        newest = intact[-1]
        # Of what the disk does not give now nothing may be wrong: it stays, and nothing stands in where it is needed.
        withheld = {step: error for step, error in damage.items() if isinstance(error, StorageError)}
        for step, error in withheld.items():
            if step == best or newest < step <= last:
                raise error
        # First the pointers: readers hold no lock.
        for pointer, wanted in ((self._last, newest), (self._best, best if best in intact else newest)):
            if _number_in(pointer) != wanted:
                _point(pointer, wanted)
        for step, error in damage.items():
            if step not in withheld:
                logger.warning("%s It is set aside as %s.", error, files.set_aside(self.path(step)))
        if last != newest:
            logger.warning("%s: step %d is lost; training goes on from step %d.", self._run, last, newest)
        if best not in intact:
            logger.warning(
                "%s: the best weights, of step %d, are lost; those of step %d stand in.", self._run, best, newest
            )

    def _damage(self, step: int) -> CheckpointError | None:
        try:
            storage.verify_checkpoint(self.path(step), step, self._run_files)
        except CheckpointError as error:
            return error
        return None

    def _way_out(self, step: int) -> str:
        """What there is to do without the best or the last checkpoint, if another one is intact."""
        others = (saved for saved in self.steps if saved != step and saved <= (self.last or 0))
        if step not in (self.best, self.last) or all(map(self._damage, others)):
            return ""
        resume = as_command(["lstmlm", "train", "--resume", "--run-dir", str(self._run)])
        return f" Or let another stand in, and the training go on: {resume}"

    def _identity(self, step: int) -> int | None:
        """Tell one checkpoint of a step from another that replaced it; None where there is none."""
        directory = files.published(self.path(step))
        return directory.stat().st_ino if directory.is_dir() else None

    def _no_such(self, step: int) -> CheckpointError:
        saved = ", ".join(map(str, self.steps)) or "none"
        return CheckpointError(
            f"{self.path(step)}: no such checkpoint (saved: {saved}). "
            f"Run the command again if the run is being trained, or restore it from a copy.{self._way_out(step)}"
        )


def kept_steps(steps: Sequence[int], keep: Keep) -> list[int]:
    """Return which of the steps of which there is a checkpoint, ascending, stay by `TrainingOptions.keep`."""
    if keep is None:
        return []
    if keep == "all":
        return [*steps]
    if keep == "2^k":
        return [step for before, step in pairwise([0, *steps]) if step.bit_length() > before.bit_length()]
    # What is the first after each multiple of a stride is so for half the multiples, too: nothing is missed later.
    kept, stride = [*steps], 1
    while len(kept) > keep:
        stride *= 2
        kept = [step for before, step in pairwise([0, *steps]) if step // stride > before // stride]
    return kept


def read_number(path: Path) -> int:
    """The number that a file of one line holds.

    Raises:
        CheckpointError: The file cannot be read, or holds something else.
    """
    content = files.read_bytes(path, _MOST_NUMBER_BYTES)
    if not re.fullmatch(rb"[0-9]{1,18}\n", content):
        raise CheckpointError(f"{path}: is damaged (expected a number, got {content!r}). Restore it from a copy.")
    return int(content)


def _number_in(pointer: Path) -> int | None:
    """The number in a pointer; None where it is missing or damaged: the checkpoints know what it said."""
    try:
        return read_number(pointer)
    except StorageError:
        raise
    except CheckpointError:
        return None


def _point(pointer: Path, step: int) -> None:
    files.write_atomically(pointer, b"%d\n" % step)
