"""Documents: texts that end, in files of their own or as records of JSON lines, joined to one text."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from lstmlm.config.data import EosPlace
from lstmlm.corpus.reading.compression import split_suffixes
from lstmlm.corpus.reading.json_lines import parse_object, text_of
from lstmlm.corpus.reading.text_files import Line, Version, in_blocks, name_of, read_blocks, read_lines
from lstmlm.errors import DataError

RECORD_SUFFIXES = (".json", ".jsonl")
"""Ends of the names of files that hold a JSON object a line, before that of a compression."""


class Piece(NamedTuple):
    """A piece of a document, of any length."""

    text: str
    ends_document: bool = False


def holds_records(path: Path) -> bool:
    """Whether the name of a file says that each line is a record with a text."""
    return split_suffixes(path)[0] in RECORD_SUFFIXES


def read_documents(files: Mapping[Path, Version | None], field: str) -> Iterator[Piece]:
    """The documents of files: the records of each that holds records, any other one as a whole.

    Args:
        files: The files, with what they were when they were read before; see `read_blocks`.
        field: What records call their text. Empty ones are left out, as blank lines are.

    Raises:
        DataError: a file cannot be read, or a line of it holds no such record.
    """
    for path, version in files.items():
        if holds_records(path):
            yield from (Piece(text, ends_document=True) for text in _read_records(path, field, version))
        else:
            yield from map(Piece, read_blocks(path, version=version))
            yield Piece("", ends_document=True)


def _read_records(path: Path, field: str, version: Version | None) -> Iterator[str]:
    texts = (_text_of(line, field) for line in read_lines(path, version) if line.text.strip())
    is_empty = True
    for text in filter(None, texts):
        is_empty = False
        yield text
    if is_empty:
        raise DataError(f"{path}: holds no text. Put some into a record.")


def problems_of_records(path: Path, field: str) -> Iterator[str]:
    """What is wrong with the records of a file, each with its line; nothing where it holds none."""
    if not holds_records(path):
        return
    for line in read_lines(path):
        try:
            if line.text.strip():
                _text_of(line, field)
        except DataError as error:
            yield str(error)


def _text_of(line: Line, field: str) -> str:
    try:
        return text_of(parse_object(line.text), field, name_of(line.file))
    except ValueError as error:
        raise line.error(str(error)) from None


def join_documents(pieces: Iterable[Piece], eos: EosPlace) -> Iterator[str]:
    """One text of documents, in blocks; the last line of each is ended.

    Args:
        pieces: The documents, one after the other.
        eos: `line_and_document` puts an empty line after each, `document` puts each on a line of its own.
    """
    return in_blocks(piece.text for piece in _joined(pieces, eos))


def document_ends(pieces: Iterable[Piece], eos: EosPlace) -> Iterator[int]:
    """How many characters of what `join_documents` makes there are up to the end of each document."""
    n_chars = 0
    for piece in _joined(pieces, eos):
        n_chars += len(piece.text)
        if piece.ends_document:
            yield n_chars


def _joined(pieces: Iterable[Piece], eos: EosPlace) -> Iterator[Piece]:
    if eos == "document":
        return _on_lines_of_their_own(pieces)
    return _one_after_the_other(pieces, end="\n" if eos == "line_and_document" else "")


def _one_after_the_other(pieces: Iterable[Piece], end: str) -> Iterator[Piece]:
    is_open = False
    for text, ends_document in pieces:
        if text:
            yield Piece(text)
            is_open = not text.endswith("\n")
        if ends_document:
            yield Piece(f"\n{end}" if is_open else end, ends_document=True)
            is_open = False


def _on_lines_of_their_own(pieces: Iterable[Piece]) -> Iterator[Piece]:
    # A newline is a space where more of the same document follows.
    owed = ""
    for text, ends_document in pieces:
        if text:
            yield Piece(owed + text.removesuffix("\n").replace("\n", " "))
            owed = " " if text.endswith("\n") else ""
        if ends_document:
            yield Piece("\n", ends_document=True)
            owed = ""
