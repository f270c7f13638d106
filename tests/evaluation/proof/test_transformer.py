"""`lstmlm prove DIR`: causal language models in directories of Hugging Face's pass."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Any]:
    """Return a function that makes a run whose weights are as they are drawn."""

    def make() -> Any:
        from lstmlm import workflows
        from lstmlm.checkpoint.environment import describe_environment
        from lstmlm.checkpoint.run_directory import RunDirectory
        from lstmlm.checkpoint.storage import Checkpoint
        from lstmlm.config import RunConfig
        from lstmlm.corpus.tokenizers import train_tokenizer
        from lstmlm.models.language_model import build_language_model, weights_of

        model = {"backbone": {"name": "lstm", "n_layers": 1, "hidden_size": 8}, "embedding_size": 8}
        given = {"data": {"corpus": "./none"}, "model": model, "training": {"n_steps": 1}}
        config = RunConfig.model_validate(given)
        learnt = train_tokenizer(config.data.tokenizer, ["the farmer waits by the old river\n"])
        weights = weights_of(build_language_model(config.model, learnt.vocab_size, seed=1))
        digests = {"train": {"sha256": "1234abcd", "n_tokens": 5, "n_bytes": 20}}
        environment = describe_environment(digests, {})
        with RunDirectory.create(tmp_path / "run", config, learnt.to_json(), environment) as run:
            run.metrics.write({"event": "validation", "step": 7, "perplexity": 12.345})
            run.save(7, Checkpoint(weights, {}, {}), is_best=True)
        return workflows.load(tmp_path / "run")

    return make


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


def test_an_exported_run_passes(make_run: Callable[..., Any], tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from typer.testing import CliRunner

    from lstmlm.cli import app

    exported = ["export", "huggingface", str(tmp_path / "exported"), "--run", str(make_run().run.path)]
    assert CliRunner().invoke(app, exported).exit_code == 0
    result = CliRunner().invoke(app, ["prove", str(tmp_path / "exported"), "--tokens", "50"])
    assert (result.exit_code, result.stdout.count("✔")) == (0, 5), result.output
