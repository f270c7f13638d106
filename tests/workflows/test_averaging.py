"""The average is what is validated, saved and used; the trained weights go on beside it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from run_facts import events

from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.errors import ConfigError
from lstmlm.models.language_model import weights_of
from lstmlm.training.trainer import Trainer
from lstmlm.workflows import evaluate, load, train

Weights = dict[str, torch.Tensor]


def train_and_watch(config: Any, run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> list[Weights]:
    """Train; returns the weights after each step."""
    step, seen = Trainer.train_step, list[Weights]()

    def watched_step(self: Trainer) -> None:
        step(self)
        seen.append({name: weight.clone() for name, weight in weights_of(self.model).items()})

    monkeypatch.setattr(Trainer, "train_step", watched_step)
    train(config, run_dir)
    monkeypatch.undo()
    return seen


def mean_of(weights: list[Weights]) -> Weights:
    return {name: torch.stack([each[name] for each in weights]).mean(dim=0) for name in weights[0]}


def test_the_average_is_validated_saved_and_used(
    make_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(averaging={"name": "tail", "fraction": 0.4}, training__validate_every=2)
    seen = train_and_watch(config, tmp_path / "run", monkeypatch)
    mean = mean_of(seen[-4:])
    run = RunDirectory.open(tmp_path / "run")
    weights, tensors, _ = run.load_training(10)
    for name in mean:
        torch.testing.assert_close(weights[name], mean[name])
        assert torch.equal(tensors[f"trained/{name}"], seen[-1][name])

    *_, last = events(tmp_path / "run", "validation")
    assert [event["n_averaged"] for event in events(tmp_path / "run", "validation")] == [0, 0, 0, 2, 4]
    assert run.best == 10
    report = evaluate(load(tmp_path / "run"), split="valid")
    assert report.values["nats"] == pytest.approx(last["nats"], rel=1e-9)
    assert torch.equal(load(tmp_path / "run").model.embedding.weight, weights["embedding.weight"])


def test_until_something_is_averaged_the_trained_weights_are_used(
    make_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(averaging={"name": "nt_asgd"})
    seen = train_and_watch(config, tmp_path / "run", monkeypatch)
    weights, tensors, _ = RunDirectory.open(tmp_path / "run").load_training(10)
    assert all(torch.equal(weights[name], seen[-1][name]) for name in weights)
    assert not [name for name in tensors if name.startswith("trained/")]


def test_averaging_does_not_change_the_training(
    make_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = train_and_watch(make_config(), tmp_path / "plain", monkeypatch)
    averaged = train_and_watch(make_config(averaging={"name": "ema"}), tmp_path / "ema", monkeypatch)
    for ours, theirs in zip(plain, averaged, strict=True):
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_an_average_by_validation_needs_a_validation_split(make_config: Any, tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "train.txt").write_text("a b c d e\n" * 200, "utf-8")
    config = make_config(data__corpus=str(tmp_path / "corpus"), averaging={"name": "nt_asgd"})
    with pytest.raises(ConfigError) as error:
        train(config, tmp_path / "run")
    assert str(error.value) == (
        "averaging.name: nt_asgd starts to average by validation, but the corpus has no validation split. "
        "Choose ema or tail."
    )
