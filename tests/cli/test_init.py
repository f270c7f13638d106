"""`lstmlm init`: a commented configuration that trains without a warning, and what it says of texts that are none."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lstmlm.config import RunConfig
from lstmlm.yaml.schema import load_yaml

Cli = Callable[..., Any]


def verses(n_lines: int) -> str:
    draw = random.Random(1)
    words = "the a red old ship sea wind sails home over under sings and rose fell slow night day star".split()
    return "".join(" ".join(draw.choices(words, k=6)) + ".\n" for _ in range(n_lines))


def test_the_file_trains_without_a_warning_and_says_why(here: Path, lstmlm: Cli) -> None:
    Path("poem.txt").write_text(verses(80), "utf-8")
    result = lstmlm("init", "poem.txt", "--budget", "5s")
    assert result.exit_code == 0, result.stderr
    assert "warning" not in result.stderr
    assert result.stderr.endswith(
        "poem.yaml is written, with the reason of each choice. Train it: lstmlm train --config poem.yaml\n"
    )
    text = Path("poem.yaml").read_text("utf-8")
    assert text.startswith("# For ./poem.txt: ")
    assert "name: char # " in text
    assert max(map(len, text.splitlines())) <= 120
    config = load_yaml(Path("poem.yaml"), RunConfig)
    assert config.data.corpus == "./poem.txt"
    short = ("--set", "training={n_steps: 3}", "--set", "schedule.warmup_steps=1")
    trained = lstmlm("train", "--config", "poem.yaml", *short)
    assert trained.exit_code == 0, trained.stderr
    assert "warning" not in trained.stderr


def test_a_file_is_not_replaced_unless_asked_for(here: Path, lstmlm: Cli) -> None:
    Path("poem.txt").write_text(verses(80), "utf-8")
    Path("mine.yaml").write_text("my own", "utf-8")
    result = lstmlm("init", "poem.txt", "-o", "mine.yaml")
    assert result.exit_code == 2
    assert result.stderr == (
        "mine.yaml: exists, and is not replaced. Name another file with -o, or replace it: "
        "lstmlm init poem.txt --budget 10m -o mine.yaml --force\n"
    )
    assert Path("mine.yaml").read_text("utf-8") == "my own"
    assert lstmlm("init", "poem.txt", "--budget", "5s", "-o", "mine.yaml", "--force").exit_code == 0
    assert load_yaml(Path("mine.yaml"), RunConfig).data.corpus == "./poem.txt"


def test_the_text_itself_is_never_written_over(here: Path, lstmlm: Cli) -> None:
    for text, options in (("poem.txt", ("-o", "poem.txt", "--force")), ("poem.yaml", ())):
        Path(text).write_text(verses(80), "utf-8")
        result = lstmlm("init", text, *options)
        wanted = f"{text}: is what the command reads. Name another file to write.\n"
        assert (result.exit_code, result.stderr) == (2, wanted)
        assert Path(text).read_text("utf-8") == verses(80)


def test_what_init_chooses_is_not_given(here: Path, lstmlm: Cli) -> None:
    Path("poem.txt").write_text(verses(80), "utf-8")
    result = lstmlm("init", "poem.txt", "--set", "data.tokenizer.name=char")
    assert (result.exit_code, result.stderr) == (
        2,
        "--set data.tokenizer.name: is chosen by init. Change it in poem.yaml, or give it to lstmlm train.\n",
    )
    Path("poem.yaml").write_text("my own", "utf-8")
    result = lstmlm("init", "poem.txt", "--set", "data.holdout=0.1")
    assert result.stderr.endswith("lstmlm init poem.txt --budget 10m --set data.holdout=0.1 -o poem.yaml --force\n")


def test_a_text_may_be_called_anything(here: Path, lstmlm: Cli) -> None:
    Path("\N{BOOKS}.txt").write_text(verses(80), "utf-8")
    assert lstmlm("init", "\N{BOOKS}.txt", "--budget", "5s").exit_code == 0
    assert load_yaml(Path("\N{BOOKS}.yaml"), RunConfig).data.corpus == "./\N{BOOKS}.txt"


def test_a_file_without_a_suffix_is_named_as_a_file(here: Path, lstmlm: Cli) -> None:
    Path("poem.txt").write_text(verses(80), "utf-8")
    result = lstmlm("init", "poem.txt", "--budget", "5s", "-o", "poem")
    assert result.stderr.endswith(" Train it: lstmlm train --config ./poem\n")
    assert lstmlm("config", "check", "./poem").exit_code == 0


def test_the_field_of_records_is_found(here: Path, lstmlm: Cli) -> None:
    records = [json.dumps({"id": str(i), "body": line}) for i, line in enumerate(verses(80).splitlines())]
    Path("posts.jsonl").write_text("\n".join(records), "utf-8")
    assert lstmlm("init", "posts.jsonl", "--budget", "5s").exit_code == 0
    assert load_yaml(Path("posts.yaml"), RunConfig).data.field == "body"


def test_splits_of_a_folder_are_splits(here: Path, lstmlm: Cli) -> None:
    Path("splits").mkdir()
    for split, field in (("test", "text"), ("train", "body"), ("valid", "text")):
        records = [json.dumps({"id": str(i), field: line}) for i, line in enumerate(verses(80).splitlines())]
        Path(f"splits/{split}.jsonl").write_text("\n".join(records), "utf-8")
    # What it is told of test.jsonl and valid.jsonl comes after the field was found in train.jsonl.
    assert "has no field 'body'" in lstmlm("init", "splits", "--budget", "5s").stderr
    for split in ("train", "valid", "test"):
        Path(f"splits/{split}.jsonl").unlink()
        Path(f"splits/{split}.txt").write_text(verses(80), "utf-8")
    assert "is read as one text" not in lstmlm("init", "splits", "--budget", "5s").stderr


def test_a_text_of_a_single_line(here: Path, lstmlm: Cli) -> None:
    Path("line.txt").write_text(verses(200).replace("\n", " "), "utf-8")
    assert lstmlm("init", "line.txt", "--budget", "5s").exit_code == 0
    assert load_yaml(Path("line.yaml"), RunConfig).data.tokenizer.name == "char"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.txt", b"", "empty.txt: "),
        ("binary.txt", b"\x89PNG\r\n\x1a\n" + bytes(99), "binary.txt: is an image, no text. Name a text file."),
        ("zeros.txt", bytes(500), "zeros.txt"),
        ("short.txt", b"A word.\nAnother.\n", "short.txt: "),
        ("table.csv", b"id,text\n1,first\n2,second\n", "table.csv: is a table, "),
    ],
)
def test_what_is_no_text_to_train_on(name: str, content: bytes, message: str, here: Path, lstmlm: Cli) -> None:
    Path(name).write_bytes(content)
    result = lstmlm("init", name)
    assert result.exit_code == 3
    assert message in result.stderr
    assert not Path(name).with_suffix(".yaml").exists()


def test_what_is_not_there(here: Path, lstmlm: Cli) -> None:
    missing = lstmlm("init", "./none.txt")
    assert (missing.exit_code, missing.stderr.splitlines()[-1]) == (
        3,
        "none.txt: no such file or folder. Paths start at the working directory; "
        "lstmlm data list shows the corpora that have a name.",
    )
    Path("folder").mkdir()
    folder = lstmlm("init", "folder")
    assert folder.exit_code == 3
    assert "folder: holds neither train.txt nor other text" in folder.stderr
    assert lstmlm("init", "./none.txt", "--budget", "soon").exit_code == 2


def test_what_is_known_of_a_corpus_is_said(here: Path, lstmlm: Cli) -> None:
    licensed = lstmlm("init", "data/ptb")
    assert licensed.exit_code == 3
    assert "Put your own copy into data/ptb, below the working directory: train.txt" in licensed.stderr
    Path("poem.txt").write_text(verses(80), "utf-8")
    assert lstmlm("data", "encode", "poem.txt", "--output", "store").exit_code == 0
    store = lstmlm("init", "store")
    assert (store.exit_code, store.stderr.splitlines()[-1]) == (
        3,
        "./store: holds tokens and no text. Name the text that they are from.",
    )


def test_a_section_is_explained_with_its_keys(lstmlm: Cli) -> None:
    lines = lstmlm("config", "explain", "dropout").stdout.splitlines()
    assert lines[0] == "model.dropout: a section"
    assert lines[2:4] == ["", "key                        default  type"]
    assert lines[4].split()[:2] == ["model.dropout.embedding", "0.0"]
    part = lstmlm("config", "explain", "schedule").stdout
    assert part.startswith("schedule: one of anneal_on_plateau, constant, ")
    assert 'Default: "constant"\n\nanneal_on_plateau: Multiply the learning rate by ' in part
    assert "\nconstant: The optimizer's learning rate throughout.\n" in part
    assert "schedule.warmup_steps (warmup_cosine, warmup_linear)" in part
    key = lstmlm("config", "explain", "bptt").stdout
    assert key.splitlines()[2:] == ["Default: 35"]
    of_all = lstmlm("config", "explain", "n_layers").stdout
    assert of_all.startswith("model.backbone.n_layers (all): a whole number, ")
