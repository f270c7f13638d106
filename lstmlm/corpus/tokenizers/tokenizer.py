"""What a tokenizer is: a fixed vocabulary, on the `tokenizers` library, whose JSON file is all of it."""

import hashlib
import json
import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from operator import itemgetter
from typing import Any, ClassVar, Self

import numpy as np
import tokenizers as library
from jaxtyping import Int32
from tokenizers import pre_tokenizers

from lstmlm.corpus.reading.text_files import cut_between_words
from lstmlm.corpus.reading.white_space import is_white, words_of
from lstmlm.corpus.tokenizers.components import open_engine
from lstmlm.corpus.tokenizers.joining import ByteJoiner, Joiner, RawJoiner
from lstmlm.errors import ConfigError, DataError, shown

Ids = Sequence[int] | Int32[np.ndarray, " tokens"]

UNK = "<unk>"
EOS = "<eos>"

LONGEST_WORD_CHARS = 1 << 20
"""The library reads a word as a whole, and keeps many times the memory of each character."""

CORE_CHARS = 1 << 11
"""Characters that a core encodes at a time: in longer parts the library slows down."""

SHOWN_UNKNOWN = 5
"""Pieces of a text that a warning names."""

LAST_BETWEEN_WORDS = re.compile(r"(?s:.+)(?:(?<=\n)|(?<=\S)(?= \S))")
"""A text up to the last place where `cut_between_words` may cut it."""

_BEFORE_WORDS = re.compile(r"(?<=\n)|(?= \S)")
_LAST_BEFORE_WORDS = re.compile(rf"(?s:.+)(?:{_BEFORE_WORDS.pattern})")
"""Where what is learnt here may be cut, too: its words take one space along, of however many."""


def warnings_of_unknown(pieces: Sequence[str]) -> list[str]:
    """Say which pieces of a text a model reads as `<unk>`, or not at all, if there are any."""
    pieces = list(dict.fromkeys(pieces))
    named = ", ".join(piece if len(piece) <= 60 else f"{piece[:59]}…" for piece in pieces[:SHOWN_UNKNOWN])
    more = f" and {len(pieces) - SHOWN_UNKNOWN:,} more" if len(pieces) > SHOWN_UNKNOWN else ""
    are_apart = any(len(unicodedata.normalize("NFC", piece)) < len(piece) for piece in pieces)
    form = " Letters and their marks are apart here: a text that has them as one is in NFC." if are_apart else ""
    return [f"the model does not know {named}{more}: read as <unk>.{form}"] if pieces else []


def byte_alphabet() -> Sequence[str]:
    """Return the printable character by which the library writes each byte: itself where it is one, else another."""
    alphabet = set(pre_tokenizers.ByteLevel.alphabet())
    others = iter(sorted(alphabet - set(map(chr, range(256)))))
    return [chr(byte) if chr(byte) in alphabet else next(others) for byte in range(256)]


class Tokenizer(ABC):
    """A fixed vocabulary with the way from text to ids and back."""

    always_restores: ClassVar[bool] = True
    """Whether it `restores` every text."""

    model_type: str
    """How it cuts a text, by the library's name."""

    added_tokens: Sequence[str]
    """Tokens that a file has beside its vocabulary."""

    ends_open_lines = False
    """Whether `encode` ends a last line that is open."""

    def __init__(self, options: Any, json_text: str) -> None:
        """Take a tokenizer as `to_json` wrote it. Raises DataError if it is not one that `options` describe."""
        # The text is kept, not written anew, so that its digest does not change with the library's version.
        self._json_text = json_text
        self._ids = dict(sorted(self._open(options, json_text).items(), key=itemgetter(1)))
        self._tokens = list(self._ids)
        self._contents = [token.encode() for token in self._tokens]
        self.unk_id = self._ids.get(UNK)
        """Id of `<unk>`, or of what a file has in its place; None where nothing is unknown."""
        self.start_id = self._find_start()
        """Id of what is read before the first token of a text: the end of a line."""

    @abstractmethod
    def _open(self, options: Any, json_text: str) -> Mapping[str, int]:
        """Read what cuts texts; return its vocabulary. Raises DataError if it asks for what need not end."""

    @abstractmethod
    def _find_start(self) -> int:
        """The id of what ends a line."""

    @classmethod
    @abstractmethod
    def train(cls, options: Any, blocks: Iterable[str]) -> Self:
        """Build the vocabulary from a training text that comes in blocks, cut anywhere between two characters."""

    @property
    def vocab_size(self) -> int:
        """Number of tokens, special ones included; ids are below it."""
        return len(self._tokens)

    @property
    def digest(self) -> str:
        """SHA-256 of `to_json`."""
        return hashlib.sha256(self._json_text.encode()).hexdigest()

    def to_json(self) -> str:
        """The content of tokenizer.json; `tokenizers.Tokenizer.from_str` of the library reads it as well."""
        return self._json_text

    def encode(self, text: str) -> Int32[np.ndarray, " tokens"]:
        """Ids (int32) of whole lines of text, of which an open last one is ended where `ends_open_lines`."""
        return np.concatenate([np.zeros(0, dtype=np.int32), *(ids for _, ids in self.encode_blocks([text]))])

    @abstractmethod
    def encode_blocks(
        self, blocks: Iterable[str], *, is_line_begun: bool = False
    ) -> Iterator[tuple[str, Int32[np.ndarray, " tokens"]]]:
        """Encode a text that comes in blocks, cut anywhere between two characters, on all cores.

        Args:
            blocks: The text, or the rest of it from a place where a stretch has ended.
            is_line_begun: Whether that place is within a line.

        Yields:
            A stretch of the text and its ids; together they are the text and what `encode` makes of it.
        """

    def restores(self, stretch: str, ids: Ids, *, is_line_begun: bool) -> bool:
        """Whether ids say all of a stretch that `encode_blocks` has yielded, but for what is `<unk>` among them."""
        return True

    def dropped(self, text: str) -> list[str]:
        """The characters of a text that no token stands for, in its order; white space is none of them."""
        return []

    def encode_prompt(self, text: str) -> list[int]:
        """Ids of the beginning of a text: its last line is not ended. Raises DataError if it is not UTF-8."""
        return list(map(int, self.encode(require_utf8(text))))

    def encode_open(self, text: str, *, is_line_begun: bool) -> list[int]:
        """Ids of a text after a place that may be within a line; its last line is not ended."""
        parts = self.encode_blocks([text] if text else [], is_line_begun=is_line_begun)
        # What ends an open line belongs to no stretch.
        return [int(token_id) for stretch, ids in parts if stretch for token_id in ids]

    def encode_unfinished(self, text: str) -> tuple[list[int], str]:
        """Ids of a text but its last word, which may go on, and what the next tokens then begin with.

        That is the word with the space before it, which may belong to its first token. The tokens of the beginning of a
        word need not be the first ones of the word.

        Raises:
            DataError: the text holds bytes that are not UTF-8.
        """
        start = len(text) - len(words_of(text)[-1])
        start -= text[:start].endswith(" ")
        return self.encode_prompt(text[:start]), text[start:]

    def encode_pieces(self, pieces: Sequence[str]) -> list[list[int]]:
        """Ids of each piece of a text; all together are those of the beginning of a text that they make.

        Pieces are words, each with the white space before it, or white space alone; a newline ends its piece.

        Raises:
            DataError: a piece holds bytes that are not UTF-8, or the tokens do not tell where words end.
        """
        return [self.encode_prompt(piece) for piece in pieces]

    @cached_property
    def delimiter_ids(self) -> list[int]:
        """Tokens that say, by coming next, that the word before them is complete: they begin with white space.

        None where every token completes a word.

        Raises:
            DataError: the tokens do not tell where words end.
        """
        beginnings = (content.decode("utf-8", "ignore")[:1] for content in self._contents)
        return [token_id for token_id, beginning in enumerate(beginnings) if is_white(beginning)]

    def unknown_pieces(self, text: str) -> list[str]:
        """The pieces of a text that become `<unk>`, or nothing, in its order; none where bytes are tokens."""
        require_utf8(text)
        return []

    def count_written_unk(self, text: str) -> int:
        """How many tokens of a text are `<unk>` because it says so: none where that is no token to write."""
        return 0

    def decode(self, ids: Ids) -> str:
        """The text of ids, in its canonical form, with U+FFFD in place of what is not UTF-8."""
        return b"".join(self._contents[int(i)] for i in ids).decode("utf-8", errors="replace")

    def content(self, token_id: int) -> bytes:
        """What a token is in a text, as UTF-8, of which it may be a part of a character."""
        return self._contents[token_id]

    def token(self, token_id: int) -> str:
        """What tables call a token."""
        return self._tokens[token_id]

    def joiner(self, prompt: str = "") -> Joiner:
        """A joiner of generated tokens to a text that goes on from `prompt`."""
        return ByteJoiner(self._contents)

    def raw_joiner(self, prompt: str = "") -> Joiner:
        """A joiner that tells the tokens themselves."""
        return RawJoiner(self.token, self.start_id, prompt)


class LearntTokenizer(Tokenizer):
    """A tokenizer whose vocabulary comes from the training text, and all else of it from its options."""

    special_tokens: ClassVar[tuple[str, ...]]
    """What every vocabulary has."""

    added_tokens = ()

    def _open(self, options: Any, json_text: str) -> Mapping[str, int]:
        """Check that nothing but the vocabulary differs from what `options` describe."""
        self._engine = open_engine(json_text)
        self.model_type = type(self._engine.model).__name__
        ids = self._engine.get_vocab(with_added_tokens=False)
        is_whole = ids.keys() >= set(self.special_tokens) and sorted(ids.values()) == [*range(len(ids))]
        described = map(_settings_of, [self._untrained(options), *self._earlier(options)])
        if not is_whole or _settings_of(self._engine) not in described:
            raise DataError("tokenizer.json: not that of the run's data.tokenizer. Restore the file from its run.")
        return ids

    @classmethod
    @abstractmethod
    def _untrained(cls, options: Any) -> library.Tokenizer:
        """The library's tokenizer that `options` describe, without vocabulary."""

    def encode_blocks(
        self, blocks: Iterable[str], *, is_line_begun: bool = False
    ) -> Iterator[tuple[str, Int32[np.ndarray, " tokens"]]]:
        """Encode a text that comes in blocks; see `Tokenizer.encode_blocks`."""
        for stretch in _uncut_words(blocks):
            yield stretch, encode_parts(self._engine, stretch)

    @classmethod
    def _earlier(cls, options: Any) -> list[library.Tokenizer]:
        """What earlier versions have understood by the same options."""
        return []


class ByteLevelTokenizer(LearntTokenizer):
    """Bytes of UTF-8, alone or several as one token. `decode` restores the text exactly."""

    special_tokens = tuple(byte_alphabet())

    def __init__(self, options: Any, json_text: str) -> None:
        """Take a tokenizer as `to_json` wrote it."""
        super().__init__(options, json_text)
        byte_of = {character: byte for byte, character in enumerate(self.special_tokens)}
        try:
            self._contents = [bytes(byte_of[character] for character in token) for token in self._tokens]
        except KeyError as error:
            raise DataError(f"tokenizer.json: {error} is no byte. Restore the file from its run.") from None

    def _find_start(self) -> int:
        return self._ids[self.special_tokens[ord("\n")]]


def _settings_of(engine: library.Tokenizer) -> dict[str, Any]:
    """All that makes a tokenizer of the library, but for what it has learnt."""
    settings: dict[str, Any] = json.loads(engine.to_str())
    for learnt in ("vocab", "merges"):
        settings["model"].pop(learnt, None)
    return settings


def encode_parts(engine: library.Tokenizer, text: str) -> Int32[np.ndarray, " tokens"]:
    """Ids (int32) of a text, part by part on all cores. Raises DataError if a word is too long for the library."""
    parts = list(cut_between_words(text, CORE_CHARS, _BEFORE_WORDS))
    _refuse_long_words(max(parts, key=len, default=""))
    # The threads of a batch take longer to start than a sentence to encode.
    encodings = engine.encode_batch_fast(parts) if len(parts) > 1 else map(engine.encode, parts)
    ids = [np.array(encoding.ids, dtype=np.int32) for encoding in encodings]
    return np.concatenate([np.zeros(0, dtype=np.int32), *ids])


def _uncut_words(blocks: Iterable[str]) -> Iterator[str]:
    """A text in stretches of about the length of its blocks, cut before words."""
    pending = ""
    for block in blocks:
        pending += block
        if place := _LAST_BEFORE_WORDS.match(pending):
            yield place[0]
            pending = pending[place.end() :]
        else:
            _refuse_long_words(pending)
    if pending:
        yield pending


def _refuse_long_words(part: str) -> None:
    """Refuse a part that is too long to be read as a whole; what it has beside its longest word may be as long."""
    if len(part) > 2 * LONGEST_WORD_CHARS:
        raise DataError(
            f"data.tokenizer: the text has over {LONGEST_WORD_CHARS:,} characters without a space between. "
            "Choose name: char or byte."
        )


def make_vocabulary(
    counts: Mapping[str, int], special_tokens: Sequence[str], max_vocab: int | None, min_count: int
) -> dict[str, int]:
    """Ids of the special tokens, then of the types by falling count; equal counts in the order of their text."""
    if max_vocab is not None and max_vocab <= len(special_tokens):
        names = " and ".join(token.replace("\n", "newline") for token in special_tokens)
        raise ConfigError(
            f"data.tokenizer.max_vocab: {max_vocab} leaves no room beside {names}. "
            f"Make it {len(special_tokens) + 1} or more."
        )
    types = [text for text, n in counts.items() if n >= min_count and text not in special_tokens]
    types.sort(key=lambda text: (-counts[text], text))
    return {token: i for i, token in enumerate([*special_tokens, *types][:max_vocab])}


def require_utf8(prompt: str) -> str:
    """Refuse what the command line makes of bytes that are not UTF-8: halves of surrogate pairs."""
    try:
        prompt.encode()
    except UnicodeEncodeError:
        raise DataError(f"prompt: not UTF-8, got {shown(prompt)}. Set the terminal's encoding to UTF-8.") from None
    return prompt
