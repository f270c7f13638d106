"""`lstmlm prove DIR`: causal language models in directories of Hugging Face's pass."""

import json
from pathlib import Path

import pytest
from drawn_run import make_run
from served import model_options

pytestmark = pytest.mark.peer


def test_a_directory_without_a_model_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from typer.testing import CliRunner

    from lstmlm.cli import app

    result = CliRunner().invoke(app, ["prove", str(tmp_path)])
    assert result.exit_code == 4
    assert f"{tmp_path}: cannot be loaded" in result.stderr


def test_a_transformer_passes(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    from typer.testing import CliRunner

    from lstmlm.cli import app

    sizes = {"n_layer": 1, "n_head": 2, "n_embd": 8, "n_positions": 64, "bos_token_id": 0, "eos_token_id": 0}
    config = transformers.GPT2Config(vocab_size=23, **sizes)
    transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path / "gpt2")
    result = CliRunner().invoke(app, ["prove", str(tmp_path / "gpt2"), "--tokens", "40", "--json"])
    assert (result.exit_code, result.stderr.count("✔")) == (0, 5), result.output
    assert json.loads(result.stdout)["vocab_size"] == 23
    result = CliRunner().invoke(app, ["prove", str(tmp_path / "gpt2"), "--tokens", "65"])
    assert f"--tokens 65: {tmp_path / 'gpt2'} reads 64 at most. Give no more." in result.stderr
    (tmp_path / "gpt2" / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n", "utf-8")
    result = CliRunner().invoke(app, ["prove", str(tmp_path / "gpt2")])
    assert (result.exit_code, "cannot be loaded" in result.stderr) == (4, True)


def test_an_exported_run_passes(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from typer.testing import CliRunner

    from lstmlm.cli import app

    make_run(tmp_path / "run", model_options("lstm"))
    exported = ["export", "huggingface", str(tmp_path / "exported"), "--run", str(tmp_path / "run")]
    assert CliRunner().invoke(app, exported).exit_code == 0
    result = CliRunner().invoke(app, ["prove", str(tmp_path / "exported"), "--tokens", "50"])
    assert (result.exit_code, result.stdout.count("✔")) == (0, 5), result.output
