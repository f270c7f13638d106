"""What an evaluation answers: named numbers, in order, for people as a table and for programs as JSON."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lstmlm.errors import ConfigError
from lstmlm.metrics import bits_per, finite, perplexity

Value = str | int | float | None

N_EXAMPLES = 5
"""How many words a report names, such as unknown ones."""

Row = Mapping[str, Value]
"""One line of a table: values by the names of the columns."""


@dataclass(frozen=True)
class Report:
    """Named values; the names are the JSON keys and carry the units. None: there is no such number."""

    values: Mapping[str, Value]

    rows: Sequence[Row] = ()
    """What the values sum up, a mapping a line; all have the same keys."""

    nats: Float[np.ndarray, " tokens"] | None = None
    """The surprisal of each token, where one model was asked about one text; no part of the JSON."""

    def to_json(self) -> str:
        """Return one JSON object on one line; JSON has no infinity, so a number beyond a float becomes null."""
        values = finite(self.values)
        if self.rows:
            values["rows"] = [finite(row) for row in self.rows]
        return json.dumps(values, ensure_ascii=False, allow_nan=False)


def most_frequent(words: Iterable[str]) -> str | None:
    """Return the words that occur most often; None where there are none."""
    return " ".join(word for word, _ in Counter(words).most_common(N_EXAMPLES)) or None


def require_names(names: Iterable[str]) -> None:
    """Refuse two rows of one name, as where a run is called like the mixture that it is part of. Raises ConfigError."""
    for name, n_rows in Counter(names).items():
        if n_rows > 1:
            raise ConfigError(
                f"{name}: is what another row of the table is called. Give the run or model another name."
            )


def perplexity_rows(column: str, nats: Mapping[str, Float[np.ndarray, " tokens"]]) -> list[dict[str, Value]]:
    """Return a row for each way to predict one text: its name in `column`, then nats, bits per token and perplexity."""
    totals = {name: (float(of_tokens.sum()), len(of_tokens)) for name, of_tokens in nats.items()}
    return [
        {column: name, "nats": total, "bits_per_token": bits_per(total, n), "perplexity": perplexity(total, n)}
        for name, (total, n) in totals.items()
    ]


SIGNIFICANT_DIGITS = 8
"""As many as it takes for a float32 to be told from its neighbours, so that tables agree with every other report."""


def to_tsv(rows: Iterable[Row], columns: Sequence[str]) -> Iterator[str]:
    """Yield a header and a line for each row, with tabs between cells; None becomes an empty cell.

    A float is rounded to `SIGNIFICANT_DIGITS`. A tab or line end within a text or a name becomes a space, so that every
    row stays a line of as many cells.
    """
    yield "\t".join(map(_cell, columns))
    for row in rows:
        yield "\t".join(_cell(row[column]) for column in columns)


def _cell(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.{SIGNIFICANT_DIGITS}g}"
    return " ".join(str(value).splitlines()).replace("\t", " ")
