"""What an evaluation answers: named numbers, in order, for people as a table and for programs as JSON."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lstmlm.metrics import finite

Value = str | int | float | None

Row = Mapping[str, Value]
"""One line of a table: values by the names of the columns."""


@dataclass(frozen=True)
class Report:
    """Named values; the names are the JSON keys and carry the units. None: there is no such number."""

    values: Mapping[str, Value]

    rows: Sequence[Row] = ()
    """What the values sum up, a mapping a line; all have the same keys."""

    def to_json(self) -> str:
        """Return one JSON object on one line; JSON has no infinity, so a number beyond a float becomes null."""
        values = finite(self.values)
        if self.rows:
            values["rows"] = [finite(row) for row in self.rows]
        return json.dumps(values, ensure_ascii=False, allow_nan=False)


def to_tsv(rows: Iterable[Row], columns: Sequence[str], n_digits: int = 6) -> Iterator[str]:
    """Yield a header and a line for each row, with tabs between cells; None becomes an empty cell.

    A float is rounded to `n_digits` significant digits. A tab or line end within a text becomes a space, so that every
    row stays a line of as many cells.
    """
    yield "\t".join(columns)
    for row in rows:
        yield "\t".join(_cell(row[column], n_digits) for column in columns)


def _cell(value: Value, n_digits: int) -> str:
    if value is None:
        return ""
    return f"{value:.{n_digits}g}" if isinstance(value, float) else " ".join(str(value).splitlines()).replace("\t", " ")
