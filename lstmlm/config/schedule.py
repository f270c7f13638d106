"""The `schedule` section: how the learning rate moves during training."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from lstmlm.config.options import Options


class ScheduleOptions(Options):
    """What every schedule has in common."""

    part: ClassVar[str] = "schedule"

    ends_with_training: ClassVar[bool] = False
    """Whether it is laid out over the whole length, so that this cannot change on the way."""


class ConstantOptions(ScheduleOptions):
    """The optimizer's learning rate throughout."""

    name: Literal["constant"] = "constant"


class AnnealOnPlateauOptions(ScheduleOptions):
    """Multiply the learning rate by `factor` at each validation that does not improve on the best one."""

    name: Literal["anneal_on_plateau"] = "anneal_on_plateau"

    factor: Annotated[float, Field(gt=0, lt=1)] = 0.25
    """What the learning rate is multiplied by."""

    patience: NonNegativeInt = 0
    """Validations without improvement that are let pass before the rate is lowered."""


class WarmupCosineOptions(ScheduleOptions):
    """Rise linearly over `warmup_steps`, then fall along a half cosine to the last step (Loshchilov & Hutter 2017)."""

    ends_with_training: ClassVar[bool] = True

    name: Literal["warmup_cosine"] = "warmup_cosine"

    warmup_steps: Annotated[int, Field(ge=0, le=10**12)] = 100
    """Steps from a rate of nearly zero to the full one."""

    final_fraction: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the learning rate that is left at the last step."""


class StepOptions(ScheduleOptions):
    """Multiply the learning rate by `factor` at each milestone, as Zaremba et al. (2014) do after every epoch."""

    name: Literal["step"] = "step"

    factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """What the learning rate is multiplied by."""

    milestones: tuple[PositiveInt, ...] = ()
    """After how many epochs, or steps, this happens: `[4, 5, 6]`. One that is listed twice counts twice."""

    unit: Literal["epochs", "steps"] = "epochs"
    """What the milestones count."""


class WarmupLinearOptions(ScheduleOptions):
    """Rise linearly over `warmup_steps`, stay until `decay_start`, then fall linearly to the last step."""

    ends_with_training: ClassVar[bool] = True

    name: Literal["warmup_linear"] = "warmup_linear"

    warmup_steps: Annotated[int, Field(ge=0, le=10**12)] = 100
    """Steps from a rate of nearly zero to the full one."""

    decay_start: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the training after which the rate falls; 0: right after the warm-up."""

    final_fraction: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the learning rate that is left at the last step."""


class OneCycleOptions(ScheduleOptions):
    """Rise linearly from a low rate to the full one, fall back as long, then far below (1cycle: Smith 2018, section 4).

    Only the learning rate moves; the momentum stays as the optimizer has it.
    """

    ends_with_training: ClassVar[bool] = True

    name: Literal["one_cycle"] = "one_cycle"

    rise: Annotated[float, Field(gt=0, le=0.5)] = 0.45
    """Share of the training in which the rate rises; in as large a share it falls back, and what is left of the
    training takes it far below."""

    initial_fraction: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share of the learning rate at the first step, and at the end of the cycle."""

    final_fraction: Annotated[float, Field(ge=0, le=1)] = 0.001
    """Share of the learning rate that is left at the last step."""


AnyScheduleOptions = Annotated[
    ConstantOptions
    | AnnealOnPlateauOptions
    | StepOptions
    | WarmupCosineOptions
    | WarmupLinearOptions
    | OneCycleOptions,
    Field(discriminator="name"),
]
