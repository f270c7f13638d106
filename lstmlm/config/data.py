"""The `data` section: which text, cut into which tokens, laid out in which windows."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, PositiveInt, model_validator

from lstmlm.config.options import Options, PathText, known_encoding

SMALLEST_VARIABLE_BPTT = 10

MOST_TOKENIZER_BYTES = 1 << 28
"""Of the file of a tokenizer: a million types take a tenth of it."""

NO_CORPUS = "./without-corpus"
"""The corpus of what was exported or imported: there is none, and a question needs a text of its own."""

EosPlace = Literal["line", "line_and_document", "document", "never"]


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


class SubwordTokenizerOptions(TokenizerOptions):
    """Parts of words, learnt on the training split: no text is unknown."""

    vocab_size: Annotated[int, Field(ge=257, le=10_000_000)] = 8000
    """Number of tokens, the 256 bytes among them; a short text may not yield as many."""

    sample_bytes: Annotated[int, Field(ge=1_000_000)] = 100_000_000
    """How much of the training split they are learnt from at most: pieces spread evenly over it. More takes more memory
    and time."""


class BPETokenizerOptions(SubwordTokenizerOptions):
    """Byte pair encoding, over bytes (Sennrich et al. 2016)."""

    name: Literal["bpe"] = "bpe"

    min_count: Annotated[int, Field(gt=0, le=1_000_000_000)] = 2
    """Pairs seen less often than this in the training split are not joined."""


class UnigramTokenizerOptions(SubwordTokenizerOptions):
    """Unigram pieces, over bytes (Kudo 2018)."""

    name: Literal["unigram"] = "unigram"

    sample_bytes: Annotated[int, Field(ge=1_000_000)] = 20_000_000
    """As for `bpe`, but they take ten times as long to learn."""


class FileTokenizerOptions(TokenizerOptions):
    """A tokenizer that another tool has learnt; its ids are kept."""

    name: Literal["file"] = "file"

    path: PathText
    """A `tokenizer.json` of the `tokenizers` library or a `.model` of SentencePiece, by a path relative to the working
    directory. The run keeps what it needs of it."""

    line_end: str | None = None
    """The token that ends a line. Without it the newline does, where that is a token, or what the file names, or one
    that other tools end texts with, such as `</s>`."""


AnyTokenizerOptions = Annotated[
    WordTokenizerOptions
    | CharTokenizerOptions
    | ByteTokenizerOptions
    | BPETokenizerOptions
    | UnigramTokenizerOptions
    | FileTokenizerOptions,
    Field(discriminator="name"),
]


class DataOptions(Options):
    """Which text, cut into which tokens, laid out in which windows."""

    corpus: PathText
    """A text file, a folder or a pattern such as `books/*.txt`: with a slash it is a path, relative to the working
    directory; `~` and `${NAME}` are expanded. Without a slash, the name of a corpus that `lstmlm data list` shows, such
    as `python-docs`.

    A folder has `train.txt` and optional `valid.txt` and `test.txt`, or else any `.txt` files, also in folders below.
    In place of `.txt` there can be `.jsonl`, `.ndjson`, `.jsonlines` or `.json`, an object a line, each followed by
    `.gz`, `.bz2`, `.xz` or `.zst` if it is compressed. The objects of a file, and the files of a folder or pattern, are
    documents.

    A folder that `lstmlm data encode` has made is read as the tokens that it holds, and brings its tokenizer along."""

    field: str = "text"
    """What the objects of JSON lines call their text."""

    encoding: Annotated[str, AfterValidator(known_encoding)] = "utf-8"
    """How the characters of the corpus are written, such as `windows-1252`, `shift_jis` or `gb18030`; what a byte-order
    mark or a first line `<?xml … encoding=…?>` says is believed without it."""

    eos: EosPlace = "line"
    """What ends in `<eos>`, or in a newline where the tokenizer has no `<eos>`: a `line`; with `line_and_document` a
    document too, by an empty line after it, so that a model can learn where a text ends; only a `document`, as its
    other line ends become spaces; or `never`, as all of them do."""

    holdout: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """Share of a corpus without splits that becomes the validation split, and as much again the test split: the last
    lines, or where nothing ends in `<eos>` the last words. Without effect on a folder that has its own splits."""

    tokenizer: AnyTokenizerOptions = WordTokenizerOptions()
    """What a token is: how text is cut."""

    batch_size: PositiveInt = 20
    """Number of columns that the token stream is cut into and that are read side by side."""

    bptt: PositiveInt = 35
    """Length of a training window (tokens): the gradient is truncated there, the state is carried on."""

    variable_bptt: bool = False
    """Draw the length of each window: about `bptt`, sometimes about half of it, with a standard deviation of 5 tokens,
    and scale the learning rate by length / `bptt` (Merity et al. 2018, section 4.1)."""

    partial_shuffle: bool = False
    """Begin each epoch at a random place of every column and go round, so that windows and neighbours change from epoch
    to epoch while the text stays in order (Press 2019)."""

    @model_validator(mode="after")
    def _room_to_vary(self) -> Self:
        if self.variable_bptt and self.bptt < SMALLEST_VARIABLE_BPTT:
            raise ValueError(
                f"variable_bptt: needs a bptt of {SMALLEST_VARIABLE_BPTT} or more, as windows vary by 5 tokens and "
                f"have at least 5, got {self.bptt}. Raise data.bptt, or set variable_bptt: false."
            )
        return self
