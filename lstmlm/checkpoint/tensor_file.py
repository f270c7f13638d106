"""Tensors as a safetensors file that is written from their memory and read into it.

The bytes are those of the `safetensors` library, which would need a copy of all tensors to write them and to read them:
the length of a header in eight bytes, the header, which is JSON padded with spaces, and one tensor after the other.
"""

import math
from collections.abc import Iterator, Mapping
from io import BufferedReader
from typing import TYPE_CHECKING, Annotated, Self, TypeAlias

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from lstmlm.files import BLOCK_BYTES, Block

if TYPE_CHECKING:
    from torch import Tensor

MOST_HEADER_BYTES = 1 << 20
"""Of the names and shapes that a file begins with."""

_LENGTH_BYTES = 8
_ALIGNMENT = 8

_FORMATS = {
    "I64": ("int64", 8),
    "F64": ("float64", 8),
    "F32": ("float32", 4),
    "I32": ("int32", 4),
    "BF16": ("bfloat16", 2),
    "F16": ("float16", 2),
    "I16": ("int16", 2),
    "I8": ("int8", 1),
    "U8": ("uint8", 1),
    "BOOL": ("bool", 1),
}
"""Number formats by the names they have in a file, in the order in which a file has their tensors: the name that torch
has for each, and its bytes. Headers are read without torch, which takes a second to load."""
_NAMES = {f"torch.{name}": format_ for format_, (name, _) in _FORMATS.items()}

_Count: TypeAlias = Annotated[int, Field(ge=0, lt=2**63)]


class _Entry(BaseModel, frozen=True, extra="forbid", strict=True):
    """What the header says of a tensor."""

    dtype: str
    shape: Annotated[list[_Count], Field(max_length=8)]
    """No tensor here has more dimensions; the product of all that a header has room for would take long."""
    data_offsets: tuple[_Count, _Count]
    """Where its bytes begin and end, counted from the end of the header."""


_METADATA = "__metadata__"
_HEADER = TypeAdapter(dict[str, _Entry | dict[str, str]])


class _Header(BaseModel, frozen=True, extra="allow", strict=True):
    """A header as it is read: with texts about the file."""

    __pydantic_extra__: dict[str, _Entry]
    metadata: Annotated[dict[str, str], Field(alias=_METADATA)] = {}


class TensorFile:
    """The content of a safetensors file. Iterating gives its bytes, as often as asked: views of the tensors' memory.

    Args:
        header: What precedes the tensors in the file.
        tensors: In the order of the file.
        metadata: Texts about them in the header.
    """

    def __init__(self, header: bytes, tensors: "dict[str, Tensor]", metadata: Mapping[str, str] | None = None) -> None:
        self.tensors = tensors
        self.metadata = dict(metadata or {})
        self._header = header

    @classmethod
    def of(cls, tensors: "Mapping[str, Tensor]", metadata: Mapping[str, str] | None = None) -> Self:
        """The file of tensors that may be on any device, views or shared: each is written on its own."""
        formats, end = list(_NAMES), 0
        entries: dict[str, _Entry | dict[str, str]] = {_METADATA: dict(metadata)} if metadata else {}
        ordered = dict(sorted(tensors.items(), key=lambda item: (formats.index(str(item[1].dtype)), item[0])))
        for name, tensor in ordered.items():
            start, end = end, end + tensor.nbytes
            entries[name] = _Entry(dtype=_NAMES[str(tensor.dtype)], shape=[*tensor.shape], data_offsets=(start, end))
        header = _HEADER.dump_json(entries)
        header += b" " * (-len(header) % _ALIGNMENT)
        return cls(len(header).to_bytes(_LENGTH_BYTES, "little") + header, ordered, metadata)

    @classmethod
    def read(cls, file: BufferedReader, size: int) -> Self:
        """Read a file of `size` bytes into new tensors: to be compared, by iterating, before they are trusted.

        Raises:
            ValueError: The header is that of no such file.
        """
        import torch

        length, header = _header(file)
        tensors = {}
        entries, metadata = _entries(header, size - len(length) - len(header))
        for name, entry in entries.items():
            start, end = entry.data_offsets
            # Bytes first: torch refuses to allocate some shapes that have no elements.
            content = torch.empty(end - start, dtype=torch.uint8)
            file.readinto(content.numpy().data)
            tensors[name] = content.view(getattr(torch, _FORMATS[entry.dtype][0])).view(entry.shape)
        return cls(length + header, tensors, metadata)

    def __iter__(self) -> Iterator[Block]:
        import torch

        yield self._header
        for tensor in self.tensors.values():
            # Copied where they are not on the CPU or not contiguous: one at a time.
            memory = tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data
            for start in range(0, len(memory), BLOCK_BYTES):
                yield memory[start : start + BLOCK_BYTES]


def n_elements(file: BufferedReader, size: int) -> int:
    """Return how many numbers a file of `size` bytes holds, by its header alone.

    Raises:
        ValueError: The header is that of no such file.
    """
    length, header = _header(file)
    entries, _ = _entries(header, size - len(length) - len(header))
    return sum(math.prod(entry.shape) for entry in entries.values())


def _header(file: BufferedReader) -> tuple[bytes, bytes]:
    """Read the length of the header, as it is written, and the header."""
    length = file.read(_LENGTH_BYTES)
    n_header_bytes = int.from_bytes(length, "little")
    if n_header_bytes > MOST_HEADER_BYTES:
        raise ValueError(f"a header of more than {MOST_HEADER_BYTES} bytes")
    return length, file.read(n_header_bytes)


def _entries(header: bytes, n_bytes: int) -> tuple[dict[str, _Entry], dict[str, str]]:
    """What a header says of the tensors in the `n_bytes` bytes that follow it, in their order; and its texts."""
    try:
        read = _Header.model_validate_json(header)
    except ValidationError as error:
        raise ValueError(f"header: {error.errors()[0]['msg']}") from None
    entries, place = read.__pydantic_extra__, 0
    for name, entry in entries.items():
        start, end = entry.data_offsets
        if entry.dtype not in _FORMATS:
            raise ValueError(f"header: {name!r:.60} has the unknown number format {entry.dtype!r:.60}")
        if end - start != math.prod(entry.shape) * _FORMATS[entry.dtype][1]:
            raise ValueError(f"header: {name!r:.60} has {end - start} bytes, its shape and number format say others")
        if start != place:
            raise ValueError(f"header: {name!r:.60} begins at byte {start}, the one before it ends at {place}")
        place = end
    if place != n_bytes:
        raise ValueError(f"header: of {place} bytes, {n_bytes} follow")
    return entries, read.metadata
