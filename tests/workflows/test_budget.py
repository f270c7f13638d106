"""Trainings with a budget, on a clock that only moves when the test says so."""

import signal
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from run_facts import StopAfter, events

from lstmlm.audit import audit as audits
from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.corpus.stream import Window
from lstmlm.errors import ConfigError, Interrupted
from lstmlm.evaluation.perplexity import perplexity
from lstmlm.training import budget, callbacks
from lstmlm.training.events import Event
from lstmlm.training.trainer import Trainer
from lstmlm.workflows import train

VALID_TOKENS = 453
"""Of data/tiny."""


class World:
    """Steps, validations and checkpoints that take a given time on a clock of their own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.step_seconds: Callable[[int], float] = lambda step: 3.0
        self.validation_seconds = 6.0
        self._patch(monkeypatch)

    def _patch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        backward, save, score, score_each = Trainer._backward, RunDirectory.save, callbacks.score, budget.score_each

        def timed_backward(trainer: Trainer, window: Window) -> float:
            self.now += self.step_seconds(trainer.state.step)
            return backward(trainer, window)

        def timed_save(*arguments: Any, **options: Any) -> None:
            self.now += 1.0
            save(*arguments, **options)

        def timed_score(model: Any, tokens: Any, *arguments: Any, **options: Any) -> Any:
            self.now += self.validation_seconds * len(tokens) / VALID_TOKENS
            return score(model, tokens, *arguments, **options)

        def timed_score_each(model: Any, texts: Any, *arguments: Any) -> Any:
            self.now += self.validation_seconds * sum(map(len, texts)) / VALID_TOKENS
            return score_each(model, texts, *arguments)

        monkeypatch.setattr(Trainer, "_backward", timed_backward)
        monkeypatch.setattr(RunDirectory, "save", timed_save)
        monkeypatch.setattr(budget, "score_each", timed_score_each)
        for module in (callbacks, perplexity):
            monkeypatch.setattr(module, "score", timed_score)

    def train(self, config: Any, run_dir: Path, **options: Any) -> float:
        """Train; returns how long it took, with five seconds for the start of the command."""
        started, self.now = self.now, self.now + 5
        train(config, run_dir, started=started, clock=lambda: self.now, **options)
        return self.now - started


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


@pytest.fixture
def config(make_config: Any) -> Any:
    return make_config(
        training__n_steps=None,
        training__budget="10m",
        schedule={"name": "warmup_linear", "warmup_steps": 10, "decay_start": 0.6},
        averaging={"name": "tail", "fraction": 0.2},
    )


def assert_anneals_and_averages(run_dir: Path) -> None:
    """The last step has the schedule's last rate; no step changes the rate by much; a tail is averaged."""
    steps = events(run_dir, "step")
    assert steps[-1]["step"] == steps[-1]["n_steps"]
    rates = [step["learning_rate"] for step in steps]
    assert rates[-1] == pytest.approx(0.0, abs=1e-9)
    assert max(abs(a - b) for a, b in pairwise(rates[10:])) < 0.1 * max(rates)
    last = events(run_dir, "validation")[-1]
    assert last["step"] == len(steps)
    assert 0.1 * len(steps) < last["n_averaged"] < 0.3 * len(steps)


def test_a_training_at_an_even_pace_keeps_its_plan(world: World, config: Any, tmp_path: Path) -> None:
    seconds = world.train(config, tmp_path / "run")
    (plan,) = events(tmp_path / "run", "plan")
    assert 580 < seconds <= 600
    assert (plan["step"], plan["budget_seconds"]) == (0, 600)
    assert plan["n_steps"] == RunDirectory.open(tmp_path / "run").last
    assert_anneals_and_averages(tmp_path / "run")
    validations = events(tmp_path / "run", "validation")
    assert len(validations) * 7 <= 0.03 * 600 + 7


def test_given_its_plan_a_training_is_exact(world: World, config: Any, make_config: Any, tmp_path: Path) -> None:
    world.train(config, tmp_path / "run")
    (plan,) = events(tmp_path / "run", "plan")
    # Its own configuration: how it computes was measured, and may be chosen otherwise by a machine that is busy now.
    again = RunDirectory.open(tmp_path / "run").config.model_dump()
    again["training"] |= {"budget": None, "n_steps": plan["n_steps"], "validate_every": plan["validate_every"]}
    train(type(config).model_validate(again), tmp_path / "again")
    ours, theirs = (RunDirectory.open(tmp_path / name).load_weights(plan["n_steps"]) for name in ("run", "again"))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    for name in ("validation", "step"):
        ours_and_theirs = (events(tmp_path / "run", name), events(tmp_path / "again", name))
        one, other = ([(event["step"], event["nats"]) for event in found] for found in ours_and_theirs)
        assert one == other


@pytest.mark.parametrize("later_seconds", [4.5, 2.0], ids=["slower", "faster"])
def test_another_pace_is_another_plan(later_seconds: float, world: World, config: Any, tmp_path: Path) -> None:
    world.step_seconds = lambda step: 3.0 if step < 70 else later_seconds
    seconds = world.train(config, tmp_path / "run")
    first, *others = events(tmp_path / "run", "plan")
    assert others
    for plan in others:
        assert plan["step"] > 70
        assert (plan["n_steps"] < first["n_steps"]) == (later_seconds > 3)
    assert others[-1]["n_steps"] == RunDirectory.open(tmp_path / "run").last
    assert 570 < seconds <= 606
    assert_anneals_and_averages(tmp_path / "run")


def test_the_first_validation_tells_what_the_others_take(
    world: World, config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score = callbacks.score
    world.validation_seconds = 1.0

    def slow_score(*arguments: Any, **options: Any) -> Any:
        world.now += 20
        return score(*arguments, **options)

    monkeypatch.setattr(callbacks, "score", slow_score)
    seconds = world.train(config, tmp_path / "run")
    first, second, *_ = events(tmp_path / "run", "plan")
    assert second["step"] == events(tmp_path / "run", "validation")[0]["step"] + 1
    assert second["n_steps"] < first["n_steps"]
    assert second["validation_seconds"] == pytest.approx(22, abs=0.1)
    assert seconds <= 606


def test_the_users_interval_of_validations_is_kept(world: World, config: Any, make_config: Any, tmp_path: Path) -> None:
    config = make_config(training__n_steps=None, training__budget="10m", training__validate_every=25)
    assert world.train(config, tmp_path / "run") <= 600
    steps = [event["step"] for event in events(tmp_path / "run", "validation")]
    assert steps[:-1] == [25 * number for number in range(1, len(steps))]


def test_epochs_that_are_long_enough_validate(world: World, make_config: Any, tmp_path: Path) -> None:
    world.validation_seconds = 0.5
    config = make_config(training__n_steps=None, training__budget="10m", data__bptt=20)
    assert world.train(config, tmp_path / "run") <= 600
    assert {plan["validate_every"] for plan in events(tmp_path / "run", "plan")} == {None}
    epochs = [event["epoch"] for event in events(tmp_path / "run", "validation")]
    assert epochs[:-1] == list(range(1, len(epochs)))
    assert len(epochs) > 2


def test_a_resumed_training_goes_on_with_its_plan_and_its_time(
    world: World, config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = world.now
    with pytest.raises(Interrupted):
        world.train(config, tmp_path / "run", observers=[StopAfter(80)])
    first_part = world.now - before
    world.now += 10_000  # nothing runs meanwhile
    monkeypatch.setattr(budget, "measure_costs", None)  # measured once only
    second_part = world.train(config, tmp_path / "run", resume=True)
    assert 580 < first_part + second_part <= 606
    plans = events(tmp_path / "run", "plan")
    assert [plan["step"] for plan in plans].count(0) == 1
    assert plans[-1]["n_steps"] == RunDirectory.open(tmp_path / "run").last
    assert_anneals_and_averages(tmp_path / "run")

    world.train(config, tmp_path / "run", resume=True)  # a finished one stays as it is
    assert plans == events(tmp_path / "run", "plan")


def test_a_resumed_training_continues_a_changed_plan(
    world: World, config: Any, make_config: Any, tmp_path: Path
) -> None:
    """The rates after the interruption are those of a run that was not interrupted."""
    world.step_seconds = lambda step: 3.0 if step < 50 else 4.0
    world.train(config, tmp_path / "whole")
    changed = events(tmp_path / "whole", "plan")[-1]["step"]
    with pytest.raises(Interrupted):
        world.train(config, tmp_path / "parts", observers=[StopAfter(changed + 1)])
    state = RunDirectory.open(tmp_path / "parts").load_training(changed + 1)[2]
    assert [plan["step"] for plan in state["plans"]] == [plan["step"] for plan in events(tmp_path / "whole", "plan")]
    world.train(config, tmp_path / "parts", resume=True)
    whole, parts = (
        {event["step"]: event["learning_rate"] for event in events(tmp_path / name, "step")}
        for name in ("whole", "parts")
    )
    assert whole[changed + 2] == parts[changed + 2]


def test_a_resumed_training_learns_no_faster_than_it_did(world: World, make_config: Any, tmp_path: Path) -> None:
    """What was learnt between the last report and the interruption is no part of the time after it."""

    def seconds(step: int) -> float:
        if step == 3:
            signal.raise_signal(signal.SIGINT)
        return 3.0

    config, world.step_seconds = make_config(training__log_every=5), seconds
    with pytest.raises(Interrupted):
        world.train(config, tmp_path / "run")
    world.train(config, tmp_path / "run", resume=True)
    before, after = events(tmp_path / "run", "step")
    assert before["tokens_per_second"] == after["tokens_per_second"] == before["n_tokens"] / 5 / 3.0


def test_a_training_without_a_validation_split(world: World, make_config: Any, tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "train.txt").write_text("a b c d e\n" * 200, "utf-8")
    config = make_config(
        data__corpus=str(tmp_path / "corpus"), training__n_steps=None, training__budget="5m", training__save_every=20
    )
    assert 280 < world.train(config, tmp_path / "run") <= 300


def test_a_budget_that_is_too_short_is_refused_before_anything_is_written(
    world: World, make_config: Any, tmp_path: Path
) -> None:
    config = make_config(training__n_steps=None, training__budget="1m30s")
    with pytest.raises(ConfigError) as error:
        world.train(config, tmp_path / "run")
    # Five seconds of loading, five rehearsed steps of 3 s, and 192 of 453 tokens in the 6 s of a validation. The last
    # window of an epoch is short, so that a step is a little cheaper on the average.
    assert str(error.value) == (
        "training.budget: 1m30s is too short: 22.5 s went into preparing, 20 steps take 59.8 s, validation, checkpoint "
        "and final evaluation 12.0 s. Give 97s or more."
    )
    assert not (tmp_path / "run").exists()
    longer = make_config(training__n_steps=None, training__budget="1m37s")
    world.train(longer, tmp_path / "run")
    assert events(tmp_path / "run", "plan")[0]["n_steps"] >= 20


@pytest.mark.slow
def test_a_budget_of_real_time_ends(make_config: Any, tmp_path: Path) -> None:
    train(make_config(training__n_steps=None, training__budget="5s", training__log_every=100), tmp_path / "run")
    assert events(tmp_path / "run", "end")


def test_an_audit_repeats_what_a_clock_has_planned(make_config: Any, world: World, tmp_path: Path) -> None:
    changes = {"training__n_steps": None, "training__budget": "10m", "training__keep": "all", "training__save_every": 9}
    config = make_config(**changes, schedule={"name": "warmup_linear", "warmup_steps": 10, "decay_start": 0.3})
    world.step_seconds = lambda step: 3.0 if step < 60 else 6.0
    world.train(config, tmp_path / "run")
    plans = events(tmp_path / "run", "plan")
    assert len(plans) > 1
    n_stretches = len(RunDirectory.open(tmp_path / "run").steps)
    # This time the clock stands still.
    world.step_seconds = lambda step: 0.0
    found = audits.audit(tmp_path / "run", n_stretches, 1, lambda _: None)
    assert found.problems == []
    assert any(stretch.start < plans[1]["step"] <= stretch.end for stretch in found.stretches)


@pytest.mark.parametrize("length", [{"training__budget": "10m"}, {"training__n_epochs": 1}])
@pytest.mark.parametrize("warmup_steps", [10, 10_000])
def test_a_warm_up_beyond_the_end_is_warned_of_before_the_first_step(
    warmup_steps: int, length: dict[str, Any], make_config: Any, world: World, tmp_path: Path
) -> None:
    schedule = {"name": "warmup_cosine", "warmup_steps": warmup_steps}
    seen: list[Event] = []
    config = make_config(training__n_steps=None, **length, schedule=schedule)
    world.train(config, tmp_path / "run", observers=[seen.append])
    warned = "schedule.warmup_steps: the training ends before the learning rate has risen. Lower it."
    assert (warned in seen[0].as_record()["warnings"]) == (warmup_steps == 10_000)
