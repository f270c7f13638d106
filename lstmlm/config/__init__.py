"""Every option of a run, as checked classes: this page lists the sections of a YAML file. No torch is imported.

`data`, `model` (with `output`, its last layer), `optimizer`, `schedule`, `averaging` and `training` are these sections;
`adaptation` has the options of `lstmlm eval adaptation`, `duration` reads budgets such as 20m, `recipes` finds the
files that come with the package, and `options` is what all classes of options have in common. Defaults are here and
nowhere else. Anyone may import from here.
"""

import math
from typing import Annotated, Self

from pydantic import Field, model_validator

from lstmlm.config.averaging import AnyAveragingOptions, NoAveragingOptions
from lstmlm.config.data import DataOptions
from lstmlm.config.model import ForgetGateOptions, ModelOptions, MogrifierOptions
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
    """How a gradient moves the weights."""

    schedule: AnyScheduleOptions = ConstantOptions()
    """How the learning rate changes while the training lasts."""

    averaging: AnyAveragingOptions = NoAveragingOptions()
    """Which weights are validated, saved and used: those of the last step, or an average."""

    training: TrainingOptions

    @model_validator(mode="after")
    def _column_groups_are_equal(self) -> Self:
        if self.data.batch_size % self.training.accumulate != 0:
            raise ValueError(
                f"training.accumulate: must divide data.batch_size {self.data.batch_size}, got "
                f"{self.training.accumulate}. Choose another of the two."
            )
        return self

    def warnings(self) -> list[str]:
        """Say which options have no effect in this configuration, a sentence each."""
        found = []
        if self.model.backbone.n_layers == 1 and self.model.dropout.hidden > 0:
            found.append("model.dropout.hidden: has no effect on a single layer. Use dropout.output.")
        dropout = self.model.dropout
        if dropout.locked and not any((dropout.input, dropout.hidden, dropout.output)):
            found.append("model.dropout.locked: has no effect without dropout of input, hidden or output.")
        if self.training.regularization.beta > 0 and self.data.bptt == 1:
            found.append("training.regularization.beta: has no effect on windows of one token. Raise data.bptt.")
        optimizer = self.optimizer
        lowest, highest = optimizer.usual_learning_rates
        if not lowest <= optimizer.learning_rate <= highest:
            found.append(
                f"optimizer.learning_rate: {optimizer.learning_rate:g} is unusual for {optimizer.name}, which learns "
                f"with {lowest:g} to {highest:g}. Check it, and optimizer.name."
            )
        found += self._schedule_warnings()
        training = self.training
        found += self.length_warnings(training.n_steps, training.n_epochs, training.validate_every)
        averaging, patience = self.averaging, self.training.patience
        if patience is not None and (
            averaging.name == "tail" or (averaging.name == "nt_asgd" and patience <= averaging.nonmonotone_interval + 1)
        ):
            found.append(f"training.patience: may stop before {averaging.name} has begun to average.")
        if self.training.initialize_from is not None and self.model.initial_bias != "zero":
            found.append("model.initial_bias: has no effect with training.initialize_from. Remove it.")
        if self.model.backbone.n_layers == 1 and self.model.backbone.skip != "none":
            found.append("model.backbone.skip: has no effect on a single layer.")
        backbone = self.model.backbone
        if isinstance(backbone, ForgetGateOptions) and backbone.input_gate_cap and backbone.coupled_gates:
            found.append("model.backbone.input_gate_cap: has no effect on coupled_gates, whose input gate is 1 - f.")
        if isinstance(backbone, MogrifierOptions) and backbone.rounds == 0 and backbone.rank is not None:
            found.append("model.backbone.rank: has no effect without rounds.")
        if self.model.backbone.implementation == "reference" and self.training.precision == "bfloat16":
            found.append("training.precision: layers with implementation: reference compute in float32 all the same.")
        if self.model.output.name == "adaptive" and self.data.tokenizer.name == "byte":
            found.append("model.output.name: adaptive saves work where ids go by frequency, and bytes do not.")
        return found

    def length_warnings(self, n_steps: int | None, n_epochs: int | None, validate_every: int | None) -> list[str]:
        """Say what will disappoint in a training of that length, as far as it is known: corpus or budget may tell.

        Args:
            n_steps: Updates of the weights.
            n_epochs: Passes over the training stream that are begun.
            validate_every: Steps between validations; None: at the end of every epoch.
        """
        schedule, averaging = self.schedule, self.averaging
        found = []
        if schedule.name in ("warmup_cosine", "warmup_linear") and n_steps:
            n_rising = n_steps - (schedule.name == "warmup_linear")  # whose last step is that of the fall
            if schedule.warmup_steps and schedule.warmup_steps >= n_rising:
                found.append("schedule.warmup_steps: the training ends before the learning rate has risen. Lower it.")
        if schedule.name == "step" and schedule.milestones:
            length, last = n_epochs if schedule.unit == "epochs" else n_steps, max(schedule.milestones)
            if length and last >= length:
                found.append(f"schedule.milestones: {last} has no effect on a training of {length:,} {schedule.unit}.")
        if averaging.name == "nt_asgd":
            n_validations = n_steps and math.ceil(n_steps / validate_every) if validate_every else n_epochs
            # The first that can be worse has one before the interval; what it starts needs a step after it.
            if n_validations and n_validations < averaging.nonmonotone_interval + 3:
                found.append(
                    f"averaging.nonmonotone_interval: nt_asgd never begins to average in a training of {n_validations} "
                    f"validations. Make them {averaging.nonmonotone_interval + 3} or more, or lower it."
                )
        return found

    def _schedule_warnings(self) -> list[str]:
        schedule, patience = self.schedule, self.training.patience
        found = []
        if schedule.ends_with_training and patience is not None:
            found.append(f"training.patience: may stop before {schedule.name} has lowered the learning rate.")
        if schedule.name == "anneal_on_plateau" and patience is not None and patience <= schedule.patience + 1:
            least = schedule.patience + 2
            found.append(
                f"training.patience: stops before a lowered learning rate is used. Raise it to {least} or more."
            )
        if schedule.name == "step" and not schedule.milestones:
            found.append("schedule.milestones: none are given, so the learning rate stays the same. List some.")
        return found
