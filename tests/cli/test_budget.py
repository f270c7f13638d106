"""`--budget`: how it reaches the training, and what people read of it."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lstmlm import workflows
from lstmlm.errors import Interrupted
from lstmlm.training.events import PlanEvent

Cli = Callable[..., Any]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Instead of training, note the configurations that are to be trained."""
    seen: list[Any] = []
    monkeypatch.setattr(workflows, "train", lambda config, *_, **__: seen.append(config.training))
    return seen


def test_it_replaces_the_length_in_the_file(here: Path, lstmlm: Cli, asked: list[Any]) -> None:
    assert lstmlm("train", "--config", "tiny.yaml", "--budget", "1h30m").exit_code == 0
    assert lstmlm("train", "--config", "tiny.yaml", "--set", "training={budget: 90s}").exit_code == 0
    lengths = [(options.budget, options.budget_seconds, options.n_steps, options.n_epochs) for options in asked]
    assert lengths == [("1h30m", 5400, None, None), ("90s", 90, None, None)]


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        ("10", "--budget: 10 has no unit. Write 10s, 10m or 10h."),
        ("soon", "--budget: expected a time such as 90s, 10m or 1h30m, got 'soon'."),
        ("0m", "--budget: must be more than no time, got '0m'."),
    ],
)
def test_mistakes(budget: str, message: str, here: Path, lstmlm: Cli, asked: list[Any]) -> None:
    result = lstmlm("train", "--config", "tiny.yaml", "--budget", budget)
    assert (result.exit_code, result.stderr) == (2, f"{message}\n")
    assert asked == []


def test_two_lengths_are_one_too_many(here: Path, lstmlm: Cli) -> None:
    result = lstmlm("train", "--config", "tiny.yaml", "--budget", "1m", "--set", "training.n_steps=5")
    assert result.exit_code == 2
    assert (
        "needs n_epochs, n_steps or budget, got n_steps and budget. Give one of them, null for the others."
        in result.stderr
    )


def test_an_interruption_tells_how_to_go_on(here: Path, lstmlm: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise Interrupted(signal.SIGINT)

    monkeypatch.setattr(workflows, "train", interrupted)
    result = lstmlm("train", "--config", "tiny.yaml", "--budget", "10m")
    assert result.exit_code == 130
    assert "lstmlm train --config tiny.yaml --run-dir runs/tiny --budget 10m --resume" in result.stderr


def test_plans_are_told() -> None:
    from lstmlm.cli.display.words import describe

    plan = {
        "budget_seconds": 600,
        "spent_seconds": 8.0,
        "tokens_per_second": 9812.0,
        "validation_seconds": 6.0,
        "checkpoint_seconds": 1.0,
    }
    first = PlanEvent(step=0, n_steps=4310, validate_every=None, **plan)
    assert describe(first.as_record()) == "budget 10:00: 4,310 steps at 9.8k tokens/s, validation every epoch"
    later = PlanEvent(step=1200, n_steps=4050, validate_every=1437, **plan)
    assert describe(later.as_record()) == "budget 10:00: now 4,050 steps at 9.8k tokens/s, validation every 1,437 steps"
