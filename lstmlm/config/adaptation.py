"""The hyper-parameters of `lstmlm eval adaptation`, which are no part of a run: what its `--set` can set."""

from collections.abc import Collection, Iterable
from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt

from lstmlm.config.options import Options
from lstmlm.errors import ConfigError, unknown

MOST = 1_000_000
"""Of what has no end by itself: a search tries no more."""

Positive = Annotated[float, Field(gt=0, le=MOST)]


class DynamicOptions(Options):
    """What both forms of dynamic evaluation have in common (Krause et al. 2018)."""

    part: ClassVar[str] = "form of dynamic evaluation"

    learning_rate: Positive
    """Step size; each form has its own scale."""

    decay: Annotated[float, Field(ge=0, le=MOST)] = 1e-3
    """How far each update draws the average weight back toward its trained value, as a share of its distance."""

    window: PositiveInt = 5
    """Tokens between updates. Longer windows take less time and adapt later."""


class RMSOptions(DynamicOptions):
    """Weights whose gradients were large in training move in smaller steps, and are drawn back more strongly."""

    name: Literal["rms"] = "rms"

    learning_rate: Positive = 5e-4
    """Step size: about how far a weight moves in an update."""

    epsilon: Positive = 0.5
    """Added to the root mean square of a weight's gradient, in units of its mean over all weights, so that rare
    gradients do not make huge steps."""


class SGDOptions(DynamicOptions):
    """All weights move by their gradient."""

    name: Literal["sgd"] = "sgd"

    learning_rate: Positive = 0.1
    """Step size on the mean loss a token."""


AnyDynamicOptions = Annotated[RMSOptions | SGDOptions, Field(discriminator="name")]


class CacheOptions(Options):
    """The continuous cache (Grave et al. 2017)."""

    size: Annotated[int, Field(gt=0, le=MOST)] = 500
    """How many of the latest tokens it holds."""

    theta: Positive = 1.0
    """How strongly similarity counts; near 0 all tokens in the cache count alike."""

    weight: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Its share of the mixture with the model."""


class NgramOptions(Options):
    """A modified Kneser-Ney n-gram model of the training split (Chen & Goodman 1999), mixed with the rest."""

    order: Annotated[int, Field(gt=0, le=64)] = 5
    """Length of the longest n-grams (tokens)."""

    weight: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Its share of the mixture."""


class AdaptationOptions(Options):
    """What an adaptation depends on, a section a method."""

    dynamic: AnyDynamicOptions = RMSOptions()

    temperature: Positive = 1.0
    """What logits are divided by: above 1 the model is less sure of itself."""

    cache: CacheOptions = CacheOptions()

    ngram: NgramOptions = NgramOptions()


METHODS = tuple(AdaptationOptions.model_fields)
"""In the order in which they follow each other."""


FOUND = ("temperature", "cache.weight", "ngram.weight")
"""What a search finds whatever is given; of all else it starts from there."""


def require_effect(keys: Iterable[str], methods: Collection[str], *, are_tuned: bool) -> None:
    """Refuse keys of `AdaptationOptions` that change nothing.

    Raises:
        ConfigError: a key belongs to no method that is used, or to what is searched.
    """
    for key in keys:
        method = key.partition(".")[0]
        if method in METHODS and method not in methods:
            raise ConfigError(f"--set {key}: has no effect without the method {method}. Name it, or leave this out.")
        if are_tuned and key in FOUND:
            raise ConfigError(f"--set {key}: is what --tune searches. Leave one of them out.")


def methods_in_order(names: Collection[str]) -> list[str]:
    """Return the methods of these names, in the order of `METHODS`.

    Raises:
        ConfigError: there is no method of a name.
    """
    for name in names:
        if name not in METHODS:
            raise ConfigError(f"METHOD: {unknown('method', name, METHODS)}")
    return [method for method in METHODS if method in names]
