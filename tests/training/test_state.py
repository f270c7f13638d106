"""Where an update stands in its training when the length of that is changed on the way, by hand."""

import json

import pytest

from lstmlm.config.schedule import (
    OneCycleOptions,
    ScheduleOptions,
    WarmupCosineOptions,
    WarmupLinearOptions,
)
from lstmlm.optim.schedules import build_schedule
from lstmlm.training.state import Plan, TrainState, position


def plans(*steps_and_lengths: tuple[int, int]) -> list[Plan]:
    return [Plan(step, n_steps, None) for step, n_steps in steps_and_lengths]


def test_without_a_change_the_position_is_the_step() -> None:
    assert [position(plans((0, 10)), step) for step in range(10)] == list(range(10))


def test_what_is_left_is_spread_over_the_updates_that_are_left() -> None:
    # After 51 of 101 updates, the last of which had position 50, the 50 positions to come are left to 25 updates.
    shorter = plans((0, 101), (51, 76))
    assert [position(shorter, step) for step in (51, 52, 75)] == [52, 54, 100]
    # Then, after 61, when position 70 was the last, 30 positions are left to 60 updates.
    longer = [*shorter, Plan(61, 121, None)]
    assert [position(longer, step) for step in (61, 62, 120)] == pytest.approx([70.5, 71, 100])
    assert position([*longer, Plan(100, 101, None)], 100) == 100


@pytest.mark.parametrize(
    "options",
    [
        WarmupLinearOptions(warmup_steps=5, decay_start=0.5, final_fraction=0.1),
        WarmupCosineOptions(warmup_steps=5, final_fraction=0.1),
        OneCycleOptions(final_fraction=0.1),
    ],
    ids=lambda options: options.name,
)
@pytest.mark.parametrize("changes", [[(30, 60)], [(30, 160)], [(60, 70), (65, 90)], [(60, 61)], [(2, 50)]])
def test_the_learning_rate_goes_on_from_where_it_is_to_its_last_value(
    options: ScheduleOptions, changes: list[tuple[int, int]]
) -> None:
    schedule = build_schedule(options, 8.0, 100)
    all_plans = plans((0, 100), *changes)
    for number, plan in enumerate(all_plans[1:], start=1):
        last_place = position(all_plans[:number], plan.step - 1)
        next_place = position(all_plans[: number + 1], plan.step)
        # The step from one to the next is one of those that are left, all of the same length.
        n_left = plan.n_steps - plan.step
        assert next_place - last_place == pytest.approx((99 - last_place) / n_left)
    last_step = all_plans[-1].n_steps - 1
    assert schedule.learning_rate(position(all_plans, last_step), 0) == pytest.approx(0.8)


def test_plans_survive_being_written() -> None:
    state = TrainState(step=7, plans=plans((0, 9), (5, 8)), budget={"preparation_seconds": 1.5})
    assert TrainState.from_json(json.loads(json.dumps(state.to_json()))) == state


def test_a_state_from_before_plans_were_written_can_be_read() -> None:
    record = TrainState(step=7).to_json()
    del record["plans"], record["budget"]
    assert TrainState.from_json(record).step == 7
