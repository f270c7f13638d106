"""Parts of words, learnt from the training text: byte pair encoding and unigram pieces, both over bytes.

No text is unknown, since every byte is a token of its own. The space before a word belongs to it, so that a token that
begins with white space says that the word before it is complete; a newline is always a token by itself.
"""

import json
import math
from collections.abc import Iterable
from statistics import fmean
from typing import Self

import tokenizers as library
from tokenizers import decoders, models, pre_tokenizers, trainers

from lstmlm.config.data import BPETokenizerOptions, SubwordTokenizerOptions, UnigramTokenizerOptions
from lstmlm.corpus.tokenizers.tokenizer import ByteLevelTokenizer
from lstmlm.corpus.tokenizers.training_text import sample

SCORE_DECIMALS = 9
"""Of the logarithms of probabilities of unigram pieces."""

UNSEEN_NATS = 1.0
"""How much less likely than any piece a byte is that the training text does not have."""


class SubwordTokenizer(ByteLevelTokenizer):
    """Parts of words."""

    @staticmethod
    def _engine_of(model: models.Model) -> library.Tokenizer:
        engine = library.Tokenizer(model)
        engine.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split("\n", behavior="isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
            ]
        )
        engine.decoder = decoders.ByteLevel()
        return engine

    @classmethod
    def _learnt(cls, options: SubwordTokenizerOptions, blocks: Iterable[str], trainer: trainers.Trainer) -> str:
        engine = cls._untrained(options)
        engine.train_from_iterator(sample(blocks, options.sample_bytes), trainer)
        return engine.to_str(pretty=True)

    def token(self, token_id: int) -> str:
        """The text of a token, or its bytes where they are a part of a character."""
        content = self.content(token_id)
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            return "".join(f"0x{byte:02X}" for byte in content)


class BPETokenizer(SubwordTokenizer):
    """Byte pair encoding (Sennrich et al. 2016), over bytes: the most frequent pair of neighbours becomes a token."""

    @classmethod
    def _untrained(cls, options: BPETokenizerOptions) -> library.Tokenizer:
        return cls._engine_of(models.BPE())

    @classmethod
    def train(cls, options: BPETokenizerOptions, blocks: Iterable[str]) -> Self:
        """Learn the parts of a text; see `Tokenizer.train`."""
        trainer = trainers.BpeTrainer(
            vocab_size=options.vocab_size,
            min_frequency=options.min_count,
            initial_alphabet=list(cls.special_tokens),
            show_progress=False,
        )
        return cls(options, cls._learnt(options, blocks, trainer))


class UnigramTokenizer(SubwordTokenizer):
    """Unigram pieces (Kudo 2018): those that give the text the highest likelihood, words are cut the likeliest way."""

    @classmethod
    def _untrained(cls, options: UnigramTokenizerOptions) -> library.Tokenizer:
        return cls._engine_of(models.Unigram([]))  # without an argument, the library would expect unknown pieces

    @classmethod
    def train(cls, options: UnigramTokenizerOptions, blocks: Iterable[str]) -> Self:
        """Learn the parts of a text; see `Tokenizer.train`.

        The scores are made those of the text alone, and the bytes that are missing are added. The library adds scores
        up in another order every time, and ranks bytes that occur only inside longer pieces by chance: these get one
        score.
        """
        trainer = trainers.UnigramTrainer(vocab_size=options.vocab_size, show_progress=False)
        content = json.loads(cls._learnt(options, blocks, trainer))
        scores = {piece: round(score, SCORE_DECIMALS) for piece, score in content["model"]["vocab"]}
        least = min((score for piece, score in scores.items() if len(piece) > 1), default=-math.inf)
        rare = {piece: score for piece, score in scores.items() if len(piece) == 1 and score < least}
        scores |= dict.fromkeys(rare, round(fmean(sorted(rare.values())), SCORE_DECIMALS) if rare else 0.0)
        unseen = min(scores.values()) - UNSEEN_NATS
        scores = dict.fromkeys(cls.special_tokens, unseen) | scores
        content["model"]["vocab"] = sorted(scores.items(), key=lambda piece: (-piece[1], piece[0]))
        return cls(options, json.dumps(content, ensure_ascii=False, indent=2))
