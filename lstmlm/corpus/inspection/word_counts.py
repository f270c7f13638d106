"""Counts of words in bounded memory, and what they say about the vocabulary of a text."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from lstmlm.corpus.tokenizers.type_counter import TypeCounter

MOST_TYPES = 2_000_000
"""About 250 MB of counts; above it rare types are dropped."""

GROWTH_FACTOR = 1.1
FEWEST_WORDS = 1_000
"""The growth of a vocabulary is measured from here: before it, nearly every word is new."""

FEWEST_COUNTS = 10
"""Types seen less often say nothing about Zipf's law: their counts are small whole numbers."""


class WordCounts(TypeCounter):
    """Counts words as they come. Types that are dropped are counted again as new ones if they return."""

    def __init__(self, most_types: int = MOST_TYPES) -> None:
        super().__init__(most_types)
        self.n_words = 0
        self._growth: list[tuple[int, int]] = []
        self._next_measurement = FEWEST_WORDS

    def read(self, words: Sequence[str]) -> None:
        """Count some words."""
        start = 0
        while start < len(words):
            stop = min(len(words), start + self._next_measurement - self.n_words)
            self.add(words[start:stop])
            self.n_words += stop - start
            start = stop
            if self.n_words == self._next_measurement:
                self._growth.append((self.n_words, self.n_types))
                self._next_measurement = int(self.n_words * GROWTH_FACTOR)

    @property
    def n_types(self) -> int:
        """Number of different words; an upper bound where types were dropped."""
        return len(self.counts) + self.n_dropped

    @property
    def n_singletons(self) -> int:
        """Number of types that occur once."""
        return sum(count == 1 for count in self.counts.values())

    def share_covered_by(self, n_types: int) -> float:
        """The share of the text's words that are of its `n_types` most frequent types."""
        return float(self._falling()[:n_types].sum() / max(1, self.n_words))

    def new_types_per_thousand_words(self) -> float | None:
        """How fast the vocabulary grows in about the last tenth of the text; None for a short one."""
        before = [point for point in self._growth if point[0] <= 0.9 * self.n_words]
        if not before:
            return None
        n_words, n_types = before[-1]
        return 1000 * (self.n_types - n_types) / (self.n_words - n_words)

    def heaps_exponent(self) -> float | None:
        """β of Heaps' law, types = K · words^β: the slope of the growth, both in logarithms. None for a short text."""
        return _slope([n_words for n_words, _ in self._growth], [n_types for _, n_types in self._growth])

    def zipf_exponent(self) -> float | None:
        """α of Zipf's law, count = C / rank^α: the slope over ranks that are evenly spaced, both in logarithms.

        Of types seen `FEWEST_COUNTS` times or more; None where there are hardly any.
        """
        counts = self._falling()
        n_ranks = int(np.count_nonzero(counts >= FEWEST_COUNTS))
        if n_ranks < FEWEST_COUNTS:
            return None
        ranks = np.unique(np.geomspace(1, n_ranks, 200).round().astype(int))
        slope = _slope(ranks.tolist(), counts[ranks - 1].tolist())
        return None if slope is None else -slope

    def _falling(self) -> Int[np.ndarray, " types"]:
        return np.sort(np.fromiter(self.counts.values(), dtype=np.int64, count=len(self.counts)))[::-1]


def _slope(abscissas: Sequence[int], ordinates: Sequence[int]) -> float | None:
    """The slope of the straight line through points in double logarithmic scale, by least squares."""
    if len(abscissas) < 3:
        return None
    return float(np.polyfit(np.log(abscissas), np.log(ordinates), 1)[0])
