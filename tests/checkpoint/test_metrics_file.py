"""The metrics of a run: one JSON object a line, and no line twice after a resume."""

import json
import math
from pathlib import Path

import pytest

from lstmlm.checkpoint.metrics_file import MetricsLog
from lstmlm.errors import CheckpointError

EVENTS: list[dict[str, object]] = [{"event": "step", "step": step, "nats": step / 7} for step in (1, 2, 3)]


@pytest.fixture
def log(tmp_path: Path) -> MetricsLog:
    log = MetricsLog(tmp_path / "metrics.jsonl")
    for event in EVENTS:
        log.write(event)
    return log


def events_of(log: MetricsLog) -> list[object]:
    return [json.loads(line) for line in log.path.read_text("utf-8").splitlines()]


def test_an_event_is_a_line_of_json_and_in_the_file_at_once(log: MetricsLog) -> None:
    assert events_of(log) == EVENTS
    log.write({"event": "sample", "step": 3, "text": "two\nlines ü\u2028"})
    assert events_of(log)[-1] == {"event": "sample", "step": 3, "text": "two\nlines ü\u2028"}


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_number_that_json_does_not_have_is_refused(log: MetricsLog, number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        log.write({"event": "step", "step": 4, "nats": number})
    assert events_of(log) == EVENTS


def test_a_resumed_run_drops_the_lines_of_later_steps(log: MetricsLog) -> None:
    log.keep_until(2)
    assert events_of(log) == EVENTS[:2]
    log.write(EVENTS[2])
    assert events_of(log) == EVENTS
    log.keep_until(0)
    assert events_of(log) == []


def test_every_torn_last_line_is_dropped(log: MetricsLog) -> None:
    whole = log.path.read_bytes()
    n_last = len(whole.splitlines(keepends=True)[-1])
    for length in range(len(whole) - n_last, len(whole)):
        log.path.write_bytes(whole[:length])
        log.keep_until(3)
        assert events_of(log) == EVENTS[:2]
        assert log.path.read_bytes().endswith(b"\n")


def test_what_the_last_step_still_owes_is_dropped(log: MetricsLog) -> None:
    log.write({"event": "validation", "step": 3})
    log.keep_until(3, validation=2, step=5)
    assert events_of(log) == EVENTS


@pytest.mark.parametrize(
    "line", [b"[" * 100_000, b"1" * 5000, b"\xff", b'{"step": 1, "x": "' + b"x" * 2_000_000 + b'"}']
)
def test_a_line_that_is_no_event_is_dropped(log: MetricsLog, line: bytes) -> None:
    log.path.write_bytes(line + b"\n" + log.path.read_bytes())
    log.keep_until(3)
    assert events_of(log) == EVENTS


def test_what_cannot_be_written_waits_for_the_next_write(log: MetricsLog) -> None:
    path, log.path = log.path, log.path.with_name("missing") / "metrics.jsonl"
    for event in EVENTS[:2]:
        with pytest.raises(CheckpointError):
            log.write(event)
    with pytest.raises(CheckpointError):
        log.force_to_disk()
    log.path = path
    log.write(EVENTS[2])
    assert events_of(log) == [*EVENTS, *EVENTS]


def test_a_log_without_later_lines_is_left_alone(log: MetricsLog) -> None:
    before = log.path.stat().st_ino
    log.keep_until(3)
    assert log.path.stat().st_ino == before
    MetricsLog(log.path.with_name("missing")).keep_until(3)
    assert not log.path.with_name("missing").exists()
