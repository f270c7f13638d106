"""Words. A newline is read as `<eos>`, so that every line ends with it.

A word `<unk>` or `<eos>` in the text is that token, as corpora such as Penn Treebank have it.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Self

import numpy as np
import tokenizers as library
from jaxtyping import Int32
from tokenizers import models, normalizers, pre_tokenizers

from lstmlm.config.data import WordTokenizerOptions
from lstmlm.corpus.reading.white_space import words_of
from lstmlm.corpus.tokenizers.components import WORD_OR_MARK, WORD_OR_MARK_0_1
from lstmlm.corpus.tokenizers.joining import Joiner, WordJoiner
from lstmlm.corpus.tokenizers.spacing import EnglishSpacing, LearntSpacing, Spacing, SpacingCounter
from lstmlm.corpus.tokenizers.tokenizer import EOS, UNK, Ids, LearntTokenizer, make_vocabulary, require_utf8
from lstmlm.corpus.tokenizers.training_text import count_types, pieces_of

SPLITTERS: Mapping[str, pre_tokenizers.PreTokenizer] = {
    "whitespace": pre_tokenizers.WhitespaceSplit(),
    "punctuation": pre_tokenizers.Split(library.Regex(WORD_OR_MARK), behavior="removed", invert=True),
}
SPLITTER_0_1 = pre_tokenizers.Split(library.Regex(WORD_OR_MARK_0_1), behavior="removed", invert=True)

_END_OF_MODEL = "\n  }\n}"

_SPACING_THAT_IS_LOST = re.compile(r"[^\S \n\x1c-\x1f]| (?=[ \n]|\Z)|\n ")
"""All but a space between two words and a newline between two lines."""


class WordTokenizer(LearntTokenizer):
    """Words, cut at white space or at punctuation too; `<eos>` ends a line.

    `decode` puts one space between pieces: it is the text itself if that was tokenised, with single spaces.
    """

    special_tokens = (UNK, EOS)
    always_restores = False
    ends_open_lines = True

    @classmethod
    def _untrained(cls, options: WordTokenizerOptions) -> library.Tokenizer:
        engine = library.Tokenizer(models.WordLevel({}, unk_token=UNK))
        engine.normalizer = normalizers.Replace("\n", f" {EOS} ")
        engine.pre_tokenizer = SPLITTERS[options.split]
        return engine

    @classmethod
    def _earlier(cls, options: WordTokenizerOptions) -> list[library.Tokenizer]:
        if options.split == "whitespace":
            return []
        engine = cls._untrained(options)
        engine.pre_tokenizer = SPLITTER_0_1
        return [engine]

    @classmethod
    def train(cls, options: WordTokenizerOptions, blocks: Iterable[str]) -> Self:
        """Count the words of a text, and what stands between them; see `Tokenizer.train`."""
        engine = cls._untrained(options)
        spacing = SpacingCounter()

        def words() -> Iterator[Iterator[str]]:
            for piece in pieces_of(blocks):
                found = engine.pre_tokenizer.pre_tokenize_str(piece)
                if options.split == "punctuation":  # otherwise it is white space
                    spacing.read(piece, found)
                yield (word for word, _ in found)

        vocabulary = make_vocabulary(count_types(words()), cls.special_tokens, options.max_vocab, options.min_count)
        engine.model = models.WordLevel(vocabulary, unk_token=UNK)
        # The library takes no notice of what it does not know in a model.
        rows = json.dumps(spacing.rows(), ensure_ascii=False)
        begun = engine.to_str(pretty=True).removesuffix(_END_OF_MODEL)
        return cls(options, f'{begun},\n    "spacing": {rows}{_END_OF_MODEL}')

    def _find_start(self) -> int:
        return self._ids[EOS]

    def encode_blocks(
        self, blocks: Iterable[str], *, is_line_begun: bool = False
    ) -> Iterator[tuple[str, Int32[np.ndarray, " tokens"]]]:
        """Encode a text that comes in blocks; see `Tokenizer.encode_blocks`."""
        for stretch, ids in super().encode_blocks(blocks):
            yield stretch, ids
            is_line_begun = not stretch.endswith("\n")
        if is_line_begun:
            yield "", np.array([self.start_id], dtype=np.int32)

    def encode_prompt(self, text: str) -> list[int]:
        """Ids of the beginning of a text; see `Tokenizer.encode_prompt`."""
        return self._engine.encode(require_utf8(text)).ids

    def encode_unfinished(self, text: str) -> tuple[list[int], str]:
        """Ids of a text but its last word, and that word; see `Tokenizer.encode_unfinished`."""
        encoding = self._engine.encode(require_utf8(text))
        return encoding.ids[:-1], text[encoding.offsets[-1][0] :]

    @property
    def delimiter_ids(self) -> list[int]:
        """None: no token is white space."""
        return []

    def unknown_pieces(self, text: str) -> list[str]:
        """The words of a text that become `<unk>`, in its order; not `<unk>` itself."""
        pieces = self._engine.pre_tokenizer.pre_tokenize_str(require_utf8(text))
        return [piece for piece, _ in pieces if piece not in self._ids]

    def count_written_unk(self, text: str) -> int:
        """How many tokens of a text are `<unk>` because it says so."""
        # Cutting takes as long as encoding does; few words come into question.
        candidates = " ".join(word for word in words_of(text) if UNK in word)
        return sum(piece == UNK for piece, _ in self._engine.pre_tokenizer.pre_tokenize_str(candidates))

    def restores(self, stretch: str, ids: Ids, *, is_line_begun: bool) -> bool:
        """Whether words are parted by single spaces, each is a token, and no word is `<eos>`."""
        if _SPACING_THAT_IS_LOST.search(stretch) or (stretch.startswith(" ") and not is_line_begun):
            return False
        n_lines, n_ends = stretch.count("\n"), int(np.count_nonzero(np.asarray(ids) == self.start_id))
        return n_ends == n_lines and len(ids) == n_lines + len(words_of(stretch))

    def decode(self, ids: Ids) -> str:
        """The lines of ids, one space between words."""
        pieces = ("\n" if i == self.start_id else self._tokens[i] for i in ids)
        return " ".join(pieces).replace(" \n", "\n").replace("\n ", "\n")

    def joiner(self, prompt: str = "") -> Joiner:
        """A joiner that spaces words as the training text does; see `Tokenizer.joiner`."""
        return WordJoiner(self._tokens, self.start_id, self._spacing, prompt)

    @cached_property
    def _spacing(self) -> Spacing:
        rows = json.loads(self._json_text)["model"].get("spacing")  # unknown to version 0.1
        return EnglishSpacing() if rows is None else LearntSpacing(rows)
