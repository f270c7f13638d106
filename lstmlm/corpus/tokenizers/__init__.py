"""Tokenizers by their options: words, characters, bytes, and parts of words."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import TypeAdapter

from lstmlm.config.data import (
    AnyTokenizerOptions,
    BPETokenizerOptions,
    ByteTokenizerOptions,
    CharTokenizerOptions,
    TokenizerOptions,
    UnigramTokenizerOptions,
    WordTokenizerOptions,
)
from lstmlm.corpus.tokenizers.characters import ByteTokenizer, CharTokenizer
from lstmlm.corpus.tokenizers.subwords import BPETokenizer, UnigramTokenizer
from lstmlm.corpus.tokenizers.tokenizer import EOS, UNK, Tokenizer
from lstmlm.corpus.tokenizers.words import WordTokenizer
from lstmlm.errors import CheckpointError, DataError
from lstmlm.files import read_text

__all__ = [
    "EOS",
    "MOST_JSON_BYTES",
    "TOKENIZERS",
    "UNK",
    "Tokenizer",
    "load_tokenizer",
    "read_tokenizer",
    "train_tokenizer",
]

TOKENIZERS: Mapping[type[TokenizerOptions], type[Tokenizer]] = {
    WordTokenizerOptions: WordTokenizer,
    CharTokenizerOptions: CharTokenizer,
    ByteTokenizerOptions: ByteTokenizer,
    BPETokenizerOptions: BPETokenizer,
    UnigramTokenizerOptions: UnigramTokenizer,
}

MOST_JSON_BYTES = 1 << 28
"""Of a tokenizer.json: a million types take a tenth of it."""


def default_options() -> dict[str, AnyTokenizerOptions]:
    """The options of every tokenizer by its name, as they are where nothing else is said."""
    any_options: TypeAdapter[AnyTokenizerOptions] = TypeAdapter(AnyTokenizerOptions)
    names = [options.model_fields["name"].default for options in TOKENIZERS]
    return {name: any_options.validate_python({"name": name}) for name in names}


def train_tokenizer(options: TokenizerOptions, blocks: Iterable[str]) -> Tokenizer:
    """Build the tokenizer that `options` describe on a training text, given in blocks of whole lines.

    Raises:
        ConfigError: the vocabulary is too small to hold anything.
    """
    return TOKENIZERS[type(options)].train(options, blocks)


def load_tokenizer(options: TokenizerOptions, json_text: str) -> Tokenizer:
    """Restore the tokenizer that `options` describe from the content of tokenizer.json.

    Raises:
        DataError: the content is not that of such a tokenizer.
    """
    return TOKENIZERS[type(options)](options, json_text)


def read_tokenizer(path: Path) -> tuple[AnyTokenizerOptions, Tokenizer]:
    """Restore a tokenizer from a tokenizer.json alone, and find options that describe it.

    Raises:
        DataError: the file is not that of any tokenizer here.
    """
    try:
        json_text = read_text(path, MOST_JSON_BYTES)
    except CheckpointError as error:
        raise DataError(str(error)) from None
    for options in [*default_options().values(), WordTokenizerOptions(split="punctuation")]:
        with suppress(DataError):
            return options, load_tokenizer(options, json_text)
    raise DataError(f"{path}: is no tokenizer that data.tokenizer can name. Choose another, or one to learn.")
