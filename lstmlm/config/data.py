"""The `data` section: which text, cut into which tokens, laid out in which windows."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt

from lstmlm.config.options import Options


class TokenizerOptions(Options):
    """What every tokenizer has in common."""

    part: ClassVar[str] = "tokenizer"


class CountedVocabularyOptions(TokenizerOptions):
    """A vocabulary counted on the training split, the most frequent types first."""

    max_vocab: PositiveInt | None = None
    """Largest vocabulary, special tokens included; rarer types become `<unk>`. Without it every type is kept."""

    min_count: PositiveInt = 1
    """Types seen less often than this in the training split become `<unk>`."""


class WordTokenizerOptions(CountedVocabularyOptions):
    """Words; each line ends with `<eos>`."""

    name: Literal["word"] = "word"

    split: Literal["whitespace", "punctuation"] = "whitespace"
    """`whitespace` for text that is already tokenised, `punctuation` to cut punctuation marks off words too."""


class CharTokenizerOptions(CountedVocabularyOptions):
    """Unicode characters, the newline among them."""

    name: Literal["char"] = "char"


class ByteTokenizerOptions(TokenizerOptions):
    """The 256 bytes of UTF-8: no text is unknown."""

    name: Literal["byte"] = "byte"


AnyTokenizerOptions = Annotated[
    WordTokenizerOptions | CharTokenizerOptions | ByteTokenizerOptions, Field(discriminator="name")
]


class DataOptions(Options):
    """Which text, cut into which tokens, laid out in which windows."""

    corpus: Annotated[str, Field(min_length=1)]
    """A folder with `train.txt` and optional `valid.txt` and `test.txt`, or a single text file: with a slash it is a
    path, relative to the working directory. Without a slash, the name of a known corpus: `python-docs`."""

    holdout: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """Share of a single file that becomes the validation split, and as much again the test split: the last lines.
    Without effect on a folder, which has its own splits."""

    tokenizer: AnyTokenizerOptions = WordTokenizerOptions()

    batch_size: PositiveInt = 20
    """Number of columns that the token stream is cut into and that are read side by side."""

    bptt: PositiveInt = 35
    """Length of a training window (tokens): the gradient is truncated there, the state is carried on."""
