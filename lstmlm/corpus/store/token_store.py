"""Token stores: folders that hold texts as the tokens of one tokenizer, so that a text is encoded once.

index.json            what there is, written last: without it a store is not finished
tokenizer.json
train-tokens-00000.shard   train-line_chars-…   train-line_bytes-…   train-token_counts-…   valid-…
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from jaxtyping import Int, Integer
from pydantic import ValidationError

from lstmlm.config.data import MOST_TOKENIZER_BYTES, AnyTokenizerOptions
from lstmlm.corpus.encoded_text import EncodedText, TextEncoder
from lstmlm.corpus.reading import text_files
from lstmlm.corpus.store import shards
from lstmlm.corpus.store.shards import (
    NumberType,
    Record,
    ShardWriter,
    StoreError,
    TextPosition,
    as_store_errors,
    refuse,
)
from lstmlm.corpus.tokenizers import TOKENIZERS, Tokenizer, load_tokenizer
from lstmlm.files import locked, make_directory, read_bytes, remove_leftovers, write_atomically

INDEX = "index.json"
TOKENIZER = "tokenizer.json"
LOCK = "store.lock"

TOKEN_TYPES: tuple[NumberType, ...] = ("|u1", "<u2", "<u4")
"""The first that holds every id is taken."""

LENGTH_TYPE: NumberType = "<u4"
COUNT_TYPE: NumberType = "<i8"

COUNTED_TOKENS = 1 << 20

MOST_INDEX_BYTES = 1 << 24
"""A trillion tokens take less than half of it."""

MOST_VERIFIED_BYTES = 1 << 28
"""Of a text that is verified whenever it is opened, which takes a fraction of a second; more would be felt."""

Blocks = Callable[[], Iterator[str]]
"""Reads a text, in blocks."""

Observer = Callable[[str, TextEncoder], None]
"""Is told, after every stretch, which text is encoded and how far it is."""


class StoredArray(Record):
    """An array in shards."""

    dtype: NumberType
    headers: list[str]
    """SHA-256 of the header of each shard."""


class StoredText(Record):
    """What the index says of a text; see `EncodedText`."""

    n_words: int
    n_unk: int
    n_oov: int
    restores_text: bool | None = None
    """None where an earlier version has written the store."""
    sha256: str
    unknown_pieces: tuple[str, ...] = ()
    tokens: StoredArray
    line_chars: StoredArray
    line_bytes: StoredArray
    token_counts: StoredArray

    @property
    def arrays(self) -> dict[str, StoredArray]:
        """The arrays by name."""
        return {name: value for name, value in self if isinstance(value, StoredArray)}


class Index(Record):
    """The content of index.json."""

    version: Literal[1] = 1
    tokenizer: AnyTokenizerOptions
    tokenizer_sha256: str
    texts: dict[str, StoredText]


@dataclass(frozen=True)
class TokenStore:
    """A finished store. Its tokens are read when they are used, never before."""

    path: Path
    index: Index

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a store. Raises StoreError if there is none, it is not finished, damaged, or of another version."""
        if (path / LOCK).exists() and not (path / INDEX).exists():
            raise StoreError(
                f"{path}: is not finished. Run the lstmlm data encode that began it once more: it goes on."
            )
        with as_store_errors(path / INDEX):
            content = read_bytes(path / INDEX, MOST_INDEX_BYTES)
        try:
            return cls(path, Index.model_validate_json(content))
        except ValidationError as error:
            first = error.errors()[0]
            refuse(path / INDEX, f"{'.'.join(map(str, first['loc']))}: {first['msg']}")

    def load_tokenizer(self) -> Tokenizer:
        """Load the tokenizer that the texts are encoded by. Raises StoreError if it is missing or damaged."""
        path = self.path / TOKENIZER
        with as_store_errors(path):
            content = read_bytes(path, MOST_TOKENIZER_BYTES)
        tokenizer = load_tokenizer(self.index.tokenizer, content.decode("utf-8", "replace"))
        if tokenizer.digest != self.index.tokenizer_sha256:
            refuse(path, f"its SHA-256 differs from {INDEX}")
        return tokenizer

    def text(self, name: str, label: str | None = None, split: str | None = None) -> EncodedText:
        """Map a text of the store into memory, after a check that all of it is there.

        Args:
            name: A key of `index.texts`.
            label: What messages call it; without it the folder and `name`.
            split: `train`, `valid` or `test`, where it is one of them.

        Raises:
            StoreError: a shard is missing, cut off, of another store, or of a small store and damaged.
        """
        stored, arrays = self.index.texts[name], self._map(name)
        if sum(array.nbytes for array in arrays.values()) <= MOST_VERIFIED_BYTES:
            self._verify_text(name)
        fields: dict[str, Any] = stored.model_dump(exclude=set(arrays)) | arrays
        if stored.restores_text is None:
            fields["restores_text"] = TOKENIZERS[type(self.index.tokenizer)].always_restores
        return EncodedText(name=label or f"{self.path} ({name})", split=split, **fields)

    def verify(self) -> None:
        """Read everything and compare it with its checksums. Raises StoreError if something is damaged."""
        self.load_tokenizer()
        for name in self.index.texts:
            self._map(name)
            self._verify_text(name)

    def _map(self, name: str) -> dict[str, Integer[np.ndarray, " items"]]:
        return {
            part: shards.map_shards(self.path, f"{name}-{part}", array.dtype, array.headers)
            for part, array in self.index.texts[name].arrays.items()
        }

    def _verify_text(self, name: str) -> None:
        for part, array in self.index.texts[name].arrays.items():
            for index in range(len(array.headers)):
                shards.verify_shard(shards.shard_path(self.path, f"{name}-{part}", index))


def is_finished(path: Path) -> bool:
    """Whether a folder is a store that can be opened."""
    return (path / INDEX).exists() and (path / TOKENIZER).exists()


def is_store(path: Path) -> bool:
    """Whether a folder is a store, or was to become one when the encoding was interrupted.

    Raises:
        DataError: it may not be looked into.
    """
    with text_files.explained(path):
        return is_finished(path) or (path / LOCK).exists()


def write_store(
    path: Path,
    options: AnyTokenizerOptions,
    tokenizer: Tokenizer,
    texts: Mapping[str, Blocks],
    observe: Observer = lambda _name, _encoder: None,
) -> TokenStore:
    """Encode texts, given by name, into a folder that is empty or does not exist; `observe` is told how far it is.

    An encoding of the same that was interrupted goes on. The tokenizer is the one that `options` describe.

    Raises:
        CheckpointError: the folder is in use, or cannot be written.
        StoreError: it holds something else.
        DataError: a text cannot be read.
    """
    with ExitStack() as owned:
        with as_store_errors(path):
            make_directory(path)
            refuse_occupied(path)
            owned.enter_context(locked(path / LOCK))
            refuse_occupied(path)  # what another process has finished meanwhile
            remove_leftovers(path)
            write_atomically(path / TOKENIZER, tokenizer.to_json().encode())
        stored = {name: _encode_text(path, name, blocks, tokenizer, observe) for name, blocks in texts.items()}
        index = Index(tokenizer=options, tokenizer_sha256=tokenizer.digest, texts=stored)
        with as_store_errors(path / INDEX):
            write_atomically(path / INDEX, index.model_dump_json(indent=1).encode() + b"\n")
    return TokenStore(path, index)


def refuse_occupied(path: Path) -> None:
    """Refuse to encode into a folder that holds a store or something else. Raises StoreError."""
    if (path / INDEX).exists():
        raise StoreError(f"{path}: already holds a store. Choose another folder, or remove it.")
    if path.exists() and not (path / LOCK).exists() and any(path.iterdir()):
        raise StoreError(f"{path}: holds other files. Choose a folder that is empty or does not exist.")


def _encode_text(path: Path, name: str, blocks: Blocks, tokenizer: Tokenizer, observe: Observer) -> StoredText:
    writer = _TextWriter(path, name, tokenizer, is_resumed=True)
    unencoded = writer.skip_encoded(blocks())
    if unencoded is None:
        writer, unencoded = _TextWriter(path, name, tokenizer, is_resumed=False), blocks()
    for encoder in writer.encode(unencoded):
        observe(name, encoder)
    return writer.finish()


class _TextWriter:
    """Writes the arrays of one text, after the token shards that an interrupted encoding has left."""

    def __init__(self, path: Path, name: str, tokenizer: Tokenizer, *, is_resumed: bool) -> None:
        self._encoder = TextEncoder(tokenizer)
        self._tokenizer = tokenizer
        self._path, self._name = path, name
        dtype = next(dtype for dtype in TOKEN_TYPES if np.iinfo(dtype).max >= tokenizer.vocab_size - 1)
        kept = shards.whole_shards(path, f"{name}-tokens", dtype, tokenizer.digest) if is_resumed else []
        self._resume_from = kept[-1][1] if kept else None
        self._writers = {
            "tokens": self._writer("tokens", dtype, [digest for digest, _ in kept]),
            "line_chars": self._writer("line_chars", LENGTH_TYPE),
            "line_bytes": self._writer("line_bytes", LENGTH_TYPE),
            "token_counts": self._writer("token_counts", COUNT_TYPE),
        }
        self._token_counts = np.zeros(tokenizer.vocab_size, dtype=np.int64)
        if kept:
            self._count(shards.map_shards(path, f"{name}-tokens", dtype, self._writers["tokens"].digests))

    def skip_encoded(self, blocks: Iterator[str]) -> Iterator[str] | None:
        """Read over what needs no encoding any more; return the rest, or None if this is another text."""
        encoder, position = self._encoder, self._resume_from
        if position is None:
            return blocks
        rest = ""
        for block in blocks:
            n_left = position.n_chars - encoder.n_chars
            self._append_lines(*encoder.count(block[:n_left]))
            if rest := block[n_left:]:
                break
        for field in ("n_tokens", "n_written_unk", "n_dropped", "restores_text"):
            setattr(encoder, field, getattr(position, field))
        return chain([rest], blocks) if encoder.sha256 == position.sha256 else None

    def encode(self, blocks: Iterator[str]) -> Iterator[TextEncoder]:
        """Encode what is left of the text; yields how far it is after every stretch."""
        encoder = self._encoder
        position = self._position()
        # A stretch may begin in a shard that is there already.
        n_kept = self._writers["tokens"].n_items - encoder.n_tokens
        for stretch in encoder.encode(blocks):
            tokens = stretch.tokens[n_kept:]
            n_kept -= len(stretch.tokens) - len(tokens)
            self._writers["tokens"].append(tokens, position)
            self._count(tokens)
            self._append_lines(stretch.line_chars, stretch.line_bytes)
            position = self._position()
            yield encoder

    def finish(self) -> StoredText:
        """Write what is not written yet; return what the index says of the text."""
        self._writers["token_counts"].append(self._token_counts)
        arrays = {part: StoredArray(dtype=array.dtype, headers=array.finish()) for part, array in self._writers.items()}
        return StoredText(**(self._encoder.counts(self._token_counts) | arrays))

    def _writer(self, part: str, dtype: NumberType, kept: Sequence[str] = ()) -> ShardWriter:
        return ShardWriter(self._path, f"{self._name}-{part}", dtype, self._tokenizer.digest, kept)

    def _position(self) -> TextPosition:
        return TextPosition.model_validate({name: getattr(self._encoder, name) for name in TextPosition.model_fields})

    def _append_lines(self, line_chars: Int[np.ndarray, " lines"], line_bytes: Int[np.ndarray, " lines"]) -> None:
        self._writers["line_chars"].append(line_chars)
        self._writers["line_bytes"].append(line_bytes)

    def _count(self, tokens: Integer[np.ndarray, " tokens"]) -> None:
        # In parts, because bincount makes a copy of 8 bytes a token.
        for start in range(0, len(tokens), COUNTED_TOKENS):
            part = tokens[start : start + COUNTED_TOKENS]
            self._token_counts += np.bincount(part, minlength=len(self._token_counts))
