"""The command line run inside the test's process, with the exit status and both streams of output."""

import shutil
from collections.abc import Callable
from functools import cache
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


@pytest.fixture(scope="session")
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
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(TINY), "utf-8")
    return tmp_path


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return a function that lets the memory not suffice for trainings with a `data.bptt`."""
    from lstmlm import workflows

    def lack(bptt: int) -> None:
        train = workflows.train

        def hungry(config: Any, *arguments: Any, **more: Any) -> Any:
            if config.data.bptt == bptt:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
            return train(config, *arguments, **more)

        monkeypatch.setattr(workflows, "train", hungry)

    return lack


@pytest.fixture(scope="session")
def train_once(lstmlm: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that trains with `--set` values, the same ones only once; the run is to be copied."""

    @cache
    def train(*overrides: str) -> Path:
        folder = tmp_path_factory.mktemp("trained")
        (folder / "tiny.yaml").write_text(yaml.safe_dump(TINY), "utf-8")
        sets = [part for override in overrides for part in ("--set", override)]
        result = lstmlm("train", "--config", str(folder / "tiny.yaml"), "--run-dir", str(folder / "run"), *sets)
        assert result.exit_code == 0, result.stderr
        return folder / "run"

    return train


@pytest.fixture
def add_run(here: Path, train_once: Callable[..., Path]) -> Callable[..., None]:
    """Return a function that puts a run trained with `--set` values at a path; the last one is the newest."""

    def add(path: str, *overrides: str) -> None:
        shutil.copytree(train_once(*overrides), here / path, copy_function=shutil.copy)

    return add


@pytest.fixture
def trained(here: Path, add_run: Callable[..., None]) -> Path:
    """Work in a folder that also holds a trained run, runs/tiny."""
    add_run("runs/tiny")
    return here
