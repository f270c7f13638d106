"""What is kept of large texts between commands: their tokens, and the vocabularies learnt from them, by content."""

import hashlib
import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from types import TracebackType

from lstmlm.cache import CACHE_MODE, cache_directory, keep_text, kept_text
from lstmlm.config.data import MOST_TOKENIZER_BYTES, AnyTokenizerOptions, FileTokenizerOptions
from lstmlm.corpus.encoded_text import EncodedText, encode_text
from lstmlm.corpus.store.shards import StoreError
from lstmlm.corpus.store.token_store import LOCK, Blocks, TokenStore, is_finished, write_store
from lstmlm.corpus.tokenizers import Tokenizer, load_tokenizer, train_tokenizer
from lstmlm.errors import CheckpointError, ConfigError, DataError
from lstmlm.files import (
    is_locked,
    list_directory,
    make_directory,
    remove_directory,
    remove_leftovers,
    size_of,
    write_atomically,
)

SMALLEST_KEPT_BYTES = 1 << 24
"""Of the files of a text. Less is encoded in the time that importing torch takes: not worth files that stay."""

MOST_KEPT_BYTES = 30 * 10**9
"""Of the tokens of all texts together: beyond it, those go that were not used for longest."""

MOST_DIGEST_BYTES = 1 << 10

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class KeptText:
    """A text with what the cache has of it; what goes wrong with the cache costs a line in the log, and no more."""

    name: str
    """What messages call it."""
    blocks: Blocks
    origin: str | None
    """What tells, without reading it, that this is a text that was read before; None for one that is not kept."""

    def train_tokenizer(self, options: AnyTokenizerOptions) -> Tokenizer:
        """The tokenizer that `options` describe on this text. Raises ConfigError if its vocabulary can hold nothing."""
        if self.origin is None or isinstance(options, FileTokenizerOptions):
            return train_tokenizer(options, self.blocks())  # a file may have changed, and takes no learning
        made_by = [self._sha256, options.model_dump_json(), version("lstmlm"), version("tokenizers")]
        key = hashlib.sha256("\n".join(made_by).encode()).hexdigest()
        name = f"tokenizers/{key}.json"
        with _Optional():
            if known := kept_text(name, MOST_TOKENIZER_BYTES):
                with suppress(DataError):
                    return load_tokenizer(options, known)
        tokenizer = train_tokenizer(options, self.blocks())
        with _Optional():
            keep_text(name, tokenizer.to_json())
        return tokenizer

    def encode(self, options: AnyTokenizerOptions, tokenizer: Tokenizer, split: str | None) -> EncodedText:
        """Return the text, encoded by the tokenizer that `options` describe."""
        if self.origin is not None:
            with _Optional():
                return self._stored(options, tokenizer, split)
        return encode_text(self.name, self.blocks(), tokenizer, split)

    @cached_property
    def _sha256(self) -> str:
        with _Optional():
            if known := kept_text(f"texts/{self.origin}", MOST_DIGEST_BYTES):
                return known
        digest = hashlib.sha256()
        for block in self.blocks():
            digest.update(block.encode())
        with _Optional():
            keep_text(f"texts/{self.origin}", digest.hexdigest())
        return digest.hexdigest()

    def _stored(self, options: AnyTokenizerOptions, tokenizer: Tokenizer, split: str | None) -> EncodedText:
        path = cache_directory() / "tokens" / f"{self._sha256[:32]}-{tokenizer.digest[:32]}"
        if is_finished(path):
            try:
                stored = TokenStore.open(path).text("text", self.name, split)
                _note_use(path)
                return stored
            except (StoreError, CheckpointError) as error:
                logger.info("%s", error)
                with suppress(CheckpointError):  # another process may do the same
                    remove_directory(path)
        logger.info("%s: is encoded, once; the tokens are kept in %s", self.name, path)
        try:
            kept = write_store(path, options, tokenizer, {"text": self.blocks}).text("text", self.name, split)
        except (StoreError, CheckpointError):
            # It would keep a full disk full. The lock first: another process may just be finishing it.
            if path.exists() and not is_locked(path / LOCK) and not is_finished(path):
                with suppress(CheckpointError):
                    remove_directory(path)
            raise
        _remove_unused(path)
        return kept


def cache_is_usable() -> bool:
    """Whether the cache holds tokens, or can; where it can do neither, a line in the log says so, once."""
    try:
        return _is_usable(cache_directory())
    except ConfigError as error:
        logger.warning("Nothing is kept: %s", error)
        return False


@cache
def _is_usable(directory: Path) -> bool:
    with _Optional():
        if not os.access(directory / "tokens", os.R_OK | os.X_OK):  # what is there is read, whoever may write
            make_directory(directory, CACHE_MODE)
            write_atomically(directory / "writable", b"")
        return True
    return False


def _note_use(store: Path) -> None:
    """Let the time at which the folder of a store has changed be that of its last use."""
    with suppress(CheckpointError):  # a cache that cannot be written can be read
        write_atomically(store / "used", b"")


def _remove_unused(newest: Path) -> None:
    """Remove the stores that were not used for longest, until all of them take `MOST_KEPT_BYTES`; the newest stays.

    So do those that are being written; those that were, and were interrupted, are like the others. A process that uses
    one has it mapped, and goes on; another one may remove the same at the same time.
    """
    n_bytes = 0
    try:
        remove_leftovers(newest.parent)
        stores = [path for path in list_directory(newest.parent) if path.is_dir() and not is_locked(path / LOCK)]
        for store in sorted(stores, key=lambda store: store.stat().st_mtime_ns, reverse=True):
            n_bytes += sum(map(size_of, list_directory(store)))
            if n_bytes > MOST_KEPT_BYTES and store != newest:
                logger.info("%s: is removed, as over %d GB of tokens are kept", store, MOST_KEPT_BYTES // 10**9)
                remove_directory(store)
    except (CheckpointError, OSError) as error:
        logger.info("%s", error)


class _Optional:
    """Logs what is wrong with the cache in place of raising it."""

    def __enter__(self) -> None:
        """Begin what the program can do without."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if not isinstance(error, StoreError | CheckpointError):
            return False
        logger.warning("Nothing is kept: %s", error)
        return True
