"""`lstmlm eval surprisal` from file to table, and what it says of files that it cannot read whole."""

import csv
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]

COLUMNS = (
    "item sentence word_index word tokens surprisal_bits entropy_bits entropy_reduction_bits rank probability oov"
).split()


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE))


def bits(rows: list[dict[str, str]]) -> float:
    return sum(float(row["surprisal_bits"]) for row in rows)


@pytest.fixture
def sentences(trained: Path) -> Path:
    path = trained / "sentences.txt"
    path.write_text("The white horse\n\nThe xyzzy waits by the river.\n")
    return trained


def test_rows_agree_with_perplexity(sentences: Path, lstmlm: Cli) -> None:
    result = lstmlm("eval", "surprisal", "sentences.txt")
    assert result.exit_code == 0
    rows = table(result.stdout)
    assert list(rows[0]) == COLUMNS
    words = "The white horse <eos> <eos> The xyzzy waits by the river. <eos>".split()
    assert [row["word"] for row in rows] == words
    assert [row["sentence"] for row in rows] == ["1"] * 4 + ["2"] + ["3"] * 7
    assert [row["oov"] for row in rows].count("1") == 1
    report = json.loads(lstmlm("eval", "perplexity", "--text", "sentences.txt", "--json").stdout)
    assert bits(rows) == pytest.approx(report["nats"] / math.log(2), rel=1e-6)
    assert result.stderr == (
        "runs/tiny: 9 words in 2 sentences; unknown: 1 (11.1%), measured as <unk>; empty lines: 1, measured as <eos>\n"
    )


@pytest.mark.parametrize("tokenizer", ["{name: char}", "{name: byte}"])
def test_rows_agree_with_perplexity_where_words_are_many_tokens(
    tokenizer: str, here: Path, add_run: Callable[..., None], lstmlm: Cli
) -> None:
    add_run("runs/tiny", f"data.tokenizer={tokenizer}")
    (here / "sentences.txt").write_text("The café sleeps 🐈.\n\nThe river.\n", encoding="utf-8")
    rows = table(lstmlm("eval", "surprisal", "sentences.txt").stdout)
    report = json.loads(lstmlm("eval", "perplexity", "--text", "sentences.txt", "--json").stdout)
    assert bits(rows) == pytest.approx(report["nats"] / math.log(2), rel=1e-6)


def test_the_columns_of_a_table_come_back(trained: Path, lstmlm: Cli) -> None:
    (trained / "s.tsv").write_text("rt\titem\tword\n301\tb\tThe\n280\tb\tcat\n95\ta\tThe\n")
    rows = table(lstmlm("eval", "surprisal", "s.tsv").stdout)
    assert list(rows[0]) == [*COLUMNS, "rt"]
    assert [(row["item"], row["word"], row["rt"]) for row in rows] == [
        ("b", "The", "301"),
        ("b", "cat", "280"),
        ("b", "<eos>", ""),
        ("a", "The", "95"),
        ("a", "<eos>", ""),
    ]
    assert rows[0]["surprisal_bits"] == rows[3]["surprisal_bits"]


def test_context_first_word_and_eos_can_be_chosen(sentences: Path, lstmlm: Cli) -> None:
    def rows(*options: str) -> list[dict[str, str]]:
        return table(lstmlm("eval", "surprisal", "sentences.txt", *options).stdout)

    usual = rows()
    assert [row["word"] for row in rows("--no-eos")] == [row["word"] for row in usual if row["word"] != "<eos>"]
    apart = rows("--context", "sentence")
    assert apart[5]["surprisal_bits"] == apart[0]["surprisal_bits"] == usual[0]["surprisal_bits"]
    assert apart[5]["surprisal_bits"] != usual[5]["surprisal_bits"]
    assert rows("--context", "100") == usual
    assert rows("--context", "1")[1]["surprisal_bits"] == rows("--context", "1")[1]["surprisal_bits"]
    assert rows("--first-word", "skip")[0]["surprisal_bits"] == ""
    assert rows("--first-word", "skip")[1]["surprisal_bits"] == usual[1]["surprisal_bits"]
    assert rows("--first-word", "zero-state")[0]["surprisal_bits"] != usual[0]["surprisal_bits"]


def test_other_formats_and_a_file(sentences: Path, lstmlm: Cli) -> None:
    usual = lstmlm("eval", "surprisal", "sentences.txt")
    to_file = lstmlm("eval", "surprisal", "sentences.txt", "--output", "out.tsv")
    assert (to_file.stdout, to_file.stderr) == ("", usual.stderr)
    assert (sentences / "out.tsv").read_text() == usual.stdout
    rows = [json.loads(line) for line in lstmlm("eval", "surprisal", "sentences.txt", "--jsonl").stdout.splitlines()]
    assert [row["word"] for row in rows] == [row["word"] for row in table(usual.stdout)]
    lines = lstmlm("eval", "surprisal", "sentences.txt", "--format", "neural-complexity").stdout.splitlines()
    assert lines[0] == "word sentid sentpos wlen surp entropy entred"
    assert [line.split(" ")[:4] for line in lines[4:6]] == [["The", "1", "0", "3"], ["<unk>", "1", "1", "5"]]
    lines = lstmlm("eval", "surprisal", "sentences.txt", "--format", "lm-zoo").stdout.splitlines()
    assert [line.split("\t")[:3] for line in lines[3:6]] == [
        ["1", "3", "horse"],
        ["1", "4", "</s>"],
        ["2", "1", "</s>"],
    ]


def test_what_can_be_read_is_measured_and_the_rest_listed(trained: Path, lstmlm: Cli) -> None:
    (trained / "s.tsv").write_text("item\tword\n1\tThe\n1\n1\tcat\n\n2\tThe\n")
    result = lstmlm("eval", "surprisal", "s.tsv")
    assert result.exit_code == 3
    assert [row["word"] for row in table(result.stdout)] == ["The", "cat", "<eos>", "The", "<eos>"]
    assert result.stderr == (
        "runs/tiny: 3 words in 2 sentences\n"
        "s.tsv:3: has 1 cells where the header has 2. Put one tab between two cells.\n"
        "s.tsv:5: is empty. Remove the line.\n"
        "s.tsv: rows left out: 2. What follows them was read without them: mend the file.\n"
    )


def test_a_file_of_bad_rows_alone(trained: Path, lstmlm: Cli) -> None:
    (trained / "s.jsonl").write_text("{\n")
    result = lstmlm("eval", "surprisal", "s.jsonl")
    assert (result.exit_code, result.stdout) == (3, "\t".join(COLUMNS) + "\n")
    assert result.stderr.endswith(
        "s.jsonl: rows left out: 1. What follows them was read without them: mend the file.\n"
    )


@pytest.mark.parametrize("context", ["0", "-1", "1.5", "paragraph", "²"])
def test_a_wrong_context(context: str, sentences: Path, lstmlm: Cli) -> None:
    result = lstmlm("eval", "surprisal", "sentences.txt", "--context", context)
    assert result.exit_code == 2
    wanted = f"--context: needs document, sentence or a number of tokens above 0, got {context!r}.\n"
    assert result.stderr == wanted


def test_two_formats_at_once(sentences: Path, lstmlm: Cli) -> None:
    result = lstmlm("eval", "surprisal", "sentences.txt", "--jsonl", "--format", "lm-zoo")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "--jsonl: cannot be combined with --format lm-zoo. Give one of them.\n"


def test_a_file_that_is_not_there(trained: Path, lstmlm: Cli) -> None:
    result = lstmlm("eval", "surprisal", "none.tsv")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.startswith("none.tsv: no such file.")
