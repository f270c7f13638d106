"""Text files as blocks of whole lines, in bounded memory: one set of rules for encodings and line ends."""

import codecs
import gzip
import os
import re
import stat
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import NamedTuple, Self

from lstmlm.errors import DataError

BLOCK_BYTES = 1 << 20
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
    r"""The text of a UTF-8 file in blocks of whole lines, each of about `block_bytes` bytes of it, or one line.

    A file whose name ends in `.gz` is decompressed.
    A byte-order mark is dropped; `\r\n` and `\r` become `\n`. Only these end a line: a form feed or U+2028 does not.
    All blocks but the last end in a newline; the last does if the file does.

    Args:
        path: The file, or a pipe.
        block_bytes: Length of a block.
        version: What the file was when it was read before; by default, what it is when reading begins.

    Raises:
        DataError: no such file, a folder, unreadable, damaged, empty, compressed in another way, not UTF-8 (with the
            byte, its offset and its line), or changed since or meanwhile.
    """
    offset, line = 0, 1
    is_empty = True
    for content in raw_blocks(path, block_bytes, version):
        if offset == 0:
            _refuse_foreign_mark(path, content)
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            line += _unix_line_ends(content[: error.start].decode("utf-8")).count("\n")
            raise DataError(
                f"{path}: not UTF-8 (byte 0x{content[error.start]:02X} at offset {offset + error.start}, line {line}). "
                "Convert it: iconv -f latin1 -t utf8."
            ) from None
        text = _unix_line_ends(text.removeprefix("\ufeff") if offset == 0 else text)
        offset += len(content)
        line += text.count("\n")
        if text:
            is_empty = False
            yield text
    if is_empty:
        raise DataError(f"{path}: is empty. Put text into it, a sentence or paragraph a line.")


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


def line_pieces(blocks: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """The lines of a text without their ends, a long one in pieces; and of each piece whether the line ends with it."""
    is_open = False
    for block in blocks:
        *ended, rest = block.split("\n")
        for piece in ended:
            yield piece, True
        if rest:
            yield rest, False
        is_open = bool(rest) or (is_open and not ended)
    if is_open:
        yield "", True


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of a UTF-8 file, by the rules of `read_blocks`."""
    texts = chain.from_iterable(block.removesuffix("\n").split("\n") for block in read_blocks(path))
    for number, text in enumerate(texts, 1):
        yield Line(path, number, text)


def cut_between_words(text: str, part_chars: int = PART_CHARS) -> Iterator[str]:
    """A text in parts of about `part_chars`, cut after a newline or before a single space, so never within a word.

    A block may be one line of any length, and lists of its words take many times its memory.
    """
    start = 0
    while start < len(text):
        place = _BETWEEN_WORDS.search(text, start + part_chars)
        stop = place.start() if place else len(text)
        yield text[start:stop]
        start = stop


def raw_blocks(path: Path, block_bytes: int = BLOCK_BYTES, version: Version | None = None) -> Iterator[bytes]:
    r"""The bytes of a file, cut after a `\n`, `\r\n` or lone `\r`; hence never inside a UTF-8 sequence either."""
    if path.is_dir():
        raise DataError(f"{path}: is a folder, not a text file. Name a file in it.")
    with _explained(path), _opened(path) as file:
        status = os.fstat(file.fileno())
        _refuse_devices(path, status)
        is_repeatable = stat.S_ISREG(status.st_mode)
        version = version or Version(status.st_size, status.st_mtime_ns)
        pending = bytearray()
        while chunk := file.read(block_bytes):
            n_searched = len(pending)
            pending += chunk
            # A \r that comes last may be the first half of \r\n: it is looked at again with the next chunk.
            last_end = max(
                pending.rfind(b"\n", n_searched), pending.rfind(b"\r", max(n_searched - 1, 0), len(pending) - 1)
            )
            if last_end >= 0:
                yield bytes(pending[: last_end + 1])
                del pending[: last_end + 1]
        status = os.fstat(file.fileno())
        if is_repeatable and version != (status.st_size, status.st_mtime_ns):
            raise DataError(f"{path}: changed while it was read. Run the command again when nothing writes to it.")
        if pending:
            yield bytes(pending)


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


def _unix_line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
