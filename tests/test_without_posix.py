"""The package on a system without POSIX: see without_posix.py for what that means."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from machine import needs_open_files_in_proc
from run_facts import facts_of

from lstmlm.files import locked

PROJECT = Path(__file__).parent.parent
PROGRAM = Path(__file__).parent / "without_posix.py"

CONFIG = {
    "data": {"corpus": "./tiny", "batch_size": 4, "bptt": 7},
    "model": {"backbone": {"name": "lstm", "hidden_size": 8}, "embedding_size": 8, "dropout": {"output": 0.2}},
    "training": {"n_steps": 9, "save_every": 2, "validate_every": 4},
}

Lstmlm = Callable[..., str]

pytestmark = needs_open_files_in_proc


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus and a configuration."""
    folder = tmp_path_factory.mktemp("windows")
    shutil.copytree(PROJECT / "data" / "tiny", folder / "tiny")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def lstmlm(here: Path) -> Lstmlm:
    """Return a function that runs `lstmlm` without POSIX and without a compiler, and returns what it says."""
    (here / "no-programs").mkdir()

    def run(*arguments: str, status: int = 0, **variables: str) -> str:
        found = {"PATH": str(here / "no-programs"), "LSTMLM_CACHE": str(here / "cache"), "OMP_NUM_THREADS": "1"}
        ended = subprocess.run(
            [sys.executable, "-X", "warn_default_encoding", str(PROGRAM), *arguments],
            cwd=here,
            env={**os.environ, **found, "PYTHONPATH": str(PROJECT), **variables},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert ended.returncode == status, ended.stderr
        return ended.stdout + ended.stderr

    return run


@pytest.fixture(scope="module")
def interrupted(here: Path, lstmlm: Lstmlm) -> Path:
    """A run that Ctrl-C has ended after five of nine steps, and that was resumed."""
    train = ("train", "--config", "tiny.yaml", "--run-dir", "in parts")
    said = lstmlm(*train, status=130, STOP_AFTER="5")
    assert 'Step 5 is saved; continue: lstmlm train --config tiny.yaml --run-dir "in parts" --resume' in said
    assert said.count("The kernels are not compiled (no C++ compiler): the slower way is taken.") == 1
    lstmlm(*train, "--resume")
    return here / "in parts"


def test_every_module_is_imported(lstmlm: Lstmlm) -> None:
    files = {path.relative_to(PROJECT).with_suffix("") for path in (PROJECT / "lstmlm").rglob("*.py")}
    modules = {".".join(file.parts).removesuffix(".__init__") for file in files}
    if find_spec("transformers") is None:
        modules = {name for name in modules if not name.startswith("lstmlm.huggingface.")}
    assert {"lstmlm", *(word for word in lstmlm().split() if word.startswith("lstmlm."))} == modules


def test_a_resumed_training_is_the_uninterrupted_one(here: Path, lstmlm: Lstmlm, interrupted: Path) -> None:
    lstmlm("train", "--config", "tiny.yaml", "--run-dir", "whole")
    assert facts_of(interrupted) == facts_of(here / "whole")


def test_a_run_is_used_as_anywhere(lstmlm: Lstmlm, interrupted: Path) -> None:
    assert len(lstmlm("generate", "The", "--run", "in parts", "--max-tokens", "5").split()) > 1
    assert '"perplexity"' in lstmlm("eval", "perplexity", "--run", "in parts", "--json")


def test_a_run_in_use_names_its_owner(here: Path, lstmlm: Lstmlm, interrupted: Path) -> None:
    with locked(interrupted / "lock"):
        said = lstmlm("train", "--config", "tiny.yaml", "--run-dir", "in parts", "--resume", status=4)
    assert said.startswith(f"in parts: is in use by process {os.getpid()}. ")


def test_a_token_store_is_written_and_read(here: Path, lstmlm: Lstmlm) -> None:
    said = lstmlm("data", "encode", "tiny/train.txt", "--valid", "tiny/valid.txt", "--output", "tokens")
    assert said.endswith("tokens is ready. Train from it: --set data.corpus=./tokens\n")
    for corpus in ("tokens", "tiny"):
        lstmlm("train", "--config", "tiny.yaml", "--set", f"data.corpus=./{corpus}", "--run-dir", f"from {corpus}")
    of_tokens, of_text = (facts_of(here / f"from {corpus}")["events"] for corpus in ("tokens", "tiny"))
    assert [event for event in of_tokens if event["event"] == "step"] == [
        event for event in of_text if event["event"] == "step"
    ]
