"""Characters and bytes. The newline is one of them; nothing else ends a line."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Self

import numpy as np
import tokenizers as library
from jaxtyping import Int32
from tokenizers import decoders, models, pre_tokenizers

from lstmlm.config.data import ByteTokenizerOptions, CharTokenizerOptions
from lstmlm.corpus.tokenizers.tokenizer import UNK, ByteLevelTokenizer, LearntTokenizer, make_vocabulary, require_utf8


class CharTokenizer(LearntTokenizer):
    """Unicode characters. `decode` restores the text exactly, but for unknown characters."""

    special_tokens = (UNK, "\n")

    def __init__(self, options: CharTokenizerOptions, json_text: str) -> None:
        """Take a tokenizer as `to_json` wrote it."""
        super().__init__(options, json_text)
        # The engine encodes to the same ids, with an object for every character: 100 times as slow, in 100 times
        # the memory.
        self._id_of_code_point = np.full(0x110000, self._ids[UNK], dtype=np.int32)
        for token, token_id in self._ids.items():
            if len(token) == 1:
                self._id_of_code_point[ord(token)] = token_id

    @classmethod
    def _untrained(cls, options: CharTokenizerOptions) -> library.Tokenizer:
        # Byte pair encoding without merges: every character by itself.
        engine = library.Tokenizer(models.BPE({}, [], unk_token=UNK))
        engine.decoder = decoders.Fuse()
        return engine

    @classmethod
    def train(cls, options: CharTokenizerOptions, blocks: Iterable[str]) -> Self:
        """Count the characters of a text; see `Tokenizer.train`."""
        counts = Counter(chain.from_iterable(blocks))
        vocabulary = make_vocabulary(counts, cls.special_tokens, options.max_vocab, options.min_count)
        engine = cls._untrained(options)
        engine.model = models.BPE(vocabulary, [], unk_token=UNK)
        return cls(options, engine.to_str(pretty=True))

    def _find_start(self) -> int:
        return self._ids["\n"]

    def encode_blocks(
        self, blocks: Iterable[str], *, is_line_begun: bool = False
    ) -> Iterator[tuple[str, Int32[np.ndarray, " tokens"]]]:
        """Encode a text that comes in blocks; see `Tokenizer.encode_blocks`."""
        for block in blocks:
            code_points = np.frombuffer(block.encode("utf-32-le"), dtype="<u4")
            yield block, np.take(self._id_of_code_point, code_points)

    def unknown_pieces(self, text: str) -> list[str]:
        """The characters of a text that become `<unk>`, in its order."""
        return [character for character in require_utf8(text) if character not in self._ids]


class ByteTokenizer(ByteLevelTokenizer):
    """The bytes of UTF-8: an id is the value of its byte. `decode` restores the text exactly."""

    @classmethod
    def _untrained(cls, options: ByteTokenizerOptions) -> library.Tokenizer:
        engine = library.Tokenizer(models.BPE({}, []))
        engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        engine.decoder = decoders.ByteLevel()
        return engine

    @classmethod
    def train(cls, options: ByteTokenizerOptions, blocks: Iterable[str]) -> Self:
        """Nothing is counted: all 256 bytes are known."""
        engine = cls._untrained(options)
        engine.model = models.BPE({character: byte for byte, character in enumerate(cls.special_tokens)}, [])
        return cls(options, engine.to_str(pretty=True))

    def encode_blocks(
        self, blocks: Iterable[str], *, is_line_begun: bool = False
    ) -> Iterator[tuple[str, Int32[np.ndarray, " tokens"]]]:
        """Encode a text that comes in blocks; see `Tokenizer.encode_blocks`."""
        # The engine encodes to the same, more slowly.
        return ((block, np.frombuffer(block.encode(), dtype=np.uint8).astype(np.int32)) for block in blocks)

    def token(self, token_id: int) -> str:
        """The character of an ASCII byte that can be printed, else its value."""
        return chr(token_id) if 0x20 < token_id < 0x7F else f"0x{token_id:02X}"
