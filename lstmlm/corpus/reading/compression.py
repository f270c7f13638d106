"""Compressed files, recognised by the ends of their names and read as what they hold."""

import bz2
import gzip
import lzma
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from io import BufferedIOBase
from pathlib import PurePath

from lstmlm.errors import DataError, MissingExtraError

Reader = Callable[[BufferedIOBase, int], Iterator[bytes]]
"""Yields what a file holds, in chunks of at most a number of bytes."""


@dataclass(frozen=True)
class Compression:
    """A way of compressing files."""

    name: str
    marks: tuple[bytes, ...]
    """What a file can begin with."""
    read: Reader


COMPRESSED_BYTES = 1 << 15
"""How much is read at once of streams, of which there may be thousands: what follows each is copied."""


def _read_gzip(file: BufferedIOBase, chunk_bytes: int) -> Iterator[bytes]:
    return iter(partial(gzip.GzipFile(fileobj=file).read, chunk_bytes), b"")


def _read_zstd(file: BufferedIOBase, chunk_bytes: int) -> Iterator[bytes]:
    try:
        zstd = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
    except ImportError:
        raise MissingExtraError("backports.zstd: is not installed. Install it: pip install 'lstmlm[zstd]'") from None
    # Large texts are published with windows beyond the 128 MB that are read unless more is allowed.
    widest = {zstd.DecompressionParameter.window_log_max: zstd.DecompressionParameter.window_log_max.bounds()[1]}
    return iter(partial(zstd.open(file, options=widest).read, chunk_bytes), b"")


def _read_streams(
    new_stream: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor], file: BufferedIOBase, chunk_bytes: int
) -> Iterator[bytes]:
    """Yield one stream after the other, as `cat` and parallel programs write them; zeros may stand between.

    Python's own files end, without a word, before a stream that is damaged where it begins.
    """
    n_bytes = min(chunk_bytes, COMPRESSED_BYTES)
    content = file.read(n_bytes)
    while content:
        stream = new_stream()
        while not stream.eof:
            yield stream.decompress(content, chunk_bytes)
            content = b""
            if stream.needs_input and not (content := file.read(n_bytes)):
                raise EOFError
        content = stream.unused_data
        while not (content := content.lstrip(b"\0")) and (content := file.read(n_bytes)):
            pass


COMPRESSIONS: Mapping[str, Compression] = {
    ".bz2": Compression(
        "bzip2", tuple(b"BZh%d" % level for level in range(1, 10)), partial(_read_streams, bz2.BZ2Decompressor)
    ),
    ".gz": Compression("gzip", (b"\x1f\x8b",), _read_gzip),
    ".xz": Compression("xz", (b"\xfd7zXZ\0",), partial(_read_streams, lzma.LZMADecompressor)),
    # pzstd writes a frame that is skipped before those with data.
    ".zst": Compression("zstd", (b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18"), _read_zstd),
}
"""By the end of a file's name."""

LONGEST_MARK = max(len(mark) for compression in COMPRESSIONS.values() for mark in compression.marks)


def split_suffixes(path: PurePath) -> tuple[str, str]:
    """Return what a file's name says that it holds and how it is compressed: `.jsonl` and `.gz`, or `.txt` and ``."""
    compression = path.suffix.lower()
    if compression in COMPRESSIONS:
        return PurePath(path.stem).suffix.lower(), compression
    return compression, ""


def read_chunks(file: BufferedIOBase, name: str, beginning: bytes, suffix: str, chunk_bytes: int) -> Iterator[bytes]:
    """Read a file, decompressed if its suffix says that it is compressed; see `COMPRESSIONS`. Messages call it `name`.

    Its beginning, `LONGEST_MARK` bytes or more where it has as many, is known before any of it is read.

    Raises:
        DataError: the file is damaged, or is not what its name says.
        MissingExtraError: what reads such files is not installed.
    """
    expected = COMPRESSIONS.get(suffix)
    for other_suffix, other in COMPRESSIONS.items():
        if other_suffix != suffix and beginning.startswith(other.marks):
            raise DataError(
                f"{name}: is compressed ({other.name}), which its name does not say. "
                f"Let it end in {other_suffix}, or unpack it."
            )
    if expected is None or not beginning:
        yield from iter(partial(file.read, chunk_bytes), b"")
        return
    if not beginning.startswith(expected.marks):
        raise DataError(
            f"{name}: is not compressed ({expected.name}), though its name ends in {suffix}. Rename or compress it."
        )
    try:
        yield from filter(None, expected.read(file, chunk_bytes))
    except (MemoryError, MissingExtraError):
        raise
    # The modules have no class of errors in common; those of the operating system have a number.
    except Exception as error:
        if getattr(error, "errno", None) is not None:
            raise
        raise DataError(f"{name}: is damaged (not a whole {expected.name} file). Compress it again.") from None


def gzipped(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the content of a `.gz` file that holds these blocks."""
    compressor = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    yield from map(compressor.compress, blocks)
    yield compressor.flush()
