"""Events of a training in words."""

import logging

import pytest
from rich.cells import cell_len

from lstmlm.cli.display.words import describe
from lstmlm.cli.render import is_live, log_on_stderr, print_table
from lstmlm.training.events import StepEvent, ValidationEvent


def test_the_same_epoch_is_written_the_same_way() -> None:
    """Rounded differently, a training would seem to go backwards from its last step to its last validation."""
    common = {"step": 80, "epoch": 0.07, "n_tokens": 9, "nats": 2.0, "perplexity": 7.4, "learning_rate": 0.1}
    step = StepEvent(**common, gradient_norm=1.0, tokens_per_second=9e3, elapsed_seconds=5.0, n_steps=80)
    validation = ValidationEvent(**common, is_best=True, n_averaged=0, seconds=1.0, elapsed_seconds=6.0)
    assert describe(step.as_record()).startswith("epoch 0.07 · ")
    assert describe(validation.as_record()).startswith("epoch 0.07 · ")


def test_columns_stand_under_each_other_in_every_script(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["共同", "हिन्दी", "ไทย", "word"]
    print_table([{"word": word, "probability": 0.5} for word in words])
    width = max(map(cell_len, words)) + len("  probability")
    assert {cell_len(line) for line in capsys.readouterr().out.splitlines()} == {width}


@pytest.mark.parametrize(
    ("columns", "lines"),
    [
        ("28", ["storage  4  The disk takes", "            nothing."]),
        ("22", ["storage  4  The disk", "            takes", "            nothing."]),
        ("80", ["storage  4  The disk takes nothing."]),
    ],
)
def test_on_a_narrow_terminal_cells_of_words_have_several_lines(
    columns: str, lines: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, last = "code     n  what", "data     3  共同 共同"
    print_table([{"token": token, "n": 1} for token in (" the", "the", " ")])
    assert capsys.readouterr().out.splitlines() == ["token  n", " the   1", "the    1", "       1"]
    rows = [
        {"code": "storage", "n": 4, "what": "The disk takes nothing."},
        {"code": "data", "n": 3, "what": "共同 共同"},
    ]
    monkeypatch.setenv("COLUMNS", columns)
    print_table(rows)
    assert capsys.readouterr().out.splitlines() == [first, "storage  4  The disk takes nothing.", last]
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_table(rows)
    assert capsys.readouterr().out.splitlines() == [first, *lines, last]


def test_where_words_do_not_fit_side_by_side_each_row_is_a_block(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "16")
    print_table([{"code": "storage", "n": 4, "what": "The disk."}, {"code": "data", "n": None, "what": "A word."}])
    assert capsys.readouterr().out.splitlines() == [
        "code    storage",
        "  n     4",
        "  what  The disk.",
        "code    data",
        "  what  A word.",
    ]


def test_a_table_of_nothing_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("terminal", "moves"), [("xterm", True), ("dumb", False), ("unknown", False)])
def test_lines_move_on_terminals_that_can(terminal: str, moves: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", terminal)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert is_live() is moves


def test_what_the_log_repeats_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    with log_on_stderr():
        for length in (1, 2, 1):
            logging.getLogger("lstmlm.models").info("%d-grams: too few are rare", length)
    assert capsys.readouterr().err == "1-grams: too few are rare\n2-grams: too few are rare\n"
