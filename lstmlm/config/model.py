"""The `model` section: embedding, recurrent backbone, dropout and output layer."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from lstmlm.config.options import Options
from lstmlm.config.output import AdaptiveOptions, AnyOutputLayerOptions, MixtureOptions, SoftmaxOptions

Width = Annotated[int, Field(gt=0, le=65536)]
Probability = Annotated[float, Field(ge=0, lt=1)]


class BackboneOptions(Options):
    """What every stack of recurrent layers has in common."""

    part: ClassVar[str] = "cell"

    name: str
    """Which cell."""

    n_layers: Annotated[int, Field(ge=1, le=100)] = 2
    """Recurrent layers, each reading the outputs of the one below."""

    hidden_size: Width | tuple[Width, ...] = 200
    """Width of every layer, or a list with the width of each: `[1150, 1150, 400]`."""

    skip: Literal["none", "layer_sum"] = "none"
    """What the softmax reads: the last layer's outputs, or with `layer_sum` the sum of all layers', which then need one
    width (Melis et al. 2018)."""

    implementation: Literal["auto", "reference", "fused"] = "auto"
    """`reference` runs the cell step by step as its equations stand, `fused` a kernel over whole windows that agrees
    with it. `auto` takes the kernel."""

    @property
    def hidden_sizes(self) -> tuple[int, ...]:
        """The width of each layer."""
        return (self.hidden_size,) * self.n_layers if isinstance(self.hidden_size, int) else self.hidden_size

    @model_validator(mode="after")
    def _widths_suit_the_layers(self) -> Self:
        if len(self.hidden_sizes) != self.n_layers:
            raise ValueError(
                f"hidden_size: lists {len(self.hidden_sizes)} widths for {self.n_layers} layers. "
                "Give one width a layer, or a single one for all."
            )
        if self.skip == "layer_sum" and len(set(self.hidden_sizes)) > 1:
            widths = ", ".join(map(str, self.hidden_sizes))
            raise ValueError(
                f"skip: layer_sum adds the outputs of all layers, which needs one width, got [{widths}]. "
                "Make them equal, or set skip: none."
            )
        return self


class RNNOptions(BackboneOptions):
    """The simple recurrent network (Elman 1990)."""

    name: Literal["rnn"] = "rnn"

    nonlinearity: Literal["tanh", "relu"] = "tanh"
    """Applied to the sum of input and recurrence; `relu` is unbounded (Le et al. 2015)."""


class GRUOptions(BackboneOptions):
    """The gated recurrent unit (Cho et al. 2014)."""

    name: Literal["gru"] = "gru"


class ForgetGateOptions(BackboneOptions):
    """What all kinds of LSTM have in common."""

    forget_bias: Annotated[float, Field(ge=-100, le=100)] = 1.0
    """Initial bias of the forget gate; 1 lets memories last from the start (Jozefowicz et al. 2015)."""

    input_gate_cap: bool = False
    """Let the input gate open no further than the forget gate is closed, i = min(i, 1 - f). The memory then stays
    within -1 and 1 (Melis et al. 2018). Without it and without weight decay, a short training at a high rate lets
    memories grow into the hundreds, where no gradient passes (docs/experiments.md)."""

    coupled_gates: bool = False
    """Let the input gate be what the forget gate leaves, i = 1 - f: three products in place of four, for shorter steps
    that are as good, and a memory within -1 and 1 (Greff et al. 2017)."""


class LSTMOptions(ForgetGateOptions):
    """Long short-term memory (Hochreiter & Schmidhuber 1997) with a forget gate (Gers et al. 2000)."""

    name: Literal["lstm"] = "lstm"


class LayerNormLSTMOptions(ForgetGateOptions):
    """The LSTM with layer normalisation of its sums and of the memory that its output sees (Ba et al. 2016)."""

    name: Literal["layer_norm_lstm"] = "layer_norm_lstm"


class MogrifierOptions(ForgetGateOptions):
    """The LSTM whose input and last output gate each other first (Melis et al. 2020)."""

    name: Literal["mogrifier"] = "mogrifier"

    rounds: Annotated[int, Field(ge=0, le=100)] = 5
    """Gatings, by turns of the input and of the last output. 0 is the LSTM; the authors' best models have 4 to 6."""

    rank: Width | None = None
    """Rank of the matrices that compute these gates; null for full ones. The authors' best models, of 900 units and
    more, have 24 to 84."""


AnyBackboneOptions = Annotated[
    RNNOptions | GRUOptions | LSTMOptions | LayerNormLSTMOptions | MogrifierOptions, Field(discriminator="name")
]


class DropoutOptions(Options):
    """Probabilities of dropping a unit in training; nothing is dropped at evaluation."""

    embedding: Probability = 0.0
    """Whole word vectors: a word is dropped everywhere in a window (Gal & Ghahramani 2016)."""

    input: Probability = 0.0
    """Units of the embedded words."""

    hidden: Probability = 0.0
    """Units between layers. Without effect on a single layer."""

    output: Probability = 0.0
    """Units of the last layer, before the softmax."""

    locked: bool = False
    """Drop the same units of `input`, `hidden` and `output` at all time steps of a window (variational dropout, Gal &
    Ghahramani 2016; AWD-LSTM, Merity et al. 2018) rather than afresh at each (Zaremba et al. 2014)."""

    state: Probability = 0.0
    """Units of the hidden state on its way into the hidden-to-hidden matrix, the same ones at all steps of a window
    (Gal & Ghahramani 2016; Melis et al. 2018); the state that is carried on stays whole."""

    weight_drop: Probability = 0.0
    """Hidden-to-hidden weights, one mask a window: DropConnect (Merity et al. 2018)."""


class ModelOptions(Options):
    """Embedding, recurrent backbone, dropout and output layer."""

    backbone: AnyBackboneOptions = LSTMOptions()
    """The recurrent layers, by their cell."""

    embedding_size: Width = 200
    """Width of the vector that stands for a token."""

    tie_weights: bool = True
    """Let the output layer share the embedding's matrix (Press & Wolf 2017; Inan et al. 2017)."""

    output: AnyOutputLayerOptions = SoftmaxOptions()
    """How the last layer's features become a distribution over the vocabulary."""

    ngram_order: Annotated[int, Field(ge=2, le=16)] | None = None
    """Mix the network with an n-gram model of the training split, whose longest n-grams have so many tokens: a gate
    that both are trained with decides at each token how much each counts. null: the network alone."""

    initial_bias: Literal["zero", "unigram"] = "zero"
    """What the bias of the softmax starts from; `unigram`: the logarithm of how often each token occurs in the training
    split, so that the first steps need not learn that."""

    dropout: DropoutOptions = DropoutOptions()

    @model_validator(mode="after")
    def _tied_widths_agree(self) -> Self:
        last_size = self.backbone.hidden_sizes[-1]
        has_own_width = isinstance(self.output, MixtureOptions) or self.output.projection
        if self.tie_weights and last_size != self.embedding_size and not has_own_width:
            raise ValueError(
                f"tie_weights: needs the last layer as wide as the embedding, got {last_size} and "
                f"{self.embedding_size}. Make them equal, or set tie_weights: false. "
                "To tie them all the same: output.projection: true."
            )
        if self.tie_weights and isinstance(self.output, AdaptiveOptions) and self.output.div_value > 1:
            raise ValueError(
                f"output: div_value {self.output.div_value} narrows the vectors of rare tokens, but tied ones are as "
                "wide as the embedding. Set div_value: 1, or tie_weights: false."
            )
        return self
