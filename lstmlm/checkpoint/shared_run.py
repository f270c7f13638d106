"""A run that several processes work on: the main one reads and writes it, the others learn from it what they need."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.checkpoint.storage import Checkpoint
from lstmlm.distributed import World


@dataclass(frozen=True)
class SharedRun:
    """A run directory as all processes of a world see it; the others need not share a disk with the main one.

    Every property and method must be asked by all of them.
    """

    path: Path
    """What messages call the run."""

    directory: RunDirectory | None
    """The run, locked by the main process; None on the others, and as long as a new run is not created."""

    world: World

    @property
    def best(self) -> int | None:
        """The step of the best checkpoint, if there is one."""
        return self._told(lambda run: run.best)

    @property
    def last(self) -> int | None:
        """The step of the last checkpoint, if there is one."""
        return self._told(lambda run: run.last)

    def _told(self, ask: Callable[[RunDirectory], int | None]) -> int | None:
        """What the main process reads; all raise what it raises, as none may wait for an answer that will not come."""
        found: list[int | None] = []
        run = self.directory
        self.world.on_main(lambda: found.append(ask(run)) if run else None)
        step: int | None = self.world.broadcast(found[0] if found else None)
        return step

    def save(self, step: int, content: Checkpoint, *, is_best: bool) -> None:
        """Publish a checkpoint; see `RunDirectory.save`.

        Raises:
            CheckpointError: The main process cannot write it; the previous checkpoints are untouched.
        """
        run = self.directory
        self.world.on_main(lambda: run.save(step, content, is_best=is_best) if run else None)

    def load_weights(self, step: int) -> dict[str, Tensor]:
        """The weights of a checkpoint; see `RunDirectory.load_weights`."""
        return self.world.broadcast_tensors(self.directory.load_weights(step) if self.directory else {})

    def load_training(self, step: int) -> Checkpoint:
        """All of a checkpoint; see `RunDirectory.load_training`."""
        found = self.directory.load_training(step) if self.directory else Checkpoint({}, {}, {})
        weights, training = map(self.world.broadcast_tensors, (found.weights, found.training))
        return Checkpoint(weights, training, self.world.broadcast(found.state))
