"""`lstmlm eval rescore` by the command line alone."""

import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]

KALDI = "a-1 the farmer sleeps\na-2 the farmer sleep\nb-1 the\nb-2 the dog\nc-1\n"


@pytest.fixture
def lists(trained: Path) -> Path:
    """Work in a folder with a trained run, and with nbest.txt, costs.txt and ref.txt."""
    (trained / "nbest.txt").write_text(KALDI, "utf-8")
    (trained / "costs.txt").write_text("a-1 10\na-2 9\nb-1 5\nb-2 6\nc-1 1\n", "utf-8")
    (trained / "ref.txt").write_text("a the farmer sleeps\nb the dog\nc\n", "utf-8")
    return trained


def test_a_row_for_each_hypothesis(lists: Path, lstmlm: Cli) -> None:
    result = lstmlm("eval", "rescore", "nbest.txt", "--scores", "costs.txt", "--weight", "0")
    assert result.exit_code == 0, result.stderr
    header, *rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert header == ("utterance hypothesis rank total acoustic_score lm_nats n_tokens n_unk length text").split()
    assert [(row[0], row[1], row[2], row[3], row[9]) for row in rows] == [
        ("a", "1", "2", "-10", "the farmer sleeps"),
        ("a", "2", "1", "-9", "the farmer sleep"),
        ("b", "1", "1", "-5", "the"),
        ("b", "2", "2", "-6", "the dog"),
        ("c", "1", "1", "-1", ""),
    ]
    assert result.stderr == "runs/tiny: 5 hypotheses of 3 utterances\n"


def test_hypotheses_have_the_numbers_of_the_list(lists: Path, lstmlm: Cli) -> None:
    """Kaldi sorts them as text."""
    (lists / "nbest.txt").write_text("a-1 the farmer\na-10 the dog\na-2 the\n", "utf-8")
    rows = json.loads(lstmlm("eval", "rescore", "nbest.txt", "--json").stdout)["rows"]
    assert [(row["hypothesis"], row["text"]) for row in rows] == [(1, "the farmer"), (10, "the dog"), (2, "the")]


def test_lists_are_not_written_over_those_that_are_read(lists: Path, lstmlm: Cli) -> None:
    (lists / "talk").mkdir()
    (lists / "talk" / "a.score").write_text("-4 -3 1 the\n-5 -1 1 the farmer\n", "utf-8")
    for given in ("talk/a.score", "talk"):
        result = lstmlm("eval", "rescore", given, "--output", "talk")
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith(f"{given}: is what the command reads.")
    assert lstmlm("eval", "rescore", "talk/a.score", "--output", "new").exit_code == 0
    assert (lists / "talk" / "a.score").read_text("utf-8").startswith("-4 -3 1 the\n")


def test_agrees_with_perplexity(lists: Path, lstmlm: Cli) -> None:
    [row, *_] = json.loads(lstmlm("eval", "rescore", "nbest.txt", "--json").stdout)["rows"]
    (lists / "line.txt").write_text("the farmer sleeps\n", "utf-8")
    report = json.loads(lstmlm("eval", "perplexity", "--text", "line.txt", "--json").stdout)
    assert row["lm_nats"] == pytest.approx(report["nats"], rel=1e-6)
    assert row["n_tokens"] == report["n_tokens"]


def test_one_json_object(lists: Path, lstmlm: Cli) -> None:
    report = json.loads(lstmlm("eval", "rescore", "nbest.txt", "--json").stdout)
    assert (
        list(report)
        == (
            "run context n_utterances n_hypotheses n_tokens n_unk unk_examples weight length_bonus first_pass_weight "
            "seconds rows"
        ).split()
    )
    options = ["--scores", "costs.txt", "--tune", "ref.txt", "--metric", "cer", "--json"]
    report = json.loads(lstmlm("eval", "rescore", "nbest.txt", *options).stdout)
    assert (report["metric"], report["n_tuned"], report["n_measured"]) == ("cer", 1, 2)
    assert [row["choice"] for row in report["rows"]] == ["1-best", "rescored", "oracle", "reduction"]


def test_error_rates_as_a_table(lists: Path, lstmlm: Cli) -> None:
    result = lstmlm("eval", "rescore", "nbest.txt", "--references", "ref.txt", "--context", "carried")
    assert result.exit_code == 0, result.stderr
    assert [line.split()[0] for line in result.stdout.splitlines()[:5]] == [
        "choice",
        "1-best",
        "rescored",
        "oracle",
        "reduction",
    ]
    assert "n_measured         3" in result.stdout
    assert "context            carried" in result.stdout


def test_lists_are_written_in_their_own_format(lists: Path, lstmlm: Cli) -> None:
    result = lstmlm("eval", "rescore", "nbest.txt", "--output", "nats.txt")
    assert (result.exit_code, result.stdout) == (0, "")
    assert [line.split()[0] for line in (lists / "nats.txt").read_text("utf-8").splitlines()] == [
        "a-1",
        "a-2",
        "b-1",
        "b-2",
        "c-1",
    ]
    (lists / "srilm").mkdir()
    (lists / "srilm" / "a.nbest").write_text("-4 -3 1 the\n", "utf-8")
    assert lstmlm("eval", "rescore", "srilm", "--output", "new").exit_code == 0
    assert (lists / "new" / "a.score").read_text("utf-8").startswith("-4 -")


def test_what_cannot_be_scored_is_listed_and_the_rest_is_scored(lists: Path, lstmlm: Cli) -> None:
    (lists / "nbest.txt").write_text(KALDI + "no id\na-1 again\nd-1 nobody knows\n" + "no id\n" * 20, "utf-8")
    result = lstmlm("eval", "rescore", "nbest.txt", "--references", "ref.txt", "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["n_hypotheses"] == 6
    advice = "A line reads: UTTERANCE-N word word, N from 1."
    assert result.stderr.splitlines() == [
        f"nbest.txt:6: no hypothesis id, got 'no id'. {advice}",
        "nbest.txt:7: a-1 comes a second time. Remove or rename one of them.",
        f"nbest.txt:9: no hypothesis id, got 'no id'. {advice}",
        "and 20 more of this kind.",
        "runs/tiny: 6 hypotheses of 4 utterances",
    ]


def test_noises_and_the_first_pass(lists: Path, lstmlm: Cli) -> None:
    (lists / "srilm").mkdir()
    (lists / "srilm" / "a").write_text("-4 -3 1 -pau- [noise] the\n-5 -1 1 the\n", "utf-8")
    options = ["--ignore", "[noise] [laugh]", "--weight", "0", "--first-pass-weight", "2", "--json"]
    result = lstmlm("eval", "rescore", "srilm", *options)
    assert result.stderr == "runs/tiny: 2 hypotheses of 1 utterances\n"
    report = json.loads(result.stdout)
    assert report["first_pass_weight"] == 2
    assert [(row["text"], row["rank"]) for row in report["rows"]] == [("the", 2), ("the", 1)]
    assert [row["total"] for row in report["rows"]] == pytest.approx([-10 * math.log(10), -7 * math.log(10)])


def test_warnings_of_lists_that_do_not_suit(lists: Path, lstmlm: Cli, caplog: pytest.LogCaptureFixture) -> None:
    """Words that the model does not know, and references in capitals."""
    (lists / "ref.txt").write_text("a THE FARMER\nb THE\n" + "".join(f"x{n} more\n" for n in range(5000)), "utf-8")
    (lists / "nbest.txt").write_text("a-1 zyx yxw\na-2 zyx\nb-1 the\n", "utf-8")
    with caplog.at_level(logging.INFO):
        result = lstmlm("eval", "rescore", "nbest.txt", "--references", "ref.txt", "--scores", "costs.txt")
    assert (result.exit_code, result.stderr) == (0, "runs/tiny: 3 hypotheses of 2 utterances\n")
    assert caplog.messages == [
        "ref.txt: 5,000 of its utterances have no list, such as x0",
        "of 3 words or characters of the references 3 occur in no list, such as THE FARMER: are capitals or "
        "marks written otherwise there? Write both alike.",
        "75 % of the tokens are unknown, such as zyx yxw.",
    ]
    assert "unk_examples       zyx yxw" in result.stdout


def test_weights_that_are_not_finite(lists: Path, lstmlm: Cli) -> None:
    for option, value in (("--weight", "nan"), ("--length-bonus", "inf"), ("--first-pass-weight", "nan")):
        result = lstmlm("eval", "rescore", "nbest.txt", option, value)
        assert (result.exit_code, result.stdout) == (2, "")
        name = option[2:].replace("-", "_")
        assert result.stderr == f"{name}: expected a finite number, got {value}. Give one, such as 0.5.\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--weight", "0.5"], "--weight 0.5: is what --tune searches. Leave one of them out."),
        (["--length-bonus", "0"], "--length-bonus 0: is what --tune searches. Leave one of them out."),
        (["--references", "x"], "--references x: cannot be combined with --tune. Give one of them."),
        (
            ["--context", "carried"],
            "--context carried: cannot be combined with --tune, as scores would depend on the weight. "
            "Tune without it, then give --weight and --length-bonus.",
        ),
    ],
)
def test_what_contradicts_tuning(options: list[str], message: str, here: Path, lstmlm: Cli) -> None:
    result = lstmlm("eval", "rescore", "nbest.txt", "--tune", "ref.txt", *options)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"{message}\n")


def test_files_that_do_not_exist(lists: Path, lstmlm: Cli) -> None:
    for options in (["none.txt"], ["nbest.txt", "--references", "none.txt"], ["nbest.txt", "--scores", "none.txt"]):
        result = lstmlm("eval", "rescore", *options)
        assert (result.exit_code, result.stdout) == (3, "")
        assert result.stderr == "none.txt: no such file. Check the path, relative to the working directory.\n"
