"""How a training computes: what `auto` means on this machine and corpus, found once, when a run is created."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from lstmlm.benchmark.plan import Effort
from lstmlm.benchmark.timing import measure
from lstmlm.config import RunConfig
from lstmlm.config.output import AdaptiveOptions
from lstmlm.config.training import TrainingOptions
from lstmlm.corpus.stream import CPU, Window
from lstmlm.distributed import World
from lstmlm.errors import ConfigError
from lstmlm.models.kernels import Execution, GemmPath, available_paths, is_compiled, library
from lstmlm.models.language_model import LanguageModel, build_language_model
from lstmlm.models.output_layers.cutoffs import choose_cutoffs

STEPS_WORTH_TUNING = 300
"""A shorter training is over before measuring has paid for itself."""

SECONDS_WORTH_TUNING = 60
"""Likewise a training with a budget below this."""

EFFORT = Effort(seconds=3.0, min_rounds=1, max_rounds=5)
"""How many times each route is measured."""

STEP_BY_STEP = ("layer_norm_lstm", "mogrifier")
"""Cells that run as they are, in the precision of their weights, where their loop over time is not compiled."""

CLEARLY_FASTER = 0.95
"""A route is preferred to a plainer one only below this share of its time, so that chance decides less often."""


@dataclass(frozen=True)
class ResolvedExecution:
    """A configuration without `auto`, and what was found out on the way."""

    config: RunConfig
    milliseconds: Mapping[str, float]
    """What the passes of a training step take, forward and backward, by each route that was measured."""

    def warnings(self, device: torch.device = CPU) -> list[str]:
        """Say where bfloat16 is the slower choice here, or has no effect on the layers."""
        if self.config.training.precision != "bfloat16":
            return []
        found, cell = [], self.config.model.backbone.name
        if cell in STEP_BY_STEP and not is_compiled(
            cell, torch.empty(1, 1, 1, device=device), execution_of(self.config.training)
        ):
            found.append(f"training.precision: layers of {cell} compute in float32 here, where no loop is compiled.")
        chosen = min((value for name, value in self.milliseconds.items() if GemmPath(name).rounds), default=0)
        float32 = min(
            (value for name, value in self.milliseconds.items() if not GemmPath(name).rounds), default=math.inf
        )
        if chosen > float32:
            slower = f"{chosen:.0f} ms a step, {float32:.0f} ms in float32"
            found.append(f"training.precision: bfloat16 is slower here: {slower}.")
        return found


def find_device(options: TrainingOptions, world: World) -> torch.device:
    """Return what this process computes on: each process of a machine has a GPU of its own.

    Raises:
        ConfigError: there is no GPU, or one too few.
    """
    n_devices = torch.cuda.device_count()
    if options.device == "cpu" or (options.device == "auto" and n_devices == 0):
        return CPU
    if n_devices == 0:
        raise ConfigError("training.device: cuda is not there: torch sees no GPU. Choose cpu or auto.")
    if world.local_rank >= n_devices:
        raise ConfigError(
            f"training.device: {n_devices} GPUs are too few for process {world.local_rank + 1} of this machine. "
            f"Start torchrun with --nproc-per-node {n_devices}, or set training.device: cpu."
        )
    device = torch.device("cuda", world.local_rank)
    torch.cuda.set_device(device)
    return device


def execution_of(options: TrainingOptions) -> Execution:
    """Return what the kernels need to know of resolved options."""
    path = GemmPath.of(options.matmul, rounds=options.precision == "bfloat16")
    return Execution(path, compiled=options.compile == "always")


def resolve_like(config: RunConfig, run: RunConfig) -> RunConfig:
    """Replace every `auto` of `config` by what an existing run resolved it to."""
    found = {key: value for key, value in run.training.model_dump().items() if getattr(config.training, key) == "auto"}
    return with_cutoffs_of(_with_training(config, found), run)


def with_cutoffs_of(config: RunConfig, run: RunConfig) -> RunConfig:
    """Replace `cutoffs: auto` of an adaptive softmax by those of a run whose weights are taken."""
    output = run.model.output
    return _with_cutoffs(config, output.cutoffs) if isinstance(output, AdaptiveOptions) else config


def resolve_cutoffs(config: RunConfig, counts: Int[np.ndarray, " vocab"]) -> RunConfig:
    """Replace `cutoffs: auto` of an adaptive softmax by what costs least.

    Args:
        config: The configuration as the user gave it.
        counts: Occurrences of each token in the training split.
    """
    model, data = config.model, config.data
    if not isinstance(model.output, AdaptiveOptions):
        return config
    width = model.embedding_size if model.output.projection else model.backbone.hidden_sizes[-1]
    return _with_cutoffs(config, choose_cutoffs(counts, data.batch_size * data.bptt, width))


def resolve_execution(
    config: RunConfig, vocab_size: int, window: Window, n_steps: int, *, device: torch.device = CPU
) -> ResolvedExecution:
    """Replace every `auto` of the training options by what is fastest here.

    A choice that the user made stays, and is measured too where it may be a bad one.

    Args:
        config: The configuration as the user gave it.
        vocab_size: Size of the vocabulary, on which it depends how much the softmax weighs.
        window: The columns of this process in a window of the text: which tokens are how frequent matters to some
            softmaxes.
        n_steps: Length of the training; a short one is not worth measuring.
        device: What it computes on.

    Raises:
        ConfigError: this build of torch lacks the library that the user chose.
    """
    training, changes, budget = config.training, dict[str, Any](), config.training.budget_seconds
    if training.compile == "auto":
        has_compiler = library() is not None if device == CPU else find_spec("triton") is not None
        changes["compile"] = "always" if has_compiler else "never"
    allowed, measured = _allowed_paths(training, device), dict[GemmPath, float]()
    # Whoever asks for bfloat16 is told if it does not pay.
    compared = [GemmPath.NATIVE] if training.precision == "bfloat16" else []
    is_worth_it = n_steps >= STEPS_WORTH_TUNING if budget is None else budget >= SECONDS_WORTH_TUNING
    path, paths = allowed[0], [*allowed, *compared]
    if is_worth_it and len(paths) > 1:
        compiled = changes.get("compile", training.compile) == "always"
        measured = seconds_of_paths(config, vocab_size, window, paths, compiled=compiled, device=device)
        for other in allowed[1:]:
            path = other if measured[other] < CLEARLY_FASTER * measured[path] else path
    changes["precision"] = "bfloat16" if path.rounds else "float32"
    if training.matmul == "auto":
        changes["matmul"] = path.matmul
    milliseconds = {name.value: 1000 * seconds for name, seconds in measured.items()}
    return ResolvedExecution(_with_training(config, changes), milliseconds)


def seconds_of_paths(
    config: RunConfig,
    vocab_size: int,
    window: Window,
    paths: list[GemmPath],
    *,
    compiled: bool,
    device: torch.device = CPU,
) -> dict[GemmPath, float]:
    """Measure the passes of a training step, forward and backward, by each route in turn (seconds, medians)."""
    model = build_language_model(config.model, vocab_size, config.seed).to(device)
    inputs, targets = (
        ids.to(device).chunk(config.training.accumulate, dim=1)[0] for ids in (window.inputs, window.targets)
    )
    steps = {path: _step(model, inputs, targets, Execution(path, compiled)) for path in paths}
    return {path: median(seconds) for path, seconds in measure(steps, EFFORT).items()}


def _step(
    model: LanguageModel, inputs: Int[Tensor, "time batch"], targets: Int[Tensor, "time batch"], execution: Execution
) -> Callable[[], None]:
    def step() -> None:
        features, _ = model(inputs, model.initial_state(inputs.shape[1]), execution=execution)
        loss = model.output_layer.loss(features, targets, execution)
        # A cluster of an adaptive softmax may have no target in the window.
        torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
        if inputs.is_cuda:
            torch.cuda.synchronize()

    return step


def _allowed_paths(training: TrainingOptions, device: torch.device) -> list[GemmPath]:
    """Return the routes that the options leave open and the machine has; the first is the plainest."""
    available = available_paths(device)
    if training.precision == "bfloat16":  # which whoever asks for it gets, be it here or emulated
        available = (GemmPath.BFLOAT16, *(path for path in available if path == GemmPath.OWN_BFLOAT16))
    # Who does not want a compiler gets no product of its making, unless by name.
    if training.matmul == "auto":
        paths = [path for path in available if training.compile != "never" or not path.is_ours]
    else:
        paths = [GemmPath.of(training.matmul, rounds=rounds) for rounds in (False, True)]
        paths = [path for path in paths if path in available]
    paths = [path for path in paths if training.precision != "float32" or not path.rounds]
    if not paths:
        raise ConfigError(f"training.matmul: {training.matmul} {_lacking(training, device)}. Choose native or auto.")
    return paths


def _lacking(training: TrainingOptions, device: torch.device) -> str:
    """Say why there is no product of the user's choice."""
    if device != CPU:
        return "is not there on a GPU"
    if training.matmul != "own":
        return "is not in this build of torch"
    return "has no bfloat16 here" if training.precision == "bfloat16" else "is not here without a C++ compiler"


def _with_cutoffs(config: RunConfig, cutoffs: Literal["auto"] | tuple[int, ...]) -> RunConfig:
    """Put `cutoffs` in the place of `auto`, where it is."""
    output = config.model.output
    if not isinstance(output, AdaptiveOptions) or output.cutoffs != "auto":
        return config
    model = config.model.model_copy(update={"output": output.model_copy(update={"cutoffs": cutoffs})})
    return config.model_copy(update={"model": model})


def _with_training(config: RunConfig, changes: dict[str, Any]) -> RunConfig:
    return config.model_copy(update={"training": config.training.model_copy(update=changes)})
