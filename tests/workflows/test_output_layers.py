"""Output layers in a whole run: cutoffs chosen by the corpus and written down, widths that differ, exact resumes."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.errors import CheckpointError, ConfigError
from lstmlm.models.output_layers import cutoffs
from lstmlm.training.events import StartEvent
from lstmlm.training.preparation import execution
from lstmlm.workflows import load, train

NO_CUTOFFS = "model.output.cutoffs: there are none, so that adaptive is the full softmax. Use name: softmax."


@pytest.fixture
def _cheap_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut even the tiny corpus, whose vocabulary is not worth it."""
    monkeypatch.setattr(execution, "choose_cutoffs", partial(cutoffs.choose_cutoffs, product_cost=10))


def warnings_of(config: Any, run_dir: Path) -> list[str]:
    found: list[str] = []

    def listen(event: object) -> None:
        if isinstance(event, StartEvent):
            found.extend(event.warnings)

    train(config, run_dir, observers=[listen])
    return found


@pytest.mark.usefixtures("_cheap_products")
def test_cutoffs_are_chosen_once_and_written_into_the_run(make_config: Any, tmp_path: Path) -> None:
    config = make_config(model__output={"name": "adaptive"})
    assert NO_CUTOFFS not in warnings_of(config, tmp_path / "run")
    written = RunDirectory.open(tmp_path / "run").config.model.output
    assert written.name == "adaptive"
    assert written.cutoffs != "auto"
    assert 1 <= len(written.cutoffs) <= cutoffs.MAX_TAILS
    assert written.cutoffs[-1] < load(tmp_path / "run").tokenizer.vocab_size
    # The same file resumes the run, other cutoffs do not.
    train(config, tmp_path / "run", resume=True)
    with pytest.raises(CheckpointError, match=r"model.output.cutoffs is \(.*\) there, \(5,\) here"):
        train(make_config(model__output={"name": "adaptive", "cutoffs": (5,)}), tmp_path / "run", resume=True)
    with pytest.raises(CheckpointError, match=r"model.output.name is 'adaptive' there, 'softmax' here"):
        train(make_config(), tmp_path / "run", resume=True)


def test_a_vocabulary_that_is_not_worth_cutting(make_config: Any, tmp_path: Path) -> None:
    assert NO_CUTOFFS in warnings_of(make_config(model__output={"name": "adaptive"}), tmp_path / "run")
    written = RunDirectory.open(tmp_path / "run").config.model.output
    assert (written.name, getattr(written, "cutoffs", None)) == ("adaptive", ())


def test_cutoffs_beyond_the_vocabulary_are_refused_before_anything_is_written(make_config: Any, tmp_path: Path) -> None:
    config = make_config(model__output={"name": "adaptive", "cutoffs": (10, 5000)})
    with pytest.raises(ConfigError) as error:
        train(config, tmp_path / "run")
    assert str(error.value).startswith(
        "model.output.cutoffs: 5000 leaves nothing for the last cluster: the vocabulary has "
    )
    assert str(error.value).endswith(" tokens. Choose smaller ones, or auto.")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "output",
    [
        {"name": "softmax", "projection": True},
        {"name": "adaptive", "cutoffs": (20, 60), "projection": True},
        {"name": "mixture", "n_experts": 3, "latent_dropout": 0.3},
    ],
    ids=lambda output: output["name"],
)
def test_tied_weights_with_a_last_layer_of_another_width_learn(
    output: dict[str, Any], make_config: Any, tmp_path: Path
) -> None:
    config = make_config(
        model__backbone={"name": "lstm", "n_layers": 1, "hidden_size": 32},
        model__embedding_size=24,
        model__output=output,
        training__n_steps=150,
        training__validate_every=150,
    )
    report = train(config, tmp_path / "run")
    assert report is not None
    assert report.values["perplexity"] < load(tmp_path / "run").tokenizer.vocab_size / 4


@pytest.mark.parametrize("name", ["adaptive", "mixture"])
def test_a_resumed_run_is_the_uninterrupted_one(name: str, make_config: Any, tmp_path: Path) -> None:
    output = {"adaptive": {"cutoffs": (20, 100)}, "mixture": {"latent_dropout": 0.3}}[name]
    changes = {"model__output": {"name": name, **output}, "training__save_every": 4}
    train(make_config(**changes), tmp_path / "whole")
    stops: list[int] = []

    def stop(event: Any) -> None:
        if event.event == "checkpoint" and event.step == 4:
            stops.append(event.step)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(make_config(**changes), tmp_path / "parts", observers=[stop])
    train(make_config(**changes), tmp_path / "parts", resume=True)
    assert stops == [4]
    whole, parts = (RunDirectory.open(tmp_path / part).load_weights(10) for part in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    assert all(whole[key].equal(parts[key]) for key in whole)
