"""Stimuli of an experiment: sentences of the user's own words, from plain text, a table or JSON lines."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import dropwhile, pairwise
from pathlib import Path
from typing import Any, Literal, get_args

from lstmlm.corpus.reading.decoding import UTF8
from lstmlm.corpus.reading.json_lines import parse_object
from lstmlm.corpus.reading.recognition import refuse_one_value, warn_of_more_than_text
from lstmlm.corpus.reading.tables import DELIMITERS, Row, columns_of, find_columns, find_delimiter, read_table
from lstmlm.corpus.reading.text_files import WholeFile, read_file
from lstmlm.corpus.reading.white_space import words_of
from lstmlm.errors import DataError, in_proportion, shown

StimuliFormat = Literal["csv", "jsonl", "text", "tsv"]
STIMULI_FORMATS: tuple[StimuliFormat, ...] = get_args(StimuliFormat)

TEXT_KEYS = ("text", "sentence", "words")
"""An object has one of these: lines of text under either of two names, or the words of one line."""

TABLE_COLUMNS = ("item", "sentence", "word")
"""The columns of a table that say what a row is; all others are passed on."""

SENTENCE_COLUMNS = ("text", "sentence")
"""Where a table has no column of words, one of these may hold whole sentences."""

THE_ITEM = 1
"""What the only item of a file is called that names none."""

_PUT_WORDS = "Put a row for each under the header."

_OF_JSON = re.compile(r'\s*(\[\s*)?\{\s*"')
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_NUMBER = re.compile(r"\s*[-+]?[\d.,]+\s*")


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
    unnamed: bool = False
    """Whether the file names no item, so that another one may be called the same."""

    @property
    def document(self) -> Any:
        """What is the same for the sentences of an item, and for no others beside them."""
        return self.unnamed, self.item


@dataclass(frozen=True)
class Stimuli:
    """What a file holds."""

    sentences: Sequence[Sentence]
    """Those of one item follow each other."""
    other_columns: Sequence[str]
    """The names in `others`, in the order of the file."""
    problems: Sequence[str]
    """For each row that is left out, a message with file and line."""


def read_stimuli(path: Path, format_name: StimuliFormat | None = None, encoding: str = UTF8) -> Stimuli:
    """Read a table with a row a word or a sentence, JSON with an object a line, or text with a sentence a line.

    Which of them it is, its content and name say where the format is not given.

    Raises:
        DataError: the file cannot be read as text, holds nothing that can be used, or is a table without a column of
            words or sentences.
    """
    file = read_file(path, encoding)
    match format_name or _format_of(file):
        case "text":
            return one_document(lines_of_text(file.content))
        case "jsonl":
            stimuli = _read_records(file)
        case name:
            stimuli = _read_rows(file, "\t" if name == "tsv" else None)
    if not stimuli.sentences:
        listed = "\n".join(in_proportion(stimuli.problems))
        raise DataError(listed or f"{file.name}: holds no words. {_PUT_WORDS}")
    return stimuli


def lines_of_text(text: str) -> list[str]:
    """Cut a text into its lines, each with its end."""
    return _LINE.findall(text)


def one_document(sentences: Iterable[str | Sequence[str]]) -> Stimuli:
    """Return the only item of a text: lines, as a text has them, or the words of each."""
    return Stimuli([_sentence(THE_ITEM, number, line, {}) for number, line in enumerate(sentences, 1)], [], [])


def _format_of(file: WholeFile) -> StimuliFormat:
    """What a file is; warns of markup and subtitles. Raises DataError for JSON of other forms."""
    if file.kind == "json":
        refuse_one_value(file.name, file.content, file.encoding)
    if file.kind == "jsonl" or _OF_JSON.match(file.content):
        return "jsonl"
    if file.kind == "table" or _delimiter_of_header(file.content) or _is_unnamed_table(file.content):
        return "csv"
    warn_of_more_than_text(file.name, file.path, file.content, file.encoding)
    return "text"


def _delimiter_of_header(content: str) -> str | None:
    """What stands between the names of columns in the first line, if one of them is `word`; it may be the only one."""
    header, _, rest = content.lstrip("\n").partition("\n")
    for delimiter in DELIMITERS:
        names = [name.strip("\"' ").casefold() for name in header.split(delimiter)]
        is_sentence = delimiter != "\t" and re.search(rf"{delimiter}\s|\w\s+\w", header)
        if "word" in names and not is_sentence and (len(names) > 1 or not re.search(r"\S[ \t]+\S", rest)):
            return delimiter
    return None


def _is_unnamed_table(content: str) -> bool:
    """Whether rows that all have as many cells are no sentences: tabs part them, or no blanks, or some are numbers."""
    delimiter = find_delimiter(content)
    rows = [line.split(delimiter) for line in content.split("\n") if line.strip()]
    if delimiter is None or len(rows) == 1 or not all(sum(map(bool, map(str.strip, cells))) > 1 for cells in rows):
        return False
    has_blanks = delimiter != "\t" and re.search(rf"\w{delimiter}\s", content)
    return not has_blanks or any(all(map(_NUMBER.fullmatch, column)) for column in zip(*rows, strict=False))


def _read_rows(file: WholeFile, delimiter: str | None) -> Stimuli:
    """Read rows of cells; rows of an item and sentence belong together wherever they stand."""
    delimiter = delimiter or _delimiter_of_header(file.content) or find_delimiter(file.content) or "\t"
    table = list(dropwhile(lambda row: not row.cells, read_table(file.name, file.content.rstrip("\n"), delimiter)))
    if not table:
        raise DataError(f"{file.name}: holds no words. {_PUT_WORDS}")
    header, *rows = table
    if name := _sentence_column(header, rows):
        return _of_sentences(header, rows, name, delimiter)
    columns = columns_of(header, TABLE_COLUMNS)
    if "word" not in columns:
        raise header.error(
            f"looks like a table ({DELIMITERS[delimiter]} between cells), but has no column 'word', got "
            f"{', '.join(repr(name[:60]) for name in header.cells)}. Write a row a word, under names of which one is "
            "word, or a row a sentence, under sentence; or if it is text, a sentence a line: --format text"
        )
    others = {name: place for place, name in enumerate(header.cells) if place not in columns.values()}
    items: dict[Any, dict[Any, list[Sequence[str]]]] = {}
    problems = []
    for row in rows:
        try:
            cells = _cells(row, len(header.cells), delimiter)
            if not words_of(cells[columns["word"]]):
                raise row.error("has no word. Put one there, or remove the line.")
        except DataError as error:
            problems.append(str(error))
            continue
        sentences = items.setdefault(cells[columns["item"]] if "item" in columns else THE_ITEM, {})
        sentences.setdefault(cells[columns["sentence"]] if "sentence" in columns else 1, []).append(cells)
    return Stimuli(
        [
            Sentence(
                item,
                number,
                words=[cells[columns["word"]] for cells in of_sentence],
                others=[*({name: cells[place] for name, place in others.items()} for cells in of_sentence), {}],
            )
            for item, sentences in items.items()
            for number, of_sentence in sentences.items()
        ],
        list(others),
        problems,
    )


def _sentence_column(header: Row, rows: Sequence[Row]) -> str | None:
    """What holds whole sentences in a table that has no column of words.

    Numbers of sentences are none; nor is what neighbouring rows share, as if they were words of a sentence.
    """
    columns = find_columns(header.cells, ("word", *SENTENCE_COLUMNS))
    for name, place in columns.items():
        cells = [row.cells[place] for row in rows if place < len(row.cells)]
        is_words = "word" in columns or any(cell == following for cell, following in pairwise(cells))
        if not is_words and any(len(words_of(cell)) > 1 for cell in cells):
            return name
    return None


def _of_sentences(header: Row, rows: Sequence[Row], name: str, delimiter: str) -> Stimuli:
    """Take a sentence from each row; one that names no item is one. A column of numbers may say what it is called."""
    columns = columns_of(header, sorted({"item", "sentence", name}))
    numbered = columns["sentence"] if "sentence" in columns and name != "sentence" else None
    known = {columns[name], numbered, columns.get("item")}
    others = {other: place for place, other in enumerate(header.cells) if place not in known}
    items: dict[Any, list[Sentence]] = {}
    problems = []
    for row in rows:
        try:
            cells = _cells(row, len(header.cells), delimiter)
            if not words_of(cells[columns[name]]):
                raise row.error("has no words. Put some there, or remove the line.")
        except DataError as error:
            problems.append(str(error))
            continue
        item = cells[columns["item"]] if "item" in columns else row.number
        sentences = items.setdefault(item, [])
        number = len(sentences) + 1 if numbered is None else cells[numbered]
        line = re.sub(r"[\r\n]+", " ", cells[columns[name]])  # a quoted cell may have lines
        sentences.append(_sentence(item, number, f"{line}\n", {other: cells[place] for other, place in others.items()}))
    return Stimuli([sentence for of_item in items.values() for sentence in of_item], list(others), problems)


def _cells(row: Row, n_cells: int, delimiter: str) -> Sequence[str]:
    if not any(cell.strip() for cell in row.cells):
        raise row.error("is empty. If empty lines part sentences, add a column sentence that numbers them; remove it.")
    if len(row.cells) != n_cells:
        found = f"{len(row.cells)} cell{'s' * (len(row.cells) != 1)}"
        between = f"one {DELIMITERS[delimiter][:-1]}"
        raise row.error(f"has {found} where the header has {n_cells}. Put {between} between two cells.")
    return row.cells


def _read_records(file: WholeFile) -> Stimuli:
    """Read objects; what they hold beside item and text is passed on at each word. One that names no item is one."""
    items: dict[tuple[str, Any], list[Sentence]] = {}
    other_columns: list[str] = []
    problems = []
    for line in file.lines():
        try:
            record = parse_object(line.text)
            place = columns_of(Row(file.name, line.number, list(record)), ["item"]).get("item")
            key = None if place is None else list(record)[place]
            item = line.number if key is None else _item_of(record[key])
            lines = _lines_of(record)
        except (ValueError, DataError) as error:
            problems.append(str(error if isinstance(error, DataError) else line.error(str(error))))
            continue
        others = {name: value for name, value in record.items() if name not in (key, *TEXT_KEYS)}
        other_columns += [name for name in others if name not in other_columns]
        sentences = items.setdefault((str(key), item), [])
        for of_line in lines:
            sentence = _sentence(item, len(sentences) + 1, of_line, others)
            sentences.append(replace(sentence, unnamed=key is None))
    return Stimuli([sentence for sentences in items.values() for sentence in sentences], other_columns, problems)


def _item_of(value: Any) -> Any:
    if not isinstance(value, str | int | float):
        raise ValueError(f"item: expected text or a number, got {shown(value)}. Name it, or leave it out.")
    return value


def _lines_of(record: Mapping[str, Any]) -> Sequence[str | Sequence[str]]:
    """Return each line that an object holds, or the words of the only one."""
    keys = [key for key in TEXT_KEYS if key in record]
    if len(keys) != 1:
        found = " and ".join(keys) or ", ".join(map(repr, record)) or "nothing"
        raise ValueError(f"needs one of {', '.join(TEXT_KEYS)}, got {found}. Give one.")
    [key] = keys
    value = record[key]
    if key == "words":
        if not isinstance(value, list) or not all(isinstance(word, str) and words_of(word) for word in value):
            raise ValueError(f"words: expected a list of words, got {shown(value)}. Put each in quotes.")
    elif not isinstance(value, str):
        got = "null" if value is None else shown(value)
        raise ValueError(f"{key}: expected text, got {got}. Put it in quotes, or leave the object out.")
    if not words_of("".join(value)):
        raise ValueError(f"{key}: holds no words. Leave the object out, or give it some.")
    if key == "words":
        return [value]
    return _LINE.findall(re.sub("\r\n?", "\n", value).removesuffix("\n") + "\n")


def _sentence(item: Any, number: Any, line: str | Sequence[str], others: Mapping[str, Any]) -> Sentence:
    """Return a sentence, given as a line or as words, of which the file says the same at each word and at its end."""
    words, text = (words_of(line), line) if isinstance(line, str) else (line, None)
    return Sentence(item, number, words, [others] * (len(words) + 1), text)
