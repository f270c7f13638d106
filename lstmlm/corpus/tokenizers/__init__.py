"""Tokenizers by their options: words, characters, bytes, parts of words, and those of other tools.

`tokenizer` says what one is, on the library of which `components` lists what is used. `words`, `characters` and
`subwords` are learnt here, on a `training_text` read in bounded memory (with `type_counter`); `foreign` has those that
other tools have learnt. `joining` makes tokens a text again, with the
`spacing` of the training text; `description` measures a tokenizer by itself.

Others begin with this page: the table `TOKENIZERS`, and functions that train, load, read or find one. A new tokenizer
is a file here and a line in the table.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import TypeAdapter

from lstmlm.config import data
from lstmlm.config.data import MOST_TOKENIZER_BYTES, AnyTokenizerOptions, FileTokenizerOptions, TokenizerOptions
from lstmlm.corpus.reading.text_files import explained
from lstmlm.corpus.tokenizers.characters import ByteTokenizer, CharTokenizer
from lstmlm.corpus.tokenizers.foreign.file import FileTokenizer
from lstmlm.corpus.tokenizers.subwords import BPETokenizer, UnigramTokenizer
from lstmlm.corpus.tokenizers.tokenizer import EOS, UNK, Tokenizer
from lstmlm.corpus.tokenizers.words import WordTokenizer
from lstmlm.errors import CheckpointError, ConfigError, DataError, unknown
from lstmlm.files import read_text

__all__ = [
    "EOS",
    "TOKENIZERS",
    "UNK",
    "Tokenizer",
    "default_options",
    "find_tokenizer",
    "load_tokenizer",
    "read_tokenizer",
    "train_tokenizer",
]

logger = logging.getLogger(__name__)

TOKENIZERS: Mapping[type[TokenizerOptions], type[Tokenizer]] = {
    data.WordTokenizerOptions: WordTokenizer,
    data.CharTokenizerOptions: CharTokenizer,
    data.ByteTokenizerOptions: ByteTokenizer,
    data.BPETokenizerOptions: BPETokenizer,
    data.UnigramTokenizerOptions: UnigramTokenizer,
    FileTokenizerOptions: FileTokenizer,
}


def default_options() -> dict[str, AnyTokenizerOptions]:
    """The options of every tokenizer that can be learnt, by its name, as they are where nothing else is said."""
    any_options: TypeAdapter[AnyTokenizerOptions] = TypeAdapter(AnyTokenizerOptions)
    learnt = [options for options in TOKENIZERS if options is not FileTokenizerOptions]
    names = [options.model_fields["name"].default for options in learnt]
    return {name: any_options.validate_python({"name": name}) for name in names}


def train_tokenizer(options: TokenizerOptions, blocks: Iterable[str]) -> Tokenizer:
    """Build the tokenizer that `options` describe on a text in blocks. Raises ConfigError if it can hold nothing."""
    return TOKENIZERS[type(options)].train(options, blocks)


def load_tokenizer(options: TokenizerOptions, json_text: str) -> Tokenizer:
    """Restore the tokenizer that `options` describe from its tokenizer.json. Raises DataError if that is of another."""
    return TOKENIZERS[type(options)](options, json_text)


def read_tokenizer(path: Path) -> tuple[AnyTokenizerOptions, Tokenizer]:
    """Read a tokenizer from its file, or from the folder, such as a run's, that holds its tokenizer.json.

    The options that describe it are those of a kind that is learnt here, or name the file.

    Raises:
        DataError: there is none, or it cannot be used.
    """
    with explained(path):
        path = path / "tokenizer.json" if path.is_dir() else path
    if path.suffix == ".json":
        with suppress(DataError, CheckpointError):
            return _read_learnt(read_text(path, MOST_TOKENIZER_BYTES).removeprefix("\ufeff"))
    options = FileTokenizerOptions(path=str(path))
    return options, train_tokenizer(options, [])


def _read_learnt(json_text: str) -> tuple[AnyTokenizerOptions, Tokenizer]:
    for options in [*default_options().values(), data.WordTokenizerOptions(split="punctuation")]:
        with suppress(DataError):
            tokenizer = load_tokenizer(options, json_text)
            if isinstance(options, data.SubwordTokenizerOptions):
                options = options.model_copy(update={"vocab_size": tokenizer.vocab_size})
            return options, tokenizer
    raise DataError("tokenizer.json: of no kind that is learnt here")


def find_tokenizer(name: str, blocks: Callable[[], Iterable[str]], flag: str) -> tuple[AnyTokenizerOptions, Tokenizer]:
    """Learn the tokenizer of that name on a text, with all options left open, or read what `name` is a path of.

    Raises:
        ConfigError: there is no such tokenizer; `flag` is what the message calls `name`.
        DataError: the file cannot be used.
    """
    by_name = default_options()
    if name in by_name:
        logger.info("The tokenizer %s is learnt.", name)
        return by_name[name], train_tokenizer(by_name[name], blocks())
    if not Path(name).exists():
        raise ConfigError(f"{flag}: {unknown('tokenizer', name, by_name)} Or name a tokenizer.json.")
    return read_tokenizer(Path(name))
