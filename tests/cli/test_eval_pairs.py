"""`lstmlm eval pairs`: accuracies on stdout, what could not be scored on stderr with status 3."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]

GOLDEN = Path(__file__).parent.parent / "evaluation" / "pairs" / "golden"
SUITE = str(GOLDEN / "reflexive.json")

REPORT_KEYS = (
    "run normalization n_paradigms mean_accuracy mean_accuracy_known n_items accuracy low high n_ties "
    "accuracy_ties_half n_known accuracy_known unk_rate unk_examples n_problems n_with_end seconds rows"
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
    (trained / "pairs" / "farm.tsv").write_text("The farmer sleeps .\tThe farmer sleep .\n", "utf-8")
    (trained / "pairs" / "README.md").write_text("Not a pair.\n", "utf-8")
    result = lstmlm("eval", "pairs", "pairs")
    assert result.exit_code == 0, result.stderr
    header, row, *_ = result.stdout.splitlines()
    assert header.split()[:3] == ["paradigm", "n_items", "accuracy"]
    assert row.split()[:2] == ["farm", "1"]


def test_sentences_in_the_spelling_of_a_corpus(trained: Path, lstmlm: Cli) -> None:
    (trained / "x.tsv").write_text("THE FARMER\tthe farmer\n", "utf-8")
    plain, lower = (
        json.loads(lstmlm("eval", "pairs", "x.tsv", "--json", *options).stdout)
        for options in ([], ["--normalize", "lowercase"])
    )
    assert (plain["unk_rate"], plain["unk_examples"], plain["n_ties"]) == (0.5, "THE FARMER", 0)
    assert (lower["normalization"], lower["unk_rate"], lower["n_ties"]) == ("lowercase", 0.0, 1)


def test_a_row_for_each_item(trained: Path, lstmlm: Cli) -> None:
    assert lstmlm("eval", "pairs", SUITE, str(GOLDEN / "own.csv"), "--items", "items.tsv").exit_code == 0
    header, *rows = (line.split("\t") for line in (trained / "items.tsv").read_text("utf-8").splitlines())
    assert header == "file item paradigm nats_good nats_bad correct tie n_unk_good n_unk_bad n_unk n_tokens".split()
    assert [row[1:3] for row in rows] == [["1", "reflexive/1"], ["1", "reflexive/2"], ["2", "own"], ["3", "own"]]
    assert float(rows[2][3]) > 0


def test_an_ngram_model_in_place_of_the_run(trained: Path, lstmlm: Cli) -> None:
    (trained / "pairs.tsv").write_text("The farmer goes to the mill.\tmill the to farmer The goes.\n", "utf-8")
    report = json.loads(lstmlm("eval", "pairs", "pairs.tsv", "--ngram", "2", "--json").stdout)
    assert (report["run"], report["n_items"], report["accuracy"]) == ("2-gram of runs/tiny", 1, 1.0)


def test_what_cannot_be_scored_is_listed_and_the_rest_scored(trained: Path, lstmlm: Cli) -> None:
    (trained / "x.tsv").write_text("the farmer\tthe\nthe farmer\n\nthe\tthe a\n", "utf-8")
    (trained / "y.json").write_text('{"meta": {"name": "y"}, "predictions": []}', "utf-8")
    result = lstmlm("eval", "pairs", "x.tsv", "y.json", "none.tsv", "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["n_items"] == 2
    assert json.loads(result.stdout)["n_problems"] == 3
    assert result.stderr.splitlines() == [
        "x.tsv:2: expected 2 columns with tabs between them, got 1. Put quotes around cells that have some within.",
        "y.json: items: is missing. Add it.",
        "none.tsv: no such file. Check the path, relative to the working directory.",
    ]


def test_items_of_others_change_nothing(trained: Path, lstmlm: Cli) -> None:
    (trained / "x.tsv").write_text("the farmer\tfarmer the\n", "utf-8")
    (trained / "y.tsv").write_text("the\t" + "farmer " * 1000 + "the\na b c d e f\ta\n", "utf-8")
    for files, items in ((["x.tsv"], "alone.tsv"), (["y.tsv", "x.tsv"], "together.tsv")):
        assert lstmlm("eval", "pairs", *files, "--items", items).exit_code == 0
    [alone] = (trained / "alone.tsv").read_text("utf-8").splitlines()[1:]
    assert (trained / "together.tsv").read_text("utf-8").splitlines()[-1] == alone


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


def test_problems_are_counted_and_come_before_the_report(trained: Path, lstmlm: Cli) -> None:
    (trained / "x.tsv").write_text("the farmer\tthe\n" * 10001 + "farmer\n" * 10000, "utf-8")
    result = lstmlm("eval", "pairs", "x.tsv", "--json")
    assert result.exit_code == 3
    assert len(result.stderr.splitlines()) == 4
    assert result.stderr.endswith("and 9,997 more of this kind.\n")
    assert json.loads(result.stdout)["n_problems"] == 10000
    (trained / "none.tsv").write_text("a\n", "utf-8")
    result = lstmlm("eval", "pairs", "none.tsv")
    assert (result.exit_code, result.stdout) == (3, "")


def test_ends_of_sentences_can_be_left_out(trained: Path, lstmlm: Cli) -> None:
    (trained / "x.tsv").write_text("The farmer waits\tThe farmer wait\n", "utf-8")
    header = "pattern\tform\tclass\tprefix\n"
    (trained / "g.tab").write_text(f"{header}p\twaits\tcorrect\tThe farmer\np\twait\twrong\tThe farmer\n", "utf-8")
    (trained / "s.txt").write_text("The farmer waits\nThe farmer wait\n", "utf-8")
    words = lstmlm("eval", "surprisal", "s.txt", "--context", "sentence", "--no-eos", "--jsonl").stdout
    bits = [json.loads(line)["surprisal_bits"] for line in words.splitlines()]
    for arguments in (["x.tsv", "--no-eos"], ["g.tab"], ["g.tab", "--no-eos"]):
        assert lstmlm("eval", "pairs", *arguments, "--items", "items.tsv").exit_code == 0
        header, row = (line.split("\t") for line in (trained / "items.tsv").read_text("utf-8").splitlines())
        item = dict(zip(header, row, strict=True))
        assert float(item["nats_good"]) == pytest.approx(sum(bits[:3]) * math.log(2), rel=1e-5)
        assert float(item["nats_bad"]) == pytest.approx(sum(bits[3:]) * math.log(2), rel=1e-5)
        assert item["n_tokens"] == "6"


def test_a_file_of_a_folder_that_is_read_is_not_written_over(trained: Path, lstmlm: Cli) -> None:
    (trained / "pairs").mkdir()
    own = trained / "pairs" / "a.tsv"
    own.write_text("the cat sat\tthe sat cat\n", "utf-8")
    result = lstmlm("eval", "pairs", "pairs", "--items", "pairs/a.tsv")
    assert (result.exit_code, result.stderr) == (
        2,
        "pairs/a.tsv: is what the command reads. Name another file to write.\n",
    )
    assert own.read_text("utf-8") == "the cat sat\tthe sat cat\n"


def test_columns_are_two(trained: Path, lstmlm: Cli) -> None:
    (trained / "x.tsv").write_text("a\tb\nthe farmer\tthe\n", "utf-8")
    assert lstmlm("eval", "pairs", "x.tsv", "--columns", "a,b").exit_code == 0
    result = lstmlm("eval", "pairs", "x.tsv", "--columns", "a")
    assert (result.exit_code, result.stderr) == (2, "--columns: needs two names with a comma between them, got 'a'.\n")


def test_another_spelling_is_advised_where_nothing_is_known(trained: Path, lstmlm: Cli) -> None:
    (trained / "x.tsv").write_text("THE FARMER WAITS\tTHE FARMER\n", "utf-8")
    advice = "warning: hardly a sentence has known words alone. Unknown words: 5; with --normalize lowercase: 0\n"
    assert lstmlm("eval", "pairs", "x.tsv").stderr == advice
    assert lstmlm("eval", "pairs", "x.tsv", "--normalize", "lowercase").stderr == ""
