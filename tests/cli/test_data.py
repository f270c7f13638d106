"""`lstmlm data`: what it prints, as tables and as JSON, and how it ends."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]

PROJECT = Path(__file__).parent.parent.parent
TINY = str(PROJECT / "data" / "tiny")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSTMLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def test_list(lstmlm: Cli) -> None:
    result = lstmlm("data", "list")
    header, *rows = result.stdout.splitlines()
    assert header.split() == "corpus licence download_bytes train_tokens unit verified where".split()
    assert [row.split()[0] for row in rows] == [
        *("python-docs", "tinyshakespeare", "ptb", "wikitext-2", "wikitext-103", "text8", "enwik8"),
    ]
    wikitext = next(row for row in rows if row.startswith("wikitext-2 "))
    assert wikitext.split("  ")[-1] == "lstmlm data get wikitext-2"
    assert "4,475,746     2,088,628  word  splits " in wikitext
    assert max(map(len, rows)) <= 120


def test_list_where_corpora_are(lstmlm: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lstmlm.corpus.named import DATASETS

    monkeypatch.setenv("HOME", str(tmp_path))
    text = DATASETS["text8"]
    for split, expected in text.splits.items():
        text.file(split).parent.mkdir(parents=True, exist_ok=True)
        with text.file(split).open("wb") as file:
            file.truncate(expected.n_bytes)
    [row] = [row for row in lstmlm("data", "list").stdout.splitlines() if row.startswith("text8 ")]
    assert row.split()[-1] == "~/cache/corpora/text8"


def test_list_as_json(lstmlm: Cli) -> None:
    corpora = {corpus["name"]: corpus for corpus in json.loads(lstmlm("data", "list", "--json").stdout)["corpora"]}
    text8 = corpora["text8"]
    assert text8["verified"] == "download"
    assert text8["splits"]["valid"] == {"n_tokens": 5_000_000, "n_bytes": 5_000_000, "sha256": None}
    assert (text8["is_there"], text8["place"]) == (False, str(Path("cache/corpora/text8").absolute()))
    assert corpora["python-docs"]["is_there"]
    assert corpora["ptb"]["addresses"] == []


def test_get_shows_the_licence_first(lstmlm: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from lstmlm.corpus.named import DATASETS, preparation
    from lstmlm.corpus.named.dataset import FileDataset
    from lstmlm.corpus.named.download import Download

    shakespeare = DATASETS["tinyshakespeare"]
    assert isinstance(shakespeare, FileDataset)
    assert shakespeare.download is not None

    def fetch(*_: object) -> None:
        raise AssertionError("fetched again")

    def prepare(dataset: FileDataset, download: Download, progress: Callable[[int], None]) -> None:
        dataset.place.mkdir(parents=True)
        for split, expected in dataset.splits.items():
            dataset.file(split).write_bytes(bytes(expected.n_bytes or 0))
        progress(download.n_bytes)

    monkeypatch.setattr(preparation, "_fetch_and_prepare", prepare)
    first = lstmlm("data", "get", "tinyshakespeare")
    assert first.stderr.splitlines() == [
        "tinyshakespeare: licence public domain",
        f"tinyshakespeare: 1.1 MB from {shakespeare.download.addresses[0]}",
    ]
    assert first.stdout == f"{shakespeare.place}\n"
    monkeypatch.setattr(preparation, "_fetch_and_prepare", fetch)
    second = lstmlm("data", "get", "tinyshakespeare")
    assert (second.stdout, second.stderr) == (first.stdout, "tinyshakespeare: licence public domain\n")


def test_get_shows_how_much_has_come(
    lstmlm: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from lstmlm.cli.data.get import _download_display
    from lstmlm.corpus.named import DATASETS

    monkeypatch.setattr(sys.modules["lstmlm.cli.data.get"], "is_live", lambda: True)
    # rich takes what is not a terminal for one, and a dumb terminal for none
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    with _download_display(DATASETS["text8"]) as progress:
        progress(31_344_016 // 2)
    shown = capsys.readouterr().err
    assert shown.startswith("text8: 31.3 MB from https://mattmahoney.net/dc/text8.zip\n")
    assert "15.7/31.3 MB" in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)


def test_get_what_is_always_there(lstmlm: Cli) -> None:
    assert lstmlm("data", "get", "python-docs").stdout == "nothing to do: read from your Python\n"


def test_get_what_is_never_fetched(lstmlm: Cli) -> None:
    result = lstmlm("data", "get", "ptb")
    assert result.exit_code == 3
    assert result.stderr.splitlines()[-1] == (
        "ptb: train.txt, valid.txt, test.txt not in data/ptb as published. "
        "The Linguistic Data Consortium licenses it, so that it is never fetched. "
        "Put your own copy there, below the working directory."
    )


def test_get_what_there_is_not(lstmlm: Cli) -> None:
    result = lstmlm("data", "get", "wikitex-2")
    assert result.exit_code == 2
    assert result.stderr.startswith(
        "NAME: unknown corpus 'wikitex-2'. Did you mean 'wikitext-2'? Choose one of: python-docs,"
    )


def test_stats(lstmlm: Cli) -> None:
    result = lstmlm("data", "stats", TINY)
    sizes, vocabulary, frequent = (part.splitlines() for part in result.stdout.split("\n\n"))
    assert sizes[0].split()[:7] == "text n_lines n_words n_types n_chars n_bytes n_tokens".split()
    assert (
        [row.split()[0] for row in sizes[1:]]
        == [row.split()[0] for row in vocabulary[1:]]
        == [
            *("train", "valid", "test"),
        ]
    )
    assert frequent[0] == "most frequent in train"
    assert frequent[2].split()[:2] == ["the", "425"]


def test_stats_as_json_are_the_same(lstmlm: Cli) -> None:
    train, *_ = json.loads(lstmlm("data", "stats", TINY, "--json").stdout)["texts"]
    text = Path(TINY, "train.txt").read_text("utf-8")
    assert train["text"] == "train"
    assert (train["n_words"], train["n_types"]) == (len(text.split()), len(set(text.split())))
    assert (train["n_chars"], train["n_tokens"]) == (len(text), len(text.split()) + text.count("\n"))
    assert train["most_frequent"][0] == {"word": "the", "count": 425, "share": 425 / len(text.split())}


def test_stats_of_a_text_without_words(lstmlm: Cli) -> None:
    Path("blank.txt").write_text("\n\n \n", "utf-8")
    result = lstmlm("data", "stats", "blank.txt")
    assert result.exit_code == 0
    assert "most frequent" not in result.stdout
    assert result.stdout.splitlines()[1].split()[:4] == ["blank.txt", "3", "0", "0"]


def test_stats_of_files_are_those_of_each(lstmlm: Cli) -> None:
    files = [f"{TINY}/valid.txt", f"{TINY}/test.txt"]
    texts = json.loads(lstmlm("data", "stats", *files, "--json").stdout)["texts"]
    assert [text["text"] for text in texts] == files


def test_check(lstmlm: Cli) -> None:
    result = lstmlm("data", "check", TINY)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == f"✔ {TINY}/train.txt: encoding: no odd characters."
    assert [line.split(": ")[1] for line in lines if line[0] == "⚠"] == ["tokenisation", "training"]


def test_check_ends_with_3_where_something_is_wrong_and_says_the_rest(lstmlm: Cli, tmp_path: Path) -> None:
    for split, content in {"train": b"caf\xe9\n", "valid": b"a b c\n"}.items():
        (tmp_path / f"{split}.txt").write_bytes(content)
    result = lstmlm("data", "check", "./")
    assert result.exit_code == 3
    assert result.stdout.splitlines()[0] == (
        "✘ train.txt: reading: not UTF-8 (byte 0xE9 at offset 3, line 1). "
        "It may be windows-1252, which reads 'café'. If that is right, give data.encoding or --encoding windows-1252, "
        "or, where other files are UTF-8, convert it: iconv -f windows-1252 -t utf-8 train.txt > train.utf8.txt"
    )
    assert "✔ valid.txt: encoding: no odd characters." in result.stdout
    as_json = lstmlm("data", "check", "./", "--json")
    assert as_json.exit_code == 3
    assert json.loads(as_json.stdout)["findings"][0]["level"] == "error"


TEXTS = {
    "genome.txt": ">chromosome 1\n" + "ACGTTGCAACGGTTAACCGG\n" * 40,
    "line.txt": "ACGTTGCA" * 200,
    "words.txt": " ".join(f"word{n * n % 37}" for n in range(400)),
    "poem.txt": "an old boat drifts\nand no one calls it home\n" * 6,
    "names.txt": "".join(f"name{n}\n" for n in range(80)),
    "records.jsonl": "".join(json.dumps({"body": f"record {n}\nof two lines"}) + "\n" for n in range(60)),
    "bad.jsonl": '{"body": "a"}\n{"body": null}\n',
}


@pytest.mark.parametrize("eos", ["line", "never", "document"])
@pytest.mark.parametrize("tokenizer", ["word", "char", "bpe"])
def test_check_refuses_what_training_refuses_and_nothing_else(
    tokenizer: str, eos: str, lstmlm: Cli, here: Path
) -> None:
    # Plain texts have no documents, whatever is in them: one will do.
    names = TEXTS if eos != "document" else ("poem.txt", "records.jsonl", "bad.jsonl")
    for name in names:
        (here / name).write_text(TEXTS[name], "utf-8")
        field = ["--set", "data.field=body"] if name.endswith("jsonl") else []
        options = ["--set", f"data.tokenizer.name={tokenizer}", "--set", f"data.eos={eos}", *field]
        checked = lstmlm("data", "check", name, "--config", "tiny.yaml", *options)
        given = ["--set", f"data.corpus=./{name}", "--set", "training.n_steps=1", *options]
        trained = lstmlm("train", "--config", "tiny.yaml", "--run-dir", f"run-{name}", *given)
        assert checked.exit_code == trained.exit_code, (name, checked.stdout, trained.stderr)
        assert (checked.exit_code == 3) == ("✘" in checked.stdout)


def test_check_of_the_corpus_of_a_configuration(lstmlm: Cli, here: Path) -> None:
    result = lstmlm("data", "check", "--config", "tiny.yaml")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == f"✔ {TINY}/train.txt: encoding: no odd characters."
    refused = lstmlm("data", "check", "--config", "tiny.yaml", "--set", "data.batch_size=4000")
    assert refused.exit_code == 3
    assert refused.stdout.splitlines()[-1].startswith(f"✘ {TINY}: training: {TINY}/train.txt: 3350 tokens, but batch")
    missing = lstmlm("data", "check")
    assert missing.exit_code == 2
    assert missing.stderr == ("CORPUS: is missing. Name a corpus, or a configuration that does: --config CONFIG\n")


def test_check_says_how_to_get_the_corpus_of_a_configuration(lstmlm: Cli, here: Path) -> None:
    result = lstmlm("data", "check", "--config", "ptb-lstm-small")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "Put your own copy into data/ptb, below the working directory: train.txt" in result.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["data", "check", "./closed/a.txt"],
        ["data", "check", "./closed/a.txt", "b.txt"],
        ["data", "stats", "./closed/a.txt"],
        ["data", "encode", "./closed/a.txt", "--output", "store"],
        ["train", "--config", "tiny.yaml", "--set", "data.corpus=./closed/a.txt"],
    ],
)
def test_a_folder_that_may_not_be_entered(
    command: list[str], lstmlm: Cli, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("closed").mkdir()
    for name in ("closed/a.txt", "b.txt"):
        Path(name).write_text("a line\n" * 99, "utf-8")
    stat = Path.stat

    def refusing(path: Path, **given: Any) -> Any:
        if "closed" in path.parts:
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, **given)

    monkeypatch.setattr(Path, "stat", refusing)
    result = lstmlm(*command)
    assert result.exit_code == 3
    assert "closed/a.txt: cannot be read (Permission denied). Check its permissions." in result.stdout + result.stderr


def test_check_takes_the_place_of_train_in_saying_what_does_not_suit(lstmlm: Cli, here: Path) -> None:
    cutoffs = ["--set", "model.output={name: adaptive, cutoffs: [100000]}"]
    result = lstmlm("data", "check", "--config", "tiny.yaml", *cutoffs)
    assert result.exit_code == 3
    assert "✘" in result.stdout.splitlines()[-1]
    assert "model.output.cutoffs: 100000 leaves nothing for the last cluster" in result.stdout


def test_check_and_train_warn_where_most_is_unknown(lstmlm: Cli, here: Path) -> None:
    (here / "names.txt").write_text(TEXTS["names.txt"], "utf-8")
    warning = (
        "data.tokenizer: 50% of names.txt (valid), 50% of names.txt (test) is unknown, so that figures say little. "
    )
    assert f"⚠ names.txt: training: {warning}" in lstmlm("data", "check", "names.txt", "--config", "tiny.yaml").stdout
    trained = lstmlm("train", "--config", "tiny.yaml", "--run-dir", "run", "--set", "data.corpus=./names.txt")
    assert f"warning: {warning}" in trained.stderr


def test_stats_of_records_by_the_field_that_holds_their_text(lstmlm: Cli, here: Path) -> None:
    (here / "records.jsonl").write_text(TEXTS["records.jsonl"], "utf-8")
    [text] = json.loads(lstmlm("data", "stats", "records.jsonl", "--set", "data.field=body", "--json").stdout)["texts"]
    assert (text["n_lines"], text["n_words"]) == (120, 300)


def test_a_corpus_that_is_not_there(lstmlm: Cli) -> None:
    for command in ("check", "stats"):
        result = lstmlm("data", command, "text8")
        assert (result.exit_code, result.stdout) == (3, "")
        assert result.stderr == "text8: is not on this machine. Fetch it: lstmlm data get text8\n"


def test_a_name_that_looks_like_a_file_is_missed_as_one(lstmlm: Cli) -> None:
    for command in ("check", "stats"):
        result = lstmlm("data", command, "nosuch.txt")
        assert (result.exit_code, result.stderr) == (
            3,
            "nosuch.txt: no such file or corpus. Check the path; "
            "lstmlm data list shows the corpora that have a name.\n",
        )
        assert "A path has a slash: ./*.txt" in lstmlm("data", command, "*.txt").stderr


def test_a_folder_that_cannot_be_cut_is_counted_as_a_whole(lstmlm: Cli, here: Path) -> None:
    Path("books").mkdir()
    Path("books/line.txt").write_text("one line of six words .", "utf-8")
    [text] = json.loads(lstmlm("data", "stats", "./books", "--json").stdout)["texts"]
    assert (text["text"], text["n_words"]) == ("books", 6)


def test_what_keeps_words_out_of_the_vocabulary_is_named(lstmlm: Cli, here: Path) -> None:
    cut = ["--set", "data.tokenizer.max_vocab=20", "--set", "data.tokenizer.min_count=2"]
    checked = lstmlm("data", "check", TINY, "--config", "tiny.yaml", *cut).stdout
    assert f"are <unk>: not in the vocabulary of {TINY}/train.txt (max_vocab: 20, min_count: 2)." in checked
    whole = lstmlm("data", "check", TINY, "--config", "tiny.yaml").stdout
    assert f"are <unk>: not in the vocabulary of {TINY}/train.txt." in whole


def test_control_codes_of_a_corpus_do_not_reach_the_terminal(lstmlm: Cli, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("\x1b[31mred\x1b[0m text\n" * 30, "utf-8")
    assert "\x1b" not in lstmlm("data", "stats", "x.txt").stdout
