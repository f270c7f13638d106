"""The `model.output` part: how the last layer's features become a distribution over the vocabulary."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from lstmlm.config.options import Options


class OutputLayerOptions(Options):
    """What every output layer has in common."""

    part: ClassVar[str] = "output layer"


class LinearOutputOptions(OutputLayerOptions):
    """Layers that multiply the features themselves with a vector for each token."""

    projection: bool = False
    """Bring the features to the embedding's width first, by a learned matrix without bias; `tie_weights` then allows
    any width of the last layer."""


class SoftmaxOptions(LinearOutputOptions):
    """The full softmax: every token's probability is computed at every position."""

    name: Literal["softmax"] = "softmax"


class AdaptiveOptions(LinearOutputOptions):
    """Adaptive softmax (Grave et al. 2017): rare tokens share clusters that are computed only where they are needed."""

    name: Literal["adaptive"] = "adaptive"

    cutoffs: Literal["auto"] | tuple[PositiveInt, ...] = "auto"
    """The ids at which clusters begin, most frequent tokens first: with `[2000, 10000]` the first 2,000 tokens are
    always computed, the next 8,000 are one cluster, all others another. `auto` finds those that cost least by the
    counts of the training split, when the run is created. An empty list is the full softmax."""

    div_value: Annotated[int, Field(ge=1, le=64)] = 1
    """Each cluster's vectors are narrower than those of the one before by this factor; the paper takes 4. More than 1
    needs `tie_weights: false`: the embedding's vectors all have one width."""

    @model_validator(mode="after")
    def _cutoffs_increase(self) -> Self:
        if self.cutoffs != "auto" and list(self.cutoffs) != sorted(set(self.cutoffs)):
            raise ValueError(f"cutoffs: must increase, got {list(self.cutoffs)}. Sort them, each once.")
        return self


class MixtureOptions(OutputLayerOptions):
    """Mixture of softmaxes (Yang et al. 2018): several distributions from several maps of the features, weighed."""

    name: Literal["mixture"] = "mixture"

    n_experts: Annotated[int, Field(ge=1, le=1024)] = 3
    """Softmaxes that are mixed: each costs as much as a full one. The paper takes 15; most of the gain comes early."""

    latent_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability of dropping a unit of an expert's features, one mask for all time steps (`dropoutl` in the paper's
    code, 0.29 there)."""


AnyOutputLayerOptions = Annotated[SoftmaxOptions | AdaptiveOptions | MixtureOptions, Field(discriminator="name")]
