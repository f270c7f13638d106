"""What a configuration for a text rests on: its size, its characters, its words, and how they are parted."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Int

from lstmlm.config.data import CharTokenizerOptions, DataOptions, WordTokenizerOptions
from lstmlm.corpus.encoded_text import TextCounter, encode_text
from lstmlm.corpus.inspection.layout import is_indented
from lstmlm.corpus.loading import require_text, training_text
from lstmlm.corpus.reading.documents import holds_records
from lstmlm.corpus.reading.json_lines import parse_object
from lstmlm.corpus.reading.splits import split_files, text_of_files
from lstmlm.corpus.reading.text_files import lines_of, read_blocks
from lstmlm.corpus.tokenizers import train_tokenizer
from lstmlm.corpus.tokenizers.training_text import pieces_of

MOST_PIECES = 256
"""Of a longer text as many are looked at, spread evenly over it: 4 MB."""

HEAD_LINES = 2000
N_RECORDS = 100
"""As many records tell which of their fields is the text."""

CHARS_OF_A_LONG_WORD = 16
"""Words of no language that parts them are as long on average."""

TOKENISED_SHARE = 0.97
"""Where marks stand by themselves, there are hardly more words and marks than pieces between white space."""


@dataclass(frozen=True)
class Survey:
    """What was seen of a training text. Words are those of the tokenizer `word` with `split: punctuation`."""

    n_chars: int
    n_bytes: int
    n_white_space_words: int
    looked_at: float
    """The share of the text that all below is about."""
    n_distinct_chars: int
    n_single_chars: int
    """Of these, those that occur once."""
    word_counts: Int[np.ndarray, " types"]
    """Occurrences of each word, falling, without the ends of lines."""
    is_tokenised: bool
    """Whether marks are words of their own already."""
    is_indented: bool
    """Whether many lines begin with white space, as those of programs do."""
    chars_per_line: float

    @property
    def has_words(self) -> bool:
        """Whether white space parts words."""
        return self.n_chars < CHARS_OF_A_LONG_WORD * self.n_white_space_words

    def share_of(self, n_types: int) -> float:
        """Which part of the text the `n_types` most frequent words are."""
        return float(self.word_counts[:n_types].sum() / max(1, self.word_counts.sum()))


def survey(options: DataOptions) -> Survey:
    """Read the training text of a corpus once.

    Raises:
        ConfigError: there is no corpus of that name.
        DataError: the text is missing, empty, no text, or too short to hold out parts of it.
    """
    counter = TextCounter()

    def counted() -> Iterator[str]:
        # As characters any text can be cut into splits.
        for block in training_text(options.model_copy(update={"tokenizer": CharTokenizerOptions()})).blocks():
            counter.count(block)
            yield block

    kept, every = list[str](), 1
    for number, piece in enumerate(pieces_of(counted())):
        if number % every == 0:
            kept.append(piece)
        if len(kept) > MOST_PIECES:
            kept, every = kept[::2], 2 * every
    sample = "".join(kept)
    characters = Counter(sample)
    tokenizer = train_tokenizer(WordTokenizerOptions(split="punctuation"), kept)
    # Where white space parts no words, there is nothing to ask of them, and one may be too long for the tokenizer.
    are_words = counter.n_chars < CHARS_OF_A_LONG_WORD * counter.n_words
    words = encode_text("", kept if are_words else kept[:1], tokenizer, None)
    counts = words.count_tokens(tokenizer.vocab_size)
    of_words = np.delete(counts, tokenizer.start_id)
    return Survey(
        n_chars=counter.n_chars,
        n_bytes=counter.n_bytes,
        n_white_space_words=counter.n_words,
        looked_at=len(sample) / counter.n_chars,
        n_distinct_chars=len(characters),
        n_single_chars=sum(count == 1 for count in characters.values()),
        word_counts=np.sort(of_words)[::-1],
        is_tokenised=bool(words.n_words >= TOKENISED_SHARE * of_words.sum()),
        is_indented=is_indented(sample[: len(kept[0])].split("\n")[:HEAD_LINES]),
        chars_per_line=len(sample) / len(sample.removesuffix("\n").split("\n")),
    )


def text_field(options: DataOptions) -> str:
    """What the records of a corpus call their text: `data.field` where they have it, else their longest text.

    Raises:
        DataError: there is no such text, or a file cannot be read.
    """
    if "/" not in options.corpus:
        return options.field
    require_text(options)
    path = Path(options.corpus)
    first, *_ = [*split_files(path).values()] or text_of_files([path], options).files
    if not holds_records(first, options.encoding):
        return options.field
    lengths = Counter[str]()
    lines = lines_of(first, read_blocks(first, encoding=options.encoding))
    for line in islice((line.text for line in lines if line.text.strip()), N_RECORDS):
        with suppress(ValueError):  # it is told where the text is read
            lengths.update({name: len(value) for name, value in parse_object(line).items() if isinstance(value, str)})
    return options.field if options.field in lengths or not lengths else max(lengths, key=lambda name: lengths[name])
