"""Tokenizers by their options: words, characters, bytes, parts of words, and those of other tools."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from lstmlm.config.data import (
    BPETokenizerOptions,
    ByteTokenizerOptions,
    CharTokenizerOptions,
    FileTokenizerOptions,
    TokenizerOptions,
    UnigramTokenizerOptions,
    WordTokenizerOptions,
)
from lstmlm.corpus.tokenizers.characters import ByteTokenizer, CharTokenizer
from lstmlm.corpus.tokenizers.file import FileTokenizer
from lstmlm.corpus.tokenizers.subwords import BPETokenizer, UnigramTokenizer
from lstmlm.corpus.tokenizers.tokenizer import EOS, UNK, Tokenizer
from lstmlm.corpus.tokenizers.words import WordTokenizer

__all__ = [
    "EOS",
    "TOKENIZERS",
    "UNK",
    "Tokenizer",
    "find_tokenizer",
    "load_tokenizer",
    "open_tokenizer",
    "train_tokenizer",
]

TOKENIZERS: Mapping[type[TokenizerOptions], type[Tokenizer]] = {
    WordTokenizerOptions: WordTokenizer,
    CharTokenizerOptions: CharTokenizer,
    ByteTokenizerOptions: ByteTokenizer,
    BPETokenizerOptions: BPETokenizer,
    UnigramTokenizerOptions: UnigramTokenizer,
    FileTokenizerOptions: FileTokenizer,
}


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


def open_tokenizer(place: Path) -> Tokenizer:
    """Read a tokenizer from its file, or from the run directory or other folder that holds its tokenizer.json.

    Raises:
        DataError: there is none, or it cannot be used.
    """
    path = place / "tokenizer.json" if place.is_dir() else place
    return train_tokenizer(FileTokenizerOptions(path=str(path)), [])


def find_tokenizer(name: str, blocks: Callable[[], Iterable[str]]) -> Tokenizer:
    """Learn the tokenizer of that name on a text, with all options left open, or open what `name` is a path of.

    Raises:
        DataError: there is no such file, or it cannot be used.
    """
    for options in TOKENIZERS:
        if options is not FileTokenizerOptions and options.model_fields["name"].default == name:
            return train_tokenizer(options(), blocks())
    return open_tokenizer(Path(name))
