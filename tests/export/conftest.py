"""A run with weights as they are drawn, for every kind of model and tokenizer: nothing is trained."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import drawn_run
import pytest


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Any]:
    """Return a function that makes a trained model of options of `model` and `data.tokenizer`."""

    def make(
        model: dict[str, Any], tokenizer: dict[str, Any] | None = None, name: str = "run", eos: str = "line"
    ) -> Any:
        return drawn_run.make_run(tmp_path / name, model, tokenizer, eos)

    return make
