"""What a key of a configuration means: its docstring, type, default and range, as JSON Schema has them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from lstmlm.errors import ConfigError, did_you_mean


@dataclass(frozen=True)
class Explanation:
    """A key in one of the places where it may stand."""

    key: str
    """Written as `--set` takes it."""

    parts: tuple[str, ...]
    """The choices of a pluggable part that have this key, such as the backbone `lstm`; empty: it belongs to none.

    The meaning of the `name` of such a part is that of the choice.
    """

    meaning: str
    type: str
    default: Any
    """None too where there is none: then `is_required`."""

    is_required: bool

    is_of_all: bool = False
    """Whether `parts` are all that can be chosen."""

    @property
    def is_choice(self) -> bool:
        """Whether this is a choice's name, which says what it is, not how it can be set."""
        return self.parts == (self.type,)

    @property
    def of(self) -> str:
        """The names of `parts`, or "all"."""
        return "all" if self.is_of_all else ", ".join(self.parts)


def explanations(root: type[BaseModel]) -> list[Explanation]:
    """Return every key of a file of this class, sections and parts before what is in them, choices before options."""
    schema = root.model_json_schema()
    return list(_explained(schema, schema, "", ()))


def explain(root: type[BaseModel], key: str) -> list[Explanation]:
    """Return what a key means wherever it may stand; `bptt` will do for `data.bptt`. Of a choice such as `lstm`: all.

    Raises:
        ConfigError: there is no such key or choice.
    """
    known = explanations(root)
    found = [one for one in known if one.key == key] or [one for one in known if one.key.endswith(f".{key}")]
    found = found or [one for one in known if key in one.parts]
    if not found:
        names = {name for one in known for name in (one.key, one.key.rsplit(".", 1)[-1], *one.parts)}
        raise ConfigError(f"{key}: no such key. {did_you_mean(key, names)}See all: lstmlm config explain")
    return found


def _explained(
    root: Mapping[str, Any], owner: Mapping[str, Any], prefix: str, parts: tuple[str, ...]
) -> Iterator[Explanation]:
    required = owner.get("required", [])
    for name, field in owner.get("properties", {}).items():
        choices = field.get("discriminator", {}).get("mapping", {})
        section = _resolved(root, field)
        meaning = field.get("description") or section.get("description", "")
        if field.get("const") in parts:
            meaning = " ".join(owner["description"].split())
        type_ = f"one of {', '.join(choices)}" if choices else _type(root, field)
        default = field.get("default")
        default = default["name"] if choices and default else None if section.get("properties") else default
        yield Explanation(f"{prefix}{name}", parts, meaning, type_, default, name in required)
        yield from _explained(root, section, f"{prefix}{name}.", parts)
        of_choices = (
            _explained(root, _resolved(root, {"$ref": reference}), f"{prefix}{name}.", (choice,))
            for choice, reference in choices.items()
        )
        yield from _merged([one for of_choice in of_choices for one in of_choice], len(choices))


def _merged(found: list[Explanation], n_choices: int) -> Iterator[Explanation]:
    """Yield the choices, then their options, those of one key together; equal ones once, with all that have them."""
    keys = [one.key for one in found]
    having: dict[str, list[Explanation]] = {}
    for one in sorted(found, key=lambda one: (not one.is_choice, keys.index(one.key))):
        having.setdefault(repr(replace(one, parts=())), []).append(one)
    for same in having.values():
        parts = tuple(part for one in same for part in one.parts)
        yield replace(same[0], parts=parts, is_of_all=len(parts) == n_choices)


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
        items = field.get("prefixItems", [field.get("items", {})])
        return f"a list of {' and '.join(_type(root, item) for item in items)}"
    if "$ref" in field:
        return "a section"
    names = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "string": "text"}
    names |= {"null": "null", "object": "a mapping"}
    bounds = [words + f" {field[key]:,}".removesuffix(".0") for key, words in _BOUNDS.items() if key in field]
    return ", ".join([names.get(field.get("type", ""), "anything"), *bounds])
