"""The `averaging` section: which mean of the weights is validated, saved and used in place of the last ones."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt

from lstmlm.config.options import Options


class AveragingOptions(Options):
    """What every kind of averaging has in common."""

    part: ClassVar[str] = "averaging"

    ends_with_training: ClassVar[bool] = False
    """Whether it is laid out over the whole length, so that this cannot change on the way."""


class NoAveragingOptions(AveragingOptions):
    """The weights themselves."""

    name: Literal["none"] = "none"


class EMAOptions(AveragingOptions):
    """An exponential moving average of the weights after every step, free of their initial values."""

    name: Literal["ema"] = "ema"

    decay: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Share of the average that the next step leaves in place: 1 / (1 - decay) is about how many steps count."""


class TailOptions(AveragingOptions):
    """The mean of the weights after each of the last steps (Polyak & Juditsky 1992)."""

    ends_with_training: ClassVar[bool] = True

    name: Literal["tail"] = "tail"

    fraction: Annotated[float, Field(gt=0, le=1)] = 0.25
    """Share of the training that these are."""


class NTASGDOptions(AveragingOptions):
    """The mean of the weights since validation stopped improving (NT-ASGD: Merity et al. 2018, section 3).

    The paper averages SGD at a constant learning rate.
    """

    name: Literal["nt_asgd"] = "nt_asgd"

    nonmonotone_interval: PositiveInt = 5
    """The last validations that are not looked at: averaging starts at the first that is worse than the best of those
    before them."""


AnyAveragingOptions = Annotated[
    NoAveragingOptions | EMAOptions | TailOptions | NTASGDOptions, Field(discriminator="name")
]
