"""What a run has recorded, read while it is written, cut and replaced."""

import json
from pathlib import Path

from lstmlm.history.history import History, HistoryReader, Record, perplexities, read_history

STEPS = [
    {"event": "step", "step": n, "perplexity": 100 / n, "n_steps": 40, "elapsed_seconds": n / 2, "tokens_per_second": n}
    for n in (10, 20, 30)
]
VALIDATIONS = [
    {"event": "validation", "step": n, "perplexity": perplexity, "elapsed_seconds": n / 2 + 1, "epoch": n / 10}
    for n, perplexity in ((10, 9.0), (20, 7.0), (30, None))
]


def written(path: Path, *events: object) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(event) + "\n" for event in events)


def test_curves_and_figures() -> None:
    history = History()
    for event in [*STEPS, *VALIDATIONS, {"event": "of a later version"}]:
        history.add(event)
    assert perplexities(history.validations) == [(10, 9), (20, 7)]
    assert history.best == VALIDATIONS[1]
    assert history.n_steps == 40
    assert history.elapsed_seconds == 16
    assert history.tokens_per_second == 20
    assert history.seconds_left == 5
    assert history.end is None


def test_a_run_without_events() -> None:
    history = History()
    assert (history.best, history.n_steps, history.tokens_per_second, history.seconds_left) == (None,) * 4
    assert history.elapsed_seconds == 0


def test_a_file_that_grows_is_read_on(tmp_path: Path) -> None:
    reader = HistoryReader(tmp_path / "metrics.jsonl", {"corpus": "tiny"})
    assert not reader.update()
    written(tmp_path / "metrics.jsonl", *STEPS[:2])
    assert reader.update()
    assert not reader.update()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(STEPS[2]))  # its end of line comes later
    assert not reader.update()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write("\n")
    assert reader.update()
    assert reader.history.steps == STEPS
    assert reader.history.start == {"corpus": "tiny"}


def test_a_file_that_a_resume_cut_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    reader = HistoryReader(path, {})
    written(path, *STEPS, {"event": "end", "step": 30})
    reader.update()
    assert reader.history.end is not None
    shorter = tmp_path / "new"
    written(shorter, STEPS[0], *VALIDATIONS * 3)  # longer than what was there: its length alone would not tell
    shorter.replace(path)
    assert reader.update()
    assert reader.history.steps == STEPS[:1]
    assert reader.history.end is None


def test_lines_that_are_no_events_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('nonsense\n[1]\n{"step": 3}\n', "utf-8")
    written(path, STEPS[0])
    assert read_history(path).steps == STEPS[:1]
    assert read_history(tmp_path / "none") == History()


def test_damaged_lines_are_passed_over() -> None:
    history = History()
    damaged: list[Record] = [
        {"event": "step"},
        {"event": "step", "step": "10"},
        {"event": "step", "step": 40, "n_steps": "many"},
        {"event": "step", "step": 40, "tokens_per_second": "fast"},
        {"event": "validation", "step": 40, "perplexity": "low"},
        {"event": "validation", "step": 40, "perplexity": [7.0]},
        {"event": "end", "step": 40, "elapsed_seconds": {}},
    ]
    for event in [*damaged, *STEPS, *VALIDATIONS, *damaged]:
        history.add(event)
    assert (history.steps, history.validations, history.end) == (STEPS, VALIDATIONS, None)
    assert (history.best, history.n_steps, history.tokens_per_second) == (VALIDATIONS[1], 40, 20)
    history.add({"event": "step", "step": 40})
    assert history.seconds_left == 0
