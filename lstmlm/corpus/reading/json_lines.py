"""JSON lines: an object a line, and what is said of a line that holds none."""

import json
from typing import Any

SHOWN_CHARS = 40
"""How much of a wrong value a message shows."""


def parse_object(line: str) -> dict[str, Any]:
    """The object of a line. Raises ValueError, which says what to do, if it holds none or text that is none."""
    try:
        record = json.loads(line)
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


def shown(value: Any) -> str:
    """Return the beginning of a value for a message."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…"
