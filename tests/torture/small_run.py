"""A run directory without a training behind it, and what is saved in it: step n is tensors full of n."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import torch
from torch import Tensor

from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.checkpoint.storage import Checkpoint
from lstmlm.config import RunConfig
from lstmlm.config.data import DataOptions
from lstmlm.config.training import TrainingOptions

CONFIG = RunConfig(data=DataOptions(corpus="data/tiny"), training=TrainingOptions(n_steps=1000))


def create(path: Path) -> AbstractContextManager[RunDirectory]:
    """Create a run and hold its lock."""
    return RunDirectory.create(path, CONFIG, '{"vocab": ["<unk>", "<eos>"]}\n', {"torch": "2.13.0"})


def save(run: RunDirectory, step: int, *, is_best: bool) -> None:
    """Write an event of a step, and the step itself."""
    run.metrics.write({"event": "step", "step": step})
    content = Checkpoint(weights(step), {"optimizer/step": torch.tensor(step)}, {"step": step})
    run.save(step, content, is_best=is_best)


def weights(step: int) -> Mapping[str, Tensor]:
    """The weights of a step."""
    return {"embedding": torch.full((3, 2), float(step)), "bias": torch.full((2,), float(step))}


def holds(run: RunDirectory, step: int) -> bool:
    """Whether a run has the checkpoint of a step as it was saved."""
    found, training, state = run.load_training(step)
    return (
        found.keys() == weights(step).keys()
        and all(torch.equal(found[name], tensor) for name, tensor in weights(step).items())
        and int(training["optimizer/step"]) == step
        and state == {"step": step}
    )
