"""Tables: rows of cells between tabs, commas or semicolons, and headers that are known by their names."""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from lstmlm.errors import DataError, nearest

DELIMITERS = {"\t": "tabs", ";": "semicolons", ",": "commas"}
"""What can stand between cells, and its name; the first that suits is taken."""

LONGEST_CELL_CHARS = 2**31 - 1
"""The most that `csv` can be told: a cell may hold a book."""

_SAMPLE_LINES = 200
_REGULAR_SHARE = 0.9

_QUOTING: Sequence[Mapping[str, Any]] = ({}, {"doublequote": False, "escapechar": "\\"})
"""A quote mark within a quoted cell is doubled, or follows a backslash, as R's `write.table` has it."""

_NUMBERING = re.compile(r"(id|idx|index|no|nr|num|number)?[\W\d_]*$")
_SHORTEST_STEM = 3

_OF_EXCEL = re.compile(r'\A"?sep=."?$', re.MULTILINE)
"""A first line that is no row: it tells Excel what stands between cells."""


@dataclass(frozen=True)
class Row:
    """A row of a table."""

    file: str
    """What messages call the file."""
    number: int
    """That of the line in which it begins."""
    cells: Sequence[str]
    """None where the line is empty."""

    def error(self, problem: str) -> DataError:
        """An error that says where the problem is."""
        return DataError(f"{self.file}:{self.number}: {problem}")


def read_table(file: str, content: str, delimiter: str | None = None) -> list[Row]:
    """The rows of a table, its header among them, if it has one; also those of other lengths than the first.

    Quotes enclose cells where they are balanced throughout the file, and then cells may have line breaks; else they are
    words like others. Blanks after a comma or semicolon between cells belong to none.

    Args:
        file: What messages call the file.
        content: All of it.
        delimiter: What stands between cells; found where not given.
    """
    lines = _OF_EXCEL.sub("", content).removesuffix("\n").split("\n")
    return [Row(file, *found) for found in _rows(lines, delimiter or find_delimiter(content) or "\t")]


def find_delimiter(content: str) -> str | None:
    """What stands between the cells of a table: nearly all of its first rows have two cells or more, all as many.

    Returns:
        None for what is no table, or one of a single column.
    """
    for delimiter in DELIMITERS:
        rows = first_rows(content, delimiter)
        if rows and len(rows[0]) > 1 and _are_regular(rows):
            return delimiter
    return None


def first_rows(content: str, delimiter: str, *, keeps_blanks: bool = False) -> list[Sequence[str]]:
    """The cells of the first rows of a table that are not empty, if wanted with the blanks before them."""
    lines = _OF_EXCEL.sub("", content).removesuffix("\n").split("\n", _SAMPLE_LINES)
    is_cut = len(lines) > _SAMPLE_LINES
    rows = _rows(lines[:_SAMPLE_LINES], delimiter, keeps_blanks=keeps_blanks, is_cut=is_cut)
    return [cells for _, cells in rows if cells]


def has_header(content: str, names: Iterable[str]) -> bool:
    """Whether the first row of a table has one of these names, or names of columns in which all else is numbers."""
    delimiter = find_delimiter(content)
    if delimiter is None:
        return False
    header, *rows = first_rows(content, delimiter)
    return bool(find_columns(header, names)) or any(
        rows and not is_number(name) and all(len(row) > place and is_number(row[place]) for row in rows)
        for place, name in enumerate(header)
    )


def find_columns(header: Sequence[str], wanted: Iterable[str]) -> dict[str, int]:
    """The places of the columns that have one of the names wanted, in any case."""
    plain = [name.strip().casefold() for name in header]
    return {name: plain.index(name) for name in wanted if name in plain}


def columns_of(header: Row, wanted: Sequence[str]) -> dict[str, int]:
    """`find_columns`, and nothing that looks like one of them is passed over.

    Raises:
        DataError: a column occurs twice, or nearly has the name of one that is wanted and missing.
    """
    found = find_columns(header.cells, wanted)
    others = [name for place, name in enumerate(header.cells) if place not in found.values()]
    names = [name.strip().casefold() for name in others]
    for name in (*(name for name in found if name in names), *(name for name in others if others.count(name) > 1)):
        raise header.error(f"the column {name!r} occurs twice. Give each a name of its own.")
    for name in (name for name in wanted if name not in found):
        for other in others:
            if _is_near(other.casefold(), name):
                raise header.error(
                    f"is the column {other!r} what is meant by {name!r}? Then call it {name!r}, else something less "
                    "like it."
                )
    return found


def _is_near(name: str, wanted: str) -> bool:
    stem = _NUMBERING.sub("", name.strip(" \"'")).rstrip("_. -")
    return (len(stem) >= _SHORTEST_STEM and wanted.startswith(stem)) or nearest(stem, [wanted], cutoff=0.8) is not None


def is_number(cell: str) -> bool:
    """Whether a cell is a number, also one with a decimal comma."""
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True


_Rows = list[tuple[int, Sequence[str]]]


def _rows(lines: Sequence[str], delimiter: str, *, keeps_blanks: bool = False, is_cut: bool = False) -> _Rows:
    """The reading of lines that has the fewest rows unlike the first: a row has its line's number and its cells.

    Lines that are cut off may end within a cell.
    """
    blanks = "" if keeps_blanks or delimiter == "\t" else " "
    plain: _Rows = [
        (number, [cell.lstrip(blanks) for cell in line.split(delimiter)] if line else [])
        for number, line in enumerate(lines, start=1)
    ]
    if not any(cell.startswith('"') for _, cells in plain for cell in cells):
        return plain
    reading = partial(_quoted_rows, lines, is_cut=is_cut, delimiter=delimiter, skipinitialspace=bool(blanks))
    found = (reading(**how) for how in _QUOTING)
    quoted = [rows for rows in found if rows is not None]
    # Of those that are alike the first is taken: a quote mark may be a word, but then lines break no cell.
    readings = [*(rows for rows in quoted if len(rows) == len(lines)), plain, *quoted]
    return min(readings, key=lambda rows: _n_irregular([cells for _, cells in rows if cells]))


def _quoted_rows(lines: Sequence[str], *, is_cut: bool, **how: Any) -> _Rows | None:
    """None where quotes are not balanced; `how` is for `csv.reader`."""
    reader = csv.reader((f"{line}\n" for line in lines), strict=True, **how)
    csv.field_size_limit(LONGEST_CELL_CHARS)
    rows: _Rows = []
    number = 1
    try:
        for cells in reader:
            rows.append((number, cells))
            number = reader.line_num + 1
    except csv.Error:
        are_rows = number > len(lines) * _REGULAR_SHARE or (len(rows) > 1 and _are_regular([row for _, row in rows]))
        return rows if is_cut and reader.line_num == len(lines) and are_rows else None
    return rows


def _are_regular(rows: Sequence[Sequence[str]]) -> bool:
    """Whether nearly all rows are as long as the first."""
    return _n_irregular(rows) <= len(rows) * (1 - _REGULAR_SHARE)


def _n_irregular(rows: Sequence[Sequence[str]]) -> int:
    """How many rows are not as long as the first."""
    return sum(len(cells) != len(rows[0]) for cells in rows)
