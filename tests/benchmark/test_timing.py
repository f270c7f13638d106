"""Rounds take turns, and figures are those of a hand calculation; nothing here looks at the clock."""

import pytest

from lstmlm.benchmark.plan import Effort
from lstmlm.benchmark.timing import fastest, measure


def test_all_take_turns_after_a_round_that_warms_up() -> None:
    calls: list[str] = []
    work = {name: lambda name=name: calls.append(name) for name in ("a", "b", "c")}
    seconds = measure(work, Effort(seconds=0.0, min_rounds=3, max_rounds=9))
    assert "".join(calls) == "abc" + "abc" + "cba" + "abc"
    assert {name: len(rounds) for name, rounds in seconds.items()} == {"a": 3, "b": 3, "c": 3}


def test_rounds_end_at_their_maximum() -> None:
    assert len(measure({"a": int}, Effort(seconds=1e9, min_rounds=1, max_rounds=5))["a"]) == 5


def test_the_fastest_is_that_of_the_smallest_median(monkeypatch: pytest.MonkeyPatch) -> None:
    from lstmlm.benchmark import timing

    measured = {"steady": [3.0, 3.0, 3.0], "mostly fast": [1.0, 9.0, 2.0]}
    monkeypatch.setattr(timing, "measure", lambda *_: measured)
    assert fastest(dict.fromkeys(measured, int)) == "mostly fast"
    assert fastest({"alone": int}) == "alone"
