"""What a training starts from: another run's weights, or the frequencies of tokens."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from run_facts import StopAfter

from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.errors import CheckpointError, Interrupted
from lstmlm.models.language_model import weights_of
from lstmlm.training.trainer import Trainer
from lstmlm.workflows import load, train

from .test_resume import AddRun, assert_same_run, train_in_parts


@pytest.fixture
def first_weights(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, torch.Tensor]]:
    """The weights that each training begins its first step with, or, of a resumed one, its next."""
    fit, begun = Trainer.train_step, list[dict[str, torch.Tensor]]()
    seen = set[int]()

    def watched(self: Trainer) -> None:
        if id(self) not in seen:
            seen.add(id(self))
            begun.append({name: weight.clone() for name, weight in weights_of(self.model).items()})
        fit(self)

    monkeypatch.setattr(Trainer, "train_step", watched)
    return begun


def test_starts_from_the_best_weights_of_another_run(
    make_config: Any, tmp_path: Path, first_weights: list[dict[str, torch.Tensor]]
) -> None:
    source = tmp_path / "source"
    train(make_config(averaging={"name": "ema", "decay": 0.5}), source)
    train(make_config(seed=8, training__initialize_from=str(source)), tmp_path / "tuned")
    best = weights_of(load(source).model)
    assert first_weights[1].keys() == best.keys()
    assert all(torch.equal(first_weights[1][name], best[name]) for name in best)


def test_another_text_is_read_with_the_vocabulary_of_the_source(
    make_config: Any, add_run: AddRun, tmp_path: Path
) -> None:
    source, corpus = tmp_path / "source", tmp_path / "corpus"
    add_run(make_config(), source)
    corpus.mkdir()
    (corpus / "train.txt").write_text("the farmer saw a zebra .\n" * 30, "utf-8")
    train(make_config(data__corpus=str(corpus), training__initialize_from=str(source)), tmp_path / "tuned")
    assert RunDirectory.open(tmp_path / "tuned").tokenizer_json == RunDirectory.open(source).tokenizer_json


def test_clusters_are_those_of_the_source(make_config: Any, tmp_path: Path) -> None:
    source, clusters = tmp_path / "source", {"name": "adaptive", "cutoffs": (7,)}
    train(make_config(model__output=clusters), source)
    config = make_config(model__output={**clusters, "cutoffs": "auto"}, training__initialize_from=str(source))
    train(config, tmp_path / "tuned")
    assert load(tmp_path / "tuned").run.config.model.output.cutoffs == (7,)


def test_a_tuned_run_resumes_without_its_source(make_config: Any, add_run: AddRun, tmp_path: Path) -> None:
    add_run(make_config(), tmp_path / "source")
    config = make_config(training__initialize_from=str(tmp_path / "source"))
    train(config, tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(config, tmp_path / "parts", observers=[StopAfter(5)])
    (tmp_path / "source").rename(tmp_path / "elsewhere")
    train_in_parts(config, tmp_path / "parts", [7])
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_weights_of_another_shape_are_refused_before_anything_is_written(
    make_config: Any, add_run: AddRun, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    add_run(make_config(), source)
    wider = make_config(
        training__initialize_from=str(source), model__embedding_size=16, model__backbone__hidden_size=16
    )
    with pytest.raises(CheckpointError) as error:
        train(wider, tmp_path / "tuned")
    message = str(error.value)
    assert message.startswith(f"training.initialize_from: {source}: backbone.cells.0.")
    assert message.endswith("It belongs to another model.")
    assert not (tmp_path / "tuned").exists()


def test_a_tokenizer_file_is_the_one_of_the_source_by_its_content(
    make_config: Any, add_run: AddRun, tmp_path: Path
) -> None:
    source, path = tmp_path / "source", tmp_path / "tokenizer.json"
    add_run(make_config(), source)
    config = make_config(training__initialize_from=str(source), data__tokenizer={"name": "file", "path": str(path)})
    path.write_bytes((source / "tokenizer.json").read_bytes())
    train(config, tmp_path / "tuned")
    path.write_text(path.read_text(encoding="utf-8").replace('"farmer"', '"former"'), encoding="utf-8")
    with pytest.raises(CheckpointError, match="has another tokenizer"):
        train(config, tmp_path / "other")


def test_another_tokenizer_is_refused_before_anything_is_written(
    make_config: Any, add_run: AddRun, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    add_run(make_config(), source)
    config = make_config(training__initialize_from=str(source), data__tokenizer={"name": "char"})
    with pytest.raises(CheckpointError) as error:
        train(config, tmp_path / "tuned")
    assert str(error.value) == (
        f"training.initialize_from: {source} has another tokenizer. Give data.tokenizer as in {source}/config.yaml, "
        "and a new --run-dir."
    )
    assert not (tmp_path / "tuned").exists()


def test_a_source_that_is_missing_or_damaged(make_config: Any, add_run: AddRun, tmp_path: Path) -> None:
    source = tmp_path / "source"
    config = make_config(training__initialize_from=str(source))
    with pytest.raises(CheckpointError, match="no such run"):
        train(config, tmp_path / "tuned")
    add_run(make_config(), source)
    path = source / "checkpoints" / "00000010" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(CheckpointError, match="is damaged"):
        train(config, tmp_path / "tuned")
    assert not (tmp_path / "tuned").exists()


def test_a_unigram_bias_is_that_of_the_training_split(
    make_config: Any, tmp_path: Path, first_weights: list[dict[str, torch.Tensor]]
) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "train.txt").write_text("a a b\n" * 100, "utf-8")
    (corpus / "valid.txt").write_text("a b b\n" * 5, "utf-8")
    train(make_config(data__corpus=str(corpus), model__initial_bias="unigram"), tmp_path / "run")
    tokenizer, total = load(tmp_path / "run").tokenizer, 400 + load(tmp_path / "run").tokenizer.vocab_size
    (a, b, eos) = tokenizer.encode("a b\n").tolist()
    bias = first_weights[0]["output_layer.bias"]
    for token, count in ((a, 200), (b, 100), (eos, 100)):
        assert bias[token].item() == pytest.approx(math.log((count + 1) / total))
