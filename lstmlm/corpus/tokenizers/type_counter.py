"""Counts of types, such as words, in bounded memory."""

from collections import Counter
from collections.abc import Iterable


class TypeCounter:
    """Counts types as they come. Exact as long as there are at most `most_types` of them.

    Where there are more, the rarest are dropped: all that occurred as often as the one in the middle, or less. This is
    lossy counting (Manku & Motwani 2002), but it begins to drop when the types are too many and not after so many
    tokens, so that nothing is lost of a text whose types fit. A type that is dropped counts as a new one if it returns.
    """

    def __init__(self, most_types: int) -> None:
        self.counts: Counter[str] = Counter()
        self.n_dropped = 0
        """How often a type was dropped."""
        self.shortfall = 0
        """By how much a count may be too low; types seen no more often may be missing."""
        self._most_types = most_types

    def add(self, types: Iterable[str]) -> None:
        """Count a few more."""
        self.counts.update(types)
        if len(self.counts) > self._most_types:
            threshold = sorted(self.counts.values(), reverse=True)[self._most_types // 2]
            kept = Counter({text: n for text, n in self.counts.items() if n > threshold})
            self.n_dropped += len(self.counts) - len(kept)
            self.shortfall += threshold
            self.counts = kept
