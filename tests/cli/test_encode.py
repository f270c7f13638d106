"""`lstmlm data encode`, and training from what it leaves."""

import json
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lstmlm.config.data import DataOptions
from lstmlm.corpus.loading import load_corpus
from lstmlm.corpus.store import token_store

TRAIN = "".join(f"the cat {word} on line {i}\n" for i in range(30) for word in ("sat", "slept"))
VALID = "the cat sat on a mat\n" * 20


def texts(here: Path) -> None:
    (here / "a.txt").write_text(TRAIN.removesuffix("\n"), "utf-8")
    (here / "b.txt").write_text("the dog\n", "utf-8")
    (here / "v.txt").write_text(VALID, "utf-8")


def test_counts(here: Path, lstmlm: Callable[..., Any]) -> None:
    texts(here)
    result = lstmlm("data", "encode", "a.txt", "b.txt", "--valid", "v.txt", "--output", "store", "--json")
    assert result.exit_code == 0, result.stderr
    answer = json.loads(result.stdout)
    assert (answer["store"], answer["tokenizer"]["name"]) == ("store", "word")
    train, valid = answer["texts"]
    n_bytes = len(TRAIN) + len("the dog\n")
    assert train == {
        "split": "train",
        "n_tokens": 60 * 7 + 3,
        "n_types": 38,
        "n_unk": 0,
        "unk_rate": 0.0,
        "n_bytes": n_bytes,
        "bytes_per_token": n_bytes / 423,
    }
    assert (valid["split"], valid["n_unk"], valid["unk_rate"]) == ("valid", 40, 40 / 140)
    assert result.stderr == "store is ready. Train from it: --set data.corpus=./store\n"


def test_a_file_does_not_become_a_store(here: Path, lstmlm: Callable[..., Any]) -> None:
    texts(here)
    for output in ("v.txt", "v.txt/store"):
        result = lstmlm("data", "encode", "a.txt", "--output", output)
        assert result.stderr == f"{output}: cannot be written, as v.txt is a file. Choose another place.\n"


def test_a_store_trains_like_the_texts_that_it_was_made_from(here: Path, lstmlm: Callable[..., Any]) -> None:
    texts(here)
    (here / "corpus").mkdir()
    (here / "corpus" / "train.txt").write_text(TRAIN, "utf-8")
    (here / "corpus" / "valid.txt").write_text(VALID, "utf-8")
    encode = ["data", "encode", "corpus/train.txt", "--valid", "corpus/valid.txt", "--output", "store"]
    assert lstmlm(*encode, "--tokenizer", "byte").exit_code == 0
    common = ["train", "--config", "tiny.yaml", "--set", "data.bptt=3"]
    from_text = ["--set", "data.corpus=./corpus", "--set", "data.tokenizer.name=byte", "--run-dir", "runs/text"]
    from_store = ["--set", "data.corpus=./store", "--run-dir", "runs/store"]
    expected = lstmlm(*common, *from_text)
    found = lstmlm(*common, *from_store)
    assert (found.exit_code, found.stdout) == (0, expected.stdout), found.stderr
    assert yaml.safe_load((here / "runs/store/config.yaml").read_text("utf-8"))["data"]["tokenizer"]["name"] == "byte"
    assert lstmlm(*common, *from_store, "--resume").exit_code == 0
    figure = lstmlm("eval", "perplexity", "--run", "runs/store", "--json")
    assert json.loads(figure.stdout)["n_tokens"] == len(VALID)


def test_a_configuration_with_another_tokenizer(
    here: Path, lstmlm: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    texts(here)
    lstmlm("data", "encode", "a.txt", "--output", "store", "--tokenizer", "byte")
    sets = ["--set", "data.corpus=./store", "--set", "data.tokenizer.name=char"]
    for resume in ([], ["--resume"]):
        result = lstmlm("train", "--config", "tiny.yaml", *sets, *resume)
        assert result.exit_code == 0
        assert caplog.messages[-1] == "data.tokenizer: has no effect, as ./store was encoded with {name: byte}."


def test_folders_patterns_and_records(here: Path, lstmlm: Callable[..., Any]) -> None:
    (here / "books").mkdir()
    for name in ("first", "second"):
        (here / "books" / f"{name}.txt").write_text(f"the {name} book\n", "utf-8")
    (here / "notes.jsonl").write_text('{"body": "a note"}\n', "utf-8")
    for number, given in enumerate((["books"], ["books/*.txt"])):
        result = lstmlm("data", "encode", *given, "--output", f"store{number}", "--json")
        assert json.loads(result.stdout)["texts"][0]["n_tokens"] == 8
    result = lstmlm("data", "encode", "notes.jsonl", "--field", "body", "--output", "notes", "--json")
    assert json.loads(result.stdout)["texts"][0]["n_tokens"] == 3


def test_a_folder_that_has_splits_is_not_one_text(here: Path, lstmlm: Callable[..., Any]) -> None:
    texts(here)
    (here / "corpus").mkdir()
    for split in ("train", "test"):
        (here / "corpus" / f"{split}.txt").write_text(TRAIN, "utf-8")
    for given in (["corpus"], ["a.txt", "--valid", "corpus"]):
        result = lstmlm("data", "encode", *given, "--output", "store")
        assert (result.exit_code, result.stderr) == (
            3,
            "corpus: has splits of its own. Name one of them: corpus/train.txt, corpus/test.txt.\n",
        )


def test_a_run_with_another_tokenizer(here: Path, lstmlm: Callable[..., Any]) -> None:
    texts(here)
    lstmlm("train", "--config", "tiny.yaml", "--set", "data.corpus=./a.txt", "--set", "data.batch_size=2")
    lstmlm("data", "encode", "b.txt", "--output", "store")
    (here / "a.txt").unlink()
    (here / "store").rename(here / "a.txt")
    result = lstmlm("eval", "perplexity", "--split", "train")
    assert result.exit_code == 3
    assert result.stderr.endswith(
        "here). Encode the text with the --tokenizer of this one, its tokenizer.json or its run. "
        "Or name a text to measure: --text FILE\n"
    )


@pytest.mark.parametrize("place", ["one/tokenizer.json", "one"])
def test_a_tokenizer_that_there_is_already(place: str, here: Path, lstmlm: Callable[..., Any]) -> None:
    texts(here)
    lstmlm("data", "encode", "a.txt", "--output", "one")
    result = lstmlm("data", "encode", "v.txt", "--output", "two", "--tokenizer", place)
    assert result.exit_code == 0
    stores = [load_corpus(DataOptions(corpus=f"{here}/{name}")) for name in ("one", "two")]
    assert stores[0].tokenizer.digest == stores[1].tokenizer.digest


def test_no_such_tokenizer(here: Path, lstmlm: Callable[..., Any]) -> None:
    texts(here)
    result = lstmlm("data", "encode", "a.txt", "--output", "store", "--tokenizer", "bpee")
    assert (result.exit_code, result.stderr) == (
        2,
        "--tokenizer: unknown tokenizer 'bpee'. Did you mean 'bpe'? Choose one of: word, char, byte, bpe, unigram. "
        "Or name a tokenizer.json.\n",
    )
    result = lstmlm("data", "encode", "a.txt", "--output", "store", "--tokenizer", "tiny.yaml")
    assert (result.exit_code, result.stderr) == (
        3,
        "tiny.yaml: is neither a tokenizer.json nor a SentencePiece model. Give another file.\n",
    )
    assert not (here / "store").exists()


@pytest.mark.parametrize(("option", "value"), [("eos", "never"), ("field", "body")])
def test_options_of_text_have_no_effect_on_a_store(
    option: str, value: str, here: Path, lstmlm: Callable[..., Any]
) -> None:
    texts(here)
    lstmlm("data", "encode", "a.txt", "--output", "store")
    sets = ["--set", "data.corpus=./store", "--set", f"data.{option}={value}"]
    result = lstmlm("train", "--config", "tiny.yaml", *sets)
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (
        2,
        f"data.{option}: '{value}' has no effect, as ./store holds tokens. Leave it out.",
    )


def test_a_store_is_checked(here: Path, lstmlm: Callable[..., Any]) -> None:
    texts(here)
    lstmlm("data", "encode", "a.txt", "--output", "store")
    result = lstmlm("data", "check", "store", "--config", "tiny.yaml")
    assert result.exit_code == 0
    assert result.stdout.startswith(
        "✔ store: checksums: all tokens are as they were written.\n✔ store (train): length: "
    )
    assert lstmlm("data", "check", "store", "--set", "data.batch_size=4000").exit_code == 3
    assert lstmlm("data", "check", "store", "a.txt").stdout.startswith("✔ store: checksums: ")
    shard = here / "store" / "train-tokens-00000.shard"
    shard.write_bytes(shard.read_bytes()[:-1] + b"\xff")
    damaged = lstmlm("data", "check", "store", "--json")
    assert damaged.exit_code == 3
    [finding] = json.loads(damaged.stdout)["findings"]
    assert (finding["text"], finding["check"], finding["level"]) == ("store", "checksums", "error")
    assert finding["message"].startswith("store/train-tokens-00000.shard: is damaged (block 0 differs from its check")


def test_a_store_has_no_text(here: Path, lstmlm: Callable[..., Any]) -> None:
    texts(here)
    lstmlm("data", "encode", "a.txt", "--output", "store")
    for command in (["stats", "./store"], ["tokenizer", "train", "./store", "--output", "new.json"]):
        result = lstmlm("data", *command)
        assert result.exit_code == 3
        assert result.stderr == "./store: holds tokens and no text. Name the text that they are from.\n"


def test_halves_of_a_store(here: Path, lstmlm: Callable[..., Any]) -> None:
    texts(here)
    lstmlm("data", "encode", "a.txt", "--valid", "v.txt", "--output", "store")
    sets = ["--set", "data.corpus=./store", "--set", "data.batch_size=2"]
    assert lstmlm("train", "--config", "tiny.yaml", *sets).exit_code == 0
    result = lstmlm("eval", "ngram", "--split", "valid")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (
        3,
        "./store: holds tokens, which have no halves. Measure another split or text.",
    )


def test_an_interruption_tells_how_to_go_on(
    here: Path, lstmlm: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts(here)
    command = ["data", "encode", "a.txt", "--output", "store"]
    with monkeypatch.context() as patch:
        patch.setattr(token_store, "_encode_text", lambda *_: signal.raise_signal(signal.SIGINT))
        result = lstmlm(*command)
    assert (result.exit_code, result.stderr) == (
        130,
        "Interrupted. store is not finished: the same command goes on where it was.\n",
    )
    assert lstmlm(*command).exit_code == 0


def test_it_shows_how_far_it_is(
    here: Path,
    lstmlm: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    texts(here)
    module = sys.modules["lstmlm.cli.data.encode"]
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0)
    caplog.set_level("INFO")
    result = lstmlm("data", "encode", "a.txt", "--output", "store")
    assert caplog.messages == ["The tokenizer word is learnt."]
    assert f"train: 0 MB read, {60 * 7} tokens\n" in result.stderr

    monkeypatch.setattr("lstmlm.cli.render.is_live", lambda: True)
    # rich takes what is not a terminal for one, and a dumb terminal for none
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    with module.working("train: ") as tell:
        tell("3 MB read, 70 tokens")
    assert "train: 3 MB read, 70 tokens" in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err)
