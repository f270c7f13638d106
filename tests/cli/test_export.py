"""`lstmlm export` and `lstmlm import` from start to end."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_weights_go_to_torch_and_come_back(lstmlm: Callable[..., Any], trained: Path) -> None:
    assert lstmlm("export", "torch", "tiny.safetensors").exit_code == 0
    result = lstmlm("import", "torch", "tiny.safetensors", "--tokenizer", "runs/tiny", "--run-dir", "runs/back")
    assert result.exit_code == 0
    assert "runs/back is ready. Try it: lstmlm generate '' --run runs/back" in result.stderr
    (trained / "text.txt").write_text("the farmer waits\n", encoding="utf-8")
    first, second = (lstmlm("eval", "surprisal", "text.txt", "--run", run).stdout for run in ("runs/tiny", "runs/back"))
    assert first == second


@pytest.mark.parametrize("command", ["huggingface", "torch", "arpa"])
def test_what_exists_is_not_replaced(lstmlm: Callable[..., Any], trained: Path, command: str) -> None:
    (trained / "there").write_text("mine", encoding="utf-8")
    result = lstmlm("export", command, "there")
    assert result.exit_code == 2
    assert "there: exists, and is not replaced. Name another place, or remove it first." in result.stderr
    assert (trained / "there").read_text(encoding="utf-8") == "mine"


def test_a_directory_is_whole_under_its_name(lstmlm: Callable[..., Any], trained: Path) -> None:
    assert lstmlm("export", "huggingface", "out").exit_code == 0
    assert sorted(path.name for path in (trained / "out").iterdir()) == [
        *("README.md", "config.json", "generation_config.json", "lstmlm_tokenizer.json", "model.safetensors"),
        *("modeling_lstmlm.py", "network.py", "tokenizer.json", "tokenizer_config.json"),
    ]
    assert not [path.name for path in trained.iterdir() if path.name.startswith(".")]


def test_a_file_of_another_kind_is_refused(lstmlm: Callable[..., Any], trained: Path) -> None:
    result = lstmlm("import", "torch", "tiny.yaml", "--tokenizer", "runs/tiny", "--run-dir", "runs/back")
    assert result.exit_code == 4
    assert "tiny.yaml: is no safetensors file" in result.stderr
