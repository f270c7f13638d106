"""`lstmlm export` and `lstmlm import` from start to end."""

import json
import shutil
import sys
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


def test_what_came_back_is_finished_and_has_no_corpus(lstmlm: Callable[..., Any], trained: Path) -> None:
    lstmlm("export", "torch", "tiny.safetensors")
    again = ("import", "torch", "tiny.safetensors", "--tokenizer", "tiny", "--run-dir", "runs/back")
    assert lstmlm(*again).exit_code == 0
    message = "runs/back: holds a run already. Choose another --run-dir.\n"
    assert (result := lstmlm(*again)).exit_code == 4 and result.stderr == message
    assert json.loads(lstmlm("runs", "show", "back", "--json").stdout)["state"] == "finished"
    result = lstmlm("train", "--resume", "--run-dir", "runs/back")
    problem = "runs/back: was exported or imported, and has no corpus."
    assert result.exit_code == 3
    assert result.stderr.endswith(f"{problem} Take the run that it was made from, if there is one.\n")


def test_what_comes_back_reads_texts_as_the_run_of_its_tokenizer(lstmlm: Callable[..., Any], here: Path) -> None:
    lstmlm("train", "--config", "tiny.yaml", "--set", "data.eos=never")
    lstmlm("export", "torch", "tiny.safetensors")
    lstmlm("import", "torch", "tiny.safetensors", "--tokenizer", "runs/tiny", "--run-dir", "runs/back")
    Path("text.txt").write_text("the farmer waits\nthe farmer waits\n", encoding="utf-8")
    asked = ("eval", "perplexity", "--text", "text.txt", "--json", "--run")
    first, second = (json.loads(lstmlm(*asked, run).stdout) for run in ("runs/tiny", "runs/back"))
    assert first["n_tokens"] == second["n_tokens"] == 7  # the end of the text is one
    assert first["perplexity"] == pytest.approx(second["perplexity"], rel=1e-6)


def test_a_directory_without_its_corpus_is_not_to_be_trained(lstmlm: Callable[..., Any], trained: Path) -> None:
    lstmlm("export", "huggingface", "out")
    result = lstmlm("eval", "perplexity", "--run", "out")
    assert result.exit_code == 3
    assert "--text FILE" in result.stderr
    assert "--resume" not in result.stderr


@pytest.mark.parametrize("command", ["huggingface", "onnx", "torch", "arpa"])
def test_what_exists_is_not_replaced(lstmlm: Callable[..., Any], trained: Path, command: str) -> None:
    (trained / "there").write_text("mine", encoding="utf-8")
    result = lstmlm("export", command, "there")
    assert result.exit_code == 2
    assert "there: exists, and is not replaced. Name another place, or remove it first." in result.stderr
    assert (trained / "there").read_text(encoding="utf-8") == "mine"


def test_a_directory_is_whole_under_its_name(
    lstmlm: Callable[..., Any], trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)  # which would have the path of whoever exports
    assert lstmlm("export", "huggingface", "out").exit_code == 0
    assert sorted(path.name for path in (trained / "out").iterdir()) == [
        *("README.md", "config.json", "generation_config.json", "lstmlm_tokenizer.json", "model.safetensors"),
        *("modeling_lstmlm.py", "network.py", "tokenizer.json", "tokenizer_config.json"),
    ]
    assert not [path.name for path in trained.iterdir() if path.name.startswith(".")]


def test_onnx_files_show_what_8_bits_cost(lstmlm: Callable[..., Any], trained: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra onnx: pip install 'lstmlm[onnx]'")
    result = lstmlm("export", "onnx", "out", "--split", "valid")
    assert result.exit_code == 0
    header, *rows = [line.split() for line in result.stdout.splitlines()]
    assert header == ["file", "bytes", "perplexity", "change"]
    assert [row[0] for row in rows] == [
        f"{name}{suffix}.onnx" for suffix in ("", ".int8") for name in ("step", "window", "scorer")
    ]
    measured = lstmlm("eval", "perplexity", "--split", "valid", "--json").stdout
    assert float(rows[0][2]) == pytest.approx(json.loads(measured)["perplexity"], abs=1e-3)
    assert "runs/tiny: is exported to out" in result.stderr
    assert lstmlm("export", "onnx", "lm", "--for", "sherpa", "--no-int8").exit_code == 0
    assert sorted(path.name for path in (trained / "lm").iterdir()) == [
        *("README.md", "model.json", "no-state.onnx", "tokens.txt", "with-state.onnx"),
    ]


def test_without_its_corpus_a_run_is_exported_with_a_text_or_without_8_bits(
    lstmlm: Callable[..., Any], trained: Path
) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra onnx: pip install 'lstmlm[onnx]'")
    lstmlm("export", "torch", "tiny.safetensors")
    lstmlm("import", "torch", "tiny.safetensors", "--tokenizer", "runs/tiny", "--run-dir", "runs/back")
    result = lstmlm("export", "onnx", "out", "--run", "runs/back")
    assert result.exit_code == 3
    assert "--text FILE" in result.stderr and not (trained / "out").exists()
    assert lstmlm("export", "onnx", "out", "--run", "runs/back", "--no-int8").exit_code == 0


@pytest.mark.parametrize("damage", [b"", b"{"])
def test_a_damaged_run_and_one_that_has_saved_nothing_are_not_exported(
    lstmlm: Callable[..., Any], trained: Path, damage: bytes
) -> None:
    run = trained / "runs" / "tiny"
    if damage:
        next(run.glob("checkpoints/*/model.safetensors")).write_bytes(damage)
    else:
        shutil.rmtree(run / "checkpoints")
        for name in ("best", "last"):
            (run / name).unlink()
    result = lstmlm("export", "onnx", "out", "--run", "runs/tiny")
    assert result.exit_code == 4 and "runs/tiny" in result.stderr
    assert not (trained / "out").exists()


def test_a_file_of_another_kind_is_refused(lstmlm: Callable[..., Any], trained: Path) -> None:
    result = lstmlm("import", "torch", "tiny.yaml", "--tokenizer", "runs/tiny", "--run-dir", "runs/back")
    assert result.exit_code == 4
    assert "tiny.yaml: is no safetensors file" in result.stderr
