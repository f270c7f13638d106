"""Training as a whole: it learns, repeats by seed, stops early, refuses to diverge."""

import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from run_facts import events

from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.errors import ConfigError, DivergenceError
from lstmlm.training.events import Event
from lstmlm.training.trainer import Trainer
from lstmlm.workflows import evaluate, load, train, try_out

AddRun = Callable[[Any, Path], None]


@pytest.mark.parametrize("name", ["gru", "layer_norm_lstm", "lstm", "mogrifier", "rnn"])
def test_learns(name: str, make_config: Any, tmp_path: Path) -> None:
    config = make_config(
        model__backbone={"name": name, "n_layers": 1, "hidden_size": 32},
        model__embedding_size=32,
        training__n_steps=150,
        training__validate_every=50,
    )
    train(config, tmp_path / "run")
    perplexities = [event["perplexity"] for event in events(tmp_path / "run", "validation")]
    n_types = load(tmp_path / "run").tokenizer.vocab_size
    assert perplexities == sorted(perplexities, reverse=True)
    assert perplexities[-1] < n_types / 4


def test_a_text_from_a_table_of_bigrams_is_learnt_to_its_entropy(make_config: Any, tmp_path: Path) -> None:
    """No model can do better than the table that the text was drawn from; a good one gets within 1 % of it."""
    random = np.random.default_rng(5)
    letters = "abcdefg\n"
    table = random.dirichlet(np.full(len(letters), 0.4), size=len(letters))
    for split, n_letters in (("train", 60_000), ("valid", 20_000)):
        letter, text, nats = letters.index("\n"), "", 0.0
        for _ in range(n_letters):
            following = int(random.choice(len(letters), p=table[letter]))
            nats -= np.log(table[letter, following])
            letter, text = following, text + letters[following]
        (tmp_path / f"{split}.txt").write_text(text, "utf-8")
    config = make_config(
        data={"corpus": str(tmp_path), "tokenizer": {"name": "char"}, "batch_size": 32, "bptt": 20},
        model={"backbone": {"name": "lstm", "n_layers": 1, "hidden_size": 16}, "embedding_size": 16},
        schedule={"name": "warmup_linear", "warmup_steps": 10},
        training={"n_steps": 400, "sample_tokens": 0},
    )
    report = train(config, tmp_path / "run")
    assert report is not None
    assert report.values["n_tokens"] == 20_000
    assert report.values["nats"] == pytest.approx(nats, rel=0.01)


def test_the_same_seed_gives_the_same_weights(make_config: Any, tmp_path: Path) -> None:
    for name, seed in (("one", 3), ("again", 3), ("other", 4)):
        train(make_config(seed=seed), tmp_path / name)
    one, again, other = (
        RunDirectory.open(tmp_path / name).load_weights(10)["embedding.weight"] for name in ("one", "again", "other")
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_the_best_weights_are_kept_beside_the_last(make_config: Any, tmp_path: Path) -> None:
    config = make_config(
        optimizer={"name": "sgd", "learning_rate": 1.0},
        schedule={"name": "constant"},
        training__n_steps=40,
        training__validate_every=4,
    )
    report = train(config, tmp_path / "run")
    validations = events(tmp_path / "run", "validation")
    best = min(validations, key=lambda event: event["nats"])
    run = RunDirectory.open(tmp_path / "run")
    assert (run.best, run.last) == (best["step"], 40)
    assert report is not None
    assert report.values["nats"] == pytest.approx(best["nats"], rel=1e-9)
    assert report.values == {**report.values, "split": "valid", "n_tokens": best["n_tokens"]}
    saved = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())
    assert saved == sorted({f"{best['step']:08}", "00000036", "00000040"})


def test_stops_early(make_config: Any, tmp_path: Path) -> None:
    config = make_config(
        optimizer={"name": "sgd", "learning_rate": 1e-9},
        training__n_steps=100,
        training__validate_every=2,
        training__patience=3,
        model__dropout={},
    )
    train(config, tmp_path / "run")
    validations = events(tmp_path / "run", "validation")
    (end,) = events(tmp_path / "run", "end")
    assert end["step"] < 100
    assert end["reason"] == "3 validations without improvement"
    assert [event["is_best"] for event in validations[-3:]] == [False] * 3


def test_a_loss_that_is_not_finite_stops_before_the_update(
    make_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Trainer.train_step
    trainers = []

    def spoilt_step(self: Trainer) -> None:
        trainers.append(self)
        if self.state.step == 6:
            with torch.no_grad():
                self.model.embedding.weight[0, 0] = float("nan")
        step(self)

    monkeypatch.setattr(Trainer, "train_step", spoilt_step)
    config = make_config(training__validate_every=5)
    with pytest.raises(DivergenceError) as error:
        train(config, tmp_path / "run")
    message = str(error.value)
    assert message.startswith("step 7: loss is nan (learning rate 0.01, last gradient norm ")
    assert message.endswith("Last good step: 6. Lower optimizer.learning_rate or set clip_norm.")
    assert trainers[-1].state.step == 6
    assert RunDirectory.open(tmp_path / "run").last == 5
    (end,) = events(tmp_path / "run", "end")
    assert (end["step"], end["reason"]) == (6, "divergence")


def test_options_that_need_a_validation_split(make_config: Any, tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "train.txt").write_text("a b c d e\n" * 200, "utf-8")
    corpus = str(tmp_path / "corpus")
    assert train(make_config(data__corpus=corpus), tmp_path / "run") is None
    assert RunDirectory.open(tmp_path / "run").best == 10
    for name, (changes, wanted) in enumerate(
        [
            ({"training__patience": 2}, "training.patience: stops early by validation"),
            ({"schedule": {"name": "anneal_on_plateau"}}, "schedule.name: anneal_on_plateau lowers the learning rate"),
        ]
    ):
        with pytest.raises(ConfigError, match=wanted):
            train(make_config(data__corpus=corpus, **changes), tmp_path / str(name))
        assert not (tmp_path / str(name)).exists()


@pytest.mark.parametrize(("validate_every", "saved"), [(None, [5, 10, 12]), (4, [4, 8, 12])])
def test_without_a_validation_split_a_checkpoint_is_saved_where_a_validation_would_be(
    validate_every: int | None, saved: list[int], make_config: Any, tmp_path: Path
) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "train.txt").write_text("a b c d e\n" * 20, "utf-8")
    length = {"training__n_steps": 12, "training__validate_every": validate_every, "training__keep": "all"}
    config = make_config(data__corpus=str(tmp_path / "corpus"), **length)
    train(config, tmp_path / "run")
    assert RunDirectory.open(tmp_path / "run").steps == saved
    found = try_out(config, tmp_path / "other", 0.0)
    assert found.disk_bytes == 3 * found.checkpoint_bytes


EPOCHS_OF_SIX = {"data__bptt": 150, "training__n_steps": None, "training__n_epochs": 1}


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        (
            {**EPOCHS_OF_SIX, "schedule": {"name": "step", "unit": "steps", "milestones": (5, 6)}},
            ["schedule.milestones: 6 has no effect on a training of 6 steps."],
        ),
        ({**EPOCHS_OF_SIX, "schedule": {"name": "step", "unit": "steps", "milestones": (5,)}}, []),
        (
            {"data__bptt": 150, "schedule": {"name": "step", "milestones": (1, 2)}},
            ["schedule.milestones: 2 has no effect on a training of 2 epochs."],
        ),
        (
            {"averaging": {"name": "nt_asgd"}},
            [
                "averaging.nonmonotone_interval: nt_asgd never begins to average in a training of 1 validations. Make "
                "them 8 or more, or lower it."
            ],
        ),
        # The configuration tells it by itself.
        ({"schedule": {"name": "warmup_linear", "warmup_steps": 10}}, []),
    ],
)
def test_what_the_corpus_tells_of_the_length_is_warned_of_at_the_start(
    changes: dict[str, Any], wanted: list[str], make_config: Any, tmp_path: Path
) -> None:
    seen: list[Event] = []
    train(make_config(**changes), tmp_path / "run", observers=[seen.append])
    found = [warning for warning in seen[0].as_record()["warnings"] if not warning.startswith("data.")]
    assert found == wanted


def test_the_run_describes_itself(make_config: Any, add_run: AddRun, tmp_path: Path) -> None:
    add_run(make_config(), tmp_path / "run")
    environment = json.loads((tmp_path / "run" / "environment.json").read_text("utf-8"))
    assert environment.keys() == {  # nothing of host, user or place
        *("python", "packages", "machine", "cpu_capability", "n_threads", "device", "n_processes"),
        *("matmul_milliseconds", "data"),
    }
    assert environment["packages"]["torch"] == version("torch")
    assert environment["n_threads"] == torch.get_num_threads()
    everything = "".join(path.read_text("utf-8") for path in (tmp_path / "run").glob("*.json*"))
    assert str(Path.home()) not in everything


def test_a_run_can_be_loaded_from_python(make_config: Any, add_run: AddRun, tmp_path: Path) -> None:
    import lstmlm

    add_run(make_config(), tmp_path / "run")
    trained = lstmlm.load(str(tmp_path / "run"))
    assert trained.model.vocab_size == trained.tokenizer.vocab_size


def test_evaluation_counts_every_token_once(make_config: Any, add_run: AddRun, tmp_path: Path) -> None:
    add_run(make_config(), tmp_path / "run")
    text = "the cat sat .\nand a zebra\n"
    (tmp_path / "text.txt").write_text(text, "utf-8")
    report = evaluate(load(tmp_path / "run"), text=tmp_path / "text.txt")
    values = report.values
    assert (values["n_tokens"], values["n_words"], values["n_chars"], values["n_bytes"]) == (9, 7, 26, 26)
    assert values["split"] is None
    assert json.loads(report.to_json()) == values
