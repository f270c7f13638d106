"""How a training computes: what `auto` means on this machine and corpus, found once, when a run is created."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Int

from lstmlm.config import RunConfig
from lstmlm.config.output import AdaptiveOptions
from lstmlm.config.training import TrainingOptions
from lstmlm.errors import ConfigError
from lstmlm.models.cells import CELLS
from lstmlm.models.kernels import Execution, GemmPath, LayerShape, available_paths, choose_gemm_path
from lstmlm.models.output_layers.cutoffs import choose_cutoffs

STEPS_WORTH_TUNING = 300
"""A shorter training is over before measuring and compiling have paid for themselves."""

COMPILERS = ("g++", "clang++", "c++")


@dataclass(frozen=True)
class ResolvedExecution:
    """A configuration without `auto`, and what was found out on the way."""

    config: RunConfig
    milliseconds: Mapping[str, float]
    """What the matrix products of the layers take in a training step, by each route that was measured."""

    def warnings(self) -> list[str]:
        """Say whether the user's choice is the slower one here."""
        chosen, others = (
            self.milliseconds.get("bfloat16"),
            [value for name, value in self.milliseconds.items() if name != "bfloat16"],
        )
        if self.config.training.precision != "bfloat16" or chosen is None or not others or chosen <= min(others):
            return []
        return [
            f"training.precision: bfloat16 is slower here: {chosen:.0f} ms a step for the layers' matrix products, "
            f"{min(others):.0f} ms in float32."
        ]


def execution_of(options: TrainingOptions) -> Execution:
    """Return what the kernels need to know of resolved options."""
    path = GemmPath.BFLOAT16 if options.precision == "bfloat16" else GemmPath(options.matmul)
    return Execution(path, fuse=options.compile == "always")


def resolve_like(config: RunConfig, run: RunConfig) -> RunConfig:
    """Replace every `auto` of `config` by what an existing run resolved it to."""
    resolved = {key: value for key, value in run.training.model_dump().items() if _is_auto(config, key)}
    config, output = _with_training(config, resolved), run.model.output
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
    n_rows = data.batch_size * data.bptt
    return _with_cutoffs(config, choose_cutoffs(counts, n_rows, width))


def resolve_execution(config: RunConfig, n_steps: int) -> ResolvedExecution:
    """Replace every `auto` of the training options by what is fastest here.

    A choice that the user made stays, and is measured too where it may be a bad one.

    Args:
        config: The configuration as the user gave it.
        n_steps: Length of the training; a short one is not worth measuring.

    Raises:
        ConfigError: this build of torch lacks the library that the user chose.
    """
    training, is_long = config.training, n_steps >= STEPS_WORTH_TUNING
    changes: dict[str, Any] = {}
    if training.compile == "auto":
        has_compiler = any(map(shutil.which, COMPILERS))
        changes["compile"] = "always" if is_long and has_compiler else "never"
    allowed, measured = _allowed_paths(training), {}
    path = allowed[0]
    if is_long and (len(allowed) > 1 or training.precision == "bfloat16"):
        measured = choose_gemm_path(_layer_shapes(config), [*allowed, *_compared_paths(training)]).seconds
        path = min(allowed, key=measured.__getitem__)
    changes["precision"] = "bfloat16" if path == GemmPath.BFLOAT16 else "float32"
    if training.matmul == "auto":
        # Unused in bfloat16, but a resolved configuration leaves nothing open.
        changes["matmul"] = "native" if path == GemmPath.BFLOAT16 else path.value
    milliseconds = {name.value: 1000 * seconds for name, seconds in measured.items()}
    return ResolvedExecution(_with_training(config, changes), milliseconds)


def _allowed_paths(training: TrainingOptions) -> list[GemmPath]:
    """Return the routes that the options leave open and the machine has; the first is the plainest."""
    if training.precision == "bfloat16":
        return [GemmPath.BFLOAT16]
    available = available_paths(torch.device("cpu"))
    if training.matmul not in ("auto", *available):
        raise ConfigError(f"training.matmul: {training.matmul} is not in this build of torch. Choose native or auto.")
    float32 = [path for path in available if path != GemmPath.BFLOAT16]
    paths: list[GemmPath] = [path for path in float32 if training.matmul in ("auto", path.value)]
    if training.precision == "auto" and GemmPath.BFLOAT16 in available:
        paths.append(GemmPath.BFLOAT16)
    return paths


def _compared_paths(training: TrainingOptions) -> list[GemmPath]:
    """Return what else to measure: whoever asks for bfloat16 is told if it does not pay."""
    return [GemmPath.NATIVE] if training.precision == "bfloat16" else []


def _layer_shapes(config: RunConfig) -> list[LayerShape]:
    backbone, data = config.model.backbone, config.data
    n_gates = CELLS[type(backbone)].n_gates
    below = (config.model.embedding_size, *backbone.hidden_sizes)
    return [
        LayerShape(data.bptt, data.batch_size, input_size, hidden_size, n_gates)
        for input_size, hidden_size in pairwise(below)
    ]


def _is_auto(config: RunConfig, key: str) -> bool:
    return bool(getattr(config.training, key) == "auto")


def _with_cutoffs(config: RunConfig, cutoffs: Literal["auto"] | tuple[int, ...]) -> RunConfig:
    """Put `cutoffs` in the place of `auto`, where it is."""
    output = config.model.output
    if not isinstance(output, AdaptiveOptions) or output.cutoffs != "auto":
        return config
    output = output.model_copy(update={"cutoffs": cutoffs})
    return config.model_copy(update={"model": config.model.model_copy(update={"output": output})})


def _with_training(config: RunConfig, changes: dict[str, Any]) -> RunConfig:
    return config.model_copy(update={"training": config.training.model_copy(update=changes)})
