"""The optimizers that a configuration can name, and how their state is written down."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from lstmlm.config.optimizer import AdamOptions, OptimizerOptions, SGDOptions


def _sgd(options: SGDOptions, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        parameters, lr=options.learning_rate, momentum=options.momentum, weight_decay=options.weight_decay, foreach=True
    )


def _adam(options: AdamOptions, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.Adam(
        parameters,
        lr=options.learning_rate,
        betas=options.betas,
        eps=options.epsilon,
        weight_decay=options.weight_decay,
        foreach=True,
    )


OPTIMIZERS: dict[type[OptimizerOptions], Callable[..., torch.optim.Optimizer]] = {SGDOptions: _sgd, AdamOptions: _adam}


def build_optimizer(options: OptimizerOptions, model: nn.Module) -> torch.optim.Optimizer:
    """Build the optimizer that `options` choose over all parameters of `model`, each once."""
    return OPTIMIZERS[type(options)](options, list(model.parameters()))


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Use `learning_rate` from the next step on."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate


def optimizer_tensors(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """Return what `optimizer` remembers, named `parameter/key`, such as "embedding.weight/exp_avg"."""
    state = optimizer.state
    return {
        f"{name}/{key}": value
        for name, parameter in model.named_parameters()
        for key, value in state.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }


def load_optimizer_tensors(optimizer: torch.optim.Optimizer, model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Restore what `optimizer_tensors` returned."""
    parameters = dict(model.named_parameters())
    for full_name, value in tensors.items():
        name, key = full_name.rsplit("/", 1)
        optimizer.state[parameters[name]][key] = value
