"""The size of a text, in every unit, and its vocabulary."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import nsmallest
from typing import Any

import numpy as np

from lstmlm.corpus.inspection.word_counts import WordCounts
from lstmlm.corpus.reading.splits import Text
from lstmlm.corpus.reading.text_files import line_pieces
from lstmlm.corpus.reading.white_space import words_of

MOST_FREQUENT = 20
COVERING_TYPES = (10_000, 30_000)


@dataclass(frozen=True)
class TextStatistics:
    """What a text is made of. Words are pieces between white space."""

    n_lines: int
    n_chars: int
    n_bytes: int
    words: WordCounts
    line_words: Counter[int]
    """How many lines have that many words."""

    def sizes(self) -> dict[str, Any]:
        """Counts; `n_tokens` are the words with an `<eos>` a line."""
        lengths = np.array(sorted(self.line_words))
        n_lines_up_to = np.cumsum([self.line_words[length] for length in lengths.tolist()])
        places = np.searchsorted(n_lines_up_to, [0.5 * self.n_lines, 0.99 * self.n_lines])
        median, percentile = lengths[places].tolist()
        return {
            "n_lines": self.n_lines,
            "n_words": self.words.n_words,
            "n_types": self.words.n_types,
            "n_chars": self.n_chars,
            "n_bytes": self.n_bytes,
            "n_tokens": self.words.n_words + self.n_lines,
            "line_words_median": median,
            "line_words_99_percent": percentile,
            "line_words_longest": int(lengths[-1]),
        }

    def vocabulary(self) -> dict[str, Any]:
        """How words spread over types. None: the text is too short to say."""
        words = self.words
        return {
            "type_token_ratio": words.n_types / max(1, words.n_words),
            "n_singletons": words.n_singletons,
            "n_pruned_types": words.n_dropped,
            "heaps_exponent": words.heaps_exponent(),
            "zipf_exponent": words.zipf_exponent(),
            **{f"share_of_{n_types}_types": words.share_covered_by(n_types) for n_types in COVERING_TYPES},
        }

    def most_frequent(self) -> list[dict[str, Any]]:
        """The most frequent words with their counts; of equal ones that which is first in the alphabet."""
        first = nsmallest(MOST_FREQUENT, self.words.counts.items(), key=lambda item: (-item[1], item[0]))
        return [{"word": word, "count": count, "share": count / self.words.n_words} for word, count in first]


def measure(text: Text) -> TextStatistics:
    """Read a text once. Raises DataError if it cannot be read."""
    words, line_words = WordCounts(), Counter[int]()
    n_chars = n_bytes = n_words_of_line = 0

    def counted_blocks() -> Iterator[str]:
        nonlocal n_chars, n_bytes
        for block in text.blocks():
            n_chars += len(block)
            n_bytes += len(block.encode())
            yield block

    for piece, is_end in line_pieces(counted_blocks()):
        pieces = words_of(piece)
        words.read(pieces)
        n_words_of_line += len(pieces)
        if is_end:
            line_words[n_words_of_line] += 1
            n_words_of_line = 0
    return TextStatistics(line_words.total(), n_chars, n_bytes, words, line_words)
