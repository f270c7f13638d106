"""Every option of a run, as checked classes: this page lists the sections of a YAML file. No torch is imported.

`data`, `model` (with `output`, its last layer), `optimizer`, `schedule`, `averaging` and `training` are these sections;
`adaptation` has the options of `lstmlm eval adaptation`, `duration` reads budgets such as 20m, `recipes` finds the
files that come with the package, and `options` is what all classes of options have in common. Defaults are here and
nowhere else. Anyone may import from here.
"""

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

    schedule: AnyScheduleOptions = ConstantOptions()

    averaging: AnyAveragingOptions = NoAveragingOptions()

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
        averaging, patience = self.averaging, self.training.patience
        if patience is not None and (
            averaging.name == "tail" or (averaging.name == "nt_asgd" and patience <= averaging.nonmonotone_interval)
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

    def length_warnings(self, n_steps: int) -> list[str]:
        """Say what will disappoint in a training of that many steps, which epochs or a budget may have told."""
        schedule = self.schedule
        if schedule.name in ("warmup_cosine", "warmup_linear") and schedule.warmup_steps >= n_steps:
            return ["schedule.warmup_steps: the training ends before the learning rate has risen. Lower it."]
        return []

    def _schedule_warnings(self) -> list[str]:
        schedule, training = self.schedule, self.training
        found = []
        if schedule.ends_with_training and training.patience is not None:
            found.append(f"training.patience: may stop before {schedule.name} has lowered the learning rate.")
        if training.n_steps is not None:
            found += self.length_warnings(training.n_steps)
        if schedule.name == "step":
            length = training.n_epochs if schedule.unit == "epochs" else training.n_steps
            if not schedule.milestones:
                found.append("schedule.milestones: none are given, so the learning rate stays the same. List some.")
            elif length is not None and max(schedule.milestones) >= length:
                found.append(
                    f"schedule.milestones: {max(schedule.milestones)} has no effect on a training of {length} "
                    f"{schedule.unit}."
                )
        return found
