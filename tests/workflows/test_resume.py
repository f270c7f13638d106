"""A resumed run is the uninterrupted run, bit for bit."""

import json
import platform
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from run_facts import StopAfter, events, events_of, facts_of, flip_last_byte

from lstmlm.audit.audit import audit
from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.errors import CheckpointError, DataError, Interrupted
from lstmlm.training.events import Event
from lstmlm.training.interruption import STOPPING_SIGNALS
from lstmlm.workflows import load, train

AddRun = Callable[[Any, Path], None]


def train_in_parts(config: Any, run_dir: Path, stops: list[int]) -> None:
    for step in stops:
        with pytest.raises(Interrupted):
            train(config, run_dir, resume=True, observers=[StopAfter(step)])
        assert RunDirectory.open(run_dir).last == step
    train(config, run_dir, resume=True)


def assert_same_run(one: Path, other: Path) -> None:
    assert facts_of(one) == facts_of(other)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimizer": {"name": "sgd", "learning_rate": 2.0, "momentum": 0.9}},
        {"optimizer": {"name": "adam", "betas": (0.0, 0.999), "weight_decay": 1e-4}},
        {"schedule": {"name": "anneal_on_plateau"}, "training__validate_every": 2},
        {"model__dropout": {"embedding": 0.2, "weight_drop": 0.3}},
        {"training__precision": "bfloat16", "training__compile": "always"},
        {"model__dropout": {"locked": True, "input": 0.3, "hidden": 0.3, "output": 0.3, "state": 0.3}},
        {"data__partial_shuffle": True},
        {"data__variable_bptt": True, "data__bptt": 12, "data__partial_shuffle": True},
        {"training__state_reset": 0.3},
        {"averaging": {"name": "ema", "decay": 0.8}, "training__validate_every": 3},
        {"averaging": {"name": "tail", "fraction": 0.3}, "training__validate_every": 3},
        {"averaging": {"name": "tail", "fraction": 0.8}, "training__validate_every": 3},
        {"model__initial_bias": "unigram"},
        {"model__ngram_order": 3, "averaging": {"name": "ema", "decay": 0.8}, "training__validate_every": 3},
    ],
    ids="adam sgd adam_without_momentum anneal_on_plateau weight_drop bfloat16 locked partial_shuffle variable_bptt "
    "state_reset ema tail_later tail_earlier unigram ngrams".split(),
)
def test_ten_steps_are_five_and_five(changes: dict[str, Any], make_config: Any, tmp_path: Path) -> None:
    """With what has a state of its own; test_audit.py restores the others."""
    config = make_config(**changes)
    train(config, tmp_path / "whole")
    train_in_parts(config, tmp_path / "parts", [5])
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_nt_asgd_continues_before_and_after_its_trigger(make_config: Any, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    # Validation gets worse the better the training text is known.
    (corpus / "train.txt").write_text("a b c d e f\n" * 80, "utf-8")
    (corpus / "valid.txt").write_text("f e d c b a\n" * 2, "utf-8")
    config = make_config(
        data__corpus=str(corpus),
        averaging={"name": "nt_asgd", "nonmonotone_interval": 1},
        optimizer={"name": "adam", "learning_rate": 0.05},
        training__validate_every=1,
        training__n_steps=16,
    )
    train(config, tmp_path / "whole")
    validations = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text("utf-8").splitlines()]
    counts = [event["n_averaged"] for event in validations if event["event"] == "validation"]
    first = next(step for step, count in enumerate(counts, 1) if count)
    assert 2 < first < 14, "the test needs a run that triggers in the middle"
    train_in_parts(config, tmp_path / "parts", [first - 2, first - 1, first, first + 2])
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_across_the_end_of_an_epoch(make_config: Any, tmp_path: Path) -> None:
    config = make_config(data__bptt=200, training__n_steps=None, training__n_epochs=4)
    train(config, tmp_path / "whole")
    n_steps = RunDirectory.open(tmp_path / "whole").last
    assert n_steps is not None
    a_pass = n_steps // 4
    assert a_pass > 1
    train_in_parts(config, tmp_path / "parts", [a_pass - 1, a_pass, a_pass + 1, 2 * a_pass])
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_across_epochs_of_drawn_windows(make_config: Any, tmp_path: Path) -> None:
    config = make_config(
        data__variable_bptt=True,
        data__partial_shuffle=True,
        data__bptt=120,
        training__n_steps=None,
        training__n_epochs=3,
        training__state_reset=0.3,
    )
    train(config, tmp_path / "whole")
    ends = [e["step"] for e in events(tmp_path / "whole", "validation")]
    assert len(ends) == 3
    train_in_parts(config, tmp_path / "parts", [ends[0] - 1, ends[0], ends[0] + 1, ends[1] + 1])
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize("signal_number", STOPPING_SIGNALS)
def test_a_signal_saves_the_last_step(signal_number: int, make_config: Any, tmp_path: Path) -> None:
    with pytest.raises(Interrupted) as stop:
        train(make_config(), tmp_path / "run", observers=[StopAfter(4, signal_number)])
    assert stop.value.signal_number == signal_number
    assert RunDirectory.open(tmp_path / "run").last == 4


def test_a_signal_during_a_save_does_not_repeat_it(
    make_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved, save = [], RunDirectory.save

    def interrupted_save(run: RunDirectory, step: int, *arguments: Any, **options: Any) -> None:
        saved.append(step)
        save(run, step, *arguments, **options)
        if step == 5:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(RunDirectory, "save", interrupted_save)
    with pytest.raises(Interrupted):
        train(make_config(training__save_every=1), tmp_path / "run")
    assert saved == [1, 2, 3, 4, 5]
    assert [event["step"] for event in events(tmp_path / "run", "checkpoint")] == saved


def test_a_signal_during_a_step_lets_it_end(
    make_config: Any, add_run: AddRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lstmlm.training.trainer import Trainer

    step = Trainer.train_step

    def interrupted_step(self: Trainer) -> None:
        if self.state.step == 3:
            signal.raise_signal(signal.SIGTERM)
        step(self)

    monkeypatch.setattr(Trainer, "train_step", interrupted_step)
    config = make_config()
    with pytest.raises(Interrupted):
        train(config, tmp_path / "parts")
    assert RunDirectory.open(tmp_path / "parts").last == 4
    monkeypatch.undo()
    train(config, tmp_path / "parts", resume=True)
    add_run(config, tmp_path / "whole")
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_a_second_interrupt_within_a_step_saves_nothing(
    make_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lstmlm.training.trainer import Trainer

    backward = Trainer._backward

    def impatient(self: Trainer, *arguments: Any) -> float:
        loss = backward(self, *arguments)
        if self.state.step == 6:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        return loss

    config = make_config(training__save_every=5)
    monkeypatch.setattr(Trainer, "_backward", impatient)
    with pytest.raises(KeyboardInterrupt) as stop:
        train(config, tmp_path / "parts")
    assert not isinstance(stop.value, Interrupted)
    assert RunDirectory.open(tmp_path / "parts").last == 5
    monkeypatch.undo()
    train(config, tmp_path / "parts", resume=True)
    train(config, tmp_path / "whole")
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_reports_over_several_steps_go_on_where_they_were(make_config: Any, tmp_path: Path) -> None:
    config = make_config(training__log_every=4)
    train(config, tmp_path / "whole")

    def stop_at_six(event: Event) -> None:
        if event.event == "checkpoint" and event.step == 6:
            signal.raise_signal(signal.SIGTERM)

    saving = make_config(training__log_every=4, training__save_every=6)
    with pytest.raises(Interrupted):
        train(saving, tmp_path / "parts", observers=[stop_at_six])
    train(saving, tmp_path / "parts", resume=True)
    assert events_of(tmp_path / "whole") == events_of(tmp_path / "parts")


def test_another_text_is_refused(make_config: Any, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "train.txt").write_text("a b c d e\n" * 100, "utf-8")
    config = make_config(data__corpus=str(corpus))
    with pytest.raises(Interrupted):
        train(config, tmp_path / "run", observers=[StopAfter(5)])
    (corpus / "train.txt").write_text("e d c b a\n" * 100, "utf-8")
    with pytest.raises(DataError) as error:
        train(config, tmp_path / "run", resume=True)
    message = str(error.value)
    assert message.startswith(f"{corpus}: the train split is not the text that {tmp_path / 'run'} was started on (SHA")
    assert message.endswith(
        "Restore that text, name where it lies now (--set data.corpus=PATH), or choose another --run-dir."
    )


def test_a_signal_during_validation_does_not_lose_it(
    make_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lstmlm.training import callbacks

    score = callbacks.score

    def interrupted_score(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(callbacks, "score", score)
        signal.raise_signal(signal.SIGINT)

    config = make_config(training__validate_every=4)
    train(config, tmp_path / "whole")
    monkeypatch.setattr(callbacks, "score", interrupted_score)
    with pytest.raises(Interrupted):
        train(config, tmp_path / "parts")
    assert RunDirectory.open(tmp_path / "parts").last == 4
    train(config, tmp_path / "parts", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_a_kill_after_a_validation_that_a_signal_put_off_repeats_no_line(
    make_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed_at_sample(event: Event) -> None:
        if event.event == "sample":
            raise Killed

    config = make_config(training__validate_every=4)
    train(config, tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(config, tmp_path / "parts", observers=[StopAfter(4, signal.SIGTERM)])
    with pytest.raises(Killed):
        train(config, tmp_path / "parts", resume=True, observers=[killed_at_sample])
    assert [event["step"] for event in events(tmp_path / "parts", "validation")] == [4]
    train(config, tmp_path / "parts", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_resuming_a_finished_run_changes_nothing(make_config: Any, tmp_path: Path) -> None:
    config, run_dir = make_config(), tmp_path / "run"
    report = train(config, run_dir)
    before = {path: path.stat().st_mtime_ns for path in run_dir.rglob("*") if path.is_file() and path.name != "lock"}
    again = train(config, run_dir, resume=True)
    assert report is not None and again is not None
    assert again.values["nats"] == report.values["nats"]
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_nor_does_resuming_one_that_has_ended_early(make_config: Any, tmp_path: Path) -> None:
    never_better = {"name": "sgd", "learning_rate": 1e-9}
    config = make_config(optimizer=never_better, training__validate_every=1, training__patience=2, model__dropout={})
    train(config, tmp_path / "run")
    before = (tmp_path / "run/metrics.jsonl").stat().st_mtime_ns
    train(config, tmp_path / "run", resume=True)
    assert (tmp_path / "run/metrics.jsonl").stat().st_mtime_ns == before
    assert events_of(tmp_path / "run")[-1]["reason"] == "2 validations without improvement"
    longer = config.model_copy(update={"training": config.training.model_copy(update={"n_steps": 20})})
    with pytest.raises(CheckpointError, match="training.patience has ended it, after step 3, and would whatever its"):
        train(longer, tmp_path / "run", resume=True)
    assert not (tmp_path / "run" / "changes").exists()


def test_another_configuration_is_refused_by_name(make_config: Any, add_run: AddRun, tmp_path: Path) -> None:
    add_run(make_config(), tmp_path / "run")
    other = make_config(optimizer__learning_rate=0.02, training__n_steps=12)
    with pytest.raises(CheckpointError) as error:
        train(other, tmp_path / "run", resume=True)
    assert str(error.value) == (
        f"{tmp_path / 'run'}: was started with another configuration: optimizer.learning_rate is 0.01 there, 0.02 "
        "here; training.n_steps is 10 there, 12 here. Give another --run-dir, or continue it by its own: "
        f"lstmlm train --run-dir {tmp_path / 'run'} --resume"
    )


def test_a_run_goes_on_on_another_device(make_config: Any, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train(make_config(training__device="auto"), tmp_path / "run", observers=[StopAfter(5)])
    train(make_config(training__device="cpu"), tmp_path / "run", resume=True)
    assert (tmp_path / "run/changes").read_text("utf-8") == 'training.device="cpu"\n'


def test_the_same_text_elsewhere_is_the_same_corpus(make_config: Any, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("a b c d e\n" * 100, "utf-8")
    with pytest.raises(Interrupted):
        train(make_config(data__corpus=str(corpus)), tmp_path / "run", observers=[StopAfter(5)])
    moved = corpus.rename(tmp_path / "moved.txt")
    run_dir = tmp_path / "run"
    where = f"--run-dir {run_dir} --set data.corpus=PATH"
    for read_it in (
        lambda: train(make_config(data__corpus=str(corpus)), run_dir, resume=True),
        lambda: audit(run_dir, 1, 0, print),
        lambda: load(run_dir).encode_split("train"),
    ):
        with pytest.raises(DataError, match=f"If it was moved, name its place, .*: lstmlm train --resume {where}$"):
            read_it()
    train(make_config(data__corpus=str(moved)), tmp_path / "run", resume=True)
    train(make_config(data__corpus=str(moved)), tmp_path / "whole")
    assert events_of(tmp_path / "run") == events_of(tmp_path / "whole")
    moved.write_text("e d c b a\n" * 100, "utf-8")
    with pytest.raises(DataError) as error:
        train(make_config(data__corpus=str(moved)), tmp_path / "run", resume=True)
    assert f"the train split is not the text that {tmp_path / 'run'} was started on" in str(error.value)


def test_an_existing_run_is_refused_without_resume(make_config: Any, add_run: AddRun, tmp_path: Path) -> None:
    config, run_dir = make_config(), tmp_path / "run"
    add_run(config, run_dir)
    before = {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}
    with pytest.raises(CheckpointError) as error:
        train(config, run_dir)
    message = f"{run_dir}: already holds 10 steps. Use --resume to continue it, or another --run-dir."
    assert str(error.value) == message
    assert before == {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}


@pytest.mark.parametrize("averaging", [{"name": "none"}, {"name": "ema", "decay": 0.8}], ids=["plain", "ema"])
def test_from_the_checkpoint_before_a_damaged_one(
    averaging: dict[str, Any], make_config: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = make_config(training__validate_every=3, training__save_every=2, averaging=averaging)
    train(config, tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(config, tmp_path / "parts", observers=[StopAfter(7)])
    flip_last_byte(tmp_path / "parts" / "checkpoints" / "00000007" / "training.safetensors")
    train(config, tmp_path / "parts", resume=True)
    assert f"{tmp_path / 'parts'}: step 7 is lost; training goes on from step 6." in caplog.text
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_from_a_checkpoint_whose_best_one_is_damaged(make_config: Any, tmp_path: Path) -> None:
    config = make_config(training__validate_every=3)
    train(config, tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(config, tmp_path / "parts", observers=[StopAfter(4)])
    flip_last_byte(tmp_path / "parts" / "checkpoints" / "00000003" / "model.safetensors")
    with pytest.raises(Interrupted):
        train(config, tmp_path / "parts", resume=True, observers=[StopAfter(5)])
    # What stands in moves on until something better has been validated.
    assert RunDirectory.open(tmp_path / "parts").best == 5
    train(config, tmp_path / "parts", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_other_surroundings_are_explained(make_config: Any, tmp_path: Path) -> None:
    config, run_dir = make_config(), tmp_path / "run"
    with pytest.raises(Interrupted):
        train(config, run_dir, observers=[StopAfter(5)])
    environment = json.loads((run_dir / "environment.json").read_text("utf-8"))
    here = environment["packages"]["torch"]
    environment["packages"] |= {"torch": "2.0.0", "safetensors": "0.8.0"}  # version 0.1 recorded that one too
    del environment["machine"]
    (run_dir / "environment.json").write_text(json.dumps(environment), "utf-8")
    seen: list[Event] = []
    train(config, run_dir, resume=True, observers=[seen.append])
    (start,) = [event for event in seen if event.event == "start"]
    assert start.as_record()["warnings"][0] == (  # type: ignore[index]
        f"{run_dir}: was started with torch 2.0.0, here {here}; machine unknown, here {platform.machine()}. "
        "It goes on, but its numbers may differ in their last bits from those of a run that stayed the same."
    )


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("step", -1, "state.json: step: Input should be greater than or equal to 0, got -1. "),
        (
            "step",
            "x" * 100,
            "state.json: step: Input should be a valid integer, unable to parse string as an integer, got ",
        ),
        ("window", 10**6, "state.json: window 1000000 is beyond the "),
        ("schedule", {}, "state.json: does not fit schedule and average (KeyError('n_lowered'))."),
        ("averaging", {"n_averaged": [1.0]}, "state.json: does not fit schedule and average (TypeError("),
        (
            "plans",
            [{"step": 0, "n_steps": 9, "validate_every": None}] * 2,
            "state.json: plans: Plan(step=0, n_steps=9, ",
        ),
        (
            "unknown",
            1,
            "state.json: unknown: Unexpected keyword argument, got 1. Use the version of lstmlm that wrote ",
        ),
    ],
)
def test_a_state_of_another_version_is_refused(
    name: str,
    value: object,
    message: str,
    make_config: Any,
    add_run: AddRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config, run_dir = make_config(schedule={"name": "anneal_on_plateau"}), tmp_path / "run"
    add_run(config, run_dir)
    load_training = RunDirectory.load_training

    def changed(self: RunDirectory, step: int) -> Any:
        checkpoint = load_training(self, step)
        return checkpoint._replace(state={**checkpoint.state, name: value})

    monkeypatch.setattr(RunDirectory, "load_training", changed)
    with pytest.raises(CheckpointError) as error:
        train(config, run_dir, resume=True)
    assert str(error.value).startswith(f"{run_dir}: {message}")


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("state/0/hidden", (4, 13), "0/hidden: the checkpoint has shape 4 x 13, the model of this configuration and "),
        ("optimizer/embedding.weight/exp_avg", (2, 3), "embedding.weight: what the checkpoint remembers of it is not "),
        (
            "optimizer/embedding.weight/exp",
            (),
            "embedding.weight: what the checkpoint remembers of it is not what this ",
        ),
        ("optimizer/other/step", (), "other: what the checkpoint remembers of it is not what this optimizer does. "),
        ("other/x", (), "other/x: is no tensor of a training. It belongs to another version of lstmlm."),
    ],
)
def test_tensors_of_another_training_are_refused(
    name: str,
    shape: tuple[int, ...],
    message: str,
    make_config: Any,
    add_run: AddRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config, run_dir = make_config(), tmp_path / "run"
    add_run(config, run_dir)
    load_training = RunDirectory.load_training

    def changed(self: RunDirectory, step: int) -> Any:
        checkpoint = load_training(self, step)
        return checkpoint._replace(training={**checkpoint.training, name: torch.zeros(shape)})

    monkeypatch.setattr(RunDirectory, "load_training", changed)
    with pytest.raises(CheckpointError) as error:
        train(config, run_dir, resume=True)
    assert str(error.value).startswith(f"{run_dir}: {message}")
