"""Documents: texts that end, in files of their own or as records of JSON lines, joined to one text."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from lstmlm.config.data import EosPlace
from lstmlm.corpus.reading.json_lines import parse_object, text_of
from lstmlm.corpus.reading.recognition import Kind, kind_of, refuse_what_is_no_corpus, tell_once
from lstmlm.corpus.reading.text_files import Line, Version, encoding_of, in_blocks, lines_of, name_of, read_blocks
from lstmlm.errors import DataError, in_proportion

CALLED_SPLITS = ("train", "valid", "validation", "dev", "test")
"""How corpora call their splits: as the `split` of records, or in names of files."""


class Piece(NamedTuple):
    """A piece of a document, of any length."""

    text: str
    ends_document: bool = False


def open_text(path: Path, version: Version | None, encoding: str) -> tuple[Kind, Iterator[str]]:
    """What a file of a text is, text or JSON lines, and its blocks.

    Raises:
        DataError: the file cannot be read, or is something of which a text has to be made first.
    """
    blocks = read_blocks(path, version=version, encoding=encoding)
    beginning = next(blocks)
    kind = kind_of(path, beginning)
    refuse_what_is_no_corpus(name_of(path), path, kind, beginning, encoding_of(path, beginning, encoding))
    return kind, chain([beginning], blocks)


def holds_records(path: Path, encoding: str) -> bool:
    """Whether each line of a file is a record with a text. Raises DataError as `open_text` does."""
    return open_text(path, None, encoding)[0] == "jsonl"


def read_documents(files: Mapping[Path, Version | None], encoding: str, fields: Sequence[str]) -> Iterator[Piece]:
    """The documents of files: the records of each that holds records, any other one as a whole.

    Args:
        files: The files, with what they were when they were read before; see `read_blocks`.
        encoding: How their characters are written.
        fields: What records may call their text. Empty ones are left out, as blank lines are.

    Raises:
        DataError: a file cannot be read, or lines of it hold no such record.
    """
    remaining = iter(files.items())
    for path, version in remaining:
        try:
            yield from _documents_of(path, version, encoding, fields)
        except DataError as error:
            others = (_problem_of(*other, encoding, fields) for other in remaining)
            raise type(error)("\n".join(in_proportion(chain([str(error)], filter(None, others))))) from None


def _documents_of(path: Path, version: Version | None, encoding: str, fields: Sequence[str]) -> Iterator[Piece]:
    kind, blocks = open_text(path, version, encoding)
    if kind == "jsonl":
        for text in _read_records(lines_of(path, blocks), path, encoding, fields):
            yield Piece(text, ends_document=True)
    else:
        yield from map(Piece, blocks)
        yield Piece("", ends_document=True)


def _problem_of(path: Path, version: Version | None, encoding: str, fields: Sequence[str]) -> str:
    """What is wrong with a file; "" for one that can be read."""
    try:
        for _ in _documents_of(path, version, encoding, fields):
            pass
    except DataError as error:
        return str(error)
    return ""


def _read_records(lines: Iterable[Line], path: Path, encoding: str, fields: Sequence[str]) -> Iterator[str]:
    splits = set[str]()
    records = (_text_or_problem(line, encoding, fields, splits) for line in lines if line.text.strip())
    is_empty = True
    for text in records:
        if isinstance(text, DataError):
            problems = chain([text], (other for other in records if isinstance(other, DataError)))
            raise DataError("\n".join(in_proportion(map(str, problems))))
        if text:
            is_empty = False
            yield text
    if is_empty:
        raise DataError(f"{name_of(path)}: holds no text. Put some into a record.")
    if len(splits) > 1:
        told = (
            f"{name_of(path)}: is read as one text, though the 'split' of its records is {' or '.join(sorted(splits))}."
        )
        advice = "To have them as such, make a folder with train.jsonl, valid.jsonl and test.jsonl."
        tell_once(logging.WARNING, f"{told} {advice}")


def _text_or_problem(line: Line, encoding: str, fields: Sequence[str], splits: set[str]) -> str | DataError:
    """The text of a record, or what is wrong with it; what it says of its split is added to `splits`."""
    try:
        record = parse_object(line.text)
        if (split := record.get("split")) in CALLED_SPLITS:
            splits.add(split)
        return text_of(record, fields, name_of(line.file), encoding)
    except ValueError as error:
        return line.error(str(error))


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
