"""A tiny configuration that trains in a second."""

from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parent.parent.parent


@pytest.fixture
def make_config() -> Any:
    """Return a function that builds a configuration on the tiny corpus, with changes by dotted key."""

    def make(**changes: Any) -> Any:
        from lstmlm.config import RunConfig

        values: dict[str, Any] = {
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
        for dotted, value in changes.items():
            *parents, key = dotted.split("__")
            section = values
            for parent in parents:
                section = section.setdefault(parent, {})
            section[key] = value
        return RunConfig.model_validate(values)

    return make
