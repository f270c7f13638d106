"""Stimuli of an experiment: sentences of the user's own words, from plain text, TSV or JSONL."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lstmlm.corpus.reading.json_lines import parse_object, shown
from lstmlm.corpus.reading.text_files import name_of, read_blocks, read_lines
from lstmlm.corpus.reading.white_space import words_of
from lstmlm.errors import DataError, did_you_mean

TEXT_KEYS = ("text", "sentence", "words")
"""An object of a JSONL file has one of these: lines of text under either of two names, or the words of one line."""

TSV_COLUMNS = ("item", "sentence", "word")
"""The columns of a TSV file that say what a row is; all others are passed on."""

THE_ITEM = 1
"""What the only item of a file is called that names none."""

_LINE = re.compile(r"[^\n]*\n|[^\n]+")


@dataclass(frozen=True)
class Sentence:
    """The words of one line."""

    item: Any
    """To what it belongs: sentences of one item are a document, and items know nothing of each other."""
    number: Any
    """What the file calls it; its number in the item, from 1, where it does not say."""
    words: Sequence[str]
    others: Sequence[Mapping[str, Any]]
    """What else the file says of each word, and after them of the end of the sentence, by the names of columns."""
    text: str | None = None
    """The line that has the words, with its white space and its end; None where the file has words by themselves."""


@dataclass(frozen=True)
class Stimuli:
    """What a file holds."""

    sentences: Sequence[Sentence]
    """Those of one item follow each other."""
    other_columns: Sequence[str]
    """The names in `others`, in the order of the file."""
    problems: Sequence[str]
    """For each row that is left out, a message with file and line."""


def read_stimuli(path: Path) -> Stimuli:
    """Read `.tsv` as a table with a row a word, `.jsonl` as an object a line, and anything else as a sentence a line.

    Raises:
        DataError: the file is missing, not UTF-8 or without any row, or the table has no column of words.
    """
    stimuli = READERS.get(path.suffix.lower(), _read_text)(path)
    if not stimuli.sentences and not stimuli.problems:
        raise DataError(f"{name_of(path)}: holds no words. Put a row for each under the header.")
    return stimuli


def _read_text(path: Path) -> Stimuli:
    """Read lines; an empty one is a sentence without words, as the end of a line is a token."""
    lines = _LINE.findall("".join(read_blocks(path)))
    return Stimuli([_sentence(THE_ITEM, number, line, {}) for number, line in enumerate(lines, 1)], [], [])


def _read_tsv(path: Path) -> Stimuli:
    """Read rows of cells; rows of an item and sentence belong together wherever they stand."""
    lines = read_lines(path)
    header = next(lines).text.split("\t")
    _check_header(path, header)
    other_columns = [name for name in header if name not in TSV_COLUMNS]
    items: dict[Any, dict[Any, list[Mapping[str, str]]]] = {}
    problems = []
    for line in lines:
        try:
            row = _cells(header, line.text)
        except ValueError as error:
            problems.append(str(line.error(str(error))))
            continue
        sentences = items.setdefault(row.get("item", THE_ITEM), {})
        sentences.setdefault(row.get("sentence", 1), []).append(row)
    return Stimuli(
        [
            Sentence(
                item,
                number,
                words=[row["word"] for row in rows],
                others=[*({name: row[name] for name in other_columns} for row in rows), {}],
            )
            for item, sentences in items.items()
            for number, rows in sentences.items()
        ],
        other_columns,
        problems,
    )


def _check_header(path: Path, header: Sequence[str]) -> None:
    if "word" not in header:
        raise DataError(
            f"{path}:1: no column 'word', got {', '.join(map(repr, header))}. {did_you_mean('word', header)}"
            "Call the column of words so, and put tabs between cells, without quotes."
        )
    for name in header:
        if header.count(name) > 1:
            raise DataError(f"{path}:1: the column {name!r} occurs twice. Give each a name of its own.")


def _cells(header: Sequence[str], line: str) -> dict[str, str]:
    cells = line.split("\t")
    if not line.strip():
        raise ValueError("is empty. Remove the line.")
    if len(cells) != len(header):
        raise ValueError(f"has {len(cells)} cells where the header has {len(header)}. Put one tab between two cells.")
    row = dict(zip(header, cells, strict=True))
    if not words_of(row["word"]):
        raise ValueError("has no word. Put one there, or remove the line.")
    return row


def _read_jsonl(path: Path) -> Stimuli:
    """Read objects; what they hold beside item and text is passed on at each word."""
    items: dict[Any, list[Sentence]] = {}
    other_columns: list[str] = []
    problems = []
    for line in read_lines(path):
        try:
            record = parse_object(line.text)
            item = _item_of(record)
            lines = _lines_of(record)
        except ValueError as error:
            problems.append(str(line.error(str(error))))
            continue
        others = {key: value for key, value in record.items() if key not in ("item", *TEXT_KEYS)}
        other_columns += [key for key in others if key not in other_columns]
        sentences = items.setdefault(item, [])
        for words in lines:
            sentences.append(_sentence(item, len(sentences) + 1, words, others))
    return Stimuli([sentence for sentences in items.values() for sentence in sentences], other_columns, problems)


def _item_of(record: Mapping[str, Any]) -> Any:
    item = record.get("item", THE_ITEM)
    if not isinstance(item, str | int | float):
        raise ValueError(f"item: expected text or a number, got {shown(item)}. Name it, or leave it out.")
    return item


def _lines_of(record: Mapping[str, Any]) -> Sequence[str | Sequence[str]]:
    """Return each line that an object holds, or the words of the only one."""
    keys = [key for key in TEXT_KEYS if key in record]
    if len(keys) != 1:
        found = " and ".join(keys) or "none of them"
        raise ValueError(f"needs one of {', '.join(TEXT_KEYS)}, got {found}. Give one.")
    [key] = keys
    value = record[key]
    if key == "words":
        if not isinstance(value, list) or not all(isinstance(word, str) and words_of(word) for word in value):
            raise ValueError(f"words: expected a list of words, got {shown(value)}. Put each in quotes.")
    elif not isinstance(value, str):
        raise ValueError(f"{key}: expected text, got {shown(value)}. Put it in quotes.")
    if not words_of("".join(value)):
        raise ValueError(f"{key}: holds no words. Leave the object out, or give it some.")
    return [value] if key == "words" else _LINE.findall(value.removesuffix("\n") + "\n")


def _sentence(item: Any, number: int, line: str | Sequence[str], others: Mapping[str, Any]) -> Sentence:
    """Return a sentence, given as a line or as words, of which the file says the same at each word and at its end."""
    words, text = (words_of(line), line) if isinstance(line, str) else (line, None)
    return Sentence(item, number, words, [others] * (len(words) + 1), text)


READERS: Mapping[str, Callable[[Path], Stimuli]] = {".tsv": _read_tsv, ".jsonl": _read_jsonl}
"""By the ending of a file's name; all others are plain text."""
