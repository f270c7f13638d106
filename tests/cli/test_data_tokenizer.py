"""`lstmlm data tokenizer`: learn one, show it, compare several, train with it."""

import json
import math
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]

TEXT = "the cat sat on the mat\nthe end\n"
PROJECT = Path(__file__).parent.parent.parent


@pytest.fixture
def texts(here: Path) -> Path:
    (here / "text.txt").write_text(TEXT, "utf-8")
    return here


@pytest.fixture
def learnt(texts: Path, lstmlm: Cli) -> Path:
    sets = ["--set", "data.tokenizer.vocab_size=300"]
    result = lstmlm("data", "tokenizer", "train", str(PROJECT / "data" / "tiny"), "--output", "bpe.json", *sets)
    assert result.exit_code == 0, result.stderr
    assert result.stderr == (
        "bpe.json is ready. Train with it: --set 'data.tokenizer={name: file, path: \"bpe.json\"}'\n"
    )
    return texts


def test_a_tokenizer_is_learnt_and_shown(learnt: Path, lstmlm: Cli) -> None:
    header, *rows = lstmlm("data", "tokenizer", "show", "bpe.json").stdout.splitlines()
    assert header.split() == ["bpe.json"]
    assert [row.split() for row in rows[:4]] == [["model", "BPE"], ["vocab_size", "300"], ["line_end", "\\n"], ["unk"]]
    shown = json.loads(lstmlm("data", "tokenizer", "show", "bpe.json", "--json").stdout)
    assert shown["tokenizer"] == "bpe.json"
    assert (shown["model"], shown["vocab_size"], shown["unk"], shown["added_tokens"]) == ("BPE", 300, None, [])
    longest = rows[5:15]
    assert [row.removeprefix("longest_tokens").strip() for row in longest] == [
        f"'{t}'" for t in shown["longest_tokens"]
    ]
    assert rows[-1].split() == ["sha256", shown["sha256"]]


@pytest.mark.parametrize(
    "command", [["stats"], ["check"], ["tokenizer", "train", "-o", "char.json", "--tokenizer", "char"]]
)
def test_a_corpus_that_lies_here_needs_no_slash(command: list[str], here: Path, lstmlm: Cli) -> None:
    (here / "corpus").mkdir()
    for name in ("text.txt", "corpus/a.txt"):
        (here / name).write_text(TEXT * 100, "utf-8")
    for name in ("text.txt", "corpus"):
        assert lstmlm("data", *command, name).exit_code == 0
    (here / "corpus").rename("ptb")
    assert "not in data/ptb" in lstmlm("data", *command, "ptb").output


def test_the_tokens_of_a_text(learnt: Path, lstmlm: Cli) -> None:
    shown = json.loads(lstmlm("data", "tokenizer", "show", "bpe.json", "the cat", "--json").stdout)
    assert "".join(row["token"] for row in shown["tokens"]) == "the cat"
    header, *rows = lstmlm("data", "tokenizer", "show", "bpe.json", "the cat").stdout.splitlines()
    assert header.split() == ["token", "id"]
    assert rows[-1].split("  ")[0] in {f"'{row['token']}'" for row in shown["tokens"]}
    assert [row.split()[-1] for row in rows] == [str(row["id"]) for row in shown["tokens"]]
    assert lstmlm("data", "tokenizer", "show", "bpe.json", "").stdout == ""


def test_a_run_trains_with_it_and_needs_it_no_more(learnt: Path, lstmlm: Cli) -> None:
    sets = ["--set", "data.tokenizer={name: file, path: bpe.json}"]
    assert lstmlm("train", "--config", "tiny.yaml", *sets).exit_code == 0
    (learnt / "bpe.json").unlink()
    assert lstmlm("generate", "The", "--max-tokens", "5").exit_code == 0
    result = lstmlm("eval", "perplexity", "--text", "text.txt", "--json")
    assert json.loads(result.stdout)["n_bytes"] == len(TEXT)
    assert lstmlm("train", "--config", "tiny.yaml", *sets, "--resume").exit_code == 0
    for name in ("runs/tiny", "tiny"):
        shown = json.loads(lstmlm("data", "tokenizer", "show", name, "--json").stdout)
        assert (shown["tokenizer"], shown["vocab_size"]) == ("runs/tiny", 300)
    (learnt / "runs/tiny").rename(learnt / "runs/word")  # which is that of one to learn, too
    (learnt / "runs/word").with_name("mine").symlink_to("word")
    compared = lstmlm("data", "tokenizer", "compare", "word", "mine", "--text", "text.txt", "--json")
    assert [(row["tokenizer"], row["vocab_size"]) for row in json.loads(compared.stdout)["tokenizers"]] == [
        ("word", 8),
        ("runs/mine", 300),
    ]
    assert lstmlm("data", "encode", "text.txt", "--tokenizer", "mine", "--output", "store").exit_code == 0
    (learnt / "bpe").symlink_to("runs/word")  # a place is no name
    shown = json.loads(lstmlm("data", "tokenizer", "show", "./bpe", "--json").stdout)
    assert (shown["tokenizer"], shown["vocab_size"]) == ("./bpe", 300)


def test_figures_of_a_text(texts: Path, lstmlm: Cli) -> None:
    result = lstmlm("data", "tokenizer", "compare", "word", "char", "byte", "--text", "text.txt", "--json")
    compared = json.loads(result.stdout)
    assert compared["text"] == "text.txt"
    word, char, byte = compared["tokenizers"]
    shares = [count / 10 for count in (3, 1, 1, 1, 1, 1, 2)]
    assert word == {
        "tokenizer": "word",
        "vocab_size": 8,
        "n_tokens": 10,
        "n_types": 7,
        "tokens_per_word": 10 / 8,
        "bytes_per_token": len(TEXT) / 10,
        "unk_rate": 0.0,
        "unigram_bits_per_byte": pytest.approx(-sum(p * math.log2(p) for p in shares) * 10 / len(TEXT)),
        "restores_text": True,
    }
    assert (char["bytes_per_token"], byte["bytes_per_token"]) == (1, 1)
    assert char["unigram_bits_per_byte"] == pytest.approx(byte["unigram_bits_per_byte"])


def test_the_text_is_read_as_is_said(here: Path, lstmlm: Cli) -> None:
    (here / "posts.jsonl").write_text(json.dumps({"body": TEXT}, ensure_ascii=False), "utf-16")
    sets = ["--set", "data.field=body", "--set", "data.encoding=utf-16"]
    result = lstmlm("data", "tokenizer", "compare", "char", "--text", "posts.jsonl", *sets, "--json")
    assert json.loads(result.stdout)["tokenizers"][0]["n_tokens"] == len(TEXT)


def test_a_tokenizer_that_there_is_not(texts: Path, lstmlm: Cli) -> None:
    result = lstmlm("data", "tokenizer", "compare", "word", "bpee", "--text", "text.txt")
    assert (result.exit_code, result.stderr) == (
        2,
        "NAME: unknown tokenizer 'bpee'. Did you mean 'bpe'? Choose one of: word, char, byte, bpe, unigram. "
        "Or name a tokenizer.json.\n",
    )


def test_a_table(learnt: Path, lstmlm: Cli) -> None:
    (learnt / "text.txt").write_text("the  Ωcat\n", "utf-8")
    lstmlm("data", "tokenizer", "train", str(PROJECT / "data" / "tiny"), "-o", "word.json", "--tokenizer", "word")
    result = lstmlm("data", "tokenizer", "compare", "bpe.json", "word.json", "--text", "text.txt")
    header, bpe, word = result.stdout.splitlines()
    assert header.split()[0] == "tokenizer"
    assert bpe.split()[-1] == "yes"
    assert (word.split()[-1], word.split()[-2]) == ("no", "0.3333")
    assert result.stderr == "text.txt\n"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("show", "gone.json"), 3, "gone.json: no such file. Check the path."),
        (
            ("compare", "bpe", "--text", "text.txt", "--set", "data.tokenizer.vocab_size=300"),
            2,
            "--set data.tokenizer: has no effect. Name tokenizers, or learn one: lstmlm data tokenizer train",
        ),
        (("compare", "word", "--text", "blank.txt"), 3, "--text: has no words. Give a text that has some."),
        (
            ("train", "text.txt", "-o", "x.json", "--tokenizer", "bpee"),
            2,
            "--set data.tokenizer.name=bpee: data.tokenizer.name: unknown tokenizer 'bpee'. Did you mean 'bpe'? "
            "Choose one of: bpe, byte, char, file, unigram, word.",
        ),
        (
            ("train", "text.txt", "-o", "x.json", "--set", "tokenizer.vocab_size=300"),
            2,
            "--set tokenizer.vocab_size=300: tokenizer: unknown key. It belongs in data.",
        ),
    ],
)
def test_mistakes(arguments: tuple[str, ...], status: int, message: str, texts: Path, lstmlm: Cli) -> None:
    (texts / "blank.txt").write_text(" \n", "utf-8")
    result = lstmlm("data", "tokenizer", *arguments)
    assert (result.exit_code, result.stdout, result.stderr.strip()) == (status, "", message)


def test_what_is_printed_can_be_pasted_whatever_the_name(here: Path, lstmlm: Cli) -> None:
    folder = here / "a, b"
    folder.mkdir()
    text = "./a, b/it's #2 \N{BOOKS}.txt"
    Path(text).write_text("the farmer walks\n" * 100, "utf-8")
    for command in (
        ["data", "tokenizer", "train", text, "--output", "./a, b/bpe [1].json"],
        ["data", "encode", text, "--valid", text, "--output", "./a, b/store {1}"],
    ):
        last = lstmlm(*command).stderr.splitlines()[-1]
        pasted = shlex.split(last.split(": ", maxsplit=1)[1])
        result = lstmlm("train", "--config", "tiny.yaml", *pasted, "--run-dir", f"runs/{command[1]}")
        assert result.exit_code == 0, result.stderr
