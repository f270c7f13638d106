"""Test suites of SyntaxGym: items with several sentences, cut into regions, and predictions about their surprisals."""

from collections.abc import Iterator
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from lstmlm.corpus.reading.json_lines import parse_json
from lstmlm.errors import DataError, shown
from lstmlm.evaluation.normalization import Normalization
from lstmlm.evaluation.pairs.formulas import Region, parse_formula
from lstmlm.evaluation.pairs.items import Item, Sentences, make_item

M = TypeVar("M", bound=BaseModel)

_EXPECTED = {
    "string_type": "text in quotes",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "literal_error": "sum or all",
}
"""What a kind of mistake leaves to be wished for."""


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


def read_suite(file: str, content: str, normalize: Normalization) -> Iterator[Item | DataError]:
    """Yield the items of a suite, each once for every prediction, and in place of what is wrong the error that says so.

    Raises:
        DataError: the file is no suite.
    """
    try:
        suite = _validated(_Suite, parse_json(content, "Mend it."))
    except (DataError, ValueError) as error:
        raise DataError(f"{file}: {error}") from None
    for number, prediction in enumerate(suite.predictions, start=1):
        paradigm = f"{suite.meta.name}/{number}" if len(suite.predictions) > 1 else suite.meta.name
        try:
            formula = parse_formula(_validated(_Prediction, prediction).formula)
        except DataError as error:
            yield DataError(f"{file}: prediction {number}: {error}")
            continue
        for position, value in enumerate(suite.items, start=1):
            try:
                item = _validated(_SuiteItem, value)
                yield make_item(file, str(item.item_number), paradigm, _sentences(item), formula, normalize)
            except DataError as error:
                yield DataError(f"{file}: item {value.get('item_number', position)}: {error}")


def _sentences(item: _SuiteItem) -> Sentences:
    """Raises DataError where a region would take the place of another."""
    sentences: dict[str, dict[int, str]] = {}
    for condition in item.conditions:
        regions = sentences.setdefault(condition.condition_name, {})
        for region in condition.regions:
            if region.region_number in regions:
                found = Region(condition.condition_name, region.region_number)
                raise DataError(f"has two regions {found}. Give each a number of its own, each condition a name.")
            regions[region.region_number] = region.content
    return sentences


def _validated(options: type[M], value: Any) -> M:
    """Return a value as an object of a class; name the first mistake in it."""
    try:
        return options.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = "".join(f"{part}: " for part in [".".join(map(str, first["loc"]))] if part)
        if first["type"] == "missing":
            raise DataError(f"{place}is missing. Add it.") from None
        wanted = _EXPECTED.get(first["type"], "another value")
        raise DataError(f"{place}expected {wanted}, got {shown(first['input'])}. Mend it.") from None
