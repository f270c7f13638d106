"""Tables of minimal pairs: which columns have the sentences, and the forms of published benchmarks."""

import re
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple

from lstmlm.corpus.reading.tables import DELIMITERS, Row, find_columns, first_rows, is_number
from lstmlm.corpus.reading.text_files import WholeFile, read_file
from lstmlm.errors import ConfigError, DataError

_NAMES = (
    ("good", "bad"),
    ("better", "worse"),
    ("correct", "incorrect"),
    ("grammatical", "ungrammatical"),
    ("acceptable", "unacceptable"),
    ("right", "wrong"),
    ("sen", "wrong sen"),  # MultiBLiMP
)
"""What the columns of the better and the worse sentence are called, but for case, marks and the word sentence."""

_PARADIGMS = ("paradigm", "uid", "pid", "phenomenon")
"""What the column of the paradigm may be called, the narrower first."""

_LABELS = {"true": True, "1": True, "good": True, "false": False, "0": False, "bad": False}
"""What says of the sentence beside it whether it is the better one."""

_Places = tuple[int | None, int, int]
"""The columns of a paradigm, the better and the worse sentence."""

_BY_NUMBER: Mapping[int, Sequence[_Places]] = {2: [(None, 0, 1)], 3: [(0, 1, 2)], 4: [(0, 1, 2), (0, 1, 3)]}
"""What the columns of a table without names have; Marvin & Linzen's NPI have a second worse sentence."""

_OF_GOLD = {4: (3, 0, 1, 2), 12: (0, 3, 6, 7)}
"""The columns of a .gold file of Linzen et al. (2016) or Gulordava et al. (2018) by their number: a paradigm, the place
of a verb, its right and its wrong form."""

_NAME_THEM = "Name them good and bad in a first line, or say which they are: --columns GOOD,BAD"
_WRITE_THEM = "Write a pair a line: the better and the worse sentence, with a tab between them."


class Pair(NamedTuple):
    """Two sentences, the better one first."""

    number: int
    """Of its line."""
    paradigm: str | None
    good: str
    bad: str
    has_end: bool = True
    """Whether they are whole sentences, and none that break off."""


def find_names(names: Sequence[str], columns: Sequence[str] = ()) -> _Places | None:
    """The places of paradigm, better and worse sentence among names, if these are known or `columns`."""
    plain = [" ".join(re.sub(r"[\W_]+|sentences?", " ", name.casefold()).split()) for name in names]
    paradigms = [plain.index(name) for name in _PARADIGMS if name in plain]
    # In RuBLiMP; elsewhere what is called so is a translation.
    known = [*_NAMES, *([("source", "target")] if paradigms else [])]
    if columns:
        plain, known = [name.strip() for name in names], [(columns[0], columns[1])]
    for good, bad in known:
        if plain.count(good) == plain.count(bad) == 1:
            return paradigms[0] if paradigms else None, plain.index(good), plain.index(bad)
    return None


def pairs_of_table(file: WholeFile, delimiter: str, columns: Sequence[str] = ()) -> Iterator[Pair | DataError]:
    """Yield the pairs of a table, and in place of rows that have none the error that says why.

    Raises:
        ConfigError: one column is given as both.
        DataError: the table has no pairs, or does not say which columns have them.
    """
    rows = [row for row in file.rows(delimiter) if any(map(str.strip, row.cells))]
    if not rows:
        raise DataError(f"{file.name}: holds no pairs. {_WRITE_THEM}")
    first = rows[0]
    named = find_names(first.cells, columns)
    if columns and columns[0] == columns[1]:
        raise ConfigError(
            f"--columns: names {columns[0]} twice. Give that of the better sentence, then the worse one's."
        )
    if columns and named is None:
        raise first.error(f"has no columns {' and '.join(columns)}, got {_listed(first)}. Give two of them: --columns")
    if named and named[0] is None and len(first.cells) == 3:
        [paradigm] = {0, 1, 2}.difference(named)
        named = (paradigm, *named[1:])
    if special := _pairs_of_benchmark(file, rows):
        if row := next((row for row in rows if len(row.cells) != len(first.cells)), None):
            raise row.error(f"expected {len(first.cells)} columns, got {len(row.cells)}. Mend the line.")
        pairs = list[Pair | DataError](special)
    else:
        kinds = [named] if named else _BY_NUMBER.get(len(first.cells), []) if not _has_commas(file, delimiter) else []
        is_of_words = bool(find_columns(first.cells, ("word", "item")))
        if not kinds or (named is None and (is_of_words or _is_header(rows, kinds[0][1:]))):
            quotes = " Put quotes around sentences that have commas." if delimiter == "," else ""
            raise first.error(
                f"nothing says which two columns have the better and the worse sentence, got {_listed(first)} between "
                f"{DELIMITERS[delimiter]}.{quotes} {_NAME_THEM}"
            )
        pairs = without_numbers(list(_pairs(rows[1:] if named else rows, len(first.cells), kinds, delimiter)))
    _refuse_what_is_no_pair(file, [pair for pair in pairs if isinstance(pair, Pair)], is_named=named is not None)
    return iter(pairs)


def without_numbers(pairs: list[Pair | DataError]) -> list[Pair | DataError]:
    """Pairs without what is a number of its own for each, as a count or a score, and so names no paradigm."""
    names = [pair.paradigm or "" for pair in pairs if isinstance(pair, Pair)]
    if len(set(names)) < len(names) or len(names) < 2 or not all(map(is_number, names)):
        return pairs
    return [pair._replace(paradigm=None) if isinstance(pair, Pair) else pair for pair in pairs]


def _pairs_of_benchmark(file: WholeFile, rows: Sequence[Row]) -> Iterator[Pair] | None:
    """The pairs of a table in the form of a benchmark; None for other tables."""
    cells = rows[0].cells
    if file.path.suffix == ".gold" and len(cells) in _OF_GOLD:
        return _pairs_of_gold(file, rows)
    if {"prefix", "form", "class"} <= set(cells):
        return _pairs_of_forms(rows)
    for label in (0, 1) if len(cells) == 2 else ():
        if all(row.cells[label : label + 1] and row.cells[label].strip().casefold() in _LABELS for row in rows):
            return _pairs_of_labels(rows, label)
    return None


def _listed(row: Row) -> str:
    return ", ".join(repr(cell[:60]) for cell in row.cells)


def _pairs(rows: Sequence[Row], n_columns: int, kinds: Sequence[_Places], delimiter: str) -> Iterator[Pair | DataError]:
    for row in rows:
        if len(row.cells) != n_columns:
            yield row.error(
                f"expected {n_columns} columns with {DELIMITERS[delimiter]} between them, got {len(row.cells)}. Put "
                "quotes around cells that have some within."
            )
            continue
        for number, (paradigm, good, bad) in enumerate(kinds, start=1):
            name = None if paradigm is None else row.cells[paradigm]
            if len(kinds) > 1:
                name = f"{name}/good-vs-bad{'' if number == 1 else number}"
            yield Pair(row.number, name, row.cells[good], row.cells[bad])


def _has_commas(file: WholeFile, delimiter: str) -> bool:
    """Whether commas seem to be those of sentences, with a blank after them and no quote that begins a cell."""
    rows = first_rows(file.content, delimiter, keeps_blanks=True) if delimiter == "," else []
    return 2 * sum(any(re.match(' +[^ "]', cell) for cell in cells) for cells in rows) > len(rows)


def _is_header(rows: Sequence[Row], places: Sequence[int]) -> bool:
    """Whether the first row has a word each where most others have sentences."""
    is_long = [any(" " in cell.strip() for place in places for cell in row.cells[place : place + 1]) for row in rows]
    return not is_long[0] and 2 * sum(is_long) >= len(rows)


def _refuse_what_is_no_pair(file: WholeFile, pairs: Sequence[Pair], *, is_named: bool) -> None:
    """Refuse numbers in place of sentences, and where nobody has named them, sentences that have nothing in common."""
    unlike = [pair for pair in pairs if not _is_text(pair) or not (is_named or _is_alike(pair))]
    if 2 * len(unlike) > len(pairs):
        raise DataError(
            f"{file.name}: holds no minimal pairs, as most have no word in common, such as {unlike[0].good[:60]!r} and "
            f"{unlike[0].bad[:60]!r}. {_NAME_THEM}"
        )


def _is_text(pair: Pair) -> bool:
    return any(map(str.isalpha, pair.good)) and any(map(str.isalpha, pair.bad))


def _is_alike(pair: Pair) -> bool:
    """Whether two sentences have a word in common, or where each is one word, as without blanks, a letter."""
    good, bad = (sentence.casefold().split() for sentence in (pair.good, pair.bad))
    return not (set(*good).isdisjoint(*bad) if len(good) == len(bad) == 1 else set(good).isdisjoint(bad))


def _pairs_of_labels(rows: Sequence[Row], label: int) -> Iterator[Pair]:
    """The pairs of CLAMS: a good sentence and a bad one by turns, each with its label."""
    labelled = [(not _LABELS[row.cells[label].strip().casefold()], row) for row in rows]
    for turn in zip(labelled[::2], [*labelled[1::2], labelled[-1]], strict=False):
        (is_bad, good), (is_bad_too, bad) = sorted(turn, key=itemgetter(0))
        if is_bad or not is_bad_too:
            raise good.error(
                f"has a label, {good.cells[label]!r}, but good and bad do not come by turns. {_WRITE_THEM}"
            )
        yield Pair(good.number, None, good.cells[1 - label], bad.cells[1 - label])


def _pairs_of_forms(rows: Sequence[Row]) -> Iterator[Pair]:
    """The pairs of Gulordava et al. (2018): a beginning with the right form of its verb, then with the wrong one."""
    names = rows[0].cells
    for good, bad in zip(rows[1::2], [*rows[2::2], rows[-1]], strict=False):
        right, wrong = (dict(zip(names, row.cells, strict=True)) for row in (good, bad))
        if (right["class"], wrong["class"], right["prefix"]) != ("correct", "wrong", wrong["prefix"]):
            raise good.error("expected a correct form, and the wrong one in the next line. Mend the column class.")
        texts = [f"{part['prefix']} {part['form']}" for part in (right, wrong)]
        yield Pair(good.number, right.get("pattern"), texts[0], texts[1], has_end=False)


def _pairs_of_gold(file: WholeFile, rows: Sequence[Row]) -> Iterator[Pair]:
    """The pairs of a .gold file, which says where verbs are in the lines of the .text beside it, and their forms."""
    text = read_file(file.path.with_suffix(".text"), file.encoding)
    if len(rows) != len(text.lines()):
        raise DataError(
            f"{file.name}: has {len(rows):,} lines, {text.name} {len(text.lines()):,}. Put those that belong."
        )
    for row, line in zip(rows, text.lines(), strict=True):
        paradigm, place, *forms = (row.cells[column] for column in _OF_GOLD[len(row.cells)])
        if not place.isdecimal():
            raise row.error(f"expected the number of a word, got {place!r}. Mend the line.")
        texts = [" ".join([*line.text.split()[: int(place)], form]) for form in forms]
        yield Pair(row.number, paradigm, texts[0], texts[1], has_end=False)
