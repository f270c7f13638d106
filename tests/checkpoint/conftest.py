"""A run directory without a training, and tensors to put into it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

if TYPE_CHECKING:
    from lstmlm.checkpoint.run_directory import RunDirectory
    from lstmlm.checkpoint.storage import Checkpoint

TOKENIZER_JSON = '{"vocab": ["<unk>", "<eos>", "naïve\\r"]}\n'


@pytest.fixture(autouse=True)
def _relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def create() -> Callable[[str], "RunDirectory"]:
    """Create a run at a path."""
    from lstmlm.checkpoint.run_directory import RunDirectory
    from lstmlm.config import RunConfig
    from lstmlm.config.data import DataOptions
    from lstmlm.config.training import TrainingOptions

    config = RunConfig(data=DataOptions(corpus="data/tiny"), training=TrainingOptions(n_steps=1000))

    def create(path: str) -> RunDirectory:
        with RunDirectory.create(Path(path), config, TOKENIZER_JSON, {"torch": "2.13.0", "n_threads": 1}) as run:
            return run

    return create


@pytest.fixture
def run(create: Callable[[str], "RunDirectory"]) -> "RunDirectory":
    """The run `runs/a`, without a checkpoint."""
    return create("runs/a")


@pytest.fixture
def content() -> Callable[..., "Checkpoint"]:
    """What `save` is given at a step: something else at each step, and for each `version` of a step."""
    from lstmlm.checkpoint.storage import Checkpoint

    def content(step: int, version: int = 0) -> Checkpoint:
        weights = {"embedding": torch.full((3, 2), float(step)), "bias": torch.tensor([0.5, -0.0])}
        training = {"optimizer/step": torch.tensor(step, dtype=torch.int64)}
        return Checkpoint(weights, training, {"step": step, "version": version, "best_step": 200})

    return content


@pytest.fixture
def assert_holds(content: Callable[..., "Checkpoint"]) -> Callable[["RunDirectory", int, int], None]:
    """Check that a run holds a checkpoint of a step with the content of a version."""

    def check(run: "RunDirectory", step: int, version: int = 0) -> None:
        expected = content(step, version)
        weights, training, state = run.load_training(step)
        assert state == expected.state
        for found, given in [(weights, expected.weights), (training, expected.training)]:
            assert found.keys() == given.keys()
            assert all(torch.equal(found[name], given[name]) for name in given)

    return check
