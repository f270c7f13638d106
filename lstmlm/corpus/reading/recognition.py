"""What a file is, decided by its content and its name together: text, JSON or a table, or nothing that is read."""

import csv
import json
import logging
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath
from typing import Any, Literal

from lstmlm.corpus.reading.compression import split_suffixes
from lstmlm.corpus.reading.tables import LONGEST_CELL_CHARS, find_delimiter, first_rows, has_header
from lstmlm.errors import DataError, as_command, beside, conversion

Kind = Literal["text", "jsonl", "json", "table"]
"""Lines of text, an object a line, one JSON value over the whole file, or rows of cells."""

RECORD_SUFFIXES = (".jsonl", ".ndjson", ".jsonlines", ".json")
"""Ends of the names of files that hold an object a line, before that of a compression."""

TABLE_SUFFIXES = (".csv", ".tsv", ".tab")
"""Ends of the names of files that hold a table, before that of a compression."""

BEGINNING_BYTES = 512
"""As many bytes tell what a file is that is no text."""

_WITHIN_STRINGS = ("Unterminated string", "Invalid \\u")
"""Errors of Python's where JSON ends within a string; they stand where that begins, or its last character does."""

_HEADER_NAMES = "word words sentence sentences text tweet label good bad sentence_good sentence_bad".split()

_PANDOC = "pandoc --wrap=none -t plain -o {text} {file}"
_PYTHON = "python" if sys.platform == "win32" else "python3"
_PARQUET = (
    f"{_PYTHON} -c 'import pandas, sys; "
    'pandas.read_parquet(sys.argv[1]).to_json(sys.argv[2], orient="records", lines=True)\' {file} {jsonl}'
)
_OFFICE = "libreoffice --headless --convert-to csv --outdir csv {file}"

_MARKS = (
    (0, rb"%PDF-", "a PDF", "pdftotext {file} {text}"),
    (0, rb"\{\\rtf", "rich text (RTF)", _PANDOC),
    (0, rb"PAR1[\0-\x1f]", "a parquet file", _PARQUET),
    (0, rb"SQLite format 3\0", "a database (SQLite)", ""),
    (0, rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old office document (.doc, .xls)", ""),
    (0, rb"7z\xbc\xaf\x27\x1c", "an archive (7z)", "7z x {file}"),
    (0, rb"Rar!\x1a\x07", "an archive (rar)", "unrar x {file}"),
    (257, rb"ustar", "an archive (tar)", "tar -xf {file}"),
    (0, rb"PK\x03\x04.{0,999}word/", "an office document (.docx)", _PANDOC),
    (0, rb"PK\x03\x04.{0,999}xl/", "an office table (.xlsx)", _OFFICE),
    (0, rb"PK\x03\x04.{26}mimetypeapplication/epub", "a book (EPUB)", _PANDOC),
    (0, rb"PK\x03\x04.{26}mimetypeapplication/vnd.oasis.opendocument.s", "an office table", _OFFICE),
    (0, rb"PK\x03\x04.{26}mimetypeapplication/vnd.oasis", "an office document", _PANDOC),
    (0, rb"PK\x03\x04.{0,99}/data\.pkl|\x80[\x02-\x05]", "a pickle of Python or PyTorch", ""),
    (0, rb"PK\x03\x04", "an archive (zip)", "unzip {file}"),
    (0, rb"\x89HDF\r\n|ARROW1\0|\x93NUMPY|GGUF[\0-\x1f]", "a file of numbers", ""),
    (0, rb"\x89PNG|\xff\xd8\xff|GIF8[79]a|II\*\0|MM\0\*", "an image", ""),
    (0, rb"RIFF....(WAVE|AVI |WEBP)|OggS\0|fLaC\0|ID3[\x02-\x04]\0", "sound or a picture", ""),
    (0, rb"\x7fELF", "a program", ""),
)
"""Where a mark stands, the mark, what has it, and the command that makes something of it that is read."""

_Written = Callable[[str, Sequence[str], str, str], str]
"""`conversion` or `replacement`."""

logger = logging.getLogger(__name__)


def refuse_what_is_no_text(name: str, beginning: bytes) -> None:
    """Refuse a file that begins like something that is no text, `BEGINNING_BYTES` of it or more being given.

    Raises:
        DataError: what it is, and how to make a text of it.
    """
    found = [mark[2:] for mark in _MARKS if re.compile(mark[1], re.DOTALL).match(beginning, mark[0])]
    if not found:
        return
    what, command = found[0]
    advice = "Name a text file."
    if command and name != "standard input":
        text, jsonl = beside(Path(name), ".txt"), beside(Path(name), ".jsonl")
        words = as_command([word.format(file=name, text=text, jsonl=jsonl) for word in shlex.split(command)])
        advice = f"{'Unpack it' if 'archive' in what else 'Make a text of it'}: {words}"
    raise DataError(f"{name}: is {what}, no text. {advice}")


def kind_of(path: PurePath, beginning: str) -> Kind:
    """What a text file is, whose beginning is given: whole lines, or all of it."""
    suffix = split_suffixes(path)[0]
    text = beginning.lstrip()
    kind = _kind_of_json(text, is_named=suffix in RECORD_SUFFIXES) if text[:1] in ("{", "[") else None
    if kind is not None or suffix in RECORD_SUFFIXES:
        return kind or "jsonl"
    return "table" if suffix in TABLE_SUFFIXES or has_header(beginning, _HEADER_NAMES) else "text"


def _kind_of_json(text: str, *, is_named: bool) -> Kind | None:
    """What begins with a bracket: an object a line, another value, or neither, which a name makes be taken for either.

    A text may begin with a bracket too, such as `[Intro]` or `{` of a program.
    """
    first, _, rest = text.partition("\n")
    following = rest.lstrip()[:1]
    value = _value(first)
    if isinstance(value, dict) and value and following in ("", "{"):
        return "jsonl"
    if isinstance(value, list) and not following and (is_named or any(isinstance(part, dict) for part in value)):
        return "json"
    if value is not None:
        return None
    try:
        _, end = json.JSONDecoder().raw_decode(text)
        return "json" if end > len(first) else None
    except json.JSONDecodeError as error:
        # What is cut off may well be right; a record that is broken is so in its own line or the next.
        is_cut = error.pos >= len(text.rstrip()) or (
            error.msg.startswith(_WITHIN_STRINGS) and "\n" not in text[error.pos :]
        )
        if is_cut and "\n" not in text and re.match(r'\{\s*"', text):
            return "jsonl"
        is_cut = is_cut and ("\n" in text or text.startswith("["))
        return "json" if is_cut or (is_named and first.strip() in ("{", "[")) else None
    except (ValueError, RecursionError):  # such as a number of more digits than Python reads
        return None


def _value(line: str) -> Any:
    """None for what is no JSON."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def refuse_one_value(name: str, beginning: str, encoding: str = "utf-8") -> None:
    """Refuse a file of the kind `json` where records are read. Raises DataError, with the command that makes lines."""
    is_list = beginning.lstrip().startswith("[")
    value = _value(beginning)
    lists = [key for key, inner in value.items() if isinstance(inner, list)] if isinstance(value, dict) else []
    program = ".[]" if is_list else f".[{json.dumps(lists[0])}][]" if lists else "."
    command = conversion(name, ["jq", "-c", program], ".jsonl", encoding)
    what = "a JSON array" if is_list else "a JSON object over several lines"
    raise DataError(f"{name}: is {what}, but an object a line is read. Make lines of it: {command}")


_RECORDS_OF_A_TABLE = (
    f"import csv, json, sys; csv.field_size_limit({LONGEST_CELL_CHARS}); "
    "[print(json.dumps(row)) for row in csv.DictReader(open((sys.argv + [0])[1], "
    'newline="", encoding="utf-8-sig"), delimiter="{}", quoting={})]'
)
_TEXT_OF_MARKUP = (
    "import html, re, sys; "
    'print(html.unescape(re.sub("<[^>]*>", " ", open((sys.argv + [0])[1], encoding="utf-8-sig").read())))'
)
_MARKED = (
    (r"\s*<(!doctype html|html)\b", "HTML: its tags", ("pandoc", "-f", "html", "-t", "plain", "--wrap=none")),
    (r"\s*<(\?xml|!DOCTYPE)\b", "XML: its tags", (_PYTHON, "-c", _TEXT_OF_MARKUP)),
    (
        r"WEBVTT\b|\d+\n[\d:,.]+ --> ",
        "subtitles: their numbers and times",
        ("sed", "-E", r"/^[0-9]+\r?$|-->|^WEBVTT/d"),
    ),
)
"""How a text begins that is more than text, what it is and has beside it, and the command that makes text of it."""


def refuse_what_is_no_corpus(name: str, path: PurePath, kind: Kind, beginning: str, encoding: str) -> None:
    """Refuse a file from which more would be learnt than its text, and warn of one that only looks so.

    Raises:
        DataError: it is a table by its name, or one JSON value; with the command that makes JSON lines of it.
    """
    if kind == "json":
        refuse_one_value(name, beginning, encoding)
    if kind == "table":
        is_named = split_suffixes(path)[0] in TABLE_SUFFIXES
        command = _command_for_records(name, beginning, encoding, conversion if is_named else replacement)
        problem = (
            f"{name}: {'is' if is_named else 'looks like'} a table, of which numbers and marks would be words too. "
            "Make JSON lines of it, for which its first row has to name the columns, and name that of the text in "
            f"data.field: {command}"
        )
        if is_named:
            raise DataError(problem)
        tell_once(logging.WARNING, problem, ("table", path.parent))
    if kind == "text":
        warn_of_more_than_text(name, path, beginning, encoding, replacement)


def warn_of_more_than_text(
    name: str, path: PurePath, beginning: str, encoding: str, written: _Written = conversion
) -> None:
    """Warn of markup and subtitles, of which all is read as words; `written` writes the command that takes them out."""
    for mark, what, words in _MARKED:
        if re.match(mark, beginning, re.IGNORECASE):
            command = written(name, words, ".txt", encoding)
            problem = f"{name}: looks like {what} are words too. Make a text of it: {command}"
            tell_once(logging.WARNING, problem, (mark, path.parent))
            break


def _command_for_records(name: str, beginning: str, encoding: str, written: _Written) -> str:
    default = "," if PurePath(name.removesuffix(".gz")).suffix == ".csv" else "\t"
    delimiter = find_delimiter(beginning)
    # Where no reading has found rows, a cell of many lines may be why.
    rows = first_rows(beginning, delimiter) if delimiter else []
    has_quotes_as_words = any(cell.startswith('"') for cells in rows for cell in cells)
    quoting = csv.QUOTE_NONE if has_quotes_as_words else csv.QUOTE_MINIMAL
    delimiter = delimiter or default
    shown = {"\t": "\\t"}.get(delimiter, delimiter)
    return written(name, [_PYTHON, "-c", _RECORDS_OF_A_TABLE.format(shown, quoting)], ".jsonl", encoding)


def replacement(name: str, command: Sequence[str], suffix: str, encoding: str) -> str:
    """Write the command that puts another text in the place of a file, which it hides: beside it both would be read.

    Not of standard input, nor of one in another encoding, as which the new text would be read. Made of a compressed one
    it keeps its name. The arguments are those of `conversion`.
    """
    file, written = Path(name), conversion(name, command, suffix, encoding)
    if name == "standard input" or "iconv -f" in written:
        return written
    is_packed = bool(split_suffixes(file)[1])
    made = beside(file.with_suffix("") if is_packed else file, suffix)
    kept = file if suffix.endswith(file.suffix.lower()) else file.with_suffix(made.suffix)
    # Under a name of its own: what another command has hidden stays.
    hidden = file.with_name(f".before{suffix.rpartition('.')[0]}.{file.name}")
    moves = [[file, hidden], *([[made, kept]] if made != kept and not is_packed else [])]
    commands = (as_command(["mv", *map(str, move)]) for move in moves)
    return " && ".join([written, *commands])


_told: set[object] = set()


def tell_once(level: int, message: str, about: tuple[str, PurePath] | None = None) -> None:
    """Log a message, or the first that is about the same: files are read more than once, and their like may be many."""
    if (about or message) not in _told:
        _told.add(about or message)
        logger.log(level, "%s", message)
