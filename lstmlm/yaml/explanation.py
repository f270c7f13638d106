"""What a key of a configuration means: its docstring, type, default and range, as JSON Schema has them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from lstmlm.errors import ConfigError, did_you_mean


@dataclass(frozen=True)
class Explanation:
    """A key in one of the places where it may stand."""

    key: str
    """Written as `--set` takes it."""

    part: str | None
    """The choice of a pluggable part that has this key, such as the backbone `lstm`; None: it is always there.

    The meaning of the `name` of such a part is that of the choice.
    """

    meaning: str
    type: str
    default: Any
    """None too where there is none: then `is_required`."""

    is_required: bool

    @property
    def is_choice(self) -> bool:
        """Whether this is a choice's name, which says what it is, not how it can be set."""
        return self.part is not None and self.type == self.part


def explanations(root: type[BaseModel]) -> list[Explanation]:
    """Return every key of a file of this class, sections and parts before what is in them."""
    schema = root.model_json_schema()
    return list(_explained(schema, schema, "", None))


def explain(root: type[BaseModel], key: str) -> list[Explanation]:
    """Return what a key means wherever it may stand; `bptt` will do for `data.bptt`. Of a choice such as `lstm`: all.

    Raises:
        ConfigError: there is no such key or choice.
    """
    known = explanations(root)
    found = [one for one in known if one.key == key] or [one for one in known if one.key.endswith(f".{key}")]
    found = found or [one for one in known if one.part == key]
    if not found:
        names = {name for one in known for name in (one.key, one.key.rsplit(".", 1)[-1], one.part or one.key)}
        raise ConfigError(f"{key}: no such key. {did_you_mean(key, names)}See all: lstmlm config explain")
    return found


def _explained(
    root: Mapping[str, Any], owner: Mapping[str, Any], prefix: str, part: str | None
) -> Iterator[Explanation]:
    required = owner.get("required", [])
    for name, field in owner.get("properties", {}).items():
        choices = field.get("discriminator", {}).get("mapping", {})
        section = _resolved(root, field)
        meaning = field.get("description") or section.get("description", "")
        if part is not None and field.get("const") == part:
            meaning = " ".join(owner["description"].split())
        type_ = f"one of {', '.join(choices)}" if choices else _type(root, field)
        default = field.get("default")
        default = default["name"] if choices and default else None if section.get("properties") else default
        yield Explanation(f"{prefix}{name}", part, meaning, type_, default, name in required)
        yield from _explained(root, section, f"{prefix}{name}.", part)
        for choice, reference in choices.items():
            yield from _explained(root, _resolved(root, {"$ref": reference}), f"{prefix}{name}.", choice)


def _resolved(root: Mapping[str, Any], field: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = field.get("$ref")
    return root["$defs"][reference.rsplit("/", 1)[-1]] if reference else {}


_BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}


def _type(root: Mapping[str, Any], field: Mapping[str, Any]) -> str:
    """Return a type in words, with its range."""
    if "anyOf" in field:
        return " or ".join(_type(root, option) for option in field["anyOf"])
    if "enum" in field:
        return f"one of {', '.join(map(str, field['enum']))}"
    if "const" in field:
        return str(field["const"])
    if field.get("type") == "array":
        return f"a list of {_type(root, field['items'])}" if "items" in field else "a list"
    if "$ref" in field:
        return "a section"
    names = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "string": "text"}
    names["null"] = "null"
    bounds = [words + f" {field[key]:,}".removesuffix(".0") for key, words in _BOUNDS.items() if key in field]
    return ", ".join([names.get(field.get("type", ""), "anything"), *bounds])
