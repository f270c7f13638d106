"""Options without effect: what a user reads about them."""

from typing import Any

import pytest

from lstmlm.config import RunConfig

LOCKED = "model.dropout.locked: has no effect without dropout of input, hidden or output."
BETA = "training.regularization.beta: has no effect on windows of one token. Raise data.bptt."


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"model": {"dropout": {"locked": True, "embedding": 0.1, "state": 0.1, "weight_drop": 0.1}}}, [LOCKED]),
        ({"model": {"dropout": {"locked": True, "output": 0.1}}}, []),
        ({"data": {"bptt": 1}, "training": {"regularization": {"alpha": 2.0, "beta": 1.0}}}, [BETA]),
        ({"training": {"regularization": {"alpha": 2.0, "beta": 1.0}, "state_reset": 0.01}}, []),
    ],
)
def test_warnings(changes: dict[str, Any], wanted: list[str]) -> None:
    values = {
        **changes,
        "data": {"corpus": "x/", **changes.get("data", {})},
        "training": {"n_epochs": 1, **changes.get("training", {})},
    }
    assert RunConfig.model_validate(values).warnings() == wanted
