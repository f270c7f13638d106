"""How to draw text from a model: the options of `lstmlm generate`, which are no part of a run."""

import math
from dataclasses import dataclass
from typing import Literal

from lstmlm.errors import ConfigError


@dataclass(frozen=True)
class SamplingOptions:
    """How to draw from the model's distribution.

    First `<unk>` is taken out, then come repetition penalty, repeated n-grams, temperature, top-k, top-p, min-p and
    typical-p, each on what the ones before have left. Wrong values raise a `ConfigError` that names the command-line
    flag.
    """

    max_tokens: int = 100
    """Number of tokens to draw."""

    temperature: float = 1.0
    """1 is the model's own distribution, lower is safer, 0 always takes the most probable token."""

    top_k: int | None = None
    """Draw from this many most probable tokens only."""

    top_p: float | None = None
    """Draw from the fewest most probable tokens that have this probability together."""

    min_p: float | None = None
    """Draw from the tokens that are at least this many times as probable as the best one; 0 leaves them all."""

    typical_p: float | None = None
    """Draw from the fewest tokens that have this probability together, those first that say about as much as is
    expected here: whose surprisal is near the entropy."""

    repetition_penalty: float | None = None
    """Raise the probability of what prompt and text have already to this power: above 1 it becomes less likely."""

    no_repeat_ngram_size: int | None = None
    """Draw no token that ends so many tokens which prompt and text have already."""

    allow_unk: bool = False
    """Whether `<unk>`, the token of all unknown words, may be drawn."""

    precision: Literal["float32", "bfloat16"] = "float32"
    """Number format of the weights while tokens are drawn: bfloat16 halves what each token has to read from memory, and
    moves probabilities by some thousandths."""

    stop: tuple[str, ...] = ()
    """Texts: a sample ends before the first of them."""

    raw: bool = False
    """Whether tokens are told as the vocabulary has them, and not joined to a text."""

    def __post_init__(self) -> None:
        if "" in self.stop:
            raise ConfigError("--stop: needs a text, got ''.")
        if self.max_tokens < 0:
            raise ConfigError(f"--max-tokens: needs a whole number of 0 or more, got {self.max_tokens}.")
        if math.isnan(self.temperature) or self.temperature < 0:
            raise ConfigError(f"--temperature: needs a number of 0 or more, got {self.temperature:g}.")
        if self.repetition_penalty is not None and not 0 < self.repetition_penalty < math.inf:
            raise ConfigError(f"--repetition-penalty: needs a number above 0, got {self.repetition_penalty:g}.")
        if self.no_repeat_ngram_size is not None and self.no_repeat_ngram_size < 1:
            raise ConfigError(
                f"--no-repeat-ngram-size: needs a whole number of 1 or more, got {self.no_repeat_ngram_size}."
            )
        if self.top_k is not None and self.top_k < 1:
            raise ConfigError(f"--top-k: needs a whole number of 1 or more, got {self.top_k}.")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ConfigError(f"--top-p: needs a number above 0 and at most 1, got {self.top_p:g}.")
        if self.min_p is not None and not 0 <= self.min_p <= 1:
            raise ConfigError(f"--min-p: needs a number from 0 to 1, got {self.min_p:g}.")
        if self.typical_p is not None and not 0 < self.typical_p <= 1:
            raise ConfigError(f"--typical-p: needs a number above 0 and at most 1, got {self.typical_p:g}.")
