"""Corpora by path or by name: their splits, read in blocks and encoded into arrays of token ids."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, Int32, Shaped

from lstmlm.config.data import DataOptions
from lstmlm.corpus.python_docs import SPLITS, python_docs_provenance, read_python_docs
from lstmlm.corpus.sources import BLOCK_BYTES, Version, cut_between_words, read_blocks
from lstmlm.corpus.tokenizers import Tokenizer, train_tokenizer
from lstmlm.errors import ConfigError, DataError, did_you_mean


@dataclass(frozen=True)
class Text:
    """A text that can be read again and again: what messages call it, and its blocks of whole lines."""

    name: str
    blocks: Callable[[], Iterator[str]]


@dataclass(frozen=True)
class EncodedText:
    """The token ids of a text, with its counts.

    Words are pieces between white space, without `<eos>`; characters and bytes (of UTF-8) include the newlines.
    """

    name: str
    """What messages call it: `data/ptb/valid.txt`."""
    split: str | None
    """`train`, `valid` or `test`; None for a text of its own."""
    tokens: Int32[np.ndarray, " tokens"]
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


@dataclass(frozen=True)
class Dataset:
    """A corpus that has a name: the texts of its splits, and what these depend on besides this package."""

    texts: Callable[[], dict[str, Text]]
    provenance: Callable[[], dict[str, str]]


def _python_docs() -> dict[str, Text]:
    def text(split: str) -> Text:
        return Text(f"python-docs ({split})", lambda: _blocks_of(read_python_docs()[split]))

    return {split: text(split) for split in SPLITS}


DATASETS: Mapping[str, Dataset] = {
    "python-docs": Dataset(_python_docs, python_docs_provenance),
}


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
    text = _texts(options)[split]
    n_chars = sum(map(len, text.blocks()))
    halves = _part(text, "first half", 0, n_chars // 2), _part(text, "second half", n_chars // 2, n_chars)
    if next(halves[1].blocks(), None) is None:
        raise DataError(f"{text.name}: no line begins in its second half. Tune on another split.")
    first, second = (_encode(half, tokenizer, split) for half in halves)
    return first, second


def encode_file(path: Path, tokenizer: Tokenizer) -> EncodedText:
    """Read and encode a text file.

    Raises:
        DataError: it is missing, empty or not UTF-8.
    """
    return _encode(text_file(path), tokenizer, None)


def _texts(options: DataOptions) -> dict[str, Text]:
    """The splits that a corpus has, not read yet."""
    if "/" not in options.corpus:
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
        return DATASETS[options.corpus].texts()
    path = Path(options.corpus)
    if path.is_dir():
        files = {split: path / f"{split}.txt" for split in SPLITS}
        return {split: _corpus_file(file) for split, file in files.items() if file.exists()}
    if not path.exists():
        raise DataError(
            f"{path}: no such file or folder. Paths start at the working directory; "
            "data/README.md says where to get known corpora."
        )
    return _split_file(path, options.holdout)


def _texts_to_train_on(options: DataOptions) -> dict[str, Text]:
    """The splits that a corpus has, the training split among them, not read yet."""
    texts = _texts(options)
    if "train" not in texts:
        raise DataError(
            f"{options.corpus}: has no train.txt. A corpus folder needs one; valid.txt and test.txt are optional."
        )
    return texts


def text_file(path: Path) -> Text:
    """A file as a text, not read yet."""
    return Text(str(path), lambda: read_blocks(path))


def _corpus_file(path: Path) -> Text:
    """A file as a text that is read more than once, and must stay the same meanwhile."""
    version = Version.of(path)
    return Text(str(path), lambda: read_blocks(path, version=version))


def _split_file(path: Path, holdout: float) -> dict[str, Text]:
    """Cut a file into train, valid and test: the last `holdout` of its characters is test, as much before it valid.

    A line belongs to the split in which it begins.
    """
    file = _corpus_file(path)
    n_chars = sum(map(len, file.blocks()))
    first_valid, first_test = round(n_chars * (1 - 2 * holdout)), round(n_chars * (1 - holdout))
    bounds = {"train": (0, first_valid), "valid": (first_valid, first_test), "test": (first_test, n_chars)}
    texts = {split: _part(file, split, *bounds[split]) for split in SPLITS}
    for split in SPLITS:
        if next(texts[split].blocks(), None) is None:
            raise DataError(
                f"{path}: too few lines to hold out {holdout:g} of it as {split} split. "
                "Use a longer text with more line ends, or a folder with train.txt, valid.txt and test.txt."
            )
    return texts


def _part(text: Text, name: str, start: int, stop: int) -> Text:
    """The lines of a text that begin at character `start` or later and before `stop`."""
    return Text(f"{text.name} ({name})", lambda: _lines_between(text.blocks(), start, stop))


def _lines_between(blocks: Iterable[str], start: int, stop: int) -> Iterator[str]:
    """The lines that begin at character `start` or later and before `stop`, in blocks."""
    offset = 0
    for block in blocks:
        part = block[_next_line(block, start - offset) : _next_line(block, stop - offset)]
        if part:
            yield part
        offset += len(block)
        if offset >= stop:
            return


def _next_line(block: str, position: int) -> int:
    """Where the first line of a block of whole lines begins that does so at `position` or later."""
    if position <= 0:
        return 0
    newline = block.find("\n", position - 1)
    return len(block) if newline < 0 else newline + 1


def _blocks_of(text: str) -> Iterator[str]:
    """A text in memory, in blocks of whole lines."""
    start = 0
    while start < len(text):
        stop = _next_line(text, start + BLOCK_BYTES)
        yield text[start:stop]
        start = stop


def _encode(text: Text, tokenizer: Tokenizer, split: str | None) -> EncodedText:
    """Encode a text block by block; only one block at a time is ever a list of pieces."""
    tokens: list[np.ndarray] = []
    line_chars: list[int] = []
    line_bytes: list[int] = []
    n_words = n_written_unk = 0
    digest = hashlib.sha256()
    for block in text.blocks():
        digest.update(block.encode())
        for part in cut_between_words(block):
            n_words += len(part.split())
            n_written_unk += tokenizer.count_written_unk(part)
        for line in StringIO(block):
            line_chars.append(len(line))
            line_bytes.append(len(line.encode()))
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
