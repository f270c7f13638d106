"""From text to token ids, with all that is counted of a text on the way, in one pass over it."""

import hashlib
import math
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Int, Integer, Shaped

from lstmlm.corpus.reading.white_space import is_white, words_of
from lstmlm.corpus.tokenizers import Tokenizer
from lstmlm.corpus.tokenizers.tokenizer import SHOWN_UNKNOWN
from lstmlm.errors import DataError

Item = TypeVar("Item")

MANY_UNKNOWN = 0.3
"""Share of a text. Beyond it a perplexity says how well unknown tokens are foreseen, and little else."""

N_AHEAD = 2
"""Stretches that are encoded before they are asked for."""

SHOWN_CHARS = 1 << 18
"""How much of a stretch is cut once more to find what is unknown in it."""


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
    """Tokens that are `<unk>`, also where the text itself says so, and characters that no token stands for."""
    n_oov: int
    """Those that are in place of what the text says."""
    sha256: str
    """Digest of the text after the rules of `read_blocks`."""
    token_counts: Integer[np.ndarray, " vocab"] | None = None
    """How often each token of the vocabulary occurs, where that is known without reading the tokens."""
    restores_text: bool = True
    """Whether the tokens say all of the text, its case and white space too, but for what is `<unk>` among them."""
    unknown_pieces: Sequence[str] = ()
    """Most of what is unknown in the first stretch that has such, the commonest first."""

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

    @property
    def unk_rate(self) -> float:
        """How much of the text is unknown, as a share of its tokens."""
        return self.n_unk / max(1, self.n_tokens, self.n_unk)

    @property
    def unsaid(self) -> str | None:
        """What the tokens leave unsaid, which whoever predicts them need not spell; None where they say all.

        Bits per character and byte are those of the text only where there is nothing.
        """
        if self.n_oov:
            return f"{self.n_oov:,} tokens are <unk>, or none at all, in place of what the text says"
        lost = "its tokens do not give the text back (white space, case, or a word read as a token that ends lines)"
        return None if self.restores_text else lost

    def n_written_ends(self, end_id: int) -> int:
        """How many lines are ended by a word, such as `<eos>`, that the text itself says, where `end_id` ends one."""
        return max(0, int(self.count_tokens(end_id + 1)[end_id]) - self.n_lines)

    def split_lines(
        self, of_tokens: Shaped[np.ndarray, " tokens"], end_id: int
    ) -> list[Shaped[np.ndarray, " tokens_of_line"]]:
        """Cut what there is of each token into lines, each of which ends with the token `end_id` or the text."""
        ends = np.flatnonzero(self.tokens == end_id) + 1
        return np.split(of_tokens, ends[ends < self.n_tokens])

    def longest_line(self, end_id: int) -> int:
        """Return the tokens of the longest line, with the one that ends it, `end_id`."""
        ends = np.flatnonzero(self.tokens == end_id)
        return int(np.diff(ends, prepend=-1, append=self.n_tokens - 1).max())

    def count_tokens(self, vocab_size: int) -> Integer[np.ndarray, " vocab"]:
        """Return how often each token of the vocabulary occurs."""
        if self.token_counts is not None:
            return self.token_counts
        return np.bincount(self.tokens, minlength=vocab_size)


def encode_text(name: str, blocks: Iterable[str], tokenizer: Tokenizer, split: str | None) -> EncodedText:
    """Encode a text into memory."""
    encoder = TextEncoder(tokenizer)
    tokens, line_chars, line_bytes = map(np.concatenate, zip(*encoder.encode(blocks), strict=True))
    return EncodedText(
        name=name,
        split=split,
        tokens=tokens,
        line_chars=line_chars,
        line_bytes=line_bytes,
        **encoder.counts(np.bincount(tokens, minlength=tokenizer.vocab_size)),
    )


def measure(tokenizer: Tokenizer, blocks: Iterable[str]) -> dict[str, int | float | bool | None]:
    """How a tokenizer cuts a text, by the names of JSON.

    `unigram_bits_per_byte` is the entropy of the tokens' own frequencies: None where they do not say all of the text,
    because whoever predicts them need not spell the rest.

    Raises:
        DataError: there is nothing but white space.
    """
    encoder, token_counts = TextEncoder(tokenizer), np.zeros(tokenizer.vocab_size, dtype=np.int64)
    for stretch in encoder.encode(blocks):
        token_counts += np.bincount(stretch.tokens, minlength=tokenizer.vocab_size)
    if encoder.n_words == 0:
        raise DataError("--text: has no words. Give a text that has some.")
    n_tokens, counts = encoder.n_tokens, encoder.counts(token_counts)
    shares = token_counts[token_counts > 0] / n_tokens
    bits = -n_tokens * math.fsum(shares * np.log2(shares))
    says_all = counts["restores_text"] and not counts["n_oov"]
    return {
        "vocab_size": tokenizer.vocab_size,
        "n_tokens": n_tokens,
        "n_types": len(shares),
        "tokens_per_word": n_tokens / encoder.n_words,
        "bytes_per_token": encoder.n_bytes / n_tokens,
        "unk_rate": counts["n_unk"] / max(n_tokens, counts["n_unk"]),
        "unigram_bits_per_byte": bits / encoder.n_bytes if says_all else None,
        "restores_text": says_all,
    }


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
        self.n_tokens = self.n_written_unk = self.n_dropped = 0
        self.restores_text = True
        self.unknown_pieces: Sequence[str] = ()

    def encode(self, blocks: Iterable[str]) -> Iterator[EncodedStretch]:
        """Encode the text to its end, from where the pass is."""
        encoded = self.tokenizer.encode_blocks(_ahead(blocks), is_line_begun=self._open_chars > 0)
        for stretch, tokens in _ahead(encoded):
            self._compare(stretch, tokens)
            lengths = self.count(stretch)
            self.n_tokens += len(tokens)
            yield EncodedStretch(tokens, *lengths)
        if self._open_bytes:
            nothing = np.zeros(0, dtype=np.int32)
            yield EncodedStretch(nothing, np.array([self._open_chars]), np.array([self._open_bytes]))

    def counts(self, token_counts: Integer[np.ndarray, " vocab"]) -> dict[str, Any]:
        """What is known of the text so far, by the names of `EncodedText`, where each token occurs so often."""
        unk_id = self.tokenizer.unk_id
        n_unk = (0 if unk_id is None else int(token_counts[unk_id])) + self.n_dropped
        names = ("n_words", "restores_text", "sha256", "unknown_pieces")
        return {"n_unk": n_unk, "n_oov": n_unk - self.n_written_unk, **{name: getattr(self, name) for name in names}}

    def _compare(self, stretch: str, tokens: Integer[np.ndarray, " tokens"]) -> None:
        """Find what the tokens of a stretch leave out; one that is empty is the end of the last line."""
        tokenizer = self.tokenizer
        self.n_written_unk += tokenizer.count_written_unk(stretch)
        if self.restores_text and stretch:
            self.restores_text = tokenizer.restores(stretch, tokens, is_line_begun=self._open_chars > 0)
        n_dropped = 0 if self.restores_text else len(tokenizer.dropped(stretch))
        self.n_dropped += n_dropped
        if not self.unknown_pieces and (n_dropped or (tokens == tokenizer.unk_id).any()):
            unknown = Counter(tokenizer.unknown_pieces(stretch[:SHOWN_CHARS]))
            self.unknown_pieces = tuple(piece for piece, _ in unknown.most_common(SHOWN_UNKNOWN))


def _ahead(items: Iterable[Item]) -> Iterator[Item]:
    """The items, each made by a thread of its own up to `N_AHEAD` before it is asked for."""
    iterator, end = iter(items), object()

    def make() -> Any:
        return next(iterator, end)

    thread = ThreadPoolExecutor(1)
    try:
        made = deque(thread.submit(make) for _ in range(N_AHEAD))
        while (item := made.popleft().result()) is not end:
            made.append(thread.submit(make))
            yield item
    finally:
        thread.shutdown(cancel_futures=True)
