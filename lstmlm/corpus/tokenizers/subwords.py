"""Parts of words, learnt from the training text: byte pair encoding and unigram pieces, both over bytes.

No text is unknown, since every byte is a token of its own. The space before a word belongs to it, so that a token that
begins with white space says that the word before it is complete; a newline is always a token by itself.
"""

import json
import math
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any, Self

import numpy as np
import tokenizers as library
from jaxtyping import Int32
from tokenizers import decoders, models, pre_tokenizers, trainers

from lstmlm.config.data import BPETokenizerOptions, SubwordTokenizerOptions, UnigramTokenizerOptions
from lstmlm.corpus.tokenizers.joining import ByteJoiner, Joiner
from lstmlm.corpus.tokenizers.tokenizer import (
    Ids,
    LearntTokenizer,
    byte_alphabet,
    encode_parts,
    encode_spaced,
    require_utf8,
)
from lstmlm.corpus.tokenizers.training_text import sample
from lstmlm.errors import DataError

SCORE_DECIMALS = 9
"""Of the logarithms of probabilities of unigram pieces."""


UNSEEN_NATS = 1.0
"""How much less likely than any piece a byte is that the training text does not have."""


class SubwordTokenizer(LearntTokenizer):
    """Parts of words. `decode` restores the text exactly."""

    special_tokens = tuple(byte_alphabet())

    def __init__(self, options: SubwordTokenizerOptions, json_text: str) -> None:
        """Take a tokenizer as `to_json` wrote it."""
        super().__init__(options, json_text)
        byte_of = {character: byte for byte, character in enumerate(self.special_tokens)}
        try:
            self._bytes = [bytes(byte_of[character] for character in token) for token in self._tokens]
        except KeyError as error:
            raise DataError(f"tokenizer.json: {error} is no byte. Restore the file from its run.") from None
        self._start_id = self._bytes.index(b"\n")

    @classmethod
    def _untrained(cls, options: SubwordTokenizerOptions) -> library.Tokenizer:
        engine = library.Tokenizer(cls._model())
        engine.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split("\n", behavior="isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
            ]
        )
        engine.decoder = decoders.ByteLevel()
        return engine

    @classmethod
    def train(cls, options: SubwordTokenizerOptions, blocks: Iterable[str]) -> Self:
        """Learn the parts of a text; see `Tokenizer.train`."""
        engine = cls._untrained(options)
        engine.train_from_iterator(sample(blocks, options.sample_bytes), cls._trainer(options))
        return cls(options, cls._settled(engine.to_str(pretty=True)))

    @classmethod
    def _settled(cls, json_text: str) -> str:
        """Return the trained engine without what chance has left in it."""
        return json_text

    @classmethod
    @abstractmethod
    def _model(cls) -> models.Model:
        """Return the library's model, without vocabulary."""

    @classmethod
    @abstractmethod
    def _trainer(cls, options: Any) -> trainers.Trainer:
        """Return what trains it."""

    @property
    def start_id(self) -> int:
        """Id of the newline."""
        return self._start_id

    def encode(self, text: str) -> Int32[np.ndarray, " tokens"]:
        """Ids (int32) of whole lines of text."""
        return encode_parts(self._engine, text)

    def encode_words(self, words: Sequence[str]) -> list[list[int]]:
        """Ids of each word of a line; see `Tokenizer.encode_words`."""
        return encode_spaced(self, words)

    @property
    def delimiter_ids(self) -> list[int]:
        """The tokens that begin with white space."""
        return [token_id for token_id, content in enumerate(self._bytes) if content[:1].isspace()]

    def unknown_pieces(self, text: str) -> list[str]:
        """Nothing is unknown."""
        require_utf8(text)
        return []

    def decode(self, ids: Ids) -> str:
        """The text of ids, with U+FFFD in place of what is not UTF-8."""
        return b"".join(self._bytes[int(i)] for i in ids).decode("utf-8", errors="replace")

    def content(self, token_id: int) -> bytes:
        """The bytes of a token."""
        return self._bytes[token_id]

    def token(self, token_id: int) -> str:
        """The text of a token, or its bytes where they are a part of a character."""
        content = self._bytes[token_id]
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            return "".join(f"0x{byte:02X}" for byte in content)

    def joiner(self, prompt: str = "") -> Joiner:
        """A joiner that holds bytes back until they make a character."""
        return ByteJoiner(self._bytes)


class BPETokenizer(SubwordTokenizer):
    """Byte pair encoding (Sennrich et al. 2016), over bytes: the most frequent pair of neighbours becomes a token."""

    @classmethod
    def _model(cls) -> models.Model:
        return models.BPE()

    @classmethod
    def _trainer(cls, options: BPETokenizerOptions) -> trainers.Trainer:
        return trainers.BpeTrainer(
            vocab_size=options.vocab_size,
            min_frequency=options.min_count,
            initial_alphabet=list(byte_alphabet()),
            show_progress=False,
        )


class UnigramTokenizer(SubwordTokenizer):
    """Unigram pieces (Kudo 2018): those that give the text the highest likelihood, words are cut the likeliest way."""

    @classmethod
    def _model(cls) -> models.Model:
        return models.Unigram([])  # without an argument, the library would expect unknown pieces

    @classmethod
    def _trainer(cls, options: UnigramTokenizerOptions) -> trainers.Trainer:
        return trainers.UnigramTrainer(vocab_size=options.vocab_size, show_progress=False)

    @classmethod
    def _settled(cls, json_text: str) -> str:
        """Make the scores those of the text alone, and add the bytes that are missing.

        The library adds scores up in another order every time, and ranks bytes that occur only inside longer pieces by
        chance: these get one score.
        """
        content = json.loads(json_text)
        scores = {piece: round(score, SCORE_DECIMALS) for piece, score in content["model"]["vocab"]}
        least = min((score for piece, score in scores.items() if len(piece) > 1), default=-math.inf)
        rare = {piece: score for piece, score in scores.items() if len(piece) == 1 and score < least}
        scores |= dict.fromkeys(rare, round(fmean(sorted(rare.values())), SCORE_DECIMALS) if rare else 0.0)
        unseen = min(scores.values()) - UNSEEN_NATS
        scores = dict.fromkeys(byte_alphabet(), unseen) | scores
        content["model"]["vocab"] = sorted(scores.items(), key=lambda piece: (-piece[1], piece[0]))
        return json.dumps(content, ensure_ascii=False, indent=2)
