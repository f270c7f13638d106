"""The command line run inside the test's process, with the exit status and both streams of output."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parent.parent.parent

TINY = {
    "data": {"corpus": str(PROJECT / "data" / "tiny"), "batch_size": 4, "bptt": 7},
    "model": {"backbone": {"name": "lstm", "n_layers": 1, "hidden_size": 12}, "embedding_size": 12},
    "optimizer": {"name": "adam"},
    "training": {"n_steps": 6},
}


@pytest.fixture
def lstmlm() -> Callable[..., Any]:
    """Return a function that runs `lstmlm` with the given arguments."""
    from typer.testing import CliRunner

    from lstmlm.cli import app

    def run(*arguments: str) -> Any:
        result = CliRunner().invoke(app, arguments)
        if result.exit_code == 1 and result.exception:
            raise result.exception
        return result

    return run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder that holds tiny.yaml."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    return tmp_path


@pytest.fixture
def trained(here: Path, lstmlm: Callable[..., Any]) -> Path:
    """Work in a folder that also holds a trained run, runs/tiny."""
    result = lstmlm("train", "--config", "tiny.yaml")
    assert result.exit_code == 0, result.stderr
    return here
