"""What every optimizer and every schedule must do."""

from typing import get_args

import pytest
import torch
from torch import nn

from lstmlm.config.optimizer import AnyOptimizerOptions, OptimizerOptions
from lstmlm.config.schedule import AnyScheduleOptions
from lstmlm.optim.optimizers import OPTIMIZERS, build_optimizer, load_optimizer_tensors, optimizer_tensors
from lstmlm.optim.schedules import SCHEDULES

every_optimizer = pytest.mark.parametrize("options_class", OPTIMIZERS, ids=lambda o: o.model_fields["name"].default)


def test_the_tables_list_every_choice_of_the_configuration() -> None:
    assert set(OPTIMIZERS) == set(get_args(get_args(AnyOptimizerOptions)[0]))
    assert set(SCHEDULES) == set(get_args(get_args(AnyScheduleOptions)[0]))


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
