"""Strict YAML: every value knows its line, and nothing is converted, merged, overwritten or expanded behind one's back.

Only PyYAML's composer is used, never its constructor: a text can name no Python object, and the node graph still has
the lines that messages need. Scalars follow YAML 1.1 as PyYAML reads it, less its traps: `1e-3` is a number, `12:30`
and `010` are texts.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml
from yaml.composer import Composer
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

# Items are values again. A type that contains itself cannot be checked while the tests run, hence `Any`.
Value: TypeAlias = bool | int | float | str | tuple[Any, ...] | dict[str, Any] | None
KeyPath: TypeAlias = tuple[str | int, ...]

MAX_DEPTH = 32
MAX_VALUES = 10_000

_TAG = "tag:yaml.org,2002:"
_ADVICE = {
    "'\\t'": "Indent with spaces.",
    "mapping values are not allowed": "Check the indentation, and quote a text that contains a colon.",
    "escape": "In double quotes a backslash begins an escape: take single quotes, or / in a path.",
}

_SLIP = re.compile(
    r"[ \t]*(?P<odd>[^\S \t])|[ \t]*(?P<key>[\w.-]+)(?P<colon> *：\s*|:[^\S \t]\s*|:(?=[^\s:/\\]))(?P<value>.*)"
)
"""The beginning of a line that looks like a key, but is none: where its blanks are, or its colon is."""


@dataclass(frozen=True)
class Problem:
    """Something wrong at one key. What lies at or below `hides` is not known; None where everything is."""

    path: KeyPath
    line: int
    text: str
    hides: KeyPath | None


@dataclass(frozen=True)
class Document:
    """What a text says: its value, the line of every key path (from 1), and what could not be taken as it stands."""

    value: Value
    lines: Mapping[KeyPath, int]
    problems: list[Problem]


class UnreadableError(Exception):
    """The text is no YAML, or is refused as a whole."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line
        self.text = text


def parse(text: str) -> Document:
    """Read a text that holds one document; an empty one has the value None.

    Raises:
        UnreadableError: a syntax error, a second document, more than MAX_DEPTH levels or MAX_VALUES values.
    """
    try:
        composer = _Composer(text)
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UnreadableError(line, f"not YAML: character {text[error.position]!r} is not allowed.") from None
    try:
        if not composer.check_node():
            return Document(None, {}, [])
        root = composer.get_node()
        assert root is not None
        if composer.check_node():
            line = composer.next_line()
            raise UnreadableError(line, "a second document starts here. Keep one document a file.")
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, text) from None
    except (ValueError, OverflowError):  # an escape beyond Unicode such as "\Uffffffff", a %YAML of 5,000 digits
        raise UnreadableError(composer.line + 1, "not YAML: a number or an escape here is too large.") from None
    walk = _Walk(composer.tags)
    return Document(walk.value(root, (), root.start_mark.line + 1), walk.lines, walk.problems)


def dump(values: dict[str, object]) -> str:
    """Write nested mappings of scalars and tuples so that `parse` reads the same: block style, a tuple in one line."""
    text = yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**31)
    assert isinstance(text, str)
    return text


def kind_of(scalar: str) -> str:
    """What a scalar without quotes is read as: `str`, `int`, `float`, `bool` or `null`."""
    tag: str = _Resolver().resolve(ScalarNode, scalar, (True, False))  # type: ignore[no-untyped-call]
    return tag.removeprefix(_TAG)


def slip_in(line: str) -> str | None:
    """Say how to write a line that looks like a key but is none; None where it does not.

    Its indentation has another space than the ordinary one, or its colon is a full-width one or has no blank after it.
    """
    found = _SLIP.match(line)
    if found is None:
        return None
    if found["odd"]:
        return f"has a {_character_name(found['odd'])} where a blank looks the same. Type blanks in its place."
    written = f"{found['key']}: {found['value']}"
    written = written if len(written) <= 60 else f"{found['key']}: …"
    return f"needs a colon and a blank after its key. Write {written!r}."


def _character_name(character: str) -> str:
    return f"{unicodedata.name(character, 'control character').lower()} (U+{ord(character):04X})"


class _Resolver(BaseResolver):
    """Decides which plain scalars are numbers, booleans or null."""


for _name, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF", list("yYnNtTfFoO")),
    ("int", r"[-+]?(0|[1-9][0-9]*(_[0-9]+)*)", list("-+0123456789")),
    (
        "float",
        r"[-+]?([0-9]+(_[0-9]+)*\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
):
    _Resolver.add_implicit_resolver(_TAG + _name, re.compile(rf"^(?:{_pattern})\Z"), _first)


class _Composer(Reader, Scanner, Parser, Composer, _Resolver):
    """PyYAML's node graph, which remembers explicit tags and stops at MAX_DEPTH and MAX_VALUES.

    So Python's own stack is never too small, and an endless list is not built before it is refused.
    """

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        _Resolver.__init__(self)
        self.tags: dict[int, str] = {}
        self._depth = -1
        self._n_nodes = 0

    def next_line(self) -> int:
        """The line (from 1) of what comes next."""
        line: int = self.peek_event().start_mark.line  # type: ignore[no-untyped-call]
        return line + 1

    def compose_node(self, parent: Node | None, index: Node | int | None) -> Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        self._depth += 1
        self._n_nodes += 1
        _check_depth(self._depth, event.start_mark.line + 1)
        # A key is a node and no value.
        _check_number(self._n_nodes, 2 * MAX_VALUES, event.start_mark.line + 1)
        node = super().compose_node(parent, index)  # type: ignore[arg-type]
        self._depth -= 1
        tag = getattr(event, "tag", None)
        if tag is not None:
            self.tags[id(node)] = tag
        return node


class _Dumper(yaml.SafeDumper):
    """Writes plain only what `_Resolver` reads back as the same type."""

    yaml_implicit_resolvers = _Resolver.yaml_implicit_resolvers

    def ignore_aliases(self, data: object) -> bool:
        return True

    def represent_text(self, text: str) -> ScalarNode:
        # Only double quotes keep every character: PyYAML folds U+0085 and its like into spaces elsewhere.
        return self.represent_scalar(_TAG + "str", text, style=None if text.isprintable() else '"')


_Dumper.add_representer(str, _Dumper.represent_text)
_Dumper.add_representer(tuple, lambda dumper, items: dumper.represent_sequence(_TAG + "seq", items, flow_style=True))


@dataclass
class _Walk:
    """Turns nodes into values, noting lines and problems on the way."""

    tags: Mapping[int, str]
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def value(self, node: Node, path: KeyPath, line: int) -> Value:
        _check_depth(len(path), line)
        self.lines[path] = line
        _check_number(len(self.lines), MAX_VALUES, line)
        if id(node) in self.tags:
            tag = self.tags[id(node)].replace(_TAG, "!!")
            self._problem(path, line, f"tag {tag!r} is not allowed. Remove it.")
            return None
        if isinstance(node, SequenceNode):
            return tuple(self.value(item, (*path, i), item.start_mark.line + 1) for i, item in enumerate(node.value))
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        return self._scalar(node, path, line)

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = self._key(key_node, path, line)
            if key in values:
                first = self.lines[*path, key]
                text = f"duplicate key, first given on line {first}. Keep one of them."
                self.problems.append(Problem((*path, key), line, text, hides=None))
            elif key is not None:
                values[key] = self.value(value_node, (*path, key), line)
        return values

    def _key(self, node: Node, path: KeyPath, line: int) -> str | None:
        if not isinstance(node, ScalarNode) or id(node) in self.tags:
            self._problem((*path, "?"), line, "a key must be a plain string. Write it without ?, !, [ or {.")
            return None
        if node.value == "<<" and node.style is None:
            text = "merge keys are not read. Write the keys out."
            self.problems.append(Problem((*path, "<<"), line, text, hides=path))
            return None
        known = len(self.problems)
        key = self._scalar(node, (*path, node.value), line)
        if not isinstance(key, str) and len(self.problems) == known:
            self._problem((*path, node.value), line, f"a key must be a string, got {key!r}. Quote it.")
        elif node.style is None and (slip := slip_in(node.value)):
            self.problems.append(Problem((*path, node.value), line, slip, hides=path))
            return None
        return key if isinstance(key, str) else None

    def _scalar(self, node: Node, path: KeyPath, line: int) -> Value:
        text: str = node.value
        match node.tag.removeprefix(_TAG):
            case "null":
                return None
            case "bool":
                return text.lower() in ("yes", "true", "on")
            case "int" | "float" if len(text) > 1000:  # Python refuses to convert so many digits
                self._problem(path, line, "a number of more than 1000 digits. Shorten it.")
                return None
            case "int":
                return int(text)
            case "float":
                return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        try:
            text.encode()
        except UnicodeEncodeError as error:
            self._problem(path, line, f"{text[error.start]!r} is half a character. Write the whole one.")
            return None
        return text

    def _problem(self, path: KeyPath, line: int, text: str) -> None:
        self.problems.append(Problem(path, line, text, hides=path))


def _check_depth(depth: int, line: int) -> None:
    if depth > MAX_DEPTH:
        raise UnreadableError(line, f"nested more than {MAX_DEPTH} levels deep. Flatten it.")


def _check_number(n_values: int, limit: int, line: int) -> None:
    if n_values > limit:
        raise UnreadableError(line, f"more than {MAX_VALUES} values, each alias (*) counted. Write less.")


def _syntax_error(error: yaml.MarkedYAMLError, content: str) -> UnreadableError:
    mark = error.problem_mark or error.context_mark
    text = f"not YAML: {error.problem or error.context}"
    if error.context and error.context_mark:
        text += f", {error.context} that starts on line {error.context_mark.line + 1}"
    text = " ".join(text.split()) + "."
    line = mark.line + 1 if mark else 1
    # What looks like a key but is none goes on as a text, and the error comes later.
    slips = enumerate(map(slip_in, content.split("\n")[:line]), start=1)
    *_, cause = (None, *(f"Line {number} {slip}" for number, slip in slips if slip))
    advice = cause or next((advice for known, advice in _ADVICE.items() if known in text), None)
    return UnreadableError(line, f"{text} {advice}" if advice else text)
