"""`lstmlm eval surprisal` from file to table, and what it says of files that it cannot read whole."""

import csv
import gzip
import io
import json
import math
from collections.abc import Callable
from itertools import pairwise
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
    path.write_text("The white horse\n\nThe xyzzy waits by the river.\n", "utf-8")
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
    (trained / "s.tsv").write_text("rt\titem\tword\n301\tb\tThe\n280\tb\tcat\n95\ta\tThe\n", "utf-8")
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
    # The second "The" also follows an <eos>, which is all that it is given.
    assert rows("--context", "1")[5]["surprisal_bits"] == usual[0]["surprisal_bits"]
    assert rows("--first-word", "skip")[0]["surprisal_bits"] == ""
    assert rows("--first-word", "skip")[1]["surprisal_bits"] == usual[1]["surprisal_bits"]
    assert rows("--first-word", "zero-state")[0]["surprisal_bits"] != usual[0]["surprisal_bits"]


def test_other_formats_and_a_file(sentences: Path, lstmlm: Cli) -> None:
    usual = lstmlm("eval", "surprisal", "sentences.txt")
    to_file = lstmlm("eval", "surprisal", "sentences.txt", "--output", "out.tsv")
    assert (to_file.stdout, to_file.stderr) == ("", usual.stderr)
    assert (sentences / "out.tsv").read_text("utf-8") == usual.stdout
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


def test_white_space_before_the_end_of_a_line(here: Path, add_run: Callable[..., None], lstmlm: Cli) -> None:
    """It is a token of its own that belongs to the end, which is no word, however little of it is known."""
    add_run("runs/chars", "data.tokenizer={name: char}")
    (here / "s.txt").write_text("the dog \nthe dog\u00a0\n", "utf-8")
    result = lstmlm("eval", "surprisal", "s.txt", "--format", "lm-zoo")
    assert result.exit_code == 0, result.stderr
    assert [line.split("\t")[2] for line in result.stdout.splitlines()] == [
        "token", *"the␣dog␣", "</s>", *"the␣dog", "<unk>", "</s>"
    ]  # fmt: skip
    assert "4 words in 2 sentences" in result.stderr
    assert "unknown" not in result.stderr


def test_what_can_be_read_is_measured_and_the_rest_listed_before(trained: Path, lstmlm: Cli) -> None:
    (trained / "s.tsv").write_text("item\tword\n1\tThe\n1\n1\tcat\n\n2\tThe\n" + "3\n" * 5000, "utf-8")
    result = lstmlm("eval", "surprisal", "s.tsv")
    assert result.exit_code == 3
    assert [row["word"] for row in table(result.stdout)] == ["The", "cat", "<eos>", "The", "<eos>"]
    cells = "has 1 cell where the header has 2. Put one tab between two cells."
    assert result.stderr == (
        f"s.tsv:3: {cells}\n"
        "s.tsv:5: is empty. If empty lines part sentences, add a column sentence that numbers them; remove it.\n"
        f"s.tsv:7: {cells}\n"
        "and 4,999 more of this kind.\n"
        "s.tsv: rows left out: 5,002. What follows them is read without them: mend the file.\n"
        "runs/tiny: 3 words in 2 sentences\n"
    )


def test_a_file_of_bad_rows_alone(trained: Path, lstmlm: Cli) -> None:
    (trained / "s.jsonl").write_text("{\n", "utf-8")
    result = lstmlm("eval", "surprisal", "s.jsonl")
    assert (result.exit_code, result.stdout) == (3, "")


def test_a_table_in_every_guise_has_the_same_figures(trained: Path, lstmlm: Cli) -> None:
    content = "item\tsentence\tword\trt\n1\t1\tThe\t0,3\n1\t1\tcat\t0,4\n2\t1\tThe\t0,5\n"
    (trained / "s.tsv").write_text(content, "utf-8")
    wanted = lstmlm("eval", "surprisal", "s.tsv").stdout
    assert [row["word"] for row in table(wanted)] == ["The", "cat", "<eos>", "The", "<eos>"]
    (trained / "s.txt").write_text(content, "utf-8")
    (trained / "s.csv").write_bytes(("\ufeff" + content.replace("\t", ";").replace("\n", "\r\n")).encode())
    (trained / "s.tsv.gz").write_bytes(gzip.compress(content.encode()))
    for name in ("s.txt", "s.csv", "s.tsv.gz"):
        assert lstmlm("eval", "surprisal", name).stdout == wanted


def test_words_come_back_as_they_are_and_missing_values_can_be_told(trained: Path, lstmlm: Cli) -> None:
    given = ['"', "#1", "NA", "null", "=SUM(A1)", "1,024", "-", "TRUE"]
    (trained / "s.tsv").write_text("word\tnote\n" + "".join(f"{word}\t\n" for word in given), "utf-8")
    rows = table(lstmlm("eval", "surprisal", "s.tsv", "--first-word", "skip", "--no-eos").stdout)
    assert [row["word"] for row in rows] == given
    assert [row["surprisal_bits"] == "" for row in rows] == [True] + [False] * 7
    lines = lstmlm("eval", "surprisal", "s.tsv", "--format", "neural-complexity", "--format", "tsv").stdout.splitlines()
    assert len(lines) == 9


def test_a_column_of_the_result_is_refused_before_anything_is_measured(trained: Path, lstmlm: Cli) -> None:
    (trained / "s.tsv").write_text("word\tword_index\nThe\t1\n", "utf-8")
    result = lstmlm("eval", "surprisal", "s.tsv", "--run", "runs/none")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr == ("s.tsv: the column 'word_index' is called like one of the result. Rename or remove it.\n")
    assert lstmlm("eval", "surprisal", "s.tsv", "--format", "lm-zoo").exit_code == 0


def test_blank_lines_have_no_last_word(trained: Path, lstmlm: Cli) -> None:
    Path("blank.txt").write_text("\n\n", "utf-8")
    result = lstmlm("eval", "surprisal", "blank.txt", "--last-word")
    assert (result.exit_code, table(result.stdout)) == (0, [])
    assert result.stderr == "runs/tiny: 0 last words; the likeliest of all: 0\n"


def test_passages_and_their_last_words(trained: Path, lstmlm: Cli) -> None:
    lines = ["The white horse waits", "The white horse", "The xyzzy"]
    (trained / "s.jsonl").write_text("".join(json.dumps({"text": line}) + "\n" for line in lines), "utf-8")
    rows = table(lstmlm("eval", "surprisal", "s.jsonl").stdout)
    assert [row["item"] for row in rows if row["word"] == "<eos>"] == ["1", "2", "3"]
    assert rows[0]["surprisal_bits"] == rows[5]["surprisal_bits"]
    last = [row for row, following in pairwise(rows) if following["word"] == "<eos>"]
    result = lstmlm("eval", "surprisal", "s.jsonl", "--last-word")
    assert table(result.stdout) == last
    n_first = sum(row["rank"] == "1" and row["oov"] == "0" for row in last)
    assert result.stderr == f"runs/tiny: 3 last words; the likeliest of all: {n_first} ({n_first / 3:.2%})\n"
    (trained / "s.txt").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    by_line = table(lstmlm("eval", "surprisal", "s.txt", "--last-word", "--context", "sentence").stdout)
    assert [row["surprisal_bits"] for row in by_line] == [row["surprisal_bits"] for row in last]


def test_the_spelling_of_a_corpus(trained: Path, lstmlm: Cli) -> None:
    (trained / "upper.txt").write_text("THE FARMER WAITS\n", "utf-8")
    (trained / "lower.txt").write_text("the farmer waits\n", "utf-8")
    plain, lower = lstmlm("eval", "surprisal", "upper.txt"), lstmlm("eval", "surprisal", "lower.txt")
    assert plain.stderr.startswith(
        "warning: hardly a sentence has known words alone. Unknown words: 3; with --normalize lowercase: 0\n"
    )
    spelled = lstmlm("eval", "surprisal", "upper.txt", "--normalize", "lowercase")
    assert [row["word"] for row in table(spelled.stdout)] == ["THE", "FARMER", "WAITS", "<eos>"]
    assert bits(table(spelled.stdout)) == bits(table(lower.stdout))
    assert spelled.stderr == "runs/tiny: 3 words in 1 sentence\n"


def test_a_format_that_there_is_not(trained: Path, lstmlm: Cli) -> None:
    result = lstmlm("eval", "surprisal", "s.tsv", "--format", "cvs")
    assert result.exit_code == 2
    assert result.stderr == (
        "--format: unknown format 'cvs'. Did you mean 'csv'? "
        "Choose one of: csv, jsonl, text, tsv, neural-complexity, lm-zoo.\n"
    )
    result = lstmlm("eval", "surprisal", "s.tsv", "--format", "csv", "--format", "tsv")
    assert result.stderr == "--format csv: cannot be combined with --format tsv. Give one of them.\n"


@pytest.mark.parametrize("context", ["0", "-1", "1.5", "paragraph", "²"])
def test_a_wrong_context(context: str, sentences: Path, lstmlm: Cli) -> None:
    result = lstmlm("eval", "surprisal", "sentences.txt", "--context", context)
    assert result.exit_code == 2
    wanted = f"--context: needs document, sentence or a number of tokens above 0, got {context!r}.\n"
    assert result.stderr == wanted


def test_two_formats_at_once(sentences: Path, lstmlm: Cli) -> None:
    both = lstmlm("eval", "surprisal", "sentences.txt", "--format", "text", "--format", "lm-zoo")
    assert (both.exit_code, both.stdout.splitlines()[0].split()[0]) == (0, "sentence_id")
    result = lstmlm("eval", "surprisal", "sentences.txt", "--jsonl", "--format", "lm-zoo")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "--jsonl: cannot be combined with --format lm-zoo. Give one of them.\n"


def test_a_file_that_is_not_there(trained: Path, lstmlm: Cli) -> None:
    result = lstmlm("eval", "surprisal", "none.tsv")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.startswith("none.tsv: no such file.")
