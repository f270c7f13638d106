"""Word, character and byte tokenizers on the `tokenizers` library, whose JSON file is all that a tokenizer is.

Words: a newline is read as `<eos>`, so that every line ends with it; a word `<unk>` or `<eos>` in the text is that
token, as corpora such as Penn Treebank have it. Characters and bytes have the newline itself.
"""

import hashlib
import string
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Self

import numpy as np
import tokenizers as library
from jaxtyping import Int32
from tokenizers import decoders, models, normalizers, pre_tokenizers

from lstmlm.config.data import ByteTokenizerOptions, CharTokenizerOptions, TokenizerOptions, WordTokenizerOptions
from lstmlm.corpus.joining import ByteJoiner, CharJoiner, Joiner, WordJoiner
from lstmlm.errors import ConfigError, DataError

Ids = Sequence[int] | Int32[np.ndarray, " tokens"]

UNK = "<unk>"
EOS = "<eos>"

_WORD_OR_MARK = rf"{UNK}|{EOS}|\w+(?:['’.\-]\w+)*|[^\w\s]"
"""`don't`, `os.path`, `3.11` and `well-known` stay whole; every other mark is a piece of its own."""

SPLITTERS: Mapping[str, pre_tokenizers.PreTokenizer] = {
    "whitespace": pre_tokenizers.WhitespaceSplit(),
    "punctuation": pre_tokenizers.Split(library.Regex(_WORD_OR_MARK), behavior="removed", invert=True),
}


class Tokenizer(ABC):
    """A fixed vocabulary with the way from text to ids and back."""

    def __init__(self, json_text: str) -> None:
        """Take a tokenizer as `to_json` wrote it.

        Raises:
            DataError: it is not the JSON of a tokenizer.
        """
        try:
            self._engine = library.Tokenizer.from_str(json_text)
        except Exception as error:  # the library raises nothing more specific
            raise DataError(f"tokenizer.json: not a tokenizer ({error}). Restore the file from its run.") from error
        # The text is kept, not written anew, so that its digest does not change with the library's version.
        self._json_text = json_text
        vocabulary = sorted(self._engine.get_vocab(with_added_tokens=False).items(), key=itemgetter(1))
        self._tokens = [token for token, _ in vocabulary]
        self._ids = dict(vocabulary)

    @classmethod
    @abstractmethod
    def train(cls, options: Any, blocks: Iterable[str]) -> Self:
        """Build the vocabulary from a training text, given in blocks of whole lines."""

    @property
    def vocab_size(self) -> int:
        """Number of tokens, special ones included; ids are below it."""
        return len(self._tokens)

    @property
    @abstractmethod
    def start_id(self) -> int:
        """Id of what is read before the first token of a text: the end of a line."""

    @property
    def unk_id(self) -> int | None:
        """Id of `<unk>`; None where nothing is unknown."""
        return self._ids.get(UNK)

    @property
    def digest(self) -> str:
        """SHA-256 of `to_json`."""
        return hashlib.sha256(self._json_text.encode()).hexdigest()

    def to_json(self) -> str:
        """The content of tokenizer.json; `tokenizers.Tokenizer.from_str` of the library reads it as well."""
        return self._json_text

    @abstractmethod
    def encode(self, text: str) -> Int32[np.ndarray, " tokens"]:
        """Ids (int32) of whole lines of text."""

    def encode_prompt(self, text: str) -> list[int]:
        """Ids of the beginning of a text: its last line is not ended.

        Raises:
            DataError: the prompt holds bytes that are not UTF-8.
        """
        return list(map(int, self.encode(_require_utf8(text))))

    @abstractmethod
    def encode_unfinished(self, text: str) -> tuple[list[int], str]:
        """Ids of a text whose last word may go on, and what the next token then begins with.

        Where tokens are parts of words, these are all ids of the text and nothing; where a token is a word, the last
        one is not read yet.

        Raises:
            DataError: the text holds bytes that are not UTF-8.
        """

    @abstractmethod
    def encode_words(self, words: Sequence[str]) -> list[list[int]]:
        """Ids of each word of a line; all together are those of the words with one space between them.

        Words are pieces of text without white space. Where white space has tokens of its own, the space before a word
        belongs to it.

        Raises:
            DataError: a word holds bytes that are not UTF-8.
        """

    @property
    @abstractmethod
    def delimiter_ids(self) -> list[int]:
        """Tokens that say, by coming next, that the word before them is complete: they begin with white space.

        None where every token completes a word.
        """

    @abstractmethod
    def unknown_pieces(self, text: str) -> list[str]:
        """The distinct pieces of a text that become `<unk>`, in the order of the text."""

    def count_written_unk(self, text: str) -> int:
        """How many tokens of a text are `<unk>` because it says so: none where that is no token to write."""
        return 0

    @abstractmethod
    def decode(self, ids: Ids) -> str:
        """The text of ids, in its canonical form."""

    def token(self, token_id: int) -> str:
        """What tables call a token."""
        return self._tokens[token_id]

    @abstractmethod
    def joiner(self, prompt: str = "") -> Joiner:
        """A joiner of generated tokens to a text that goes on from `prompt`."""


class WordTokenizer(Tokenizer):
    """Words, cut at white space or at punctuation too; `<eos>` ends a line.

    `decode` puts one space between pieces: it is the text itself if that was tokenised, with single spaces.
    """

    @classmethod
    def train(cls, options: WordTokenizerOptions, blocks: Iterable[str]) -> Self:
        """Count the words of a text; see `Tokenizer.train`."""
        splitter = SPLITTERS[options.split]
        counts: Counter[str] = Counter()
        for block in blocks:
            counts.update(piece for piece, _ in splitter.pre_tokenize_str(block))
        vocabulary = _vocabulary(counts, (UNK, EOS), options.max_vocab, options.min_count)
        engine = library.Tokenizer(models.WordLevel(vocabulary, unk_token=UNK))
        engine.normalizer = normalizers.Replace("\n", f" {EOS} ")
        engine.pre_tokenizer = splitter
        return cls(engine.to_str(pretty=True))

    @property
    def start_id(self) -> int:
        """Id of `<eos>`."""
        return self._ids[EOS]

    def encode(self, text: str) -> Int32[np.ndarray, " tokens"]:
        """Ids (int32) of whole lines of text, an `<eos>` after each, also after a last one without a newline."""
        if text and not text.endswith("\n"):
            text += "\n"
        return np.array(self._engine.encode(text).ids, dtype=np.int32)

    def encode_prompt(self, text: str) -> list[int]:
        """Ids of the beginning of a text; see `Tokenizer.encode_prompt`."""
        return self._engine.encode(_require_utf8(text)).ids

    def encode_unfinished(self, text: str) -> tuple[list[int], str]:
        """Ids of a text but its last word, and that word; see `Tokenizer.encode_unfinished`."""
        encoding = self._engine.encode(_require_utf8(text))
        return encoding.ids[:-1], text[encoding.offsets[-1][0] :]

    def encode_words(self, words: Sequence[str]) -> list[list[int]]:
        """Ids of each word of a line; see `Tokenizer.encode_words`."""
        return [encoding.ids for encoding in self._engine.encode_batch([_require_utf8(word) for word in words])]

    @property
    def delimiter_ids(self) -> list[int]:
        """None: no token is white space."""
        return []

    def unknown_pieces(self, text: str) -> list[str]:
        """The distinct words of a text that become `<unk>`, in the order of the text; not `<unk>` itself."""
        pieces = self._engine.pre_tokenizer.pre_tokenize_str(_require_utf8(text))
        return [piece for piece in dict.fromkeys(piece for piece, _ in pieces) if piece not in self._ids]

    def count_written_unk(self, text: str) -> int:
        """How many tokens of a text are `<unk>` because it says so."""
        # Cutting takes as long as encoding does; few words come into question.
        candidates = " ".join(word for word in text.split() if UNK in word)
        return sum(piece == UNK for piece, _ in self._engine.pre_tokenizer.pre_tokenize_str(candidates))

    def decode(self, ids: Ids) -> str:
        """The lines of ids, one space between words."""
        pieces = ("\n" if i == self.start_id else self._tokens[i] for i in ids)
        return " ".join(pieces).replace(" \n", "\n").replace("\n ", "\n")

    def joiner(self, prompt: str = "") -> Joiner:
        """A joiner that spaces words as a person would."""
        return WordJoiner(self._tokens, self.start_id, prompt)


class CharTokenizer(Tokenizer):
    """Unicode characters. `decode` restores the text exactly, but for unknown characters."""

    def __init__(self, json_text: str) -> None:
        """Take a tokenizer as `to_json` wrote it."""
        super().__init__(json_text)
        # The engine encodes to the same ids, with an object for every character: 100 times as slow, in 100 times
        # the memory.
        self._id_of_code_point = np.full(0x110000, self._ids[UNK], dtype=np.int32)
        for token, token_id in self._ids.items():
            if len(token) == 1:
                self._id_of_code_point[ord(token)] = token_id

    @classmethod
    def train(cls, options: CharTokenizerOptions, blocks: Iterable[str]) -> Self:
        """Count the characters of a text; see `Tokenizer.train`."""
        counts: Counter[str] = Counter()
        for block in blocks:
            counts.update(block)
        vocabulary = _vocabulary(counts, (UNK, "\n"), options.max_vocab, options.min_count)
        # Byte pair encoding without merges: every character by itself.
        engine = library.Tokenizer(models.BPE(vocabulary, [], unk_token=UNK))
        engine.decoder = decoders.Fuse()
        return cls(engine.to_str(pretty=True))

    @property
    def start_id(self) -> int:
        """Id of the newline."""
        return self._ids["\n"]

    def encode(self, text: str) -> Int32[np.ndarray, " tokens"]:
        """Ids (int32), one a character."""
        code_points = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
        return np.take(self._id_of_code_point, code_points)

    def encode_unfinished(self, text: str) -> tuple[list[int], str]:
        """Ids of a text, the next of which may be any; see `Tokenizer.encode_unfinished`."""
        return self.encode_prompt(text), ""

    def encode_words(self, words: Sequence[str]) -> list[list[int]]:
        """Ids of each word of a line; see `Tokenizer.encode_words`."""
        return _encode_spaced(self, words)

    @property
    def delimiter_ids(self) -> list[int]:
        """The white space of the vocabulary."""
        return [token_id for token, token_id in self._ids.items() if token.isspace()]

    def unknown_pieces(self, text: str) -> list[str]:
        """The distinct characters of a text that become `<unk>`, in the order of the text."""
        return [character for character in dict.fromkeys(_require_utf8(text)) if character not in self._ids]

    def decode(self, ids: Ids) -> str:
        """The characters of ids."""
        return "".join(self._tokens[i] for i in ids)

    def joiner(self, prompt: str = "") -> Joiner:
        """A joiner that puts characters side by side."""
        return CharJoiner(self._tokens)


class ByteTokenizer(Tokenizer):
    """The bytes of UTF-8: an id is the value of its byte. `decode` restores the text exactly."""

    @classmethod
    def train(cls, options: ByteTokenizerOptions, blocks: Iterable[str]) -> Self:
        """Nothing is counted: all 256 bytes are known."""
        # The library writes each byte as a printable character: itself where it is one, else one of its own choice.
        alphabet = set(pre_tokenizers.ByteLevel.alphabet())
        others = iter(sorted(alphabet - set(map(chr, range(256)))))
        vocabulary = {(chr(byte) if chr(byte) in alphabet else next(others)): byte for byte in range(256)}
        engine = library.Tokenizer(models.BPE(vocabulary, []))
        engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        engine.decoder = decoders.ByteLevel()
        return cls(engine.to_str(pretty=True))

    @property
    def start_id(self) -> int:
        """Id of the newline."""
        return ord("\n")

    def encode(self, text: str) -> Int32[np.ndarray, " tokens"]:
        """Ids (int32), one a byte; the engine encodes to the same, more slowly."""
        return np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int32)

    def encode_unfinished(self, text: str) -> tuple[list[int], str]:
        """Ids of a text, the next of which may be any; see `Tokenizer.encode_unfinished`."""
        return self.encode_prompt(text), ""

    def encode_words(self, words: Sequence[str]) -> list[list[int]]:
        """Ids of each word of a line; see `Tokenizer.encode_words`."""
        return _encode_spaced(self, words)

    @property
    def delimiter_ids(self) -> list[int]:
        """The white space of ASCII."""
        return list(string.whitespace.encode())

    def unknown_pieces(self, text: str) -> list[str]:
        """Nothing is unknown."""
        _require_utf8(text)
        return []

    def decode(self, ids: Ids) -> str:
        """The text of the bytes, with U+FFFD in place of what is not UTF-8."""
        return bytes(int(i) for i in ids).decode("utf-8", errors="replace")

    def token(self, token_id: int) -> str:
        """The character of an ASCII byte that can be printed, else its value."""
        return chr(token_id) if 0x20 < token_id < 0x7F else f"0x{token_id:02X}"

    def joiner(self, prompt: str = "") -> Joiner:
        """A joiner that holds bytes back until they make a character."""
        return ByteJoiner()


TOKENIZERS: Mapping[type[TokenizerOptions], type[Tokenizer]] = {
    WordTokenizerOptions: WordTokenizer,
    CharTokenizerOptions: CharTokenizer,
    ByteTokenizerOptions: ByteTokenizer,
}


def train_tokenizer(options: TokenizerOptions, blocks: Iterable[str]) -> Tokenizer:
    """Build the tokenizer that `options` describe on a training text, given in blocks of whole lines.

    Raises:
        ConfigError: the vocabulary is too small to hold anything.
    """
    return TOKENIZERS[type(options)].train(options, blocks)


def load_tokenizer(options: TokenizerOptions, json_text: str) -> Tokenizer:
    """Restore the tokenizer that `options` describe from the content of tokenizer.json.

    Raises:
        DataError: the content is not that of a tokenizer.
    """
    return TOKENIZERS[type(options)](json_text)


def _vocabulary(
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


def _encode_spaced(tokenizer: Tokenizer, words: Sequence[str]) -> list[list[int]]:
    """Ids of each word with the space before it."""
    return [tokenizer.encode_prompt(f" {word}" if index else word) for index, word in enumerate(words)]


def _require_utf8(prompt: str) -> str:
    """Refuse what the command line makes of bytes that are not UTF-8: halves of surrogate pairs."""
    try:
        prompt.encode()
    except UnicodeEncodeError:
        raise DataError(f"prompt: not UTF-8, got {prompt!r}. Set the terminal's encoding to UTF-8.") from None
    return prompt
