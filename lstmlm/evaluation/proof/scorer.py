"""What can be put under proof: whatever gives every token of a text a surprisal, and says from which distribution."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float64, Integer
from torch import Tensor

from lstmlm.evaluation.interpolation import mixture_nats
from lstmlm.models.arpa import ForeignNgrams
from lstmlm.models.ngram import NgramModel
from lstmlm.models.output_layers.output_layer import Features, OutputLayer, Targets
from lstmlm.scoring import Measure

Tokens = Integer[np.ndarray, " tokens"]
Positions = Sequence[int]


class Scored(NamedTuple):
    """What one way to predict a text has found in it."""

    nats: Float[np.ndarray, " tokens"]
    """The surprisal of every token, float64."""
    log_probabilities: Float[np.ndarray, "positions vocab"]
    """Of every token of the vocabulary at the positions that were asked for (nats, float64)."""
    is_complete: bool = True
    """Whether nothing but tokens of the vocabulary can come; else their probabilities may sum to less than one."""


@runtime_checkable
class Scorer(Protocol):
    """Reads a text once and says what it has found in it: for each figure that it makes, by its name."""

    def __call__(self, tokens: Tokens, positions: Positions) -> Mapping[str, Scored]:
        """Score every token; `positions` are those at which the whole distribution is wanted."""


def without_positions(vocab_size: int = 0) -> Float[np.ndarray, "0 vocab"]:
    """Return the distributions at no position."""
    return np.zeros((0, vocab_size))


def with_features(measure: Measure) -> Measure:
    """Let a measure return, after its own numbers, the features from which each token was predicted."""

    def measured(output_layer: OutputLayer, features: Features, targets: Targets) -> Float[Tensor, "time batch all"]:
        of_tokens = measure(output_layer, features, targets)
        return torch.cat([of_tokens.view(*targets.shape, -1), features.to(of_tokens.dtype)], dim=-1)

    return measured


@torch.inference_mode()
def distributions(
    output_layer: OutputLayer, features: Float[np.ndarray, "positions hidden"] | Float[Tensor, "positions hidden"]
) -> Float[np.ndarray, "positions vocab"]:
    """Return the log-probabilities of the whole vocabulary (nats, float64) at positions with these features."""
    rows = torch.as_tensor(features).to(output_layer.bias.dtype)
    return output_layer.log_probabilities(rows).double().numpy()


@dataclass(frozen=True)
class NgramScorer:
    """An n-gram model, asked for a distribution by having every token of the vocabulary come."""

    ngrams: NgramModel | ForeignNgrams
    vocab_size: int
    name: str

    def __call__(self, tokens: Tokens, positions: Positions) -> Mapping[str, Scored]:
        """Score every token; see `Scorer`."""
        rows = [self._log_probabilities(tokens, position) for position in positions]
        # Whoever has read an ARPA file may know words that are none of the run's.
        is_complete = isinstance(self.ngrams, NgramModel)
        return {self.name: Scored(self.ngrams.nats(tokens), np.reshape(rows, (-1, self.vocab_size)), is_complete)}

    def _log_probabilities(self, tokens: Tokens, position: int) -> Float64[np.ndarray, " vocab"]:
        # One token more than a context has, so that only the beginning of the text itself looks like one.
        before = tokens[max(0, position - self.ngrams.order) : position]
        texts = np.empty((self.vocab_size, len(before) + 2), dtype=np.int64)
        texts[:, :-2], texts[:, -2], texts[:, -1] = before, np.arange(self.vocab_size), self.ngrams.start_id
        ngrams = self.ngrams
        nats = ngrams.nats if isinstance(ngrams, NgramModel) else ngrams.nats_if_any
        return -nats(texts.flatten()).reshape(texts.shape)[:, -2]


@dataclass(frozen=True)
class Mixture:
    """Several ways to predict a text, and as `name` their probabilities averaged with these weights."""

    parts: Sequence[Scorer]
    weights: Float[np.ndarray, " parts"]
    name: str

    def __call__(self, tokens: Tokens, positions: Positions) -> Mapping[str, Scored]:
        """Score every token; see `Scorer`."""
        found = {name: scored for part in self.parts for name, scored in part(tokens, positions).items()}
        return {**found, self.name: mixed([*found.values()], self.weights)}


def mixed(parts: Sequence[Scored], weights: Float[np.ndarray, " parts"]) -> Scored:
    """Average the probabilities of several ways to predict a text, in one and the same way all of them."""
    nats = mixture_nats(np.stack([part.nats for part in parts]), weights)
    all_nats = -np.stack([part.log_probabilities for part in parts])
    of_vocabulary = mixture_nats(all_nats.reshape(len(parts), -1), weights).reshape(all_nats.shape[1:])
    return Scored(nats, -of_vocabulary, all(part.is_complete for part in parts))
