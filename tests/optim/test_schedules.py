"""The schedules, by hand."""

import pytest
import torch

from lstmlm.config.schedule import (
    AnnealOnPlateauOptions,
    ConstantOptions,
    OneCycleOptions,
    StepOptions,
    WarmupCosineOptions,
    WarmupLinearOptions,
)
from lstmlm.optim.schedules import build_schedule


def test_constant() -> None:
    schedule = build_schedule(ConstantOptions(), 20.0, 100)
    assert [schedule.learning_rate(step, 0) for step in (0, 50, 99)] == [20.0] * 3


def test_anneal_on_plateau_lowers_the_rate_when_validation_does_not_improve_on_the_best() -> None:
    schedule = build_schedule(AnnealOnPlateauOptions(factor=0.25), 20.0, 100)
    rates = []
    for nats in (5.0, 4.5, 4.6, 4.5, 4.4):
        schedule.after_validation(nats)
        rates.append(schedule.learning_rate(0, 0))
    assert rates == [20.0, 20.0, 5.0, 1.25, 1.25]


def test_anneal_on_plateau_can_wait() -> None:
    schedule = build_schedule(AnnealOnPlateauOptions(factor=0.5, patience=1), 8.0, 100)
    rates = []
    for nats in (5.0, 5.1, 5.1, 5.1, 5.1, 4.0):
        schedule.after_validation(nats)
        rates.append(schedule.learning_rate(0, 0))
    assert rates == [8.0, 8.0, 4.0, 4.0, 2.0, 2.0]


def test_warmup_cosine_rises_to_the_peak_and_falls_to_the_final_fraction() -> None:
    schedule = build_schedule(WarmupCosineOptions(warmup_steps=3, final_fraction=0.1), 8.0, 14)
    rising = [schedule.learning_rate(step, 0) for step in range(4)]
    assert rising == pytest.approx([2.0, 4.0, 6.0, 8.0])
    assert schedule.learning_rate(8, 0) == pytest.approx(8.0 * 0.55)
    assert schedule.learning_rate(13, 0) == pytest.approx(0.8)


def test_step_lowers_the_rate_after_epochs() -> None:
    schedule = build_schedule(StepOptions(factor=0.5, milestones=(1, 3, 3)), 8.0, 100)
    assert [schedule.learning_rate(10 * epoch, epoch) for epoch in range(5)] == [8.0, 4.0, 4.0, 1.0, 1.0]


def test_step_lowers_the_rate_after_steps() -> None:
    schedule = build_schedule(StepOptions(factor=0.1, milestones=(3, 5), unit="steps"), 10.0, 100)
    assert [schedule.learning_rate(step, 0) for step in range(2, 7)] == pytest.approx([10.0, 10.0 * 0.1, 1.0, 0.1, 0.1])


def test_warmup_linear_rises_stays_and_falls() -> None:
    options = WarmupLinearOptions(warmup_steps=3, decay_start=0.5, final_fraction=0.2)
    schedule = build_schedule(options, 8.0, 11)
    # Half of 11 steps, rounded to 6; from there to the last, number 10, in four equal parts.
    wanted = [2.0, 4.0, 6.0, 8.0, 8.0, 8.0, 8.0, 6.4, 4.8, 3.2, 1.6]
    assert [schedule.learning_rate(step, 0) for step in range(11)] == pytest.approx(wanted)


def test_warmup_linear_can_fall_right_after_the_warm_up() -> None:
    schedule = build_schedule(WarmupLinearOptions(warmup_steps=1), 8.0, 6)
    assert [schedule.learning_rate(step, 0) for step in range(6)] == pytest.approx([4.0, 8.0, 6.0, 4.0, 2.0, 0.0])


def test_warmup_linear_falls_to_its_end_however_late_it_begins() -> None:
    schedule = build_schedule(WarmupLinearOptions(warmup_steps=1, decay_start=0.95, final_fraction=0.2), 8.0, 10)
    assert [schedule.learning_rate(step, 0) for step in range(7, 10)] == pytest.approx([8.0, 8.0, 1.6])


def test_one_cycle_by_hand() -> None:
    options = OneCycleOptions(rise=0.4, initial_fraction=0.25, final_fraction=0.05)
    schedule = build_schedule(options, 8.0, 11)
    wanted = [2.0, 3.5, 5.0, 6.5, 8.0, 6.5, 5.0, 3.5, 2.0, 1.2, 0.4]
    assert [schedule.learning_rate(step, 0) for step in range(11)] == pytest.approx(wanted)


def test_one_cycle_is_torchs_with_three_phases() -> None:
    """Torch's phases end a step early: 0.3 of 20 steps, less one, is 5 of the 19 intervals between them."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=2.0,
        total_steps=20,
        pct_start=0.3,
        anneal_strategy="linear",
        cycle_momentum=False,
        div_factor=10,
        final_div_factor=100,
        three_phase=True,
    )
    ours = build_schedule(OneCycleOptions(rise=5 / 19, initial_fraction=0.1, final_fraction=0.001), 2.0, 20)
    for step in range(20):
        assert ours.learning_rate(step, 0) == pytest.approx(theirs.get_last_lr()[0])
        optimizer.step()
        if step < 19:
            theirs.step()
