"""The `schedule` section: how the learning rate moves during training."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeInt

from lstmlm.config.options import Options


class ScheduleOptions(Options):
    """What every schedule has in common."""

    part: ClassVar[str] = "schedule"


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

    name: Literal["warmup_cosine"] = "warmup_cosine"

    warmup_steps: NonNegativeInt = 100
    """Steps from a rate of nearly zero to the full one."""

    final_fraction: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the learning rate that is left at the last step."""


AnyScheduleOptions = Annotated[
    ConstantOptions | AnnealOnPlateauOptions | WarmupCosineOptions, Field(discriminator="name")
]
