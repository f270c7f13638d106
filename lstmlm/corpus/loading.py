"""Corpora by path or by name: their splits, read in blocks and encoded into arrays of token ids."""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

from lstmlm.config.data import DataOptions
from lstmlm.corpus.encoded_text import EncodedText, TextCounter, encode_text
from lstmlm.corpus.named import DATASETS
from lstmlm.corpus.reading.decoding import NORMALIZATION, UTF8
from lstmlm.corpus.reading.splits import (
    CUTTING,
    SPLITS,
    Text,
    halves_of,
    named_splits,
    refuse_splits,
    splits_of,
    text_in_memory,
    text_of,
    text_of_files,
)
from lstmlm.corpus.reading.text_files import Version, explained
from lstmlm.corpus.store.shards import as_store_errors
from lstmlm.corpus.store.token_cache import SMALLEST_KEPT_BYTES, KeptText, cache_is_usable
from lstmlm.corpus.store.token_store import Observer, TokenStore, is_store, refuse_occupied, write_store
from lstmlm.corpus.tokenizers import Tokenizer, find_tokenizer
from lstmlm.errors import ConfigError, DataError, MissingTextError, ShortTextError, unknown

logger = logging.getLogger(__name__)


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

    @property
    def splits(self) -> list[EncodedText]:
        """Those that there are, the training split first."""
        return [split for split in (self.train, self.valid, self.test) if split]


def load_corpus(options: DataOptions, tokenizer: Tokenizer | None = None) -> Corpus:
    """Read a corpus and encode its splits; without a tokenizer, train one on the training split.

    Raises:
        ConfigError: the corpus or the vocabulary is none that there can be.
        DataError: a text is missing, empty or not UTF-8.
    """
    source = _source(options)
    _require_training_split(source.splits, options)
    tokenizer = tokenizer or source.make_tokenizer()
    encoded = {split: encode(tokenizer) for split, encode in source.splits.items()}
    counts = ("sha256", "n_tokens", "n_unk", "n_words", "n_lines", "n_chars", "n_bytes")
    provenance: dict[str, Any] = {
        split: {name: getattr(text, name) for name in counts} for split, text in encoded.items()
    }
    if options.corpus in DATASETS:
        provenance |= DATASETS[options.corpus].provenance()
    valid, test = encoded.get("valid"), encoded.get("test")
    return Corpus(options.corpus, tokenizer, encoded["train"], valid, test, provenance)


def training_text(options: DataOptions) -> Text:
    """The training split of a corpus, not read yet; raises as `load_corpus` does."""
    texts = _texts(options)
    _require_training_split(texts, options)
    return texts["train"]


def load_split(options: DataOptions, split: str | None, tokenizer: Tokenizer, *, flag: str = "--split") -> EncodedText:
    """Read and encode one split of a corpus; without a name the test split where there is one, else valid.

    Raises:
        ConfigError: there is no split of that name; `flag` is what the message calls it.
        DataError: the corpus lacks that split, or its text is missing, empty or not UTF-8.
    """
    if split not in (None, *SPLITS):
        raise ConfigError(f"{flag}: unknown split {split!r}. Choose one of: {', '.join(SPLITS)}.")
    splits = _source(options).splits
    wanted = (split,) if split else ("test", "valid")
    for name in wanted:
        if name in splits:
            return splits[name](tokenizer)
    raise DataError(f"{options.corpus}: has no {' or '.join(wanted)} split. Add one.")


def load_halves(options: DataOptions, split: str, tokenizer: Tokenizer) -> tuple[EncodedText, EncodedText]:
    """Read and encode the halves of a split, cut at a line end. Raises DataError if it is one line, or tokens only."""
    if _store(options) is not None:
        raise DataError(f"{options.corpus}: holds tokens, which have no halves. Measure another split or text.")
    halves = halves_of(_texts(options)[split], options)
    first, second = (encode_text(half.name, half.blocks(), tokenizer, split) for half in halves)
    return first, second


def encode_file(path: Path, options: DataOptions, tokenizer: Tokenizer, encoding: str = UTF8) -> EncodedText:
    """Read and encode a file as a model has read its corpus, but for its encoding.

    Records may also call their text `text`, where they have no field that is called as in the corpus.

    Raises:
        DataError: the file cannot be read, or not so.
    """
    text = text_of(path, options.model_copy(update={"encoding": encoding}), "text")
    return encode_text(text.name, text.blocks(), tokenizer, None)


def counted_anew(options: DataOptions, split: str | None, path: Path | None, encoding: str) -> TextCounter | None:
    """Read a file or else a split once more and count it, without a tokenizer; None where there is no text to read."""
    has_text = _store(options) is None if path is None else path.is_file()
    if not has_text:
        return None
    if path is not None:
        text = text_of(path, options.model_copy(update={"encoding": encoding}), "text")
    else:
        texts = _texts(options)
        text = texts[split or ("test" if "test" in texts else "valid")]
    counter = TextCounter()
    for block in text.blocks():
        counter.count(block)
    return counter


def encode_string(content: str, options: DataOptions, tokenizer: Tokenizer) -> EncodedText:
    """Encode a text as a model reads a file that holds it. Raises DataError if it is empty."""
    text = text_in_memory(content, options)
    return encode_text(text.name, text.blocks(), tokenizer, None)


def open_texts(corpora: Sequence[str], options: DataOptions) -> dict[str, Text]:
    """The texts to look at, not read yet: a file as a whole, and the splits of whatever else `data.corpus` can be.

    What is too short for splits is one text too.

    Args:
        corpora: Files, or what `data.corpus` can be.
        options: How they are read; its own corpus is left out of account.

    Returns:
        Texts by split where a single corpus is given, else by what messages call them.
    """
    texts: list[Text] = []
    for corpus in corpora:
        with explained(Path(corpus)):
            is_file = Path(corpus).is_file()
        one = options.model_copy(update={"corpus": corpus})
        if len(corpora) == 1 and not is_file:
            return _splits_or_whole(one)
        texts += [text_of(Path(corpus), options)] if is_file else _splits_or_whole(one).values()
    return {text.name: text for text in texts}


def _splits_or_whole(options: DataOptions) -> dict[str, Text]:
    try:
        return _texts(options)
    except ShortTextError:
        whole = _whole(options)
        return {whole.name: whole}


def _whole(options: DataOptions) -> Text:
    """A corpus that is given by its path as one text."""
    path = Path(options.corpus)
    return replace(text_of_files([path], options), name=str(path))


def open_corpus(options: DataOptions) -> tuple[dict[str, Text], dict[str, Text]]:
    """The texts that a corpus consists of, and its splits, not read yet: none where it cannot be cut into such.

    Raises:
        ConfigError: there is no such corpus, or an option has no effect on it.
        DataError: there is no such file.
    """
    if "/" not in options.corpus:
        splits = _texts(options)
        return splits, splits
    require_text(options)
    splits = {}
    with suppress(DataError):
        splits = _texts(options)
    if len({text.files for text in splits.values()}) == len(splits) > 0:
        return splits, splits
    return {"": _whole(options)}, splits


def encode_files(
    files: Mapping[str, Sequence[Path]],
    tokenizer: str,
    output: Path,
    observe: Observer,
    *,
    field: str = "text",
    encoding: str = UTF8,
) -> TokenStore:
    """Encode the files of each split, one after the other, into a token store.

    Args:
        files: By split: files, folders of them and patterns; a tokenizer that is learnt is learnt on `train`.
        tokenizer: What to learn, such as "bpe" with its default options, or the path of a tokenizer.json or of a run.
        output: The folder that becomes the store.
        observe: Is told how far it is.
        field: What holds the text of a record of JSON lines.
        encoding: How the characters of the files are written.

    Raises:
        ConfigError: there is no such tokenizer.
        CheckpointError: the store is in use, or cannot be written.
        DataError: a text cannot be read, a folder has splits of its own, or that of the store holds something else.
    """
    with as_store_errors(output):
        refuse_occupied(output)  # before the text is read
    for path in chain(*files.values()):
        refuse_splits(path)
    readers = {
        split: text_of_files(paths, DataOptions(corpus=str(paths[0]), field=field, encoding=encoding)).blocks
        for split, paths in files.items()
    }
    options, found = find_tokenizer(tokenizer, readers["train"], "--tokenizer")
    return write_store(output, options, found, readers, observe)


def with_tokenizer_of_store(options: DataOptions) -> DataOptions:
    """Take over the tokenizer of the store that `data.corpus` names, if any. Raises DataError if that is damaged."""
    store = _store(options)
    if store is None or store.index.tokenizer == options.tokenizer:
        return options
    if "tokenizer" in options.model_fields_set:
        own = ", ".join(f"{key}: {value}" for key, value in store.index.tokenizer.model_dump().items())
        logger.warning("data.tokenizer: has no effect, as %s was encoded with {%s}.", options.corpus, own)
    return options.model_copy(update={"tokenizer": store.index.tokenizer})


@dataclass(frozen=True)
class _Source:
    """The splits that a corpus has, not read yet."""

    splits: Mapping[str, Callable[[Tokenizer], EncodedText]]
    make_tokenizer: Callable[[], Tokenizer]


def _source(options: DataOptions) -> _Source:
    store = _store(options)
    if store is not None:
        for name in ("eos", "field", "encoding"):  # of a text, of which a store has been made already
            value = getattr(options, name)
            if value != DataOptions.model_fields[name].default:
                why = f"as {options.corpus} holds tokens"
                raise ConfigError(f"data.{name}: {value!r} has no effect, {why}. Leave it out.")
        return _Source({split: partial(_stored, store, split) for split in store.index.texts}, store.load_tokenizer)
    texts = {split: _kept(text, options) for split, text in _texts(options).items()}
    return _Source(
        {split: partial(text.encode, options.tokenizer, split=split) for split, text in texts.items()},
        lambda: texts["train"].train_tokenizer(options.tokenizer),
    )


def _store(options: DataOptions) -> TokenStore | None:
    is_path = "/" in options.corpus
    return TokenStore.open(Path(options.corpus)) if is_path and is_store(Path(options.corpus)) else None


def _stored(store: TokenStore, split: str, tokenizer: Tokenizer) -> EncodedText:
    there, here = store.index.tokenizer_sha256, tokenizer.digest
    if there != here:
        raise DataError(
            f"{store.path}: was encoded with another tokenizer (SHA-256 {there[:12]} there, {here[:12]} here). "
            "Encode the text with the --tokenizer of this one, its tokenizer.json or its run."
        )
    return store.text(split, split=split)


def _kept(text: Text, options: DataOptions) -> KeptText:
    """The text with what the cache has of it: nothing if it is small, or no files tell whether it is still the same."""
    versions = {str(file.absolute()): Version.of(file) for file in text.files}
    if sum(found.size for found in versions.values()) < SMALLEST_KEPT_BYTES or not cache_is_usable():
        return KeptText(text.name, text.blocks, None)
    # Programs that set the time of a file, as archives do, cannot set that of its change.
    changed = [file.stat().st_ctime_ns for file in text.files]
    made_by = options.model_dump(exclude={"tokenizer", "batch_size", "bptt", "variable_bptt", "partial_shuffle"})
    rules = [NORMALIZATION, CUTTING, version("lstmlm")]
    origin = hashlib.sha256(json.dumps([text.name, versions, changed, made_by, rules]).encode()).hexdigest()
    return KeptText(text.name, text.blocks, origin)


def _texts(options: DataOptions) -> dict[str, Text]:
    """The splits that a corpus has, not read yet."""
    if "/" in options.corpus:
        require_text(options)
        return splits_of(options)
    if options.corpus not in DATASETS:
        with explained(Path(options.corpus)):
            lies_here = Path(options.corpus).exists()
        if lies_here:
            raise ConfigError(
                f"data.corpus: {options.corpus!r} lies here, but a path has a slash. Write ./{options.corpus}"
            )
        if Path(options.corpus).suffix and not any(mark in options.corpus for mark in "*?["):
            raise MissingTextError(
                f"{options.corpus}: no such file or corpus. Check the path; "
                "lstmlm data list shows the corpora that have a name."
            )
        raise ConfigError(
            f"data.corpus: {unknown('corpus', options.corpus, DATASETS)} A path has a slash: ./{options.corpus}"
        )
    return named_splits(DATASETS[options.corpus].texts(), options)


def require_text(options: DataOptions) -> None:
    """Look where a corpus is that is given by its path.

    Raises:
        DataError: it is a token store, or cannot be looked into; or it is the text of a shipped configuration, below
            data/, and is not there: how to get it.
    """
    path = Path(options.corpus)
    if is_store(path):
        raise DataError(f"{options.corpus}: holds tokens and no text. Name the text that they are from.")
    folder, name, *_ = (*path.parts, "", "")
    if folder == "data" and name in DATASETS and not Path(folder, name).exists():
        raise MissingTextError(f"{path}: no such file or folder. {DATASETS[name].how_to_replace}")


def _require_training_split(splits: Mapping[str, object], options: DataOptions) -> None:
    if "train" not in splits:
        raise DataError(
            f"{options.corpus}: has no train split. A corpus folder needs one, such as train.txt; "
            "valid and test are optional."
        )
