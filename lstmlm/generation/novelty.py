"""What samples have in common with a corpus: the longest passage of each that stands there, token for token.

Passages grow by a token at a time, of all samples at once, from every place of the corpus where one of them may begin.
Equal ones share a number, so that what a place begins is found by one search for (number, next token). There are fewer
places at each length, so that all take little longer than to read the corpus a few times.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64, Integer

from lstmlm.corpus.encoded_text import EncodedText
from lstmlm.corpus.tokenizers import Tokenizer

PLACES_AT_ONCE = 1 << 22
"""Of the corpus, which bounds the memory."""


@dataclass(frozen=True)
class KnownPassage:
    """The longest passage of a sample that stands in the training text."""

    text: str
    """As the tokens have it."""
    n_tokens: int
    corpus: str
    """The file, or what the training split is made of."""
    line: int | None
    """In which it begins, counted from 1; None where the tokens do not tell lines."""
    token: int
    """With which it begins, counted from 0."""


def find_known_passages(
    tokenizer: Tokenizer, corpus: EncodedText, samples: Sequence[Sequence[int]]
) -> list[KnownPassage | None]:
    """Find the longest passage of each sample's tokens that stands in a text; None where not one token does."""
    is_line_end = corpus.tokens == tokenizer.start_id
    # The last line need not have an end.
    tells_lines = 0 <= corpus.n_lines - is_line_end.sum() <= 1
    passages = longest_passages(corpus.tokens, samples, tokenizer.vocab_size)
    return [
        KnownPassage(
            text=tokenizer.decode(sample[found.start : found.start + found.n_tokens]),
            n_tokens=found.n_tokens,
            corpus=corpus.name,
            line=1 + int(is_line_end[: found.place].sum()) if tells_lines else None,
            token=found.place,
        )
        if found.n_tokens
        else None
        for sample, found in zip(samples, passages, strict=True)
    ]


class Passage(NamedTuple):
    """A passage of a sample that stands in a corpus."""

    start: int
    """Its first token in the sample."""
    n_tokens: int
    place: int
    """Its first token in the corpus, where it stands for the first time."""


def longest_passages(
    corpus: Integer[np.ndarray, " tokens"], samples: Sequence[Sequence[int]], vocab_size: int
) -> list[Passage]:
    """Find the longest passage of each sample that stands in a corpus, the first one of equally long ones.

    Its length is 0 where no token of the sample stands there.
    """
    best = [Passage(0, 0, 0)] * len(samples)
    for first in range(0, len(corpus), PLACES_AT_ONCE):
        places = np.arange(first, min(first + PLACES_AT_ONCE, len(corpus)))
        _grow(corpus, samples, vocab_size, places, best)
    return best


def _grow(
    corpus: Integer[np.ndarray, " tokens"],
    samples: Sequence[Sequence[int]],
    vocab_size: int,
    places: Int64[np.ndarray, " places"],
    best: list[Passage],
) -> None:
    """Grow the passages that begin at some places of the corpus; keep in `best` what is longer than it holds."""
    n_tokens = [len(sample) for sample in samples]
    text = np.array([token_id for sample in samples for token_id in sample], dtype=np.int64)
    sample_of, begin_of = np.repeat(np.arange(len(samples)), n_tokens), np.cumsum([0, *n_tokens])
    starts = np.arange(len(text))
    number_of_start, number_of_place = np.zeros_like(starts), np.zeros_like(places)
    length = 0
    while True:
        goes_on = starts + length < begin_of[sample_of[starts] + 1]
        starts, number_of_start = starts[goes_on], number_of_start[goes_on]
        goes_on = places + length < len(corpus)
        places, number_of_place = places[goes_on], number_of_place[goes_on]
        if not len(starts):
            return
        # Of the passages in the samples, which the corpus may have or not.
        keys, number_of_start = np.unique(number_of_start * vocab_size + text[starts + length], return_inverse=True)
        key_of_place = number_of_place * vocab_size + corpus[places + length]
        number_of_place = np.searchsorted(keys, key_of_place)
        is_known = keys[np.minimum(number_of_place, len(keys) - 1)] == key_of_place
        places, number_of_place = places[is_known], number_of_place[is_known]
        first_place = np.full(len(keys), -1)
        first_place[number_of_place[::-1]] = places[::-1]  # the last one that is written stays
        is_there = first_place[number_of_start] >= 0
        starts, number_of_start = starts[is_there], number_of_start[is_there]
        length += 1
        owners, indices = np.unique(sample_of[starts], return_index=True)
        for owner, index in zip(owners.tolist(), indices.tolist(), strict=True):
            if length > best[owner].n_tokens:
                start = int(starts[index] - begin_of[owner])
                best[owner] = Passage(start, length, int(first_place[number_of_start[index]]))
