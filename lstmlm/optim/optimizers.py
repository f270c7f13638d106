"""The optimizers that a configuration can name, and how their state is written down."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lstmlm.config.optimizer import AdamOptions, AdamWOptions, AnyOptimizerOptions, OptimizerOptions, SGDOptions
from lstmlm.errors import CheckpointError


def _sgd(options: SGDOptions, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    optimizer = torch.optim.SGD(parameters, **_common(options), momentum=options.momentum)
    if options.momentum:
        # torch's fused form wants all buffers or none, and a cluster without targets has its first gradient later.
        for parameter in parameters:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def _adam(options: AdamOptions, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, **_common(options), betas=options.betas, eps=options.epsilon)


def _adamw(options: AdamWOptions, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, **_common(options), betas=options.betas, eps=options.epsilon)


def _common(options: AnyOptimizerOptions) -> dict[str, Any]:
    # Fused: one pass over weights, gradients and means, where torch's other forms make one for each operation.
    return {"lr": options.learning_rate, "weight_decay": options.weight_decay, "fused": True}


OPTIMIZERS: dict[type[OptimizerOptions], Callable[..., torch.optim.Optimizer]] = {
    SGDOptions: _sgd,
    AdamOptions: _adam,
    AdamWOptions: _adamw,
}


def build_optimizer(options: OptimizerOptions, model: nn.Module) -> torch.optim.Optimizer:
    """Build the optimizer that `options` choose over all parameters of `model`, each once."""
    return OPTIMIZERS[type(options)](options, list(model.parameters()))


def clip_gradient(parameters: list[nn.Parameter], max_norm: float | None) -> Tensor:
    """Scale the whole gradient down to `max_norm` where it is longer (Pascanu et al. 2013).

    Returns:
        Its 2-norm before, on the device: nothing waits for it.
    """
    norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if max_norm is not None:
        torch.nn.utils.clip_grads_with_norm_(parameters, max_norm, norm)
    return norm


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Use `learning_rate` from the next step on."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate


def optimizer_tensors(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """Return what `optimizer` remembers, named `parameter/key`, such as "embedding.weight/exp_avg"."""
    return {
        f"{name}/{key}": value
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }


def load_optimizer_tensors(optimizer: torch.optim.Optimizer, model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Restore what `optimizer_tensors` returned.

    Raises:
        CheckpointError: it is of another optimizer or model.
    """
    parameters, memories = dict(model.named_parameters()), dict[str, dict[str, Tensor]]()
    for full_name, value in tensors.items():
        name, _, key = full_name.rpartition("/")
        memories.setdefault(name, {})[key] = value
    # A parameter that had no gradient yet, such as that of a cluster without targets, is not remembered at all.
    for name, memory in memories.items():
        if name not in parameters or _forms(memory, parameters[name]) != _forms_remembered(optimizer):
            raise CheckpointError(
                f"{name}: what the checkpoint remembers of it is not what this optimizer does. "
                "It belongs to another training."
            )
        parameter = parameters[name]
        optimizer.state[parameter].update({key: value.to(parameter.device) for key, value in memory.items()})


def n_moments(optimizer: torch.optim.Optimizer) -> int:
    """Return how many numbers `optimizer` remembers of each weight."""
    return sum(shape is None for shape, _ in _forms_remembered(optimizer).values())


def _forms(memory: Mapping[str, Any], parameter: Tensor) -> dict[str, tuple[torch.Size | None, torch.dtype]]:
    """Shapes, None for that of the parameter, and number formats of the tensors that are remembered of it."""
    tensors = {key: value for key, value in memory.items() if isinstance(value, Tensor)}
    return {k: (None if t.shape == parameter.shape else t.shape, t.dtype) for k, t in tensors.items()}


def _forms_remembered(optimizer: torch.optim.Optimizer) -> dict[str, tuple[torch.Size | None, torch.dtype]]:
    """What `optimizer` remembers of a parameter: asked of a twin, since there is nothing to see before a step."""
    parameter = nn.Parameter(torch.zeros(2, 1))
    parameter.grad = torch.zeros_like(parameter)
    twin = type(optimizer)([parameter])  # type: ignore[call-arg]
    twin.param_groups[0].update(optimizer.defaults)
    twin.step()
    return _forms(twin.state[parameter], parameter)
