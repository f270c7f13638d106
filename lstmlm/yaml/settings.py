"""The values of a YAML file and of `--set key=value`, each with the place it came from, for messages that name it."""

import codecs
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from lstmlm.errors import ConfigError, as_command, to_utf8
from lstmlm.yaml.strict import KeyPath, UnreadableError, Value, kind_of, parse

MAX_BYTES = 100_000


@dataclass(frozen=True, order=True)
class Origin:
    """A place that a user wrote: a line of the file, or an override. Messages come in this order."""

    is_override: bool
    number: int
    label: str


class Settings:
    """What the user wrote, and what is wrong with it: problems gather here, so that all are told at once.

    Args:
        flag: What overrides are given by; "": by no flag, so that messages name their keys alone.
    """

    def __init__(self, flag: str = "--set") -> None:
        self.values: dict[str, Value] = {}
        self._flag = flag
        self._origins: dict[KeyPath, Origin] = {(): Origin(is_override=True, number=0, label=flag)}
        self._hidden: list[KeyPath] = []
        self._problems: list[tuple[Origin, KeyPath, str]] = []

    def read(self, path: Path) -> None:
        """Take in a YAML file.

        Raises:
            ConfigError: not readable, not UTF-8, empty, or no strict YAML.
        """
        try:
            document = parse(_read_text(path))
        except UnreadableError as error:
            raise ConfigError(f"{path}:{error.line}: {error.text}") from None
        if document.value is None and not document.problems:
            raise ConfigError(f"{path}: empty. Write a mapping of keys.")
        numbers = {*document.lines.values(), *(problem.line for problem in document.problems)}
        lines = {line: Origin(is_override=False, number=line, label=f"{path}:{line}") for line in numbers}
        self._origins = {key: lines[line] for key, line in document.lines.items()}
        for problem in document.problems:
            self._problems.append((lines[problem.line], problem.path, problem.text))
            if problem.hides is not None:
                self._hidden.append(problem.hides)
        if isinstance(document.value, dict):
            self.values = document.value
        else:
            self.report((), f"expected a mapping of keys, got {brief(document.value)}.")
            self.raise_problems()

    def override(self, text: str, number: int) -> None:
        """Apply `dotted.key=value`, the value read as YAML or as plain text; sections that are missing are created.

        Args:
            text: what the user gave after `--set`.
            number: its place among the overrides; messages come in this order.
        """
        label = f"{self._flag} {_printable(text)}" if self._flag else ""
        origin = Origin(is_override=True, number=number, label=label)
        key, equals, value_text = text.partition("=")
        path = tuple(key.split("."))
        if not equals or not all(path):
            self._problems.append((origin, (), "expected key=value, such as section.key=5."))
            return
        try:
            document = parse(_quoted(value_text))
        except UnreadableError as error:
            text = error.text
            if re.search("[\udc80-\udcff]", value_text):  # as which Python has the bytes of a command that are no UTF-8
                text = "not UTF-8. If it names a file, rename that, or name its folder."
            elif value_text.startswith(("[", "{")):
                quoted = as_override(key, value_text)
                text += f" If it is a text: {as_command([self._flag, quoted]) if self._flag else quoted}"
            self._problems.append((origin, path, text))
            return
        for problem in document.problems:
            self._problems.append((origin, (*path, *problem.path), problem.text))
            if problem.hides is not None:
                self._hidden.append((*path, *problem.hides))
        section = self.values
        for depth, name in enumerate(path[:-1], start=1):
            below = section.get(name)
            if below is None:
                below = section[name] = {}
                self._origins[path[:depth]] = origin
            elif not isinstance(below, dict):
                text = f"{dotted(path[:depth])} is {brief(below)}, not a mapping of keys. Set {dotted(path[:depth])}."
                self._problems.append((origin, (), text))
                return
            section = below
        section[path[-1]] = document.value
        self._origins = {key: place for key, place in self._origins.items() if key[: len(path)] != path}
        self._origins[path] = origin

    def origin(self, path: KeyPath) -> Origin:
        """Where a key was written, or else the innermost section around it that was."""
        while path not in self._origins:
            path = path[:-1]
        return self._origins[path]

    def report(self, path: KeyPath, text: str) -> None:
        """Note what is wrong at a key, unless its value could not be taken as it stands, which is known already."""
        if not any(path[: len(hidden)] == hidden for hidden in self._hidden):
            self._problems.append((self.origin(path), path, text))

    def has_problems(self, path: KeyPath) -> bool:
        """Whether something is wrong at this key or below it, or it is part of what could not be taken as it stands."""
        is_hidden = any(path[: len(hidden)] == hidden for hidden in self._hidden)
        return is_hidden or any(known[: len(path)] == path for _, known, _ in self._problems)

    def raise_problems(self) -> None:
        """Raise one ConfigError with a line for each problem, in the order of the file; nothing if there is none."""
        if self._problems:
            problems = sorted(self._problems, key=lambda problem: problem[0])
            raise ConfigError("\n".join(": ".join(filter(None, (o.label, dotted(p), text))) for o, p, text in problems))


def as_override(key: str, value: object) -> str:
    """Write `key=value` so that it is read back as it is: JSON, whose values are YAML.

    Raises:
        TypeError: the value is nothing that JSON has, and no path.
        ValueError: it contains itself.
    """
    text = json.dumps(value, ensure_ascii=False, default=os.fspath)
    # YAML refuses some characters, and folds others, such as U+0085, into blanks. In JSON they are within texts only.
    return f"{key}=" + "".join(c if c.isprintable() or c > "\uffff" else f"\\u{ord(c):04x}" for c in text)


def dotted(path: KeyPath) -> str:
    """Write a key path as messages do: `model.backbone.hidden_size[2]`."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{_printable(step) or repr(step)}" for step in path)
    return "".join(steps).removeprefix(".")


def brief(value: object) -> str:
    """Write a value in a message, in one short line."""
    match value:
        case None:
            return "null"
        case dict():
            return "a mapping"
        case tuple() if any(isinstance(item, tuple | dict) for item in value) or len(value) > 8:
            return "a list"
        case tuple():
            return f"[{', '.join(map(brief, value))}]"
        case str():
            return repr(value) if len(value) <= 60 else repr(value[:59] + "…")
    return _printable(repr(value))


def _printable(text: str) -> str:
    text = text if len(text) <= 80 else text[:79] + "…"
    return text if text.isprintable() else repr(text)[1:-1]


def _quoted(text: str) -> str:
    """Quote a value that is plain text, such as a path, in which YAML would find a comment, a key or an alias."""
    plain = text.strip()
    is_yaml = re.match(r"[\[{'\"!&|>]|- |\w+:(\s|$)", plain) or "\n" in plain or kind_of(plain) != "str"
    return text if is_yaml else "'" + plain.replace("'", "''") + "'"


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file. Check the path.") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: a directory. Name a YAML file in it.") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}). Check its permissions.") from None
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path}: more than {MAX_BYTES} bytes. Give a YAML file of options.")
    try:
        if encoding := _utf16(content):
            raise ConfigError(f"{path}: not UTF-8, but UTF-16. Convert it: {to_utf8(str(path), encoding)}")
        return content.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        where = f"byte 0x{content[error.start]:02X} at offset {error.start}, line {line}"
        raise ConfigError(f"{path}: not UTF-8 ({where}). Convert it: {to_utf8(str(path), 'windows-1252')}") from None


def _utf16(content: bytes) -> str | None:
    """The form of UTF-16 that a file has by its mark or its NULs, every other byte of plain Latin; None for others."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if content.count(0) * 3 <= len(content):
        return None
    return "utf-16le" if content[1::2].count(0) > content[::2].count(0) else "utf-16be"
