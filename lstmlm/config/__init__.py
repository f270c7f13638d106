"""Every option of a run, as checked classes: this page lists the sections of a YAML file. No torch is imported."""

from typing import Annotated

from pydantic import Field

from lstmlm.config.data import DataOptions
from lstmlm.config.model import ModelOptions
from lstmlm.config.optimizer import AnyOptimizerOptions, SGDOptions
from lstmlm.config.options import Options
from lstmlm.config.schedule import AnyScheduleOptions, ConstantOptions
from lstmlm.config.training import TrainingOptions

__all__ = ["RunConfig"]


class RunConfig(Options):
    """A whole run: what is trained, on what, how and for how long."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    """Seed of every random draw: initial weights, dropout and samples."""

    data: DataOptions

    model: ModelOptions = ModelOptions()

    optimizer: AnyOptimizerOptions = SGDOptions()

    schedule: AnyScheduleOptions = ConstantOptions()

    training: TrainingOptions

    def warnings(self) -> list[str]:
        """Say which options have no effect in this configuration, a sentence each."""
        found = []
        if self.model.backbone.n_layers == 1 and self.model.dropout.hidden > 0:
            found.append("model.dropout.hidden: has no effect on a single layer. Use dropout.output.")
        if self.model.backbone.n_layers == 1 and self.model.backbone.skip != "none":
            found.append("model.backbone.skip: has no effect on a single layer.")
        if self.schedule.name == "warmup_cosine":
            if self.training.patience is not None:
                found.append("training.patience: may stop before warmup_cosine has lowered the learning rate.")
            if self.training.n_steps is not None and self.schedule.warmup_steps >= self.training.n_steps:
                found.append("schedule.warmup_steps: the training ends before the learning rate has risen. Lower it.")
        if self.model.backbone.implementation == "reference" and self.training.precision == "bfloat16":
            found.append("training.precision: layers with implementation: reference compute in float32 all the same.")
        return found
