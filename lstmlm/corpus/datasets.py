"""Corpora by path or by name: their splits, read in blocks and encoded into arrays of token ids."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, Integer, Shaped

from lstmlm.config.data import DataOptions
from lstmlm.corpus.named import DATASETS
from lstmlm.corpus.texts import SPLITS, Text, halves_of, named_splits, splits_of, text_file, text_of
from lstmlm.corpus.tokenizers import Tokenizer, train_tokenizer
from lstmlm.errors import ConfigError, DataError, did_you_mean


@dataclass(frozen=True)
class EncodedText:
    """The token ids of a text, with its counts.

    Words are pieces between white space, without `<eos>`; characters and bytes (of UTF-8) include the newlines.
    """

    name: str
    """What messages call it: `data/ptb/valid.txt`."""
    split: str | None
    """`train`, `valid` or `test`; None for a text of its own."""
    tokens: Integer[np.ndarray, " tokens"]
    n_words: int
    line_chars: Int[np.ndarray, " lines"]
    line_bytes: Int[np.ndarray, " lines"]
    n_unk: int
    """Tokens that are `<unk>`, also where the text itself says so."""
    n_oov: int
    """Tokens that are `<unk>` in place of what the text says."""
    sha256: str
    """Digest of the text after the rules of `read_blocks`."""

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

    def count_tokens(self, vocab_size: int) -> Int[np.ndarray, " vocab"]:
        """Return how often each token of the vocabulary occurs."""
        return np.bincount(self.tokens, minlength=vocab_size)


@dataclass(frozen=True)
class Corpus:
    """The splits of a corpus, encoded by one tokenizer."""

    name: str
    """As the configuration has it."""
    tokenizer: Tokenizer
    train: EncodedText
    valid: EncodedText | None
    test: EncodedText | None
    provenance: dict[str, Any]
    """What to compare when results differ: digests and counts of the splits, for environment.json."""


def load_corpus(options: DataOptions, tokenizer: Tokenizer | None = None) -> Corpus:
    """Read a corpus and encode its splits; without a tokenizer, train one on the training split.

    Raises:
        ConfigError: the corpus or the vocabulary is none that there can be.
        DataError: a text is missing, empty or not UTF-8.
    """
    texts = _texts_to_train_on(options)
    tokenizer = tokenizer or train_tokenizer(options.tokenizer, texts["train"].blocks())
    encoded = {split: _encode(text, tokenizer, split) for split, text in texts.items()}
    provenance: dict[str, Any] = {
        split: {"sha256": text.sha256, "n_tokens": text.n_tokens, "n_unk": text.n_unk, "n_bytes": text.n_bytes}
        for split, text in encoded.items()
    }
    if options.corpus in DATASETS:
        provenance |= DATASETS[options.corpus].provenance()
    valid, test = encoded.get("valid"), encoded.get("test")
    return Corpus(options.corpus, tokenizer, encoded["train"], valid, test, provenance)


def training_text(options: DataOptions) -> Text:
    """The training split of a corpus, not read yet.

    Raises:
        ConfigError: there is no corpus of that name.
        DataError: the corpus is missing, or has no such split.
    """
    return _texts_to_train_on(options)["train"]


def load_split(options: DataOptions, split: str | None, tokenizer: Tokenizer, *, flag: str = "--split") -> EncodedText:
    """Read and encode one split of a corpus; without a name the test split where there is one, else valid.

    Raises:
        ConfigError: there is no split of that name; `flag` is what the message calls it.
        DataError: the corpus lacks that split, or its text is missing, empty or not UTF-8.
    """
    if split not in (None, *SPLITS):
        raise ConfigError(f"{flag}: unknown split {split!r}. Choose one of: {', '.join(SPLITS)}.")
    texts = _texts(options)
    wanted = (split,) if split else ("test", "valid")
    for name in wanted:
        if name in texts:
            return _encode(texts[name], tokenizer, name)
    missing = " or ".join(f"{name}.txt" for name in wanted)
    raise DataError(f"{options.corpus}: has no {missing}. Put one there, or name a text file to evaluate.")


def load_halves(options: DataOptions, split: str, tokenizer: Tokenizer) -> tuple[EncodedText, EncodedText]:
    """Read and encode the halves of a split that the corpus has, as two texts; they part at a line end.

    Raises:
        DataError: the split is a single line, or nearly so.
    """
    first, second = (_encode(half, tokenizer, split) for half in halves_of(_texts(options)[split], options))
    return first, second


def encode_file(path: Path, options: DataOptions, tokenizer: Tokenizer) -> EncodedText:
    """Read and encode a text file as a model has read its corpus, whose options are given.

    Raises:
        DataError: it is missing, empty or not UTF-8.
    """
    return _encode(text_of(path, options), tokenizer, None)


def open_texts(corpora: Sequence[str]) -> dict[str, Text]:
    """The texts to look at, not read yet: a file as a whole, and the splits of whatever else `data.corpus` can be.

    Returns:
        Texts by split where a single corpus is given, else by what messages call them.
    """
    if len(corpora) == 1 and not Path(corpora[0]).is_file():
        return _texts(DataOptions(corpus=corpora[0]))
    texts = [text for corpus in corpora for text in _whole(corpus)]
    return {text.name: text for text in texts}


def _whole(corpus: str) -> Iterable[Text]:
    return [text_file(Path(corpus))] if Path(corpus).is_file() else _texts(DataOptions(corpus=corpus)).values()


def _texts(options: DataOptions) -> dict[str, Text]:
    """The splits that a corpus has, not read yet."""
    if "/" in options.corpus:
        return splits_of(options)
    if options.corpus not in DATASETS:
        if Path(options.corpus).exists():
            raise ConfigError(
                f"data.corpus: {options.corpus!r} lies here, but a path has a slash. Write ./{options.corpus}"
            )
        raise ConfigError(
            f"data.corpus: unknown corpus {options.corpus!r}. {did_you_mean(options.corpus, DATASETS)}"
            f"Choose one of: {', '.join(DATASETS)}. "
            f"A path has a slash: ./{options.corpus}"
        )
    return named_splits(DATASETS[options.corpus].texts(), options)


def _texts_to_train_on(options: DataOptions) -> dict[str, Text]:
    """The splits that a corpus has, the training split among them, not read yet."""
    texts = _texts(options)
    if "train" not in texts:
        raise DataError(
            f"{options.corpus}: has no train.txt. A corpus folder needs one; valid.txt and test.txt are optional."
        )
    return texts


def _encode(text: Text, tokenizer: Tokenizer, split: str | None) -> EncodedText:
    """Encode a text block by block; only the last line is ended where it is open."""
    tokens: list[np.ndarray] = []
    line_chars: list[int] = []
    line_bytes: list[int] = []
    n_words = n_written_unk = 0
    digest = hashlib.sha256()
    is_open = False
    for block, following in pairwise(chain(text.blocks(), [""])):
        digest.update(block.encode())
        n_words += len(block.split())
        n_written_unk += tokenizer.count_written_unk(block)
        for line in StringIO(block):
            if is_open:
                line_chars[-1] += len(line)
                line_bytes[-1] += len(line.encode())
            else:
                line_chars.append(len(line))
                line_bytes.append(len(line.encode()))
            is_open = not line.endswith("\n")
        if is_open and following:
            tokens.append(np.array(tokenizer.encode_prompt(block), dtype=np.int32))
        else:
            tokens.append(tokenizer.encode(block))
    ids = np.concatenate(tokens)
    n_unk = 0 if tokenizer.unk_id is None else int(np.count_nonzero(ids == tokenizer.unk_id))
    return EncodedText(
        name=text.name,
        split=split,
        tokens=ids,
        n_words=n_words,
        line_chars=np.array(line_chars),
        line_bytes=np.array(line_bytes),
        n_unk=n_unk,
        n_oov=n_unk - n_written_unk,
        sha256=digest.hexdigest(),
    )
