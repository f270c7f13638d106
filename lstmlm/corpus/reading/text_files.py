"""Text files as blocks of text, in bounded memory: one set of rules for encodings and line ends."""

import errno
import logging
import os
import re
import stat
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from glob import escape
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import NamedTuple, Self

from lstmlm.corpus.reading.compression import LONGEST_MARK, read_chunks, split_suffixes
from lstmlm.corpus.reading.decoding import UTF8, decoded, encoding_read
from lstmlm.corpus.reading.recognition import Kind, kind_of, tell_once
from lstmlm.corpus.reading.tables import Row, read_table
from lstmlm.errors import DataError, MissingTextError, as_command, in_proportion

BLOCK_BYTES = 1 << 20
"""How much of a file is read at once; a block of text has no more characters."""

_BETWEEN_WORDS = re.compile(r"(?<=\n)|(?<=\S)(?= \S)")

_OF_STORES_AND_RUNS = ({"store.lock"}, {"index.json", "tokenizer.json"}, {"format", "metrics.jsonl"})
"""Names of files that tell what lstmlm has written."""

STANDARD_INPUT = Path("-")
"""Read in place of a file; like a pipe it is kept in memory, so that it can be read again."""

logger = logging.getLogger(__name__)


class Version(NamedTuple):
    """What tells whether a file that is read again is still the same."""

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """The version that a file has now. Raises DataError if there is none, or it cannot be read more than once."""
        with explained(path):
            status = path.stat()
        if stat.S_ISFIFO(status.st_mode):
            raise DataError(f"{path}: is a pipe, but a corpus is read more than once. Save it as a file.")
        _refuse_devices(path, status)
        return cls(status.st_size, status.st_mtime_ns)


def read_blocks(
    path: Path, block_bytes: int = BLOCK_BYTES, version: Version | None = None, encoding: str = UTF8
) -> Iterator[str]:
    r"""The text of a UTF-8 file in blocks; see `in_blocks`.

    A file is decompressed if its name says so; see `COMPRESSIONS`.
    A byte-order mark is dropped; `\r\n` and `\r` become `\n`. Only these end a line: a form feed or U+2028 does not.

    Args:
        path: The file, a pipe, or `STANDARD_INPUT`.
        block_bytes: How much is read at once, and the most characters of a block.
        version: What the file was when it was read before; by default, what it is when reading begins.
        encoding: How its characters are written.

    Raises:
        DataError: no such file, a folder, unreadable, damaged, empty, not what its name says, not UTF-8 (with the byte,
            its offset and its line), or changed since or meanwhile.
        MissingExtraError: what decompresses it is not installed.
    """
    return in_blocks(decoded(name_of(path), raw_chunks(path, block_bytes, version), encoding), block_bytes)


def in_blocks(pieces: Iterable[str], block_chars: int = BLOCK_BYTES) -> Iterator[str]:
    """A text that comes in pieces of any length, in blocks of at most `block_chars` characters.

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
    """The files among `paths`, and `files_below` in place of a folder. Raises DataError if that has none."""
    for path in paths:
        with explained(path):
            is_folder = path.is_dir()
        if not is_folder:
            yield path
            continue
        files = files_below(path, suffixes)
        if not files:
            kind = f"{', '.join(suffixes)} " if suffixes else ""
            raise MissingTextError(f"{path}: holds no {kind}file. Name a file, or another folder.")
        yield from files


def files_below(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """The files of a folder and of those in it, by path, but for hidden and empty ones, and stores and runs.

    Only those count that have one of the suffixes, before that of a compression; without any all count.

    Raises:
        DataError: a folder cannot be read, or a file is a pipe or a device.
    """
    files: list[Path] = []
    linked: list[Path] = []
    made: list[Path] = []
    for parent, folders, names in os.walk(folder, onerror=_refuse_folder):
        if Path(parent) != folder and any(marks <= {*names} for marks in _OF_STORES_AND_RUNS):
            made.append(Path(parent))
            folders[:] = []
            continue
        folders[:] = [name for name in folders if not name.startswith(".")]
        linked += filter(_is_elsewhere, (Path(parent, name) for name in folders))
        files += [Path(parent, name) for name in names if not name.startswith(".")]
    counted = [file for file in files if not suffixes or split_suffixes(file)[0] in suffixes]
    others = Counter(split_suffixes(file)[0] for file in {*files} - {*counted})
    if counted and others:
        pattern = as_command([f"{escape(str(folder))}/**/*"])
        suffix, n_others = others.most_common(1)[0]
        most = f"not {n_others} {f'that end in {suffix}' if suffix else 'without such an ending'}"
        told = f"{folder}: read are {len(counted)} of {len(files)} files, {most}. To read all of them: {pattern}"
        tell_once(logging.WARNING, told)
    if made:
        listed = ", ".join(in_proportion(map(str, sorted(made))))
        tell_once(logging.INFO, f"{folder}: token stores and runs are no texts, and not read: {listed}")
    if linked:
        listed = ", ".join(in_proportion(map(str, sorted(linked))))
        told = f"{folder}: links to folders are not followed: {listed}. Copy what is there into it to read that too."
        tell_once(logging.WARNING, told)
    return sorted(file for file in counted if Version.of(file).size)


def each_once(corpus: Path, files: Sequence[Path]) -> list[Path]:
    """Sort files, and leave out those that links lead to again: a text would be in several splits."""

    def directness(file: Path) -> tuple[bool, int, Path]:
        return file.is_symlink(), len(file.parts), file

    files = list(dict.fromkeys(files))
    # Not `Path.resolve`, which raises for a link to itself; that is told where it is read.
    found = {os.path.realpath(file): file for file in sorted(files, key=directness, reverse=True)}
    if n_again := len(files) - len(found):
        told = f"links lead to files that are read anyway, {n_again:,} in {len(files):,} paths. Each is read once."
        tell_once(logging.WARNING, f"{corpus}: {told}")
    return sorted(found.values())


def _is_elsewhere(folder: Path) -> bool:
    """Whether a link leads to what is not below its own folder, and so not read anyway."""
    return folder.is_symlink() and not folder.resolve().is_relative_to(folder.parent.resolve())


def _refuse_folder(error: OSError) -> None:
    with explained(Path(error.filename)):
        raise error


@dataclass(frozen=True)
class Line:
    """A line of a text file, without its end, and where it is."""

    file: Path
    number: int
    text: str

    def error(self, problem: str) -> DataError:
        """An error that says where the problem is."""
        return DataError(f"{name_of(self.file)}:{self.number}: {problem}")


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


@dataclass(frozen=True)
class WholeFile:
    """A text file in memory."""

    path: Path
    content: str
    """By the rules of `read_blocks`."""
    kind: Kind
    encoding: str
    """How its characters are written, where no byte-order mark says so."""

    @property
    def name(self) -> str:
        """What messages call it."""
        return name_of(self.path)

    def lines(self) -> list[Line]:
        """Its lines."""
        return [*lines_of(self.path, [self.content])]

    def rows(self, delimiter: str | None = None) -> list[Row]:
        """Its rows, if it is a table; see `read_table`."""
        return read_table(self.name, self.content, delimiter)


def read_file(path: Path, encoding: str = UTF8) -> WholeFile:
    """Read a file as a whole and recognise what it is. Raises DataError as `read_blocks` does."""
    content = "".join(read_blocks(path, encoding=encoding))
    return WholeFile(path, content, kind_of(path, content), encoding_of(path, content, encoding))


def encoding_of(path: Path, beginning: str, encoding: str) -> str:
    """How the characters of a file are written whose text begins so: as its markup says, or else `encoding`."""
    if not beginning.lstrip().startswith("<"):
        return encoding
    return encoding_read(name_of(path), next(raw_chunks(path)), encoding)


def read_lines(path: Path, encoding: str = UTF8) -> Iterator[Line]:
    """The lines of a file, by the rules of `read_blocks`; each is in memory as a whole."""
    return lines_of(path, read_blocks(path, encoding=encoding))


def lines_of(path: Path, blocks: Iterable[str]) -> Iterator[Line]:
    """The lines of a file whose blocks are given."""
    number, begun = 1, list[str]()
    for piece, is_end in line_pieces(blocks):
        begun.append(piece)
        if is_end:
            yield Line(path, number, "".join(begun))
            number, begun = number + 1, []


def cut_between_words(text: str, part_chars: int, between: re.Pattern[str] = _BETWEEN_WORDS) -> Iterator[str]:
    """A text in parts of about `part_chars`, cut after a newline or before a single space, so never within a word.

    Or else `between` what it matches, for readers to whom more places are alike.
    """
    start = 0
    while start < len(text):
        place = between.search(text, start + part_chars)
        stop = place.start() if place else len(text)
        yield text[start:stop]
        start = stop


def read_prompt() -> str:
    """What standard input holds, by the rules of `read_blocks` and without the newline that ends it; may be empty."""
    if isinstance(sys.stdin, TextIOWrapper) and not _content_of(sys.stdin):
        return ""
    return "".join(read_blocks(STANDARD_INPUT)).removesuffix("\n")


def name_of(path: Path) -> str:
    """What messages call a file."""
    return "standard input" if path == STANDARD_INPUT else str(path)


def raw_chunks(path: Path, chunk_bytes: int = BLOCK_BYTES, version: Version | None = None) -> Iterator[bytes]:
    """The bytes of a file, decompressed, cut anywhere; it must not change meanwhile."""
    name, compression = name_of(path), split_suffixes(path)[1]
    with explained(path):
        if path != STANDARD_INPUT and path.is_dir():
            raise DataError(f"{path}: is a folder, not a text file. Name a file in it.")
        can_be_read_once = path == STANDARD_INPUT or stat.S_ISFIFO(path.stat().st_mode)
    if can_be_read_once:
        content = _content_of_input() if path == STANDARD_INPUT else _content_of_pipe(path)
        yield from read_chunks(BytesIO(content), name, content[:LONGEST_MARK], compression, chunk_bytes)
        return
    with explained(path), path.open("rb") as file:
        status = os.fstat(file.fileno())
        _refuse_devices(path, status)
        version = version or Version(status.st_size, status.st_mtime_ns)
        yield from read_chunks(file, name, file.peek(LONGEST_MARK), compression, chunk_bytes)
        status = os.fstat(file.fileno())
        if version != (status.st_size, status.st_mtime_ns):
            raise DataError(f"{path}: changed while it was read. Run the command again when nothing writes to it.")


def _content_of_input() -> bytes:
    if not isinstance(sys.stdin, TextIOWrapper):
        raise DataError(f"{name_of(STANDARD_INPUT)}: is closed. Pipe a text into the command.")
    return _content_of(sys.stdin)


@lru_cache(maxsize=1)
def _content_of_pipe(path: Path) -> bytes:
    """What a pipe holds, which can be read only once."""
    with explained(path):
        return path.read_bytes()


@lru_cache(maxsize=1)
def _content_of(stream: TextIOWrapper) -> bytes:
    """What a stream holds that can be read only once."""
    if stream.isatty():
        logger.info("reading a text from the terminal: end it with Ctrl-D (on Windows Ctrl-Z) on a line of its own")
    return bytes(stream.buffer.read())


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Let an error of the operating system be one that says what to do. Raises DataError if there was one."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            problem = "no such file. Check the path, relative to the working directory."
            raise MissingTextError(f"{path}: {problem}") from None
        raise DataError(f"{path}: cannot be read ({error.strerror}). Check its permissions.") from error


def _refuse_devices(path: Path, status: os.stat_result) -> None:
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISFIFO(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise DataError(f"{path}: is a device, which need not end. Name a text file.")
