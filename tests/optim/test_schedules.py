"""The schedules, by hand."""

import json

import pytest

from lstmlm.config.schedule import AnnealOnPlateauOptions, ConstantOptions, WarmupCosineOptions
from lstmlm.optim.schedules import build_schedule


def test_constant() -> None:
    schedule = build_schedule(ConstantOptions(), 20.0, 100)
    assert [schedule.learning_rate(step) for step in (0, 50, 99)] == [20.0] * 3


def test_anneal_on_plateau_lowers_the_rate_when_validation_does_not_improve_on_the_best() -> None:
    schedule = build_schedule(AnnealOnPlateauOptions(factor=0.25), 20.0, 100)
    rates = []
    for nats in (5.0, 4.5, 4.6, 4.5, 4.4):
        schedule.after_validation(nats)
        rates.append(schedule.learning_rate(0))
    assert rates == [20.0, 20.0, 5.0, 1.25, 1.25]


def test_anneal_on_plateau_can_wait() -> None:
    schedule = build_schedule(AnnealOnPlateauOptions(factor=0.5, patience=1), 8.0, 100)
    rates = []
    for nats in (5.0, 5.1, 5.1, 5.1, 5.1, 4.0):
        schedule.after_validation(nats)
        rates.append(schedule.learning_rate(0))
    assert rates == [8.0, 8.0, 4.0, 4.0, 2.0, 2.0]


def test_warmup_cosine_rises_to_the_peak_and_falls_to_the_final_fraction() -> None:
    schedule = build_schedule(WarmupCosineOptions(warmup_steps=3, final_fraction=0.1), 8.0, 14)
    rising = [schedule.learning_rate(step) for step in range(4)]
    assert rising == pytest.approx([2.0, 4.0, 6.0, 8.0])
    assert schedule.learning_rate(8) == pytest.approx(8.0 * 0.55)
    assert schedule.learning_rate(13) == pytest.approx(0.8)


@pytest.mark.parametrize("options", [ConstantOptions(), AnnealOnPlateauOptions(), WarmupCosineOptions()])
def test_a_restored_schedule_goes_on_as_the_first(options: object) -> None:
    first = build_schedule(options, 8.0, 50)  # type: ignore[arg-type]
    for nats in (5.0, 5.1):
        first.after_validation(nats)
    second = build_schedule(options, 8.0, 50)  # type: ignore[arg-type]
    second.load_state(json.loads(json.dumps(first.state())))
    for schedule in (first, second):
        schedule.after_validation(5.05)
    assert [first.learning_rate(step) for step in range(50)] == [second.learning_rate(step) for step in range(50)]
