"""`lstmlm eval pairs`: accuracies on stdout, what could not be scored on stderr with status 3."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]

GOLDEN = Path(__file__).parent.parent / "evaluation" / "pairs" / "golden"
SUITE = str(GOLDEN / "reflexive.json")

REPORT_KEYS = (
    "run normalization n_paradigms mean_accuracy mean_accuracy_known n_items accuracy low high n_ties n_known "
    "accuracy_known unk_rate unk_examples n_problems seconds rows"
).split()


def test_every_format_in_one_go(trained: Path, lstmlm: Cli) -> None:
    names = ("blimp.jsonl", "own.csv", "reflexive.json", "simple_agreement.tsv")
    result = lstmlm("eval", "pairs", *(str(GOLDEN / name) for name in names), "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert list(report) == REPORT_KEYS
    assert (report["run"], report["normalization"]) == ("runs/tiny", None)
    assert (report["n_items"], report["n_paradigms"], report["n_problems"]) == (9, 7, 0)
    assert sum(row["n_items"] for row in report["rows"]) == 9


def test_a_folder_and_a_table_for_people(trained: Path, lstmlm: Cli) -> None:
    (trained / "pairs").mkdir()
    (trained / "pairs" / "farm.tsv").write_text("The farmer sleeps .\tThe farmer sleep .\n")
    (trained / "pairs" / "README.md").write_text("Not a pair.\n")
    result = lstmlm("eval", "pairs", "pairs")
    assert result.exit_code == 0, result.stderr
    header, row, *_ = result.stdout.splitlines()
    assert header.split()[:3] == ["paradigm", "n_items", "accuracy"]
    assert row.split()[:2] == ["farm", "1"]


def test_sentences_in_the_spelling_of_a_corpus(trained: Path, lstmlm: Cli) -> None:
    (trained / "x.tsv").write_text("THE FARMER\tthe farmer\n")
    plain, lower = (
        json.loads(lstmlm("eval", "pairs", "x.tsv", "--json", *options).stdout)
        for options in ([], ["--normalize", "lowercase"])
    )
    assert (plain["unk_rate"], plain["unk_examples"], plain["n_ties"]) == (0.5, "THE FARMER", 0)
    assert (lower["normalization"], lower["unk_rate"], lower["n_ties"]) == ("lowercase", 0.0, 1)


def test_a_row_for_each_item(trained: Path, lstmlm: Cli) -> None:
    assert lstmlm("eval", "pairs", SUITE, str(GOLDEN / "own.csv"), "--items", "items.tsv").exit_code == 0
    header, *rows = (line.split("\t") for line in (trained / "items.tsv").read_text().splitlines())
    assert header == "file item paradigm nats_good nats_bad correct tie n_unk_good n_unk_bad n_unk n_tokens".split()
    assert [row[1:3] for row in rows] == [["1", "reflexive/1"], ["1", "reflexive/2"], ["2", "own"], ["3", "own"]]
    assert float(rows[2][3]) > 0


def test_an_ngram_model_in_place_of_the_run(trained: Path, lstmlm: Cli) -> None:
    (trained / "pairs.tsv").write_text("The farmer goes to the mill.\tmill the to farmer The goes.\n")
    report = json.loads(lstmlm("eval", "pairs", "pairs.tsv", "--ngram", "2", "--json").stdout)
    assert (report["run"], report["n_items"], report["accuracy"]) == ("2-gram of runs/tiny", 1, 1.0)


def test_what_cannot_be_scored_is_listed_and_the_rest_scored(trained: Path, lstmlm: Cli) -> None:
    (trained / "x.tsv").write_text("the farmer\tthe\nthe farmer\n\nthe\ta\n")
    (trained / "y.json").write_text('{"meta": {"name": "y"}, "predictions": []}')
    result = lstmlm("eval", "pairs", "x.tsv", "y.json", "none.tsv", "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["n_items"] == 2
    assert json.loads(result.stdout)["n_problems"] == 4
    columns = "Write the better and the worse sentence, after their paradigm if they have one."
    assert result.stderr.splitlines() == [
        f"x.tsv:2: expected 2 or 3 columns with tabs between them, got 1. {columns}",
        f"x.tsv:3: expected 2 or 3 columns with tabs between them, got 1. {columns}",
        "y.json: items: Field required. Mend it.",
        "none.tsv: no such file. Check the path, relative to the working directory.",
    ]


def test_items_of_others_change_nothing(trained: Path, lstmlm: Cli) -> None:
    (trained / "x.tsv").write_text("the farmer\tfarmer the\n")
    (trained / "y.tsv").write_text("the\t" + "farmer " * 1000 + "\na b c d e f\tg\n")
    for files, items in ((["x.tsv"], "alone.tsv"), (["y.tsv", "x.tsv"], "together.tsv")):
        assert lstmlm("eval", "pairs", *files, "--items", items).exit_code == 0
    [alone] = (trained / "alone.tsv").read_text().splitlines()[1:]
    assert (trained / "together.tsv").read_text().splitlines()[-1] == alone


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            [SUITE, "--format", "syntax"],
            "--format: unknown format 'syntax'. Did you mean 'syntaxgym'? Choose one of: blimp, csv, syntaxgym, tsv.",
        ),
        (
            [SUITE, "--normalize", "treebank"],
            "--normalize: unknown convention 'treebank'. Choose one of: lowercase, ptb, wikitext.",
        ),
    ],
)
def test_a_choice_that_there_is_not(arguments: list[str], message: str, trained: Path, lstmlm: Cli) -> None:
    result = lstmlm("eval", "pairs", *arguments)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"{message}\n")


def test_a_table_that_cannot_be_written_is_refused_before_the_work(trained: Path, lstmlm: Cli) -> None:
    result = lstmlm("eval", "pairs", SUITE, "--items", "none/items.tsv")
    assert (result.exit_code, result.stdout) == (2, "")
    wanted = "none/items.tsv: cannot be written, as there is no folder none. Make it: mkdir -p none\n"
    assert result.stderr.endswith(wanted)
