"""From text to token ids, with all that is counted of a text on the way, in one pass over it."""

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Int, Integer, Shaped

from lstmlm.corpus.reading.white_space import is_white, words_of
from lstmlm.corpus.tokenizers import Tokenizer

Item = TypeVar("Item")


@dataclass(frozen=True)
class EncodedText:
    """The token ids of a text, with its counts.

    Words are pieces between white space, without `<eos>`; characters and bytes (of UTF-8) include the newlines. Arrays
    may be read-only and of any integer type: those of a token store are mapped from its files, not read.
    """

    name: str
    """What messages call it: `data/ptb/valid.txt`."""
    split: str | None
    """`train`, `valid` or `test`; None for a text of its own."""
    tokens: Integer[np.ndarray, " tokens"]
    n_words: int
    line_chars: Integer[np.ndarray, " lines"]
    line_bytes: Integer[np.ndarray, " lines"]
    n_unk: int
    """Tokens that are `<unk>`, also where the text itself says so."""
    n_oov: int
    """Tokens that are `<unk>` in place of what the text says."""
    sha256: str
    """Digest of the text after the rules of `read_blocks`."""
    token_counts: Integer[np.ndarray, " vocab"] | None = None
    """How often each token of the vocabulary occurs, where that is known without reading the tokens."""

    @property
    def n_tokens(self) -> int:
        """Number of tokens."""
        return len(self.tokens)

    @property
    def n_lines(self) -> int:
        """Number of lines, the last one with or without a newline."""
        return len(self.line_chars)

    @property
    def n_chars(self) -> int:
        """Number of characters."""
        return int(self.line_chars.sum())

    @property
    def n_bytes(self) -> int:
        """Number of bytes."""
        return int(self.line_bytes.sum())

    def split_lines(
        self, of_tokens: Shaped[np.ndarray, " tokens"], end_id: int
    ) -> list[Shaped[np.ndarray, " tokens_of_line"]]:
        """Cut what there is of each token into lines, each of which ends with the token `end_id` or the text."""
        ends = np.flatnonzero(self.tokens == end_id) + 1
        return np.split(of_tokens, ends[ends < self.n_tokens])

    def count_tokens(self, vocab_size: int) -> Integer[np.ndarray, " vocab"]:
        """Return how often each token of the vocabulary occurs."""
        if self.token_counts is not None:
            return self.token_counts
        return np.bincount(self.tokens, minlength=vocab_size)


def encode_text(name: str, blocks: Iterable[str], tokenizer: Tokenizer, split: str | None) -> EncodedText:
    """Encode a text into memory."""
    encoder = TextEncoder(tokenizer)
    tokens, line_chars, line_bytes = map(np.concatenate, zip(*encoder.encode(blocks), strict=True))
    n_unk = 0 if tokenizer.unk_id is None else int(np.count_nonzero(tokens == tokenizer.unk_id))
    return EncodedText(
        name=name,
        split=split,
        tokens=tokens,
        n_words=encoder.n_words,
        line_chars=line_chars,
        line_bytes=line_bytes,
        n_unk=n_unk,
        n_oov=n_unk - encoder.n_written_unk,
        sha256=encoder.sha256,
    )


class EncodedStretch(NamedTuple):
    """The tokens of a stretch of a text, and the lengths of the lines that end in it."""

    tokens: Integer[np.ndarray, " tokens"]
    line_chars: Int[np.ndarray, " lines"]
    line_bytes: Int[np.ndarray, " lines"]


class TextCounter:
    """What is counted of a text that comes in stretches; the counts are those of the text so far."""

    def __init__(self) -> None:
        self.n_chars = self.n_bytes = self.n_words = 0
        self._digest = hashlib.sha256()
        self._is_within_word = False
        self._open_chars = self._open_bytes = 0
        """Of the line that has not ended yet."""

    @property
    def sha256(self) -> str:
        """Digest of the text."""
        return self._digest.hexdigest()

    def count(self, stretch: str) -> tuple[Int[np.ndarray, " lines"], Int[np.ndarray, " lines"]]:
        """Count a part of the text, cut anywhere; return characters and bytes of the lines that end in it."""
        content = stretch.encode()
        self._digest.update(content)
        words = words_of(stretch)
        continues_word = self._is_within_word and not is_white(stretch[:1])
        self.n_words += len(words) - (bool(words) and continues_word)
        self._is_within_word = not is_white(stretch[-1:]) if stretch else self._is_within_word
        self.n_chars += len(stretch)
        self.n_bytes += len(content)

        octets = np.frombuffer(content, dtype=np.uint8)
        ends = np.flatnonzero(octets == ord("\n")) + 1
        # A character of UTF-8 has one byte that is no continuation, 0b10xxxxxx.
        ends_chars = ends - np.searchsorted(np.flatnonzero((octets & 0xC0) == 0x80), ends)
        line_bytes = np.diff(ends, prepend=-self._open_bytes)
        line_chars = np.diff(ends_chars, prepend=-self._open_chars)
        self._open_bytes += len(content) - int(line_bytes.sum())
        self._open_chars += len(stretch) - int(line_chars.sum())
        return line_chars, line_bytes


class TextEncoder(TextCounter):
    """One pass over a text. Reading, encoding and counting go on at once: the library leaves Python to others."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.n_tokens = self.n_written_unk = 0

    def encode(self, blocks: Iterable[str]) -> Iterator[EncodedStretch]:
        """Encode the text to its end, from where the pass is."""
        encoded = self.tokenizer.encode_blocks(_ahead(blocks), is_line_begun=self._open_chars > 0)
        for stretch, tokens in _ahead(encoded):
            lengths = self.count(stretch)
            self.n_tokens += len(tokens)
            self.n_written_unk += self.tokenizer.count_written_unk(stretch)
            yield EncodedStretch(tokens, *lengths)
        if self._open_bytes:
            nothing = np.zeros(0, dtype=np.int32)
            yield EncodedStretch(nothing, np.array([self._open_chars]), np.array([self._open_bytes]))


def _ahead(items: Iterable[Item], n_ahead: int = 2) -> Iterator[Item]:
    """The items, each made by a thread of its own up to `n_ahead` before it is asked for."""
    iterator, end = iter(items), object()

    def make() -> Any:
        return next(iterator, end)

    thread = ThreadPoolExecutor(1)
    try:
        made = deque(thread.submit(make) for _ in range(n_ahead))
        while (item := made.popleft().result()) is not end:
            made.append(thread.submit(make))
            yield item
    finally:
        thread.shutdown(cancel_futures=True)
