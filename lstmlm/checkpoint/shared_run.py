"""A run that several processes work on: the main one reads and writes it, the others learn from it what they need."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.checkpoint.storage import Checkpoint
from lstmlm.distributed import World


class SharedRun:
    """A run directory as all processes of a world see it; the others need not share a disk with the main one.

    Every method must be called by all of them.

    Args:
        path: What messages call the run.
        run: The run, locked by the main process; None on the others.
        world: The processes.
    """

    def __init__(self, path: Path, run: RunDirectory | None, world: World) -> None:
        self.path = path
        self._run = run
        self._world = world

    @property
    def best(self) -> int | None:
        """The step of the best checkpoint, if one was ever marked as that."""
        step: int | None = self._world.broadcast(self._run.best if self._run else None)
        return step

    @property
    def last(self) -> int | None:
        """The step of the newest checkpoint, if there is one."""
        step: int | None = self._world.broadcast(self._run.last if self._run else None)
        return step

    def save(
        self,
        step: int,
        weights: Mapping[str, Tensor],
        training: Mapping[str, Tensor],
        state: Mapping[str, object],
        *,
        is_best: bool,
    ) -> None:
        """Publish a checkpoint; see `RunDirectory.save`.

        Raises:
            CheckpointError: The main process cannot write it; the previous checkpoints are untouched.
        """
        run = self._run
        self._world.on_main(lambda: run.save(step, weights, training, state, is_best=is_best) if run else None)

    def load_weights(self, step: int) -> dict[str, Tensor]:
        """The weights of a checkpoint; see `RunDirectory.load_weights`."""
        return self._world.broadcast_tensors(self._run.load_weights(step) if self._run else None)

    def load_training(self, step: int) -> Checkpoint:
        """All of a checkpoint; see `RunDirectory.load_training`."""
        found = self._run.load_training(step) if self._run else None
        return Checkpoint(
            weights=self._world.broadcast_tensors(found.weights if found else None),
            training=self._world.broadcast_tensors(found.training if found else None),
            state=self._world.broadcast(found.state if found else None),
        )
