"""A tiny configuration that trains in a second."""

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from dotted_keys import with_changes

PROJECT = Path(__file__).parent.parent.parent

BASE = {
    "seed": 3,
    "data": {"corpus": str(PROJECT / "data" / "tiny"), "batch_size": 4, "bptt": 7},
    "model": {
        "backbone": {"name": "lstm", "n_layers": 2, "hidden_size": 12},
        "embedding_size": 12,
        "dropout": {"input": 0.2, "hidden": 0.2, "output": 0.2},
    },
    "optimizer": {"name": "adam", "learning_rate": 0.01},
    "training": {"n_steps": 10, "log_every": 1, "sample_tokens": 5},
}


@pytest.fixture(scope="session")
def make_config() -> Any:
    """Return a function that builds a configuration on the tiny corpus, with changes by dotted key."""

    def make(**changes: Any) -> Any:
        from lstmlm.config import RunConfig

        return RunConfig.model_validate(with_changes(BASE, **changes))

    return make


@pytest.fixture(scope="session")
def add_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Any, Path], None]:
    """Return a function that puts the finished run of a configuration at a path; the same one is trained only once."""

    @cache
    def train_once(config: Any) -> Path:
        from lstmlm.workflows import train

        run_dir = tmp_path_factory.mktemp("trained") / "run"
        train(config, run_dir)
        return run_dir

    def add(config: Any, path: Path) -> None:
        shutil.copytree(train_once(config), path)

    return add
