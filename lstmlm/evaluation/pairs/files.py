"""Files of minimal pairs and suites of SyntaxGym, read into items.

Pairs come one a line: as JSON with the keys of BLiMP, or in two columns, the better sentence first. A paradigm may
stand before them, as Marvin & Linzen have it.
"""

import csv
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import PurePath
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from lstmlm.corpus.reading.splits import Text
from lstmlm.errors import ConfigError, DataError, did_you_mean
from lstmlm.evaluation.pairs.formulas import parse_formula
from lstmlm.evaluation.pairs.items import BAD, GOOD, PAIR_FORMULA, Item, make_item
from lstmlm.evaluation.pairs.normalization import Normalization

SUFFIXES = (".csv", ".json", ".jsonl", ".tsv")
"""What files are called that are read where a folder is named."""

_HEADERS = {("good", "bad"), ("better", "worse"), ("sentence_good", "sentence_bad")}
"""Names of the last two columns of a table, in its first line."""

M = TypeVar("M", bound=BaseModel)


def read_items(text: Text, format_name: str | None, normalize: Normalization) -> Iterator[Item | DataError]:
    """Yield the items of a file, all sentences normalized, and in place of what cannot be used the error that says why.

    The format is a name in `FORMATS`; where not given, it is recognised by the content.

    Raises:
        ConfigError: there is no format of that name.
    """
    try:
        content = "".join(text.blocks())
    except DataError as error:
        yield error
        return
    name = format_name or recognize_format(content)
    if name not in FORMATS:
        raise ConfigError(
            f"--format: unknown format {name!r}. {did_you_mean(name, FORMATS)}Choose one of: {', '.join(FORMATS)}."
        )
    yield from FORMATS[name](text.name, content, normalize)


def recognize_format(content: str) -> str:
    """Return the name of the format that a file begins like."""
    first_line = content.lstrip().split("\n", 1)[0]
    if first_line.startswith("{"):
        return "blimp" if '"sentence_good"' in first_line else "syntaxgym"
    return "tsv" if "\t" in first_line else "csv"


def _read_pairs(
    file: str, content: str, normalize: Normalization, cells_of: Callable[[str], list[str]]
) -> Iterator[Item | DataError]:
    for number, line in enumerate(content.rstrip("\n").split("\n"), start=1):
        try:
            *paradigm, good, bad = cells_of(line)
            if number == 1 and (good, bad) in _HEADERS:
                continue
            if not good.split() or not bad.split():
                raise DataError("a sentence of the pair is empty. Write both.")
            # A file that holds one paradigm is often named like it.
            name = "/".join(dict.fromkeys([PurePath(file).stem, *paradigm]))
            yield make_item(file, str(number), name, {GOOD: {1: good}, BAD: {1: bad}}, PAIR_FORMULA, normalize)
        except DataError as error:
            yield DataError(f"{file}:{number}: {error}")


class _BlimpRow(BaseModel):
    sentence_good: str
    sentence_bad: str
    UID: str | None = None


def _cells_of_json(line: str) -> list[str]:
    row = _validated(_BlimpRow.model_validate_json, line)
    return [row.UID, row.sentence_good, row.sentence_bad] if row.UID else [row.sentence_good, row.sentence_bad]


def _cells_of_csv(line: str) -> list[str]:
    try:
        cells = next(csv.reader([line], strict=True))
    except csv.Error as error:
        raise DataError(f"not a row of a table ({error}). Mend it.") from None
    return _two_or_three(cells, "commas")


def _two_or_three(cells: list[str], separators: str) -> list[str]:
    if len(cells) not in (2, 3):
        raise DataError(
            f"expected 2 or 3 columns with {separators} between them, got {len(cells)}. "
            "Write the better and the worse sentence, after their paradigm if they have one."
        )
    return cells


class _Meta(BaseModel):
    name: str
    metric: Literal["sum", "all"] = "sum"


class _Suite(BaseModel):
    meta: _Meta
    predictions: list[dict[str, Any]]
    items: list[dict[str, Any]]


class _Prediction(BaseModel):
    formula: str


class _Region(BaseModel):
    region_number: int
    content: str


class _Condition(BaseModel):
    condition_name: str
    regions: list[_Region]


class _SuiteItem(BaseModel):
    item_number: int
    conditions: list[_Condition]


def _read_suite(file: str, content: str, normalize: Normalization) -> Iterator[Item | DataError]:
    try:
        suite = _validated(_Suite.model_validate_json, content)
    except DataError as error:
        yield DataError(f"{file}: {error}")
        return
    for number, prediction in enumerate(suite.predictions, start=1):
        paradigm = f"{suite.meta.name}/{number}" if len(suite.predictions) > 1 else suite.meta.name
        try:
            formula = parse_formula(_validated(_Prediction.model_validate, prediction).formula)
        except DataError as error:
            yield DataError(f"{file}: prediction {number}: {error}")
            continue
        for position, value in enumerate(suite.items, start=1):
            try:
                item = _validated(_SuiteItem.model_validate, value)
                sentences = {
                    condition.condition_name: {region.region_number: region.content for region in condition.regions}
                    for condition in item.conditions
                }
                yield make_item(file, str(item.item_number), paradigm, sentences, formula, normalize)
            except DataError as error:
                yield DataError(f"{file}: item {value.get('item_number', position)}: {error}")


def _validated(validate: Callable[[Any], M], value: Any) -> M:
    """Return what `validate` makes of a value; name the first mistake in it."""
    try:
        return validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise DataError(f"{place}: {first['msg']}. Mend it." if place else f"{first['msg']}. Mend it.") from None


FORMATS: Mapping[str, Callable[[str, str, Normalization], Iterator[Item | DataError]]] = {
    "blimp": partial(_read_pairs, cells_of=_cells_of_json),
    "csv": partial(_read_pairs, cells_of=_cells_of_csv),
    "syntaxgym": _read_suite,
    "tsv": partial(_read_pairs, cells_of=lambda line: _two_or_three(line.split("\t"), "tabs")),
}
