"""Text files as blocks of text, in bounded memory: one set of rules for encodings and line ends."""

import codecs
import gzip
import os
import re
import stat
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader, IncrementalNewlineDecoder
from itertools import chain
from pathlib import Path
from typing import NamedTuple, Self

from lstmlm.errors import DataError

BLOCK_BYTES = 1 << 20
"""How much of a file is read at once; a block of text has no more characters."""

PART_CHARS = 1 << 20

_BETWEEN_WORDS = re.compile(r"(?<=\n)|(?<=\S)(?= \S)")

NORMALIZATION = "utf8-lf-v1"
"""Name and version of what `read_blocks` does to a text: figures are comparable only where it was the same."""

# UTF-32 first: its little-endian mark begins with that of UTF-16.
_FOREIGN_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_COMPRESSED_MARKS = ((b"\x1f\x8b", "gzip"), (b"PK\x03\x04", "zip"), (b"\xfd7zXZ", "xz"), (b"(\xb5/\xfd", "zstd"))


class Version(NamedTuple):
    """What tells whether a file that is read again is still the same."""

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """The version that a file has now.

        Raises:
            DataError: there is no such file, or it cannot be read more than once.
        """
        with _explained(path):
            status = path.stat()
        if stat.S_ISFIFO(status.st_mode):
            raise DataError(f"{path}: is a pipe, but a corpus is read more than once. Save it as a file.")
        _refuse_devices(path, status)
        return cls(status.st_size, status.st_mtime_ns)


def read_blocks(path: Path, block_bytes: int = BLOCK_BYTES, version: Version | None = None) -> Iterator[str]:
    r"""The text of a UTF-8 file in blocks; see `in_blocks`.

    A file whose name ends in `.gz` is decompressed.
    A byte-order mark is dropped; `\r\n` and `\r` become `\n`. Only these end a line: a form feed or U+2028 does not.

    Args:
        path: The file, or a pipe.
        block_bytes: How much is read at once, and the most characters of a block.
        version: What the file was when it was read before; by default, what it is when reading begins.

    Raises:
        DataError: no such file, a folder, unreadable, damaged, empty, compressed in another way, not UTF-8 (with the
            byte, its offset and its line), or changed since or meanwhile.
    """
    return in_blocks(_decoded(path, _chunks(path, block_bytes, version)), block_bytes)


def in_blocks(pieces: Iterable[str], block_chars: int = BLOCK_BYTES) -> Iterator[str]:
    """A text that comes in pieces of any length, in blocks of at most `block_chars` characters, or only a few less.

    A block ends with a line; within a line that is longer than a block, with a word; within such a word, anywhere.
    """
    pending: list[str] = []
    n_pending = 0
    for piece in pieces:
        pending.append(piece)
        n_pending += len(piece)
        if n_pending < block_chars:
            continue
        text, start = "".join(pending), 0
        while len(text) - start >= block_chars:
            stop = _last_gap(text, start, start + block_chars)
            yield text[start:stop]
            start = stop
        pending, n_pending = [text[start:]], len(text) - start
    if n_pending:
        yield "".join(pending)


def _last_gap(text: str, start: int, stop: int) -> int:
    """Where a block ends that begins at `start` and ends at `stop` or before."""
    newline = text.rfind("\n", start, stop)
    if newline >= 0:
        return newline + 1
    # White space goes with the word after it, as in the tokens of parts of words.
    gap = max(text.rfind(" ", start, stop), text.rfind("\t", start, stop), start)
    end_of_word = start + len(text[start:gap].rstrip(" \t"))
    return end_of_word if end_of_word > start else stop


def files_in(paths: Iterable[Path], suffixes: Sequence[str] = ()) -> Iterator[Path]:
    """The files among `paths`, and in place of a folder the files in it, sorted by name.

    Args:
        paths: Files and folders.
        suffixes: Those that count in a folder; without them all files but hidden ones.

    Raises:
        DataError: a folder has no such file.
    """
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        visible = (file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
        files = sorted(file for file in visible if not suffixes or file.suffix in suffixes)
        if not files:
            kind = f"{', '.join(suffixes)} file" if suffixes else "file"
            raise DataError(f"{path}: holds no {kind}. Name a file, or another folder.")
        yield from files


@dataclass(frozen=True)
class Line:
    """A line of a text file, without its end, and where it is."""

    file: Path
    number: int
    text: str

    def error(self, problem: str) -> DataError:
        """An error that says where the problem is."""
        return DataError(f"{self.file}:{self.number}: {problem}")


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of a UTF-8 file, by the rules of `read_blocks`."""
    number, begun = 1, []
    for block in read_blocks(path):
        first, *others = block.split("\n")
        begun.append(first)
        for text in others:
            yield Line(path, number, "".join(begun))
            number, begun = number + 1, [text]
    if any(begun):
        yield Line(path, number, "".join(begun))


def cut_between_words(text: str, part_chars: int = PART_CHARS) -> Iterator[str]:
    """A text in parts of about `part_chars`, cut after a newline or before a single space, so never within a word."""
    start = 0
    while start < len(text):
        place = _BETWEEN_WORDS.search(text, start + part_chars)
        stop = place.start() if place else len(text)
        yield text[start:stop]
        start = stop


def _chunks(path: Path, chunk_bytes: int, version: Version | None) -> Iterator[bytes]:
    """What a file holds, which must not change meanwhile."""
    if path.is_dir():
        raise DataError(f"{path}: is a folder, not a text file. Name a file in it.")
    with _explained(path), _opened(path) as file:
        status = os.fstat(file.fileno())
        _refuse_devices(path, status)
        is_repeatable = stat.S_ISREG(status.st_mode)
        version = version or Version(status.st_size, status.st_mtime_ns)
        while chunk := file.read(chunk_bytes):
            yield chunk
        status = os.fstat(file.fileno())
        if is_repeatable and version != (status.st_size, status.st_mtime_ns):
            raise DataError(f"{path}: changed while it was read. Run the command again when nothing writes to it.")


def _decoded(path: Path, chunks: Iterable[bytes]) -> Iterator[str]:
    r"""The text of UTF-8 that may be cut anywhere, also within a character or between `\r` and `\n`."""
    utf8 = codecs.getincrementaldecoder("utf-8-sig")()
    line_ends = IncrementalNewlineDecoder(None, translate=True)
    offset, line = 0, 1
    is_empty = True
    for chunk in chain(chunks, [b""]):
        if offset == 0:
            _refuse_foreign_mark(path, chunk)
        offset += len(chunk)
        try:
            text = utf8.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            line += line_ends.decode(error.object[: error.start].decode(), final=True).count("\n")
            raise DataError(
                f"{path}: not UTF-8 (byte 0x{error.object[error.start]:02X} at offset "
                f"{offset - len(error.object) + error.start}, line {line}). "
                "Convert it: iconv -f latin1 -t utf8."
            ) from None
        text = line_ends.decode(text, final=not chunk)
        line += text.count("\n")
        if text:
            is_empty = False
            yield text
    if is_empty:
        raise DataError(f"{path}: is empty. Put text into it, a sentence or paragraph a line.")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"{path}: no such file. Check the path, relative to the working directory.") from None
    except (gzip.BadGzipFile, zlib.error, EOFError):
        raise DataError(f"{path}: is damaged (not a whole gzip file). Compress it again.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Check its permissions.") from error


def _opened(path: Path) -> BufferedReader | gzip.GzipFile:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def _refuse_devices(path: Path, status: os.stat_result) -> None:
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISFIFO(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise DataError(f"{path}: is a device, which need not end. Name a text file.")


def _refuse_foreign_mark(path: Path, content: bytes) -> None:
    for mark, encoding in _FOREIGN_MARKS:
        if content.startswith(mark):
            raise DataError(
                f"{path}: not UTF-8 (begins with the byte-order mark of {encoding}). "
                f"Convert it: iconv -f {encoding.lower()} -t utf8."
            )
    for mark, compression in _COMPRESSED_MARKS:
        if content.startswith(mark):
            raise DataError(f"{path}: is compressed ({compression}). Unpack it; only .gz files are read as they are.")
