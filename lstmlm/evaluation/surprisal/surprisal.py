r"""Surprisal of words: how unexpected each was in its context, and how uncertain the model had been before it.

A word may be several tokens. Its probability is theirs, corrected where white space is a token too and the space before
a word belongs to it (the leading space of Pimentel & Meister 2024, "How to compute the probability of a word", and Oh &
Schuler 2024, "Leading whitespaces of language models' subword vocabulary pose a confound"):

.. math::

    p(w \mid c) = p(t_1 \dots t_n \mid c) \, \frac{p(B \mid c \, t_1 \dots t_n)}{p(B \mid c)}

with the tokens t of the word, its context c, and B the delimiters, any of which says that the word before it is
complete. So the end of a word is part of its own surprisal, not of the next one's. Before the first word of a line the
delimiter has been read already, and there is no p(B | c). What one row gives away the next to it receives, so that the
rows of a sentence, `<eos>` among them, sum to the nats of its text. Where every token is a word, nothing is corrected.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from lstmlm.corpus.tokenizers import EOS, Tokenizer
from lstmlm.evaluation.surprisal.stimuli import Sentence
from lstmlm.models.language_model import LanguageModel
from lstmlm.models.output_layers.output_layer import Features, OutputLayer, Targets
from lstmlm.scoring import Measure, score_each

BLOCK_BYTES = 16 << 20
"""Largest block of log-probabilities; a few such blocks are in memory at a time."""

NATS, ENTROPY, RANK, DELIMITER = range(4)
"""What is measured of each token: its surprisal, the entropy of its distribution and its rank in it, and the surprisal
of any delimiter in its place (nats)."""

WordContext = Literal["document", "sentence"] | int
"""What a word is given: all of its item before it, all of its sentence before it, or so many tokens before it."""

FirstWord = Literal["after-eos", "zero-state", "skip"]
"""How the first word of a context is predicted: after `<eos>` (a newline for characters and bytes), read in the zero
state, like the first word of every text that lstmlm scores; from the zero state itself, before anything is read; or
after `<eos>` and without being reported."""


@dataclass(frozen=True)
class Figures:
    """What the model says of a word in its context."""

    nats: float
    """Surprisal of the word."""
    token_nats: Sequence[float]
    """Surprisal of each of its tokens, uncorrected."""
    entropy_nats: float
    """Entropy of the distribution that its first token comes from, leaving out the space before it. The entropy of all
    that the word could have been is no smaller, because a word decides its first token; it has no closed form."""
    entropy_reduction_nats: float | None
    """By how much this entropy is smaller than that of the row before, or 0; None at the first row of a context."""
    rank: int
    """Rank of that first token among all tokens, from 1."""


@dataclass(frozen=True)
class MeasuredWord:
    """A word of a sentence, or the end of the sentence."""

    sentence: Sentence
    index: int
    """In the sentence, from 0; that of the end is the number of words."""
    tokens: Sequence[str]
    is_unknown: bool
    """Whether it is `<unk>`, or has an unknown character in it: then the figures are not its own."""
    figures: Figures | None
    """None where the first word of a context is skipped."""

    @property
    def is_end(self) -> bool:
        """Whether this is the end of the sentence."""
        return self.index == len(self.sentence.words)

    @property
    def others(self) -> Mapping[str, Any]:
        """What else the file says of it, by the names of columns."""
        return self.sentence.others[self.index]

    @property
    def text(self) -> str:
        """The word, or `<eos>`."""
        return EOS if self.is_end else self.sentence.words[self.index]


def measure_words(
    model: LanguageModel,
    tokenizer: Tokenizer,
    sentences: Sequence[Sentence],
    *,
    context: WordContext = "document",
    first_word: FirstWord = "after-eos",
) -> Iterator[MeasuredWord]:
    """Measure every word of `sentences`, and the end of each, in its context.

    Those of an item follow each other; items know nothing of each other.
    """
    if context == "sentence":
        contexts = [[sentence] for sentence in sentences]
    else:
        contexts = [list(of_item) for _, of_item in groupby(sentences, key=lambda sentence: sentence.item)]
    words = [[_token_ids(tokenizer, sentence) for sentence in parts] for parts in contexts]
    measured = score_each(
        model,
        [[token for sentence in parts for word in sentence for token in word] for parts in words],
        start_id=None if first_word == "zero-state" else tokenizer.start_id,
        measure=_measure(tokenizer),
        n_context_tokens=context if isinstance(context, int) else None,
    )
    for of_context in zip(contexts, words, measured, strict=True):
        yield from _measured_words(tokenizer, *of_context, skip_first=first_word == "skip")


def _token_ids(tokenizer: Tokenizer, sentence: Sentence) -> list[list[int]]:
    """Return the tokens of each word, with white space inside a word as one space, and of the end of the sentence."""
    pieces = [word.split() for word in sentence.words]
    ids = iter(tokenizer.encode_words([piece for word in pieces for piece in word]))
    return [*([token for _ in word for token in next(ids)] for word in pieces), [tokenizer.start_id]]


def _measured_words(
    tokenizer: Tokenizer,
    sentences: Sequence[Sentence],
    words: Sequence[Sequence[Sequence[int]]],
    measured: Float64[np.ndarray, "tokens measures"],
    *,
    skip_first: bool,
) -> Iterator[MeasuredWord]:
    """Put together what was measured of the tokens of a context."""
    delimiter_ids, end, entropy_before = set(tokenizer.delimiter_ids), 0, None
    for sentence, of_sentence in zip(sentences, words, strict=True):
        given_away = 0.0
        for index, ids in enumerate(of_sentence):
            start, end = end, end + len(ids)
            token_nats = measured[start:end, NATS]
            is_last = index == len(sentence.words)
            follows = not is_last and not delimiter_ids.isdisjoint(of_sentence[index + 1][:1])
            received = measured[end, DELIMITER] if follows else 0.0
            first = start + (len(ids) > 1 and tokenizer.decode(ids[:1]).isspace())
            entropy = float(measured[first, ENTROPY])
            figures = Figures(
                nats=float(token_nats.sum() - given_away + received),
                token_nats=token_nats.tolist(),
                entropy_nats=entropy,
                entropy_reduction_nats=None if entropy_before is None else max(0.0, entropy_before - entropy),
                rank=int(measured[first, RANK]),
            )
            is_skipped = skip_first and start == 0
            yield MeasuredWord(
                sentence,
                index,
                tokens=[EOS] if is_last else [tokenizer.token(token).replace(" ", "␣") for token in ids],
                is_unknown=tokenizer.unk_id in ids or (not is_last and bool(tokenizer.dropped(sentence.words[index]))),
                figures=None if is_skipped else figures,
            )
            given_away, entropy_before = received, None if is_skipped else entropy


def _measure(tokenizer: Tokenizer) -> Measure:
    """Return the measure of `NATS`, `ENTROPY`, `RANK` and `DELIMITER`, which sees a block of rows at a time."""
    delimiter_ids = torch.tensor(tokenizer.delimiter_ids, dtype=torch.int64)

    def measure(
        output_layer: OutputLayer, features: Features, targets: Targets
    ) -> Float64[Tensor, "time batch measures"]:
        n_rows = max(1, BLOCK_BYTES // (tokenizer.vocab_size * features.element_size()))
        blocks = zip(torch.split(features.flatten(0, 1), n_rows), torch.split(targets.flatten(), n_rows), strict=True)
        rows = [_measure_rows(output_layer.log_probabilities(block), wanted, delimiter_ids) for block, wanted in blocks]
        return torch.cat(rows).view(*targets.shape, -1)

    return measure


def _measure_rows(
    log_probabilities: Float[Tensor, "rows vocab"], targets: Int[Tensor, " rows"], delimiter_ids: Int[Tensor, " ids"]
) -> Float64[Tensor, "rows measures"]:
    # What stands where there is no target is read by nobody.
    of_targets = log_probabilities.gather(1, targets.clamp(min=0)[:, None])
    entropy = torch.special.entr(log_probabilities.exp()).sum(1, dtype=torch.float64)
    rank = 1 + (log_probabilities > of_targets).sum(1)
    delimiter = -log_probabilities[:, delimiter_ids].double().logsumexp(1)
    return torch.stack([-of_targets[:, 0].double(), entropy, rank.double(), delimiter], dim=1)
