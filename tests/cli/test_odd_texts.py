"""What becomes of corpora and prompts that nobody would write: a result, or one sentence and an exit status."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]

WORDS = b"one two three four five six seven eight nine ten\n" * 8
TRAIN = ("train", "--config", "tiny.yaml", "--set", "data.corpus=./corpus", "--set", "training.n_steps=2")

READ = {
    "no newline at the end": WORDS.rstrip(),
    "CRLF": WORDS.replace(b"\n", b"\r\n"),
    "CR": WORDS.replace(b"\n", b"\r"),
    "byte-order mark": b"\xef\xbb\xbf" + WORDS,
    "NUL": WORDS.replace(b" ", b" \x00 "),
    "U+2028 and U+0085": WORDS.replace(b" ", "\u2028 \x85".encode()),
    "blank lines alone": b"\n" * 100,
    "one long line": WORDS.replace(b"\n", b" ") * 5,
    "escape sequences and markup": WORDS.replace(b"two", b"\x1b]0;title\x07 [bold] [/x] \xe2\x80\xae"),
    "private and unassigned characters": WORDS.replace(b"two", "\ue000\U000e0001\U0010ffff".encode()),
}
REFUSED = {
    "nothing": (b"", "corpus/train.txt: is empty. Put text into it, a sentence or paragraph a line."),
    "a byte-order mark alone": (
        b"\xef\xbb\xbf",
        "corpus/train.txt: is empty. Put text into it, a sentence or paragraph a line.",
    ),
    "one byte": (
        b"a",
        "corpus/train.txt: {} tokens, but batch_size 4 × (bptt 7 + 1) needs 32. {}",
    ),
    "latin1": (
        b"caf\xe9\n",
        "corpus/train.txt: not UTF-8 (byte 0xE9 at offset 3, line 1). "
        "It may be windows-1252, which reads 'café'. If that is right, give data.encoding or --encoding windows-1252, "
        "or, where other files are UTF-8, convert it: "
        "iconv -f windows-1252 -t utf-8 corpus/train.txt > corpus/train.utf8.txt",
    ),
    "half a surrogate pair": (
        b"a\xed\xa0\x80\n",
        "corpus/train.txt: not UTF-8 (byte 0xED at offset 1, line 1). "
        "It may be mac-cyrillic, which reads 'aн†А'. If that is right, give data.encoding or --encoding mac-cyrillic, "
        "or, where other files are UTF-8, convert it: "
        "iconv -f mac-cyrillic -t utf-8 corpus/train.txt > corpus/train.utf8.txt",
    ),
    "random bytes": (
        bytes(range(256)) * 8,
        "corpus/train.txt: not UTF-8 (byte 0x80 at offset 128, line 3). "
        "It may be no text at all. Ask the program that wrote it, or, which guesses too: file -zi corpus/train.txt",
    ),
    "gzip": (
        gzip.compress(WORDS),
        "corpus/train.txt: is compressed (gzip), which its name does not say. Let it end in .gz, or unpack it.",
    ),
}


@pytest.fixture
def corpus(here: Path) -> Path:
    (here / "corpus").mkdir()
    return here / "corpus" / "train.txt"


@pytest.mark.parametrize("tokenizer", ["word", "char", "byte"])
@pytest.mark.parametrize("name", READ)
def test_is_read(name: str, tokenizer: str, corpus: Path, lstmlm: Cli) -> None:
    corpus.write_bytes(READ[name])
    trained = lstmlm(*TRAIN, "--set", f"data.tokenizer={{name: {tokenizer}}}")
    assert trained.exit_code == 0, trained.stderr
    generated = lstmlm("generate", "one", "--max-tokens", "20", "--seed", "1")
    assert generated.exit_code == 0
    report = json.loads(lstmlm("eval", "perplexity", "--split", "train", "--json").stdout)
    assert report["n_chars"] == len(READ[name].decode().removeprefix("\ufeff").replace("\r\n", "\n"))
    shown = trained.stderr.replace("\n", "")
    assert shown.isprintable()


@pytest.mark.parametrize("tokenizer", ["word", "char", "byte"])
@pytest.mark.parametrize("name", REFUSED)
def test_is_refused(name: str, tokenizer: str, corpus: Path, lstmlm: Cli) -> None:
    content, message = REFUSED[name]
    corpus.write_bytes(content)
    result = lstmlm(*TRAIN, "--set", f"data.tokenizer={{name: {tokenizer}}}")
    n_tokens, advice = 1, "Take a longer text."
    if tokenizer == "word":
        n_tokens, advice = 2, "Lower data.bptt to 1 and data.batch_size to 1, or take a longer text."
    assert (result.exit_code, result.stderr) == (3, message.format(n_tokens, advice) + "\n")
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (os.mkfifo, "corpus/train.txt: is a pipe, but a corpus is read more than once. Save it as a file."),
        (os.mkdir, "corpus/train.txt: is a folder, not a text file. Name a file in it."),
        (
            lambda path: path.symlink_to("/dev/zero"),
            "corpus/train.txt: is a device, which need not end. Name a text file.",
        ),
    ],
    ids=["pipe", "folder", "device"],
)
def test_what_is_no_file_is_refused(make: Callable[[Path], None], message: str, corpus: Path, lstmlm: Cli) -> None:
    make(corpus)
    result = lstmlm(*TRAIN)
    assert (result.exit_code, result.stderr) == (3, message + "\n")


def test_a_text_from_a_pipe_can_be_evaluated(trained: Path, lstmlm: Cli) -> None:
    read, write = os.pipe()
    os.write(write, b"The farmer sleeps.\n")
    os.close(write)
    report = json.loads(lstmlm("eval", "perplexity", "--json", "--text", f"/dev/fd/{read}").stdout)
    os.close(read)
    assert report["n_words"] == 3


PROMPTS = ["", " ", "\n", "\n\n", "\t", "xylophone", "\x00", "\x1b[31m[bold]", "\u2028", "a" * 100_000, "the " * 30_000]


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda prompt: repr(prompt[:20]))
def test_a_prompt_is_continued(prompt: str, trained: Path, lstmlm: Cli) -> None:
    generated = lstmlm("generate", prompt, "--max-tokens", "3", "--seed", "1")
    assert generated.exit_code == 0
    assert generated.stdout.startswith(prompt)


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (["--temperature", "0"], 0),
        (["--temperature", "1e-9"], 0),
        (["--temperature", "1e9"], 0),
        (["--temperature", "inf"], 0),
        (["--temperature", "nan"], 2),
        (["--top-k", "1000000"], 0),
        (["--top-p", "1"], 0),
        (["--top-p", "1e-9"], 0),
        (["--top-p", "nan"], 2),
        (["--max-tokens", "0"], 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_sampling_at_its_limits(options: list[str], status: int, trained: Path, lstmlm: Cli) -> None:
    generated = lstmlm(
        "generate", "The", "--seed", "1", *(["--max-tokens", "3"] if options[0] != "--max-tokens" else []), *options
    )
    assert generated.exit_code == status, generated.stderr


def test_a_locale_without_utf8_changes_nothing(tmp_path: Path) -> None:
    name = "./Bäcker.txt".encode()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes("naïve\n".encode())
    variables = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-m", "lstmlm", "data", "stats", os.fsdecode(name), "--json"]
    ended = subprocess.run(command, cwd=tmp_path, env={**os.environ, **variables}, capture_output=True, check=True)
    assert "Bäcker".encode() in ended.stdout
