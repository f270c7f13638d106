"""Strict YAML into checked options and back: all mistakes of a file at once, each with its line and what to do.

A section is a pydantic class; a pluggable part is a union of classes told apart by `name`. Sections are built from the
innermost out, so that every error of pydantic concerns a key of the section at hand; structure (keys, names) is checked
here, values and their combinations by the classes.
"""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import ErrorDetails, core_schema

from lstmlm.errors import did_you_mean, nearest
from lstmlm.yaml import strict
from lstmlm.yaml.settings import Settings, brief, dotted
from lstmlm.yaml.strict import KeyPath, Value

M = TypeVar("M", bound=BaseModel)
Choices = Mapping[str, type[BaseModel]]

_EXPECTED = {
    "string_type": "a string",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping of keys",
}
_UNQUOTED = {"int": "number", "float": "a number", "bool": "true or false"}
_ELSEWHERE = {
    "lr": "learning_rate",
    "wd": "weight_decay",
    "nhid": "hidden_size",
    "emsize": "embedding_size",
    "path": "corpus",
    "gpu": "cuda",
    "bf16": "bfloat16",
    "fp32": "float32",
}
"""What other programs call a key or a value, where that is not like its name here."""

_LIMITS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


def load_yaml(path: Path, model: type[M], overrides: Sequence[str] = (), flag: str = "--set") -> M:
    """Read a YAML file as an object of a pydantic class.

    Args:
        path: the file.
        model: the class of the whole file; its fields are sections, unions of parts told apart by `name`, or values.
        overrides: texts `dotted.key=value` that replace single keys or whole sections. One that names another part
            leaves behind what the file has of options that are not that part's.
        flag: what messages say that overrides are given by; "": nothing.

    Raises:
        ConfigError: all that is wrong, a line for each mistake: `file:line: dotted.key: what. What to do.`
    """
    settings = Settings(flag)
    settings.read(path)
    return build(settings, model, overrides)


def from_overrides(model: type[M], overrides: Sequence[str], flag: str = "--set") -> M:
    """Return the options that overrides alone describe; see `load_yaml`."""
    return build(Settings(flag), model, overrides)


def build(settings: Settings, model: type[M], overrides: Sequence[str] = ()) -> M:
    """Return the options that a file, which has been read, describes with overrides; see `load_yaml`."""
    for number, override in enumerate(overrides):
        settings.override(override, number)
    options = _Builder(settings, model).section(model, settings.values, ())
    settings.raise_problems()
    assert isinstance(options, model)
    return options


def dump_yaml(options: BaseModel) -> str:
    """Write options as YAML, complete and in the order of their declaration; `load_yaml` gives an equal object."""
    return strict.dump(_plain(options))


def json_schema(model: type[BaseModel]) -> str:
    """Describe a YAML file of this class as JSON Schema, for editors that complete and check while one types."""
    schema = model.model_json_schema(schema_generator=_JsonSchema)
    return json.dumps({"$schema": _JsonSchema.schema_dialect, **schema}, indent=2, ensure_ascii=False) + "\n"


class _Builder:
    """Builds the sections and parts of one file, reporting to its settings."""

    def __init__(self, settings: Settings, root: type[BaseModel]) -> None:
        self._settings = settings
        self._places = list(_places(root, ()))

    def section(
        self, options_class: type[BaseModel], value: Value, path: KeyPath, choices: Choices | None = None
    ) -> BaseModel | None:
        """Build one section, or the part that was chosen from `choices`; None where it has problems."""
        if not isinstance(value, dict):
            advice = _missing_blank(value) or "Write its keys below it."
            self._settings.report(path, f"expected a mapping of keys, got {brief(value)}. {advice}")
            return None
        fields = options_class.model_fields
        content: dict[str, object] = {}
        for key, item in value.items():
            if key not in fields and self._is_left_over((*path, key), choices or {}):
                continue
            if key not in fields:
                self._unknown_key(options_class, (*path, key), choices or {})
            elif _choices(fields[key]):
                content[key] = self._part(fields[key], item, (*path, key))
            elif section_class := _section_class(fields[key]):
                content[key] = self.section(section_class, item, (*path, key))
            else:
                content[key] = item
        for key, field in fields.items():
            if key not in value and field.is_required():
                self._settings.report((*path, key), "missing key. Add it.")
        try:
            return options_class.model_validate(content)
        except ValidationError as error:
            self._invalid(options_class, content, path, error.errors())
            return None

    def _part(self, field: FieldInfo, value: Value, path: KeyPath) -> BaseModel | None:
        choices = _choices(field)
        if not isinstance(value, dict):
            advice = f"Write {{name: {value}}}." if value in list(choices) else "Write name and options below it."
            advice = _missing_blank(value) or advice
            self._settings.report(path, f"expected a mapping of keys, got {brief(value)}. {advice}")
            return None
        one_of = f"Choose one of: {', '.join(sorted(choices))}."
        name = value.get("name", getattr(field.default, "name", None))
        if "name" not in value and name is None:
            self._settings.report((*path, "name"), f"missing key. {one_of}")
        elif not isinstance(name, str):
            self._settings.report((*path, "name"), _mismatch("a string", name) + f" {one_of}")
        elif name not in choices:
            noun = getattr(next(iter(choices.values())), "part", "name")
            text = f"unknown {noun} {brief(name)}. {_meant(name, choices)}{one_of}"
            self._settings.report((*path, "name"), text)
        else:
            return self.section(choices[name], {**value, "name": name}, path, choices)
        return None

    def _is_left_over(self, path: KeyPath, choices: Choices) -> bool:
        """Whether a key of the file is an option of another part than the one that an override has put there."""
        of_name, of_key = self._settings.origin((*path[:-1], "name")), self._settings.origin(path)
        is_option = any(path[-1] in other.model_fields for other in choices.values())
        return of_name.is_override and not of_key.is_override and is_option

    def _unknown_key(self, options_class: type[BaseModel], path: KeyPath, choices: Choices) -> None:
        section, key = path[:-1], str(path[-1])
        if owners := [name for name, other in choices.items() if key in other.model_fields]:
            name = next(name for name, chosen in choices.items() if chosen is options_class)
            text = f"is an option of {_listed(owners, 'and', repr)}, not of {name!r}. "
            text += f"Remove it, or choose name: {_listed(owners, 'or')}."
        elif key.split(".", maxsplit=1)[0] in options_class.model_fields and "." in key:
            outer, _, inner = key.partition(".")
            text = f"unknown key: a dot is for --set. Write {inner} below {outer}."
        elif _ELSEWHERE.get(key) not in options_class.model_fields and (places := self._where(key, section)):
            text = f"unknown key. It belongs {_listed(places, 'or')}."
        else:
            here = options_class.model_fields
            meant = _ELSEWHERE.get(key) if any(_ELSEWHERE.get(key) == other for other, _ in self._places) else None
            meant = (
                meant or nearest(key, [*here, *(other for other, _ in self._places)], cutoff=0.8) or nearest(key, here)
            )
            if meant is None:
                text = f"unknown key. Choose one of: {', '.join(sorted(here))}."
            else:
                text = f"unknown key. Did you mean {meant!r}?"
                if meant not in here and (places := self._where(meant, section)):
                    text += f" It belongs {_listed(places, 'or')}."
        self._settings.report(path, text)

    def _where(self, key: str, section: KeyPath) -> list[str]:
        """The other sections that have a key; those within `section` where there are any."""
        places = [place for known, place in self._places if known == key and place != section]
        within = [place for place in places if place[: len(section)] == section]
        return list(dict.fromkeys(f"in {dotted(place)}" if place else "at the top level" for place in within or places))

    def _invalid(
        self, options_class: type[BaseModel], content: Mapping[str, object], path: KeyPath, errors: list[ErrorDetails]
    ) -> None:
        fields = options_class.model_fields
        of_values = [error for error in errors if error["loc"] and error["loc"][0] in content]
        for key, of_key in groupby(of_values, key=lambda error: str(error["loc"][0])):
            if not _choices(fields[key]) and not _section_class(fields[key]):
                for item, text in _explain(fields[key], content[key], list(of_key)):
                    self._settings.report((*path, key, *item), text)
        if self._settings.has_problems(path):
            return  # a combination can only be judged when its parts are right
        for error in errors:  # all of them of validators that look at the whole section
            text = str(error["ctx"]["error"])
            key_match = re.match(r"([\w.]+): ", text)
            keys = key_match[1].split(".") if key_match else [""]
            if key_match and keys[0] in fields:
                self._settings.report((*path, *keys), text[key_match.end() :])
            else:
                self._settings.report(path, text)


def _missing_blank(value: Value) -> str | None:
    slip = strict.slip_in(value) if isinstance(value, str) else None
    return slip and f"A key {slip}"


def _explain(field: FieldInfo, value: object, errors: list[ErrorDetails]) -> list[tuple[KeyPath, str]]:
    """Say what is wrong with one value: texts, each with the item that it is about, by index or key (empty: the value).

    A union of types, such as a number or a list, reports every alternative; those of the wrong type are left out where
    another one got further.
    """
    wrong_types: list[str] = []
    others: list[tuple[KeyPath, str]] = []
    has_keys = get_origin(field.annotation) is dict
    for error in errors:
        item = tuple(step for step in error["loc"][1:] if has_keys or isinstance(step, int))
        if error["type"] == "missing" or error["type"] == "too_long":
            n_items = len(get_args(field.annotation))
            others.append(((), f"expected a list of {n_items}, got {brief(value)}."))
        elif error["type"] == "literal_error" and len(errors) > 1:  # a word such as `auto`, beside other types
            wrong_types.extend(_literals(field.annotation))
        elif error["type"] not in _EXPECTED:
            others.append((item, _explain_one(field, error)))
        elif item:
            others.append((item, _mismatch(_EXPECTED[error["type"]], error["input"])))
        else:
            wrong_types.append(_EXPECTED[error["type"]])
    return list(dict.fromkeys(others)) or [((), _mismatch(_listed(wrong_types, "or"), value, field))]


def _meant(word: str, choices: Collection[str]) -> str:
    """What may be meant by a word that is none of the choices."""
    other = _ELSEWHERE.get(word.lower(), word)
    return did_you_mean(other if other in choices else word, choices)


def _explain_one(field: FieldInfo, error: ErrorDetails) -> str:
    kind, value = error["type"], error["input"]
    if kind in _LIMITS:
        key, relation = _LIMITS[kind]
        limit = error["ctx"][key]
        text = f"must be {relation} {f'{limit:g}' if isinstance(limit, float) else limit}, got {brief(value)}."
        return f"{text} For none write null." if value == 0 and _takes(field, None) else text
    if kind == "literal_error" and (choices := _literals(field.annotation)):
        if not isinstance(value, str):
            return _mismatch(f"one of {', '.join(choices)}", value)
        return f"unknown value {brief(value)}. {_meant(value, choices)}Choose one of: {', '.join(choices)}."
    if kind == "finite_number":
        return f"must be a finite number, got {brief(value)}."
    if kind == "string_too_short":
        return f"must not be empty, got {brief(value)}."
    if kind == "value_error":
        return str(error["ctx"]["error"])
    return f"{error['msg'][0].lower()}{error['msg'][1:]}, got {brief(value)}."


def _takes(field: FieldInfo | None, value: object) -> bool:
    """Whether a field can have a value, so that it can be advised."""
    if field is None:
        return False
    try:
        TypeAdapter(field.rebuild_annotation(), config=ConfigDict(strict=True)).validate_python(value)
    except ValidationError:
        return False
    return True


def _mismatch(expected: str, value: object, field: FieldInfo | None = None) -> str:
    """Say that a value has the wrong type, how YAML came to read it so, and what the field takes that may be meant."""
    text = f"expected {expected}, got {brief(value)}."
    wants_string = expected == "a string" or expected.startswith("one of ")
    if isinstance(value, bool) and wants_string:
        words = "yes/on/true as true" if value else "no/off/false as false"
        return f"{text} YAML reads {words}: quote it."
    if isinstance(value, int | float) and wants_string:
        return f"{text} Quote it."
    if isinstance(value, float) and value.is_integer() and "whole number" in expected:
        return f"{text} Write {int(value)}."
    if isinstance(value, str) and value.lower() in ("none", "nil"):
        advice = next((f" For none write {brief(none)}." for none in (None, 0) if _takes(field, none)), "")
        return text + advice
    if "a list" in expected and isinstance(value, int | float) and _takes(field, (value,)):
        return f"{text} Write [{value}]."
    if isinstance(value, str) and _UNQUOTED.get(strict.kind_of(value), "-") in expected:
        return f"{text} Remove the quotes."
    if isinstance(value, str) and "number" in expected:
        if percentage := re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?%", value):
            return f"{text} Write {float(percentage[1]) / 100:g}."
        is_grouped = re.fullmatch(r"[1-9][0-9]{0,2}([, '’][0-9]{3})+", value)
        written = [re.sub("[^0-9]", "", value)] if is_grouped else []
        if "whole number" not in expected and re.fullmatch("[0-9]+,[0-9]+", value):
            written.insert(0, value.replace(",", "."))
        if written:
            return f"{text} Write {' or '.join(written)}."
    if isinstance(value, str) and field is not None:
        return f"{text} {_meant(value, _literals(field.annotation))}".rstrip()
    return text


def _choices(field: FieldInfo) -> dict[str, type[BaseModel]]:
    """The classes of a pluggable part by name; empty for other fields."""
    if field.discriminator is None:
        return {}
    return {
        name: part for part in get_args(field.annotation) for name in get_args(part.model_fields["name"].annotation)
    }


def _section_class(field: FieldInfo) -> type[BaseModel] | None:
    annotation = field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _places(options_class: type[BaseModel], path: KeyPath) -> Iterator[tuple[str, KeyPath]]:
    """Every key of a class and of all that is below it, with the section that it belongs in."""
    for key, field in options_class.model_fields.items():
        yield key, path
        section_class = _section_class(field)
        for below in [section_class] if section_class else _choices(field).values():
            yield from _places(below, (*path, key))


def _literals(annotation: Any) -> list[str]:
    """The strings of a Literal, also inside a union."""
    if get_origin(annotation) is Literal:
        return sorted(map(str, get_args(annotation)))
    return [text for member in get_args(annotation) for text in _literals(member)]


def _listed(words: Sequence[str], conjunction: str, write: Callable[[str], str] = str) -> str:
    *first, last = map(write, words)
    return f"{', '.join(first)} {conjunction} {last}" if first else str(last)


def _plain(options: BaseModel) -> dict[str, object]:
    """The values of options as nested mappings; the name of a part comes first, as people write it."""
    keys = sorted(type(options).model_fields, key=lambda key: key != "name")
    values = {key: getattr(options, key) for key in keys}
    return {key: _plain(value) if isinstance(value, BaseModel) else value for key, value in values.items()}


class _JsonSchema(GenerateJsonSchema):
    """Without titles that repeat the key; a part that leaves out `name` may fit several choices."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> dict[str, Any]:
        described = super().tagged_union_schema(schema)
        described["anyOf"] = described.pop("oneOf")
        return described
