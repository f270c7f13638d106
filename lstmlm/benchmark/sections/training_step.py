"""A whole training step, window to update, beside the same model on torch.nn.LSTM."""

from collections.abc import Callable
from functools import partial
from itertools import count

import torch
from torch import Tensor, nn

from lstmlm.benchmark.correctness import Results, with_gradients
from lstmlm.benchmark.machine import Machine
from lstmlm.benchmark.plan import ModelShape, Plan
from lstmlm.benchmark.section import Row, Section, compare_routes
from lstmlm.benchmark.timing import Work
from lstmlm.benchmark.torch_model import N_LAYERS, TorchModel, TorchState, our_model
from lstmlm.models.backbone import detach
from lstmlm.models.kernels import Execution, GemmPath
from lstmlm.models.language_model import LanguageModel
from lstmlm.randomness import Randomness

LEARNING_RATE = 1.0
CLIP_NORM = 0.25


def measure_training_steps(plan: Plan, machine: Machine, tell: Callable[[str], None]) -> Section:
    """Compare all models of the plan."""
    rows: list[Row] = []
    for number, shape in enumerate(plan.training_steps, start=1):
        tell(f"training step {number} of {len(plan.training_steps)}")
        rows += compare_training_step(shape, plan, machine)
    title = f"Training step, {N_LAYERS} layers, bptt {plan.bptt}, SGD, beside the same model on nn.LSTM"
    return Section("training_steps", title, rows)


def compare_training_step(shape: ModelShape, plan: Plan, machine: Machine) -> list[Row]:
    """Return a row for each number format of ours."""
    generator = torch.Generator().manual_seed(1)
    inputs, targets = torch.randint(shape.vocab_size, (2, plan.bptt, shape.batch_size), generator=generator)
    model = our_model(shape)
    wanted = _torch_results(TorchModel(model).eval(), inputs, targets)
    ours = {path: our_step(shape, path, inputs, targets) for path in machine.gemm_paths}
    theirs = {"torch_float32": torch_step(TorchModel(model), inputs, targets)}
    results_of = partial(_our_results, model, inputs, targets)
    n_tokens, width = targets.numel(), shape.hidden_size
    n_flops = 3 * 2 * n_tokens * width * (N_LAYERS * 8 * width + shape.vocab_size)
    return compare_routes(shape, plan.effort, machine, ours, results_of, wanted, theirs, n_flops, n_tokens)


def our_step(shape: ModelShape, path: GemmPath, inputs: Tensor, targets: Tensor) -> Work:
    """Return one update of our model, with dropout and carried state."""
    model, execution, numbers = our_model(shape), Execution(gemm_path=path), count()
    state = model.initial_state(inputs.shape[1])

    def loss() -> Tensor:
        nonlocal state
        features, after = model(inputs, detach(state), Randomness(1, next(numbers)), execution)
        state = after
        return model.output_layer.loss(features, targets, execution) / targets.numel()

    return _update(model, loss)


def torch_step(model: TorchModel, inputs: Tensor, targets: Tensor) -> Work:
    """Return one update of torch's model, with dropout and carried state."""
    state: TorchState | None = None

    def loss() -> Tensor:
        nonlocal state
        before = None if state is None else (state[0].detach(), state[1].detach())
        value, state = model.loss(inputs, targets, before)
        return value

    return _update(model, loss)


def _update(model: nn.Module, loss: Callable[[], Tensor]) -> Work:
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)

    def step() -> None:
        optimizer.zero_grad()
        value = loss()
        torch.autograd.backward(value)
        value.item()  # as a trainer that watches its loss
        nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
        optimizer.step()

    return step


def _our_results(model: LanguageModel, inputs: Tensor, targets: Tensor, path: GemmPath) -> Results:
    """Return loss and gradients without dropout, whose masks the two models draw each in its own way."""
    execution = Execution(gemm_path=path)
    features, _ = model(inputs, model.initial_state(inputs.shape[1]), None, execution)
    loss = model.output_layer.loss(features, targets, execution) / targets.numel()
    layers = {f"layer {level}": cell for level, cell in enumerate(model.backbone.layers)}
    leaves = {"embedding": model.embedding.weight, "softmax bias": model.output_layer.bias}
    for name, cell in layers.items():
        leaves |= {f"{name} {key}": value for key, value in cell.named_parameters()}
    return with_gradients("loss", loss, leaves)


def _torch_results(model: TorchModel, inputs: Tensor, targets: Tensor) -> Results:
    loss, _ = model.loss(inputs, targets)
    leaves = {"embedding": model.embedding.weight, "softmax bias": model.linear.bias}
    for level, weights in enumerate(model.lstm.all_weights):
        names = ("weight_ih", "weight_hh", "bias")
        leaves |= {f"layer {level} {name}": weight for name, weight in zip(names, weights[:3], strict=True)}
    return with_gradients("loss", loss, leaves)
