"""Arrays of whole numbers on disk, in shards that are written once, checked, and mapped into memory as one array.

A shard is a header of `HEADER_BYTES`, which names the format in its first line and goes on with JSON, and raw numbers,
little-endian. Every shard of an array but the last has `SHARD_ITEMS` numbers.
"""

import ctypes
import hashlib
import mmap
import os
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Literal, NoReturn, Self

import numpy as np
from jaxtyping import Integer
from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from lstmlm.errors import CheckpointError, DataError, RunInUseError, StorageError
from lstmlm.files import write_blocks_atomically

VERSION = 1
MAGIC = b"lstmlm shard "

SHARD_ITEMS = 1 << 24
"""Numbers in a shard. It is in memory while it is filled, and an interrupted encoding loses no more than one."""

HEADER_BYTES = 1 << 16
"""A multiple of every size that pages of memory have, so that the numbers after it can be mapped."""

BLOCK_BYTES = 1 << 20
"""What has a checksum of its own."""

NumberType = Literal["|u1", "<u2", "<u4", "<u8", "<i8"]
"""As numpy writes it."""

_MAP_FIXED = 0x10
"""As Linux and macOS define it; Python's `mmap` has no name for it."""

_REMEDY = "Restore it from a copy, or remove the folder and encode the text again with lstmlm data encode."


class StoreError(DataError):
    """A store that is missing, unfinished, damaged, cannot be written, or is of another version or tokenizer."""

    code = "token-store"


class Record(BaseModel):
    """What a file of a store says of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class TextPosition(Record):
    """A place between two words of a text, and what lies before it."""

    n_chars: int
    n_tokens: int
    n_written_unk: int
    n_dropped: int = 0
    restores_text: bool = False
    """Of what an earlier version has written it is not known."""
    sha256: str


class ShardHeader(Record):
    """What a shard says of itself."""

    dtype: NumberType
    n_items: NonNegativeInt
    tokenizer: str
    """SHA-256 of tokenizer.json."""
    block_crc32: list[int]
    """Of every `BLOCK_BYTES` of the numbers."""
    resume_from: TextPosition | None
    """For tokens, from where the text is encoded again if the next shard is missing."""

    @property
    def n_bytes(self) -> int:
        """Length of the numbers."""
        return self.n_items * np.dtype(self.dtype).itemsize

    def to_bytes(self) -> bytes:
        """The header as it is written."""
        content = MAGIC + b"%d\n" % VERSION + self.model_dump_json(indent=1).encode()
        return content.ljust(HEADER_BYTES - 1) + b"\n"

    @classmethod
    def read(cls, path: Path) -> tuple[Self, str]:
        """The header of a shard and its SHA-256. Raises StoreError if it is missing, damaged or of another version."""
        with as_store_errors(path), path.open("rb") as file:
            content = file.read(HEADER_BYTES)
            size = os.fstat(file.fileno()).st_size
        first_line, _, rest = content.partition(b"\n")
        if not first_line.startswith(MAGIC):
            refuse(path, "no header")
        if first_line != MAGIC + b"%d" % VERSION:
            version = first_line.removeprefix(MAGIC).decode("ascii", "replace")[:8]
            raise StoreError(
                f"{path}: is of version {version} of the format, but this lstmlm reads {VERSION}. "
                "Encode the text again with lstmlm data encode."
            )
        try:
            header = cls.model_validate_json(rest)
        except ValidationError as error:
            refuse(path, error.errors()[0]["msg"])
        expected = HEADER_BYTES + header.n_bytes
        if size != expected:
            refuse(path, f"{size} bytes, its header says {expected}")
        return header, hashlib.sha256(content).hexdigest()


class ShardWriter:
    """Writes an array, shard by shard as it comes."""

    def __init__(self, directory: Path, name: str, dtype: NumberType, tokenizer: str, kept: Sequence[str] = ()) -> None:
        """Begin an array, or go on after the shards whose headers have the digests `kept`."""
        self.dtype: NumberType = dtype
        self.digests = list(kept)
        self.n_items = len(kept) * SHARD_ITEMS
        self._directory, self._name, self._tokenizer = directory, name, tokenizer
        self._buffer = np.empty(SHARD_ITEMS, dtype=dtype)
        self._n_pending = 0

    def append(self, values: Integer[np.ndarray, " items"], position: TextPosition | None = None) -> None:
        """Add numbers, of the text from `position` on. Raises StoreError if the disk fails or a number is too large."""
        if len(values) and values.max() > np.iinfo(self.dtype).max:
            raise StoreError(f"{self._path}: {values.max()} is too large. Put line ends into the text.")
        self.n_items += len(values)
        while len(values):
            taken = values[: SHARD_ITEMS - self._n_pending]
            self._buffer[self._n_pending : self._n_pending + len(taken)] = taken
            self._n_pending += len(taken)
            values = values[len(taken) :]
            if self._n_pending == SHARD_ITEMS:
                self._write(position)

    def finish(self) -> list[str]:
        """Write what is left; return the digests of all headers."""
        if self._n_pending:
            self._write(None)
        return self.digests

    @property
    def _path(self) -> Path:
        return shard_path(self._directory, self._name, len(self.digests))

    def _write(self, position: TextPosition | None) -> None:
        content = self._buffer[: self._n_pending].tobytes()
        blocks = [content[start : start + BLOCK_BYTES] for start in range(0, len(content), BLOCK_BYTES)]
        header = ShardHeader(
            dtype=self.dtype,
            n_items=self._n_pending,
            tokenizer=self._tokenizer,
            block_crc32=list(map(zlib.crc32, blocks)),
            resume_from=position,
        ).to_bytes()
        with as_store_errors(self._path):
            write_blocks_atomically(self._path, [header, content])
        self.digests.append(hashlib.sha256(header).hexdigest())
        self._n_pending = 0


def shard_path(directory: Path, name: str, index: int) -> Path:
    """Where a shard of an array is."""
    return directory / f"{name}-{index:05}.shard"


def whole_shards(directory: Path, name: str, dtype: NumberType, tokenizer: str) -> list[tuple[str, TextPosition]]:
    """What an interrupted encoding has left of an array: its full shards, verified, as header digest and position."""
    found: list[tuple[str, TextPosition]] = []
    for index in count():
        path = shard_path(directory, name, index)
        try:
            header, digest = verify_shard(path)
        except StoreError:
            break
        is_alike = (header.dtype, header.n_items, header.tokenizer) == (dtype, SHARD_ITEMS, tokenizer)
        if not is_alike or header.resume_from is None:
            break
        found.append((digest, header.resume_from))
    return found


def verify_shard(path: Path) -> tuple[ShardHeader, str]:
    """Compare every block of a shard with its checksum; return what `read` does. Raises StoreError if it is damaged."""
    header, digest = ShardHeader.read(path)
    with as_store_errors(path), path.open("rb") as file:
        file.seek(HEADER_BYTES)
        for index, checksum in enumerate(header.block_crc32):
            if zlib.crc32(file.read(BLOCK_BYTES)) != checksum:
                refuse(path, f"block {index} differs from its checksum")
    return header, digest


def map_shards(directory: Path, name: str, dtype: NumberType, digests: Sequence[str]) -> Integer[np.ndarray, " items"]:
    """An array of which nothing is read but the headers: read-only, and in memory where and while it is used.

    On Windows, which does not map files side by side, all of it is read into memory.

    Raises:
        StoreError: a shard is missing, cut off, or not the one whose header has the digest given.
    """
    headers = []
    paths = [shard_path(directory, name, index) for index in range(len(digests))]
    for path, digest in zip(paths, digests, strict=True):
        header, found = ShardHeader.read(path)
        if found != digest or header.dtype != dtype:
            raise StoreError(f"{path}: is of another store or was changed. {_REMEDY}")
        headers.append(header)
    return _side_by_side(paths, headers).view(dtype)


def _side_by_side(paths: Sequence[Path], headers: Sequence[ShardHeader]) -> Integer[np.ndarray, " bytes"]:
    """The numbers of all shards: room for all of them, in which each is then mapped over its part."""
    if sys.platform == "win32":
        content = np.concatenate([np.fromfile(path, np.uint8, offset=HEADER_BYTES) for path in paths])
        content.flags.writeable = False
        return content
    n_bytes = sum(header.n_bytes for header in headers)
    room = mmap.mmap(-1, n_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ)
    content = np.frombuffer(room, dtype=np.uint8)
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    address = content.ctypes.data
    for path, header in zip(paths, headers, strict=True):
        with as_store_errors(path), path.open("rb") as file:
            flags = mmap.MAP_SHARED | _MAP_FIXED
            mapped = library.mmap(address, header.n_bytes, mmap.PROT_READ, flags, file.fileno(), HEADER_BYTES)
            if mapped != address:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        address += header.n_bytes
    return content


def refuse(path: Path, reason: str) -> NoReturn:
    """Raise a StoreError that says that a file is damaged."""
    raise StoreError(f"{path}: is damaged ({reason}). {_REMEDY}") from None


@contextmanager
def as_store_errors(path: Path) -> Iterator[None]:
    """Turn what goes wrong with a file of a store into a StoreError, but for what disk or process refuses."""
    try:
        yield
    except FileNotFoundError:
        raise StoreError(f"{path}: is missing. {_REMEDY}") from None
    except (RunInUseError, StorageError):
        raise
    except CheckpointError as error:
        raise StoreError(str(error)) from error
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror or error}). Check its permissions.") from error
