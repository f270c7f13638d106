"""A user's mistake is one clear line on stderr and an exit status, and loses nothing."""

import ast
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from run_facts import flip_last_byte

Cli = Callable[..., Any]

PACKAGE = Path(__file__).parent.parent.parent / "lstmlm"

TRAIN = ("train", "--config", "tiny.yaml")


def fails(result: Any, status: int) -> str:
    """Check the exit status and that nothing but the message was said; return the message."""
    assert result.exit_code == status, (result.stderr, result.exception)
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    message: str = result.stderr.rstrip("\n")
    return message


def corpus(folder: Path, **texts: str) -> str:
    (folder / "corpus").mkdir()
    for split, text in texts.items():
        (folder / "corpus" / f"{split}.txt").write_text(text, "utf-8")
    return "data.corpus=corpus/"


def test_a_missing_configuration(here: Path, lstmlm: Cli) -> None:
    message = fails(lstmlm("train", "--config", "other.yaml"), 2)
    assert message.startswith("other.yaml: ")


def test_an_unknown_key_with_its_line(here: Path, lstmlm: Cli) -> None:
    (here / "x.yaml").write_text(
        "data: {corpus: ./corpus}\nmodel:\n  backbone:\n    hiden_size: 5\ntraining: {n_steps: 1}\n", "utf-8"
    )
    message = fails(lstmlm("train", "--config", "x.yaml"), 2)
    assert message == "x.yaml:4: model.backbone.hiden_size: unknown key. Did you mean 'hidden_size'?"


def test_a_duplicate_key(here: Path, lstmlm: Cli) -> None:
    (here / "x.yaml").write_text("seed: 1\ndata: {corpus: ./corpus}\nseed: 2\ntraining: {n_steps: 1}\n", "utf-8")
    message = fails(lstmlm("config", "check", "x.yaml"), 2)
    assert message.startswith("x.yaml:3: seed: ")
    assert "line 1" in message


def test_a_wrong_type(here: Path, lstmlm: Cli) -> None:
    message = fails(lstmlm(*TRAIN, "--set", "training.n_steps=many"), 2)
    assert message == "--set training.n_steps=many: training.n_steps: expected a whole number, got 'many'."


def test_contradictory_options(here: Path, lstmlm: Cli) -> None:
    message = fails(lstmlm(*TRAIN, "--set", "model.embedding_size=200"), 2)
    assert "needs the last layer as wide as the embedding, got 12 and 200." in message
    assert "set tie_weights: false." in message


def test_an_unknown_corpus(here: Path, lstmlm: Cli) -> None:
    message = fails(lstmlm(*TRAIN, "--set", "data.corpus=python-doc"), 2)
    assert "unknown corpus 'python-doc'. Did you mean 'python-docs'?" in message


def test_a_missing_corpus(here: Path, lstmlm: Cli) -> None:
    message = fails(lstmlm(*TRAIN, "--set", "data.corpus=data/nothing"), 3)
    assert message.startswith("data/nothing: no such file or folder.")
    assert not (here / "runs").exists()


def test_an_empty_text(here: Path, lstmlm: Cli) -> None:
    message = fails(lstmlm(*TRAIN, "--set", corpus(here, train="")), 3)
    assert message.startswith("corpus/train.txt: is empty")


def test_a_text_that_is_not_utf8(here: Path, lstmlm: Cli) -> None:
    choice = corpus(here)
    (here / "corpus" / "train.txt").write_bytes(b"one line\n" * 30 + b"caf\xe9\n")
    message = fails(lstmlm(*TRAIN, "--set", choice), 3)
    wanted = (
        "corpus/train.txt: not UTF-8 (byte 0xE9 at offset 273, line 31). "
        "It may be windows-1252, which reads 'café'. If that is right, give data.encoding or --encoding windows-1252, "
        "or, where other files are UTF-8, convert it: "
        "iconv -f windows-1252 -t utf-8 corpus/train.txt > corpus/train.utf8.txt"
    )
    assert message == wanted


def test_a_text_too_short_for_the_batch(here: Path, lstmlm: Cli) -> None:
    message = fails(lstmlm(*TRAIN, "--set", corpus(here, train="a b c\n")), 3)
    wanted = (
        "corpus/train.txt: 4 tokens, but batch_size 4 × (bptt 7 + 1) needs 32. "
        "Lower data.bptt to 3 and data.batch_size to 1, or take a longer text."
    )
    assert message == wanted
    assert not (here / "runs").exists()


def test_a_run_directory_that_exists(trained: Path, lstmlm: Cli) -> None:
    message = fails(lstmlm(*TRAIN), 4)
    assert message == "runs/tiny: already holds 6 steps. Use --resume to continue it, or another --run-dir."


@pytest.mark.parametrize(
    ("command", "is_named"),
    [(["eval", "perplexity"], True), (["generate", "a"], False), (["data", "list"], False)],
)
def test_an_argument_too_many(command: list[str], is_named: bool, lstmlm: Cli) -> None:
    result = lstmlm(*command, "runs/a", "--json")
    advice = ". A run is named with --run." if is_named else ""
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["message"] == f"Got unexpected extra argument(s) (runs/a){advice}"


@pytest.mark.parametrize("command", [["generate", "x"], ["eval", "perplexity"]])
def test_a_run_that_does_not_exist(command: list[str], here: Path, lstmlm: Cli) -> None:
    message = fails(lstmlm(*command, "--run", "runs/none"), 4)
    assert message == "runs/none: no such run. Train one: lstmlm train --config quickstart --run-dir runs/none"
    message = fails(lstmlm(*command), 4)
    assert message.startswith("runs: holds no trained run.")


@pytest.mark.parametrize("command", [["generate", "x", "--run"], ["runs", "list"]])
def test_what_the_system_refuses(command: list[str], here: Path, lstmlm: Cli) -> None:
    """A name that is too long stands for what only others may read, too: a test may be allowed everything."""
    name = "x" * 300
    message = fails(lstmlm(*command, name), 4)
    assert message.startswith(name)
    assert message.endswith(": cannot be used (File name too long). Choose a shorter name.")


def test_a_damaged_byte(trained: Path, lstmlm: Cli) -> None:
    path = trained / "runs" / "tiny" / "checkpoints" / "00000006" / "model.safetensors"
    flip_last_byte(path)
    message = fails(lstmlm("eval", "perplexity"), 4)
    assert message.startswith("runs/tiny/checkpoints/00000006/model.safetensors: is damaged")


def test_a_tokenizer_of_another_run(trained: Path, lstmlm: Cli) -> None:
    path = trained / "runs" / "tiny" / "tokenizer.json"
    path.write_text(path.read_text("utf-8").replace("farmer", "former"), "utf-8")
    message = fails(lstmlm("generate", "The"), 4)
    assert message.startswith("runs/tiny/tokenizer.json: ")


def test_an_unknown_split(trained: Path, lstmlm: Cli) -> None:
    message = fails(lstmlm("eval", "perplexity", "--split", "tset"), 2)
    assert message == "--split: unknown split 'tset'. Choose one of: train, valid, test."


def test_split_and_text_together(trained: Path, lstmlm: Cli) -> None:
    message = fails(lstmlm("eval", "perplexity", "--split", "test", "--text", "x.txt"), 2)
    assert message == "--text: cannot be combined with --split test. Give one of them."


@pytest.mark.parametrize(
    ("option", "value"), [("--temperature", "-1"), ("--top-k", "0"), ("--top-p", "0"), ("--max-tokens", "-1")]
)
def test_sampling_options_out_of_range(option: str, value: str, trained: Path, lstmlm: Cli) -> None:
    message = fails(lstmlm("generate", "The", option, value), 2)
    assert message.startswith(f"{option}: needs a ")


def test_divergence(here: Path, lstmlm: Cli) -> None:
    sets = ["optimizer={name: sgd, learning_rate: 1.0e+6, clip_norm: null}", "training.n_steps=50"]
    message = fails(lstmlm(*TRAIN, "--set", sets[0], "--set", sets[1]), 2).splitlines()[-1]
    assert "optimizer.learning_rate" in message
    assert "set clip_norm." in message


def test_a_damaged_checkpoint_is_replaced_by_the_one_before(here: Path, lstmlm: Cli) -> None:
    train = (*TRAIN, "--set", "training.save_every=2")
    assert lstmlm(*train).exit_code == 0
    path = here / "runs" / "tiny" / "checkpoints" / "00000006" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    resumed = lstmlm(*train, "--resume")
    assert resumed.exit_code == 0
    assert lstmlm("eval", "perplexity").exit_code == 0
    assert path.stat().st_size > 0
    assert path.parent.with_name("00000006.damaged").is_dir()


@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_train_and_valid_of_the_same_text_are_warned_of(quiet: list[str], here: Path, lstmlm: Cli) -> None:
    text = "a b c d\n" * 100
    said = lstmlm(*TRAIN, *quiet, "--set", corpus(here, train=text, valid=text)).stderr
    assert "warning: data.corpus: train and valid are the same text, so valid perplexity tells nothing of other" in said


def test_paths_of_the_home_folder_and_of_variables(here: Path, lstmlm: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(here))
    monkeypatch.setenv("USERPROFILE", str(here))
    monkeypatch.setenv("SCRATCH", "scratch")
    monkeypatch.delenv("NOWHERE", raising=False)
    (here / "scratch").mkdir()
    (here / "scratch" / "own.txt").write_text("the farmer walks\n" * 200, "utf-8")
    corpus = ["--set", "data.corpus=~/${SCRATCH}/own.txt"]
    result = lstmlm("train", "--config", "~/tiny.yaml", *corpus, "--run-dir", "~/runs/a")
    assert (result.exit_code, [path.name for path in here.iterdir() if path.name == "~"]) == (0, [])
    assert f"corpus: {here}/scratch/own.txt\n" in (here / "runs" / "a" / "config.yaml").read_text("utf-8")
    for arguments in (
        ["eval", "perplexity", "--run=~/runs/a", "--text", "./${SCRATCH}/own.txt"],
        ["eval", "surprisal", "~/${SCRATCH}/own.txt", "--run", "runs/a", "--output=~/${SCRATCH}/own.tsv"],
        ["data", "check", "~/${SCRATCH}/own.txt"],
        ["data", "tokenizer", "train", "~/${SCRATCH}/own.txt", "--output", "~/${SCRATCH}/bpe.json"],
        ["data", "tokenizer", "show", "~/${SCRATCH}/bpe.json"],
        ["runs", "list", "~/runs/*"],
        ["runs", "show", "~/runs/a"],
        ["runs", "compare", "~/runs/a", "--quick"],
        ["watch", "~/runs/a"],
        ["report", "~/runs/a", "--quick", "--output", "~/${SCRATCH}/report.html"],
        ["runs", "prune", "~/runs/a", "--state", "damaged", "--yes"],
    ):
        assert lstmlm(*arguments).exit_code == 0, arguments
    assert {path.name for path in (here / "scratch").iterdir()} == {"own.txt", "own.tsv", "bpe.json", "report.html"}
    message = (
        "'${NOWHERE}/x/y.txt' needs the environment variable NOWHERE, which is not set. Set it: export NOWHERE=FOLDER\n"
    )
    result = lstmlm("eval", "perplexity", "--run", "runs/a", "--text", "${NOWHERE}/x/y.txt")
    assert (result.exit_code, result.stderr) == (2, message)
    result = lstmlm("train", "--config", "tiny.yaml", "--set", "data.corpus=${NOWHERE}/x/y.txt")
    assert (result.exit_code, result.stderr) == (2, f"--set data.corpus=${{NOWHERE}}/x/y.txt: data.corpus: {message}")


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["eval", "surprisal", "own.txt"], "--output"),
        (["eval", "pairs", "pairs.tsv"], "--items"),
        (["eval", "perplexity", "--text", "own.txt"], "--save-logprobs"),
        (["eval", "rescore", "own.txt"], "--output"),
        (["inspect", "gates", "the farmer"], "--plot"),
        (["data", "tokenizer", "train", "./own.txt"], "--output"),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_work(
    arguments: list[str], option: str, here: Path, lstmlm: Cli
) -> None:
    (here / "a b.svg").mkdir()
    result = lstmlm(*arguments, option, "my figures/none/x.svg")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "my figures/none/x.svg: cannot be written, as there is no folder my figures/none. "
        "Make it: mkdir -p 'my figures/none'\n"
    )
    if arguments[1] != "rescore":
        result = lstmlm(*arguments, option, "a b.svg")
        assert (result.exit_code, result.stderr) == (2, "a b.svg: is a folder. Name a file in it.\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["eval", "surprisal", "own.txt", "--output"],
        ["eval", "pairs", "own.txt", "--items"],
        ["eval", "perplexity", "--text", "own.txt", "--save-logprobs"],
        ["eval", "rescore", "lists.txt", "--tune", "own.txt", "--output"],
        ["data", "tokenizer", "train", "./own.txt", "--output"],
    ],
)
def test_what_is_read_is_not_written_over(arguments: list[str], here: Path, lstmlm: Cli) -> None:
    (here / "own.txt").write_text("the farmer walks\n", "utf-8")
    result = lstmlm(*arguments, "./own.txt")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "own.txt: is what the command reads. Name another file to write.\n"
    assert (here / "own.txt").read_text("utf-8") == "the farmer walks\n"


A_COMMAND = re.compile(r": (lstmlm|iconv|pip|mkdir|gzip|export|torchrun|--set|--text) [^.]*(\.\w[^.]*)*\.$")


def texts_of(path: Path) -> Iterator[str]:
    """The strings of a module, with x for what is put in."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def test_no_full_stop_is_glued_to_a_command() -> None:
    assert A_COMMAND.search("is missing. Fetch it: lstmlm data get x.")
    texts = [(path.name, text) for path in PACKAGE.rglob("*.py") for text in texts_of(path)]
    assert [found for found in texts if A_COMMAND.search(found[1])] == []
