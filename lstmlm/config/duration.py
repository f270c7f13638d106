"""Durations as people write them: `90s`, `10m`, `1h30m`; for what else they write, how to write it."""

import re
import unicodedata

_DURATION = re.compile(r"(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,6})s)?")

_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_PART = r"([0-9]+(?:[.,][0-9]+)?)\s*(d|h|m|s)[a-z]*\s*"
_MOST_HOURS = 999_999


def parse_duration(text: object) -> int:
    """Return how long `text` says (seconds).

    Raises:
        ValueError: it is no such text, or no time at all; the message says what to write.
    """
    if not isinstance(text, bool) and re.fullmatch("[0-9]+", str(text)):
        raise ValueError(f"{text} has no unit. Write {text}s, {text}m or {text}h.")
    parts = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if not parts or not text:
        raise ValueError(f"expected a time such as 90s, 10m or 1h30m, got {text!r}.{_meant(text)}")
    hours, minutes, seconds = (int(part or 0) for part in parts.groups())
    if hours == minutes == seconds == 0:
        raise ValueError(f"must be more than no time, got {text!r}.")
    return 3600 * hours + 60 * minutes + seconds


def _meant(text: object) -> str:
    """Say how a time that someone wrote in another way is written: 1.5h, 2 days, 90 min, 1:30:00."""
    plain = unicodedata.normalize("NFKC", str(text)).strip().lower()
    if clock := re.fullmatch(r"([0-9]{1,6}):([0-5][0-9])(?::([0-5][0-9]))?", plain):
        first, second, third = (int(part or 0) for part in clock.groups())
        longer = _written(3600 * first + 60 * second + third)
        is_clear = clock[3] is not None or first == second == 0
        return f" Write {longer}." if is_clear else f" Write {longer} or {_written(60 * first + second)}."
    if not re.fullmatch(f"(?:{_PART})+", plain):
        return ""
    found = [(float(number.replace(",", ".")), unit) for number, unit in re.findall(_PART, plain)]
    seconds = sum(number * _SECONDS[unit] for number, unit in found)
    if seconds > 3600 * _MOST_HOURS:
        return f" Write at most {_MOST_HOURS}h."
    [(number, unit), *others] = found
    if others or unit == "d" or number != int(number):
        return f" Write {_written(round(seconds))}."
    return f" Write {int(number)}{unit}."


def _written(seconds: int) -> str:
    parts = zip((seconds // 3600, seconds // 60 % 60, seconds % 60), "hms", strict=True)
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "1s"
