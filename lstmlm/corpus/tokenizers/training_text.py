"""A training text of any length as a tokenizer learns from it: in bounded memory, however it comes in blocks."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator

from lstmlm.corpus.reading.text_files import cut_between_words
from lstmlm.corpus.reading.white_space import words_of
from lstmlm.corpus.tokenizers.type_counter import TypeCounter

logger = logging.getLogger(__name__)

PIECE_CHARS = 1 << 14
"""Length of the pieces that a sample consists of. The library buffers a few hundred of them."""

LONGEST_PIECE_CHARS = 1 << 16
"""A word that is longer is cut: nothing can be learnt from it as a whole."""

MAX_DISTINCT_BYTES = 6_000_000
"""Of words that differ, in a sample. With so many, learning BPE takes 400 MB on English, 600 MB without any spaces."""

MAX_TYPES = 1 << 22
"""Most types that are counted at a time: about half a gigabyte."""


def pieces_of(blocks: Iterable[str]) -> Iterator[str]:
    """A text in pieces of about `PIECE_CHARS`, cut between words; the same ones whatever blocks it comes in."""
    text = ""
    for block in blocks:
        text += block
        start = 0
        while window := text[start : start + LONGEST_PIECE_CHARS]:
            piece = next(cut_between_words(window, PIECE_CHARS))
            if piece == window and len(window) < LONGEST_PIECE_CHARS:
                break  # it may go on
            yield piece
            start += len(piece)
        text = text[start:]
    if text:
        yield text


def sample(blocks: Iterable[str], n_bytes: int) -> list[str]:
    """At most `n_bytes` of a text, spread evenly over it: all of it if that is no more, else every k-th piece.

    It is also held to `MAX_DISTINCT_BYTES` of words that differ, because the library keeps those, in up to a hundred
    times their size: a text without spaces has hardly any other.

    One pass suffices for a text of unknown length: whenever the pieces grow too many, every other one is dropped, and
    from there on only every other is taken. So k is a power of 2, and at least about half of what is allowed is left.
    """
    kept, size, every = [], _Size([]), 1
    for number, piece in enumerate(pieces_of(blocks)):
        if number % every:
            continue
        kept.append(piece)
        size.add(piece)
        while len(kept) > 1 and (size.n_bytes > n_bytes or size.n_distinct_bytes > MAX_DISTINCT_BYTES):
            kept, every = kept[::2], 2 * every
            size = _Size(kept)
    if every > 1:
        logger.info("the tokenizer is learnt from %.1f MB, one part in %d of the text", size.n_bytes / 1e6, every)
    return kept


class _Size:
    """How long a text is, and how long the words of it are that differ."""

    def __init__(self, pieces: Iterable[str]) -> None:
        self.n_bytes = self.n_distinct_bytes = 0
        self._words: set[str] = set()
        for piece in pieces:
            self.add(piece)

    def add(self, piece: str) -> None:
        self.n_bytes += len(piece.encode())
        new = set(words_of(piece)) - self._words
        self._words |= new
        self.n_distinct_bytes += sum(len(word.encode()) for word in new)


def count_types(batches: Iterable[Iterable[str]]) -> Counter[str]:
    """Count types that come in batches, with a warning where so many differ that some counts are not exact."""
    counter = TypeCounter(MAX_TYPES)
    for types in batches:
        counter.add(types)
    if counter.n_dropped:
        logger.warning(
            f"data.tokenizer: the text has more than {MAX_TYPES:,} types; rare ones were dropped {counter.n_dropped:,} "
            f"times while counting, so that types seen {counter.shortfall:,} times or less may be missing and counts "
            "be that much too low."
        )
    return counter.counts
