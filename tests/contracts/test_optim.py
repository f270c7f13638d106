"""What every optimizer, every schedule and every average must do."""

import json
from typing import get_args

import pytest
import torch
from torch import nn

from lstmlm.config.averaging import AnyAveragingOptions, AveragingOptions
from lstmlm.config.optimizer import AnyOptimizerOptions, OptimizerOptions
from lstmlm.config.schedule import AnyScheduleOptions, ScheduleOptions
from lstmlm.optim.averaging import AVERAGES, build_average
from lstmlm.optim.optimizers import OPTIMIZERS, build_optimizer, load_optimizer_tensors, optimizer_tensors
from lstmlm.optim.schedules import SCHEDULES, build_schedule


def name_of(options_class: type[OptimizerOptions | ScheduleOptions | AveragingOptions]) -> str:
    return str(options_class.model_fields["name"].default)


every_optimizer = pytest.mark.parametrize("options_class", OPTIMIZERS, ids=name_of)
every_schedule = pytest.mark.parametrize("options_class", SCHEDULES, ids=name_of)
every_average = pytest.mark.parametrize("options_class", AVERAGES, ids=name_of)


def test_the_tables_list_every_choice_of_the_configuration() -> None:
    assert set(OPTIMIZERS) == set(get_args(get_args(AnyOptimizerOptions)[0]))
    assert set(SCHEDULES) == set(get_args(get_args(AnyScheduleOptions)[0]))
    assert set(AVERAGES) == set(get_args(get_args(AnyAveragingOptions)[0]))


def descend(model: nn.Linear, optimizer: torch.optim.Optimizer, n_steps: int) -> float:
    target = torch.arange(6.0).view(2, 3)
    for _ in range(n_steps):
        optimizer.zero_grad()
        loss = (model.weight - target).square().sum()
        loss.backward()
        optimizer.step()
    return loss.item()


@every_optimizer
def test_lowers_a_quadratic(options_class: type[OptimizerOptions]) -> None:
    model = nn.Linear(3, 2, bias=False)
    nn.init.zeros_(model.weight)
    optimizer = build_optimizer(options_class(learning_rate=0.1), model)
    assert descend(model, optimizer, 100) < 1.0


@every_optimizer
def test_a_restored_optimizer_goes_on_as_the_first(options_class: type[OptimizerOptions]) -> None:
    options = options_class(learning_rate=0.1)
    first = nn.Linear(3, 2, bias=False)
    nn.init.zeros_(first.weight)
    optimizer = build_optimizer(options, first)
    descend(first, optimizer, 5)

    second = nn.Linear(3, 2, bias=False)
    second.load_state_dict(first.state_dict())
    restored = build_optimizer(options, second)
    tensors = {name: tensor.clone() for name, tensor in optimizer_tensors(optimizer, first).items()}
    load_optimizer_tensors(restored, second, tensors)
    descend(first, optimizer, 5)
    descend(second, restored, 5)
    assert torch.equal(first.weight, second.weight)


@every_optimizer
def test_the_default_learning_rate_is_a_usual_one(options_class: type[OptimizerOptions]) -> None:
    lowest, highest = options_class.usual_learning_rates
    assert lowest <= options_class().learning_rate <= highest  # type: ignore[call-arg]


@every_schedule
@pytest.mark.parametrize("n_steps", [1, 2, 50, 300])
def test_a_schedule_scales_the_learning_rate(options_class: type[ScheduleOptions], n_steps: int) -> None:
    rates = [build_schedule(options_class(), 8.0, n_steps).learning_rate(step, 0) for step in range(n_steps)]
    assert all(0 <= rate <= 8.0 for rate in rates)
    assert rates[0] > 0 or n_steps == 1
    assert rates == [
        4 * build_schedule(options_class(), 2.0, n_steps).learning_rate(step, 0) for step in range(n_steps)
    ]


@every_schedule
def test_a_restored_schedule_goes_on_as_the_first(options_class: type[ScheduleOptions]) -> None:
    first = build_schedule(options_class(), 8.0, 50)
    for nats in (5.0, 5.1):
        first.after_validation(nats)
    second = build_schedule(options_class(), 8.0, 50)
    second.load_state(json.loads(json.dumps(first.state())))
    for schedule in (first, second):
        schedule.after_validation(5.05)
    assert [first.learning_rate(step, 0) for step in range(50)] == [second.learning_rate(step, 0) for step in range(50)]


@every_average
def test_an_average_lies_between_the_weights_and_leaves_them_alone(options_class: type[AveragingOptions]) -> None:
    model = nn.Linear(3, 2)
    average = build_average(options_class(), model, 20)
    seen = []
    for step in range(1, 21):
        nn.init.normal_(model.weight, generator=torch.Generator().manual_seed(step))
        before = model.weight.detach().clone()
        average.after_step(step)
        average.after_validation(float(step))
        assert torch.equal(model.weight, before)
        seen.append(before)
        assert (average.model.weight <= torch.stack(seen).amax(dim=0)).all()
        assert (average.model.weight >= torch.stack(seen).amin(dim=0)).all()
    assert (average.model is model) == (average.n_averaged == 0)
    assert (average.model is model) == (options_class.model_fields["name"].default == "none")


@every_average
@pytest.mark.parametrize("n_before", [1, 12, 18])
def test_a_restored_average_goes_on_as_the_first(options_class: type[AveragingOptions], n_before: int) -> None:
    model = nn.Linear(3, 2)
    first = build_average(options_class(), model, 20)

    def go_on(average: object, steps: range) -> None:
        for step in steps:
            nn.init.normal_(model.weight, generator=torch.Generator().manual_seed(step))
            average.after_step(step)  # type: ignore[attr-defined]
            average.after_validation(float(step))  # type: ignore[attr-defined]

    go_on(first, range(1, n_before + 1))
    second = build_average(options_class(), model, 20)
    second.load_state(json.loads(json.dumps(first.state())))
    second.model.load_state_dict(first.model.state_dict())
    go_on(first, range(n_before + 1, 21))
    go_on(second, range(n_before + 1, 21))
    assert torch.equal(first.model.weight, second.model.weight)
    assert first.state() == second.state()
