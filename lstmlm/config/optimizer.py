"""The `optimizer` section."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveFloat

from lstmlm.config.options import Options

Rate = Annotated[float, Field(gt=0, le=1e6)]
Decay = Annotated[float, Field(ge=0, lt=1)]
WeightDecay = Annotated[float, Field(ge=0, le=1)]


class OptimizerOptions(Options):
    """What every optimizer has in common."""

    part: ClassVar[str] = "optimizer"

    usual_learning_rates: ClassVar[tuple[float, float]]
    """What learning rates lie between in practice; one outside was probably meant for another optimizer."""

    learning_rate: Rate
    """Step size on the mean loss a token. Each optimizer has its own scale."""

    clip_norm: PositiveFloat | None = 0.25
    """Largest 2-norm of the whole gradient; a longer one is scaled down (Pascanu et al. 2013). `null`: never."""


class SGDOptions(OptimizerOptions):
    """Stochastic gradient descent."""

    usual_learning_rates: ClassVar[tuple[float, float]] = (0.1, 100.0)

    name: Literal["sgd"] = "sgd"

    learning_rate: Rate = 20.0
    """Step size on the mean loss a token; as large as this only with `clip_norm`."""

    momentum: Decay = 0.0
    """Share of the previous step that is added to the next."""

    weight_decay: WeightDecay = 0.0
    """L2 penalty coupled to the gradient: `weight_decay * weight` is added to it."""


class AdamFamilyOptions(OptimizerOptions):
    """What Adam and AdamW have in common."""

    usual_learning_rates: ClassVar[tuple[float, float]] = (1e-5, 0.05)

    learning_rate: Rate = 0.003
    """Step size: about how far a weight moves in one update."""

    betas: tuple[Decay, Decay] = (0.9, 0.999)
    """Decay of the running mean and of the running square of the gradient; a first beta of 0 is RMSProp-like."""

    epsilon: PositiveFloat = 1e-8
    """Added to the root of the running square, so that rare gradients do not make huge steps."""


class AdamOptions(AdamFamilyOptions):
    """Adam (Kingma & Ba 2015)."""

    name: Literal["adam"] = "adam"

    weight_decay: WeightDecay = 0.0
    """L2 penalty coupled to the gradient: `weight_decay * weight` is added to it, and so goes through both means."""


class AdamWOptions(AdamFamilyOptions):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    name: Literal["adamw"] = "adamw"

    weight_decay: WeightDecay = 0.01
    """Share of a weight, times the learning rate, that it loses in every update, whatever its gradient; none where
    it has none, as in a cluster of an adaptive softmax that no target is in."""


AnyOptimizerOptions = Annotated[SGDOptions | AdamOptions | AdamWOptions, Field(discriminator="name")]
