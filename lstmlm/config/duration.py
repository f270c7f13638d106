"""Durations as people write them: `90s`, `10m`, `1h30m`."""

import re

_DURATION = re.compile(r"(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,6})s)?")


def parse_duration(text: object) -> int:
    """Return how long `text` says (seconds).

    Raises:
        ValueError: it is no such text, or no time at all; the message says what to write.
    """
    if not isinstance(text, bool) and re.fullmatch("[0-9]+", str(text)):
        raise ValueError(f"{text} has no unit. Write {text}s, {text}m or {text}h.")
    parts = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if not parts or not text:
        raise ValueError(f"expected a time such as 90s, 10m or 1h30m, got {text!r}.")
    hours, minutes, seconds = (int(part or 0) for part in parts.groups())
    if hours == minutes == seconds == 0:
        raise ValueError(f"must be more than no time, got {text!r}.")
    return 3600 * hours + 60 * minutes + seconds
