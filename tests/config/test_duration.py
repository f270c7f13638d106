"""Durations as a user writes them, and the messages about all others."""

import re

import pytest

from lstmlm.config.duration import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("2h", 7200), ("1h30m", 5400), ("1h0m5s", 3605), ("1h5s", 3605), ("0h1m", 60)],
)
def test_durations(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("90", "90 has no unit. Write 90s, 90m or 90h."),
        (90, "90 has no unit. Write 90s, 90m or 90h."),
        ("0s", "must be more than no time, got '0s'."),
        *(
            (value, f"expected a time such as 90s, 10m or 1h30m, got {value!r}.")
            for value in (
                "",
                "m",
                "ten minutes",
                "-5s",
                "٣m",
                1.5,
                True,
                [],
            )
        ),
        *(
            (value, f"expected a time such as 90s, 10m or 1h30m, got {value!r}. Write {right}.")
            for value, right in {
                "1.5h": "1h30m",
                "1,5 h": "1h30m",
                "2d": "48h",
                "1 day 2 hours": "26h",
                "90min": "90m",
                "10 m": "10m",
                "10m\n": "10m",
                "30m1h": "1h30m",
                "1h 30m": "1h30m",
                "10M": "10m",
                "5sec": "5s",
                "５m": "5m",
                "1:30:00": "1h30m",
                "01:30": "1h30m or 1m30s",
                "999999999h": "at most 999999h",
            }.items()
        ),
    ],
)
def test_messages(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse_duration(value)
