"""JSON lines: an object a line, and what is said of a line that holds none."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lstmlm.errors import conversion, did_you_mean

SHOWN_CHARS = 40
"""How much of a wrong value a message shows."""


def parse_object(line: str) -> dict[str, Any]:
    """The object of a line. Raises ValueError, which says what to do, if it holds none or text that is none."""
    try:
        record = json.loads(line, object_pairs_hook=_object_of)
        if "\\u" in line:
            # Halves of surrogate pairs are JSON, but no text.
            json.dumps(record, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON ({error.msg}, column {error.colno}). Write one object a line.") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"cannot be used ({error}). Write plain text or numbers.") from None
    if not isinstance(record, dict):
        raise ValueError(f"is no object, got {shown(record)}. Write one object a line.")
    return record


def _object_of(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        name = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{name!r} occurs twice")
    return record


def text_of(record: Mapping[str, Any], fields: Sequence[str], file: str) -> str:
    """The text of a record of a file. Raises ValueError, which says what to do, if it has none under any of the names.

    Args:
        record: What `parse_object` returns.
        fields: What the text may be called; the first that is there is taken.
        file: What messages call the file.
    """
    field = next((name for name in fields if name in record), None)
    text = None if field is None else record[field]
    if isinstance(text, str):
        return text.replace("\r\n", "\n").replace("\r", "\n")
    if field is not None:
        problem = f"{field}: expected text, got {'null' if text is None else shown(text)}."
        advice = "Write some, or remove the line." if text is None else "Put it in quotes, or remove the line."
        outer = [field]
    else:
        names = ", ".join(map(repr, record)) or "no field at all"
        problem = f"has no field {' or '.join(map(repr, fields))}, got {names}."
        advice = f"{did_you_mean(fields[0], record)}Name the one that is its text: data.field."
        outer = [name for name in (field.split(".", maxsplit=1)[0] for field in fields) if name in record]
    for name in outer or record:
        if inner := _path_to_text(record[name]):
            command = conversion(file, ["jq", "-c", f"{{{fields[0].split('.')[-1]}: (.{name}{inner})}}"], ".jsonl")
            advice = f"Fields within fields are not read. Take it out: {command}"
            break
    raise ValueError(f"{problem} {advice}")


def _path_to_text(value: Any) -> str:
    """How `jq` gets at a text in a value; "" for a value that has none within."""
    if isinstance(value, list) and value:
        return ' | join("\\n")' if isinstance(value[0], str) else f"[]{_path_to_text(value[0])}"
    if isinstance(value, dict):
        texts = {key: inner for key, inner in value.items() if isinstance(inner, str)}
        return f".{max(texts, key=lambda key: len(texts[key]))}" if texts else ""
    return ""


def shown(value: Any) -> str:
    """Return the beginning of a value for a message."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…"
