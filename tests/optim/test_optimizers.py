"""The optimizers, each by one step computed by hand."""

import pytest
import torch
from torch import nn

from lstmlm.config.optimizer import AdamOptions, AdamWOptions, OptimizerOptions, SGDOptions
from lstmlm.optim.optimizers import build_optimizer, clip_gradient


def one_step(options: OptimizerOptions, weight: float, gradients: list[float]) -> float:
    model = nn.Linear(1, 1, bias=False).double()
    with torch.no_grad():
        model.weight.fill_(weight)
    optimizer = build_optimizer(options, model)
    for gradient in gradients:
        model.weight.grad = torch.full_like(model.weight, gradient)
        optimizer.step()
    return model.weight.item()


def test_sgd() -> None:
    assert one_step(SGDOptions(learning_rate=0.5), 2.0, [3.0]) == pytest.approx(2.0 - 0.5 * 3.0)


def test_sgd_with_momentum_and_decay() -> None:
    options = SGDOptions(learning_rate=0.5, momentum=0.9, weight_decay=0.1)
    velocity = 3.0 + 0.1 * 2.0
    weight = 2.0 - 0.5 * velocity
    velocity = 0.9 * velocity + (1.0 + 0.1 * weight)
    assert one_step(options, 2.0, [3.0, 1.0]) == pytest.approx(weight - 0.5 * velocity)


@pytest.mark.parametrize("options", [SGDOptions(learning_rate=0.5, momentum=0.9), AdamOptions(), AdamWOptions()])
def test_a_weight_may_have_its_first_gradient_later(options: OptimizerOptions) -> None:
    model = nn.Linear(2, 1).double()
    optimizer = build_optimizer(options, model)
    model.weight.grad = torch.ones_like(model.weight)
    optimizer.step()
    before = model.bias.item()
    model.bias.grad = torch.full_like(model.bias, 3.0)
    optimizer.step()
    alone = one_step(options, before, [3.0])
    assert model.bias.item() == pytest.approx(alone)


def test_adam_with_coupled_decay() -> None:
    """The penalty goes through both running averages, unlike AdamW's."""
    options = AdamOptions(learning_rate=0.1, betas=(0.0, 0.99), epsilon=1e-8, weight_decay=0.5)
    first = 3.0 + 0.5 * 2.0
    square = 0.01 * first**2
    weight = 2.0 - 0.1 * first / ((square / (1 - 0.99)) ** 0.5 + 1e-8)
    second = 1.0 + 0.5 * weight
    square = 0.99 * square + 0.01 * second**2
    weight -= 0.1 * second / ((square / (1 - 0.99**2)) ** 0.5 + 1e-8)
    assert one_step(options, 2.0, [3.0, 1.0]) == pytest.approx(weight)


def test_adamw_with_decoupled_decay() -> None:
    """The weight shrinks by itself; the running averages see the gradient alone."""
    options = AdamWOptions(learning_rate=0.1, betas=(0.5, 0.99), epsilon=1e-8, weight_decay=0.5)
    weight = 2.0 * (1 - 0.1 * 0.5)
    mean, square = 0.5 * 3.0, 0.01 * 3.0**2
    weight -= 0.1 * (mean / (1 - 0.5)) / ((square / (1 - 0.99)) ** 0.5 + 1e-8)
    weight *= 1 - 0.1 * 0.5
    mean, square = 0.5 * mean + 0.5 * 1.0, 0.99 * square + 0.01 * 1.0
    weight -= 0.1 * (mean / (1 - 0.5**2)) / ((square / (1 - 0.99**2)) ** 0.5 + 1e-8)
    assert one_step(options, 2.0, [3.0, 1.0]) == pytest.approx(weight)


@pytest.mark.parametrize(("max_norm", "wanted"), [(None, [3.0, 4.0]), (10.0, [3.0, 4.0]), (1.0, [0.6, 0.8])])
def test_the_whole_gradient_is_clipped(max_norm: float | None, wanted: list[float]) -> None:
    parameters = [nn.Parameter(torch.zeros(2)) for _ in range(3)]
    parameters[0].grad, parameters[1].grad = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 4.0])
    assert clip_gradient(parameters, max_norm).item() == pytest.approx(5.0)
    # Torch adds 1e-6 to the norm that it divides by.
    assert [parameters[0].grad[0].item(), parameters[1].grad[1].item()] == pytest.approx(wanted, rel=1e-6)
    assert parameters[2].grad is None
