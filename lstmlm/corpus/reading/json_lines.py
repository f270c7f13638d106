"""JSON lines: an object a line, and what is said of a line that holds none."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lstmlm.errors import conversion, did_you_mean, shown

_LONGEST_PATH_CHARS = 200
"""What lies deeper in a record is not looked for."""


def parse_object(line: str) -> dict[str, Any]:
    """The object of a line. Raises ValueError, which says what to do, if it holds none or text that is none."""
    record = parse_json(line, "Write one object a line.")
    if not isinstance(record, dict):
        raise ValueError(f"is no object, got {shown(record)}. Write one object a line.")
    return record


def parse_json(text: str, advice: str) -> Any:
    """The value of a text. Raises ValueError, with `advice` if it is no JSON, or if it holds text that is none."""
    try:
        value = json.loads(text, object_pairs_hook=_object_of)
        if "\\u" in text:
            # Halves of surrogate pairs are JSON, but no text.
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if "\n" in text else ""
        raise ValueError(f"is not JSON ({error.msg}, {line}column {error.colno}). {advice}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"cannot be used ({error}). Write plain text or numbers.") from None


def _object_of(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        name = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{name!r} occurs twice")
    return record


def text_of(record: Mapping[str, Any], fields: Sequence[str], file: str, encoding: str) -> str:
    """The text of a record of a file. Raises ValueError, which says what to do, if it has none under any of the names.

    Args:
        record: What `parse_object` returns.
        fields: What the text may be called; the first that is there is taken.
        file: What messages call the file.
        encoding: How its characters are written.
    """
    field = next((name for name in fields if name in record), None)
    text = None if field is None else record[field]
    if isinstance(text, str):
        return text.replace("\r\n", "\n").replace("\r", "\n")
    if field is not None:
        problem = f"{field}: expected text, got {'null' if text is None else shown(text)}."
        advice = "Write some, or remove the line." if text is None else "Put it in quotes, or remove the line."
        searched = {field: text}
    else:
        names = ", ".join(map(repr, record)) or "no field at all"
        problem = f"has no field {' or '.join(map(repr, dict.fromkeys(fields)))}, got {names}."
        advice = f"{did_you_mean(fields[0], record)}Write one."
        outer = fields[0].split(".", maxsplit=1)[0]
        searched = {outer: record[outer]} if outer in record else dict(record)
    n_chars, path = _longest_text(searched)
    if n_chars:
        program = f"{{{_key(fields[0].rsplit('.', maxsplit=1)[-1])}: ({path})}}"
        command = conversion(file, ["jq", "-c", program], ".jsonl", encoding)
        if any(path == f".{_key(name)}" for name in record):
            hint = advice.removesuffix("Write one.")
            advice = f"{hint}Name the one that is its text in data.field, or rename it: {command}"
        else:
            advice = f"Fields within fields are not read. Take it out: {command}"
    raise ValueError(f"{problem} {advice}")


def _longest_text(value: Any, path: str = "") -> tuple[int, str]:
    """How long the longest text in a value is, 0 where none is within reach, and how `jq` gets at it."""
    if len(path) > _LONGEST_PATH_CHARS:
        return 0, ""
    if isinstance(value, str):
        return len(value), path
    if isinstance(value, dict):
        return max((_longest_text(inner, f"{path}.{_key(name)}") for name, inner in value.items()), default=(0, ""))
    if isinstance(value, list) and value:
        joins = f'{path} | join("\\n")' if isinstance(value[0], str) else f"{path}[]"
        return _longest_text(value[0], joins)
    return 0, ""


def _key(name: str) -> str:
    """A name as `jq` writes it."""
    return name if name.isascii() and name.isidentifier() else json.dumps(name)
