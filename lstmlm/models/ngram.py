r"""An interpolated, modified Kneser-Ney n-gram model (Chen & Goodman 1999), counted as by SRILM and KenLM.

.. math::

    p(w | h) &= \frac{c(h w) - D(c(h w))}{\sum_x c(h x)} + b(h) p(w | h') \\
    b(h) &= \frac{\sum_x D(c(h x))}{\sum_x c(h x)}

h' is the context h without its first token; shorter than no context at all, every token has the same probability. c is
how often an n-gram occurs if it is one of the longest, else how many different tokens come before it; at the beginning
of a line none does, and c is how often it occurs there. Each length has three discounts D, for the counts 1, 2 and from
3 on, which follow from how many n-grams have the counts 1, 2, 3 and 4.

Contexts end at the beginning of the line. The token that ends lines stands for `<s>` where an n-gram begins with it and
for `</s>` where one ends with it; both need no tokens of their own, since neither occurs elsewhere.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Self

import numpy as np
from jaxtyping import Float64, Int64, Integer

FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)
"""Those of KenLM, for a length of which too few n-grams are rare: single characters, or any in a tiny text."""

ABSENT = -1
"""Stands for the row of an n-gram that is not in the table."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class NgramTable:
    """All n-grams of one length that occur in the training text."""

    keys: Int64[np.ndarray, " ngrams"]
    """Rising: the row of all but the last token in the table of one token less, times the size of the vocabulary, plus
    the last token."""

    probability: Float64[np.ndarray, " ngrams"]
    """Of the last token after the others."""

    backoff: Float64[np.ndarray, " ngrams"]
    """b(h) for the n-gram as a context; 1 where nothing follows it."""

    left_out: Float64[np.ndarray, " ngrams"] | None = None
    """The probability to a model that is estimated without one occurrence of the n-gram as the longest that ends there,
    with the same discounts: what a network may rely on while it learns from the text that was counted. None where it is
    not known."""

    def find(self, keys: Int64[np.ndarray, " tokens"]) -> Int64[np.ndarray, " tokens"]:
        """Return the row of each key, `ABSENT` where there is none."""
        rows = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[rows] == keys, rows, ABSENT)


@dataclass(frozen=True)
class NgramModel:
    """Predicts each token of a text from the few before it in the same line."""

    tables: Sequence[NgramTable]
    """By length, from single tokens, of which there are all, also those that do not occur."""

    vocab_size: int
    start_id: int
    """The token that ends lines, and is read before the first."""

    @classmethod
    def estimate(cls, tokens: Integer[np.ndarray, " tokens"], vocab_size: int, start_id: int, order: int) -> Self:
        """Estimate the model of a training text.

        `vocab_size` counts also the tokens that do not occur, `start_id` ends lines, and `order` is the length of the
        longest n-grams; where no line is that long, they are shorter.
        """
        counted = _count(tokens.astype(np.int64), vocab_size, start_id, order)
        discounts = [_discounts(ngrams.counts) for ngrams in counted]
        guessed = [str(length) for length, found in enumerate(discounts, start=1) if found is FALLBACK_DISCOUNTS]
        if guessed:
            lengths, taken = ", ".join(guessed), ", ".join(map(str, FALLBACK_DISCOUNTS))
            logger.info("n-grams of %s tokens: too few are rare to estimate discounts. Taking %s.", lengths, taken)
        uniform = np.array([1 / vocab_size])
        smoothed, backoffs = [_Smoothed(uniform, uniform)], []
        for ngrams, of_counts in zip(counted, discounts, strict=True):
            of_length, backoff = _smooth(ngrams, smoothed[-1], vocab_size, of_counts)
            smoothed.append(of_length)
            backoffs.append(backoff)
        backoffs.append(np.ones(len(smoothed[-1].probability)))  # nothing follows the longest
        parts = zip(counted, smoothed[1:], backoffs[1:], strict=True)
        tables = [
            NgramTable(ngrams.keys, of_length.probability, b, of_length.left_out) for ngrams, of_length, b in parts
        ]
        return cls(tables, vocab_size, start_id)

    @property
    def order(self) -> int:
        """Number of tokens of the longest n-grams."""
        return len(self.tables)

    def nats(self, tokens: Integer[np.ndarray, " tokens"]) -> Float64[np.ndarray, " tokens"]:
        """Return the surprisal of every token of a text (nats), the first as at the beginning of a line."""
        tokens = tokens.astype(np.int64)
        probability, contexts = self.tables[0].probability[tokens], _shifted(tokens, self.start_id)
        for shorter, table in pairwise(self.tables):
            rows = table.find(contexts * self.vocab_size + tokens)
            backoff = np.where(contexts == ABSENT, 1, shorter.backoff[contexts])
            probability = np.where(rows == ABSENT, backoff * probability, table.probability[rows])
            contexts = _longer_contexts(rows, tokens, self.start_id)
        nats: np.ndarray = -np.log(probability)
        return nats

    def nats_each(self, texts: Sequence[Sequence[int]]) -> list[Float64[np.ndarray, " tokens"]]:
        """Return the surprisal of every token (nats) of several texts, none of which knows of the others."""
        # With a line's end after each, the next one begins as if it were the first.
        joined = [token for text in texts for token in (*text, self.start_id)]
        ends = np.cumsum([len(text) + 1 for text in texts])
        return [nats[:-1] for nats in np.split(self.nats(np.array(joined, dtype=np.int64)), ends)[:-1]]

    def ngrams(self, length: int, rows: Int64[np.ndarray, " ngrams"]) -> Int64[np.ndarray, "ngrams length"]:
        """Return the tokens of n-grams in the table of this length."""
        tokens = []
        for table in reversed(self.tables[:length]):
            rows, last = np.divmod(table.keys[rows], self.vocab_size)
            tokens.append(last)
        return np.stack(tokens[::-1], axis=1)


@dataclass(frozen=True)
class _CountedNgrams:
    """The n-grams of one length with their counts."""

    keys: Int64[np.ndarray, " ngrams"]
    """As in `NgramTable`."""

    suffixes: Int64[np.ndarray, " ngrams"]
    """The row of all but the first token among the n-grams of one token less."""

    counts: Int64[np.ndarray, " ngrams"]


class _Smoothed(NamedTuple):
    """p(w | h) for the n-grams of one length, and what it is without an occurrence; see `NgramTable`."""

    probability: Float64[np.ndarray, " ngrams"]
    left_out: Float64[np.ndarray, " ngrams"]


def _count(tokens: Int64[np.ndarray, " tokens"], vocab_size: int, start_id: int, order: int) -> list[_CountedNgrams]:
    """Count the n-grams of each length from 1 to `order`, or as far as there are any."""
    types = np.arange(vocab_size)
    counted = [_CountedNgrams(types, np.zeros_like(types), np.bincount(tokens, minlength=vocab_size))]
    rows, contexts = tokens, _shifted(tokens, start_id)
    while len(counted) < order and np.any(contexts != ABSENT):
        inside = np.flatnonzero(contexts != ABSENT)
        keys, first, inverse, counts = np.unique(
            contexts[inside] * vocab_size + tokens[inside], return_index=True, return_inverse=True, return_counts=True
        )
        suffixes = rows[inside[first]]
        n_before = np.bincount(suffixes, minlength=len(counted[-1].keys))
        np.copyto(counted[-1].counts, n_before, where=n_before > 0)
        counted.append(_CountedNgrams(keys, suffixes, counts))
        rows = np.full_like(tokens, ABSENT)
        rows[inside] = inverse
        contexts = _longer_contexts(rows, tokens, start_id)
    return counted


def _smooth(
    ngrams: _CountedNgrams, shorter: _Smoothed, vocab_size: int, of_counts: Sequence[float]
) -> tuple[_Smoothed, Float64[np.ndarray, " shorter"]]:
    """Return p(w | h) for the n-grams of one length and b(h) for their contexts, given p(w | h') for the shorter."""
    discounts = np.array([0, *of_counts])
    contexts, counts = ngrams.keys // vocab_size, ngrams.counts
    n_contexts = len(shorter.probability)
    totals = np.bincount(contexts, weights=counts, minlength=n_contexts)
    taken = np.bincount(contexts, weights=discounts[np.minimum(counts, 3)], minlength=n_contexts)
    backoff = np.divide(taken, totals, out=np.ones(n_contexts), where=totals > 0)
    lower = shorter.probability[ngrams.suffixes]
    probability = (counts - discounts[np.minimum(counts, 3)]) / totals[contexts] + backoff[contexts] * lower
    # Once less often; what is gone altogether does not come before its suffix any more either.
    rest = np.maximum(counts - 1, 0)
    lower = np.where(rest > 0, lower, shorter.left_out[ngrams.suffixes])
    total_of_rest = totals[contexts] - (counts - rest)
    change = discounts[np.minimum(counts, 3)] - discounts[np.minimum(rest, 3)]
    kept = rest - discounts[np.minimum(rest, 3)] + (taken[contexts] - change) * lower
    left_out = np.divide(kept, total_of_rest, out=lower, where=total_of_rest > 0)
    return _Smoothed(probability, left_out), backoff


def _discounts(counts: Int64[np.ndarray, " ngrams"]) -> Sequence[float]:
    """Return what to take from the counts 1, 2 and from 3 on (Chen & Goodman 1999, equation 26), or what stands in."""
    n_1, n_2, n_3, n_4 = np.bincount(np.minimum(counts, 5), minlength=6)[1:5].tolist()
    if n_1 and n_2 and n_3:
        y = n_1 / (n_1 + 2 * n_2)
        discounts = (1 - 2 * y * n_2 / n_1, 2 - 3 * y * n_3 / n_2, 3 - 4 * y * n_4 / n_3)
        if min(discounts) > 0:
            return discounts
    return FALLBACK_DISCOUNTS


def _shifted(rows: Int64[np.ndarray, " tokens"], first: int) -> Int64[np.ndarray, " tokens"]:
    """Return for each position what is at the one before."""
    return np.concatenate([[first], rows])[:-1]


def _longer_contexts(
    rows: Int64[np.ndarray, " tokens"], tokens: Int64[np.ndarray, " tokens"], start_id: int
) -> Int64[np.ndarray, " tokens"]:
    """Return the row of the context at each position, given that of the n-gram which ends there."""
    return _shifted(np.where(tokens == start_id, ABSENT, rows), ABSENT)
