"""Stimuli of an experiment: sentences of the user's own words, from plain text, a table or JSON lines."""

import re
from collections import Counter
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

CONDITION_COLUMNS = ("condition", "cond", "list")
"""What tells apart the versions in which an item occurs, each a document of its own."""

THE_ITEM = 1
"""What the only item of a file is called that names none."""

_PUT_WORDS = "Put a row for each under the header."

_OF_JSON = re.compile(r'\s*(\[\s*)?\{\s*"')
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_NUMBER = re.compile(r"\s*[-+]?[\d.,]+\s*")

_Condition = tuple[tuple[str, str], ...]
"""The columns that name a condition, with what they say."""

_Document = tuple[Any, _Condition]
"""An item, and in which condition."""


@dataclass(frozen=True)
class Sentence:
    """The words of one line."""

    item: Any
    """To what it belongs: its sentences are a document, in each condition one, and know nothing of others."""
    number: Any
    """What the file calls it; its number in the document, from 1, where it does not say."""
    words: Sequence[str]
    others: Sequence[Mapping[str, Any]]
    """What else the file says of each word, and after them of the end of the sentence, by the names of columns."""
    text: str | None = None
    """The line that has the words, with its white space and its end; None where the file has words by themselves."""
    unnamed: bool = False
    """Whether the file names no item, so that another one may be called the same."""
    condition: _Condition = ()
    """In which of its conditions the item is."""

    @property
    def document(self) -> Any:
        """What is the same for the sentences of an item in one condition, and for no others beside them."""
        return self.unnamed, self.item, self.condition


@dataclass(frozen=True)
class Stimuli:
    """What a file holds."""

    sentences: Sequence[Sentence]
    """Those of one document follow each other."""
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
    """Read rows of cells; rows of an item, condition and sentence belong together wherever they stand."""
    delimiter = delimiter or _delimiter_of_header(file.content) or find_delimiter(file.content)
    # Where rows are of many lengths, what the first has most of.
    delimiter = delimiter or max(DELIMITERS, key=file.content.lstrip("\n").partition("\n")[0].count)
    table = list(dropwhile(_is_empty, read_table(file.name, file.content, delimiter)))
    while table and _is_empty(table[-1]):
        table.pop()
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
            "word, or a row a sentence, each once, under sentence; or if it is text, a sentence a line: --format text"
        )
    _refuse_words_within_sentences(header, rows, columns)
    others = {name: place for place, name in enumerate(header.cells) if place not in columns.values()}
    labels = {name: place for name, place in columns.items() if name != "word"}
    documents: dict[_Document, dict[Any, list[tuple[str, Mapping[str, str]]]]] = {}
    problems = []
    for row in rows:
        try:
            cells = _cells(row, len(header.cells), labels, delimiter)
            if not words_of(cells[columns["word"]]):
                raise row.error("has no word. Put one there, or remove the line.")
        except DataError as error:
            problems.append(str(error))
            continue
        beside = {name: cells[place] for name, place in others.items()}
        # Without items the table is a text, of which conditions may tell parts apart.
        document = (cells[columns["item"]], _condition(beside)) if "item" in columns else (THE_ITEM, ())
        sentences = documents.setdefault(document, {})
        number = cells[columns["sentence"]] if "sentence" in columns else 1
        sentences.setdefault(number, []).append((cells[columns["word"]], beside))
    _refuse_gaps(file.name, documents)
    return Stimuli(
        [
            Sentence(item, n, [word for word, _ in words], [*(beside for _, beside in words), {}], condition=condition)
            for (item, condition), sentences in documents.items()
            for n, words in sentences.items()
        ],
        list(others),
        problems,
    )


def _refuse_words_within_sentences(header: Row, rows: Sequence[Row], columns: Mapping[str, int]) -> None:
    """Refuse rows that have each a sentence as text and a part of it, which would be read after nothing."""
    places = [columns[name] for name in ("sentence", "word") if name in columns]
    if len(places) < 2:
        return
    pairs = [(row.cells[places[0]], row.cells[places[1]]) for row in rows if len(row.cells) > max(places)]
    n_rows = Counter(sentence for sentence, _ in pairs)
    n_within = sum(
        word in sentence and n_rows[sentence] == 1 and len(words_of(word)) < len(words_of(sentence))
        for sentence, word in pairs
    )
    if 2 * n_within > len(pairs):
        raise header.error(
            "has whole sentences under 'sentence', and under 'word' one word of each. To measure sentences, "
            "call that column otherwise, such as critical; it comes back with each word."
        )


def _sentence_column(header: Row, rows: Sequence[Row]) -> str | None:
    """What holds whole sentences in a table that has no column of words.

    Numbers of sentences are none; nor is what most neighbouring rows share in one condition, as if they were words of a
    sentence.
    """
    columns = find_columns(header.cells, ("word", *SENTENCE_COLUMNS))
    conditions = find_columns(header.cells, CONDITION_COLUMNS).values()
    for name, place in columns.items():
        filled = [row.cells for row in rows if words_of("".join(row.cells[place : place + 1]))]
        neighbours = pairwise([cells[other : other + 1] for other in (place, *conditions)] for cells in filled)
        n_repeated = sum(labels == following for labels, following in neighbours)
        is_words = "word" in columns or 2 * n_repeated >= len(filled)
        if not is_words and any(len(words_of(cells[place])) > 1 for cells in filled):
            return name
    return None


def _of_sentences(header: Row, rows: Sequence[Row], name: str, delimiter: str) -> Stimuli:
    """Take a sentence from each row; one that names no item is one. A column of numbers may say what it is called."""
    columns = columns_of(header, sorted({"item", "sentence", name}))
    numbered = columns["sentence"] if "sentence" in columns and name != "sentence" else None
    known = {columns[name], numbered, columns.get("item")}
    others = {other: place for place, other in enumerate(header.cells) if place not in known}
    labels = {other: place for other, place in columns.items() if other != name}
    documents: dict[_Document, list[Sentence]] = {}
    problems = []
    for row in rows:
        try:
            cells = _cells(row, len(header.cells), labels, delimiter)
            if not words_of(cells[columns[name]]):
                raise row.error("has no words. Put some there, or remove the line.")
        except DataError as error:
            problems.append(str(error))
            continue
        item = cells[columns["item"]] if "item" in columns else row.number
        beside = {other: cells[place] for other, place in others.items()}
        condition = _condition(beside)
        sentences = documents.setdefault((item, condition), [])
        number = len(sentences) + 1 if numbered is None else cells[numbered]
        line = re.sub(r"[\r\n]+", " ", cells[columns[name]])  # a quoted cell may have lines
        sentences.append(replace(_sentence(item, number, f"{line}\n", beside), condition=condition))
    _refuse_gaps(header.file, documents)
    return Stimuli([sentence for sentences in documents.values() for sentence in sentences], list(others), problems)


def _is_empty(row: Row) -> bool:
    return not any(map(str.strip, row.cells))


def _cells(row: Row, n_cells: int, labels: Mapping[str, int], delimiter: str) -> Sequence[str]:
    """The cells of a row that has all, and under the labels something that says to what it belongs."""
    if _is_empty(row):
        raise row.error("is empty. If empty lines part sentences, add a column sentence that numbers them; remove it.")
    if len(row.cells) != n_cells:
        found = f"{len(row.cells)} cell{'s' * (len(row.cells) != 1)}"
        between = f"one {DELIMITERS[delimiter][:-1]} between two cells"
        between += f", and quotes around cells that have {DELIMITERS[delimiter]}" if delimiter != "\t" else ""
        of_r = ", and if R has named the rows, leave that out: row.names=FALSE" if len(row.cells) == n_cells + 1 else ""
        raise row.error(f"has {found} where the header has {n_cells}. Put {between}{of_r}.")
    for name, place in labels.items():
        if not row.cells[place].strip():
            raise row.error(f"names no {name}. Fill in the cell.")
    return row.cells


def _condition(beside: Mapping[str, Any]) -> _Condition:
    """In which of its conditions an item is, by what its file says beside a word, in whatever order."""
    said = {name.strip().casefold(): str(value) for name, value in beside.items() if value is not None}
    return tuple((name, said[name]) for name in CONDITION_COLUMNS if said.get(name, "").strip())


def _refuse_gaps(file: str, documents: Iterable[_Document]) -> None:
    """Refuse items of which some lines name a condition and others do not, as where cells were merged.

    Raises:
        DataError: names the first such item.
    """
    named = {(item, name) for item, condition in documents for name, _ in condition}
    for item, condition in documents:
        for name in CONDITION_COLUMNS:
            if name not in dict(condition) and (item, name) in named:
                raise DataError(f"{file}: some lines of item {item!r} name a {name}, and others do not. Fill it in.")


def _read_records(file: WholeFile) -> Stimuli:
    """Read objects; what they hold beside item and text is passed on at each word. One that names no item is one."""
    documents: dict[tuple[str, _Document], list[Sentence]] = {}
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
        condition = _condition(others)
        sentences = documents.setdefault((str(key), (item, condition)), [])
        for of_line in lines:
            sentence = _sentence(item, len(sentences) + 1, of_line, others)
            sentences.append(replace(sentence, unnamed=key is None, condition=condition))
    _refuse_gaps(file.name, [document for key, document in documents if key != str(None)])
    return Stimuli([sentence for sentences in documents.values() for sentence in sentences], other_columns, problems)


def _item_of(value: Any) -> Any:
    if not isinstance(value, str | int | float) or not str(value).strip():
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
