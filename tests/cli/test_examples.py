"""Every example in `--help`, which is also what docs/reference/commands.md has, runs."""

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from documented import STAND_INS, Shell, furnish
from reference import all_commands, parts_of

FOUND = dict(all_commands())

BEFORE = {
    "data tokenizer compare": ["lstmlm data tokenizer train texts/books.txt --output texts/bpe.json"],
    "data tokenizer show": ["lstmlm data tokenizer train texts/books.txt --output texts/bpe.json"],
    "eval ngram": ["lstmlm export arpa texts/trained.arpa"],
    "eval combine": [
        f"lstmlm eval perplexity --run runs/{run} --split {split} --save-logprobs texts/{run}-{split}.safetensors"
        for run, split in (("a", "test"), ("b", "valid"), ("b", "test"))
    ],
    "train": ["lstmlm train --config ptb-lstm-small"],
    "import torch": ["lstmlm export torch exported.safetensors --run runs/quickstart"],
}
"""What the examples of a command need."""


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_runs: Path, tiny_benchmark: Any, no_server: None
) -> Shell:
    """Work in a folder that has what the examples read."""
    from lstmlm.corpus.named import dataset

    monkeypatch.chdir(tmp_path)
    furnish(tmp_path)
    texts = {split: (tmp_path / "data" / "tiny" / f"{split}.txt").read_text("utf-8") for split in dataset.SPLITS}
    monkeypatch.setattr(dataset, "python_docs", lambda: texts)
    return Shell(tiny_runs)


@pytest.mark.parametrize("command", FOUND)
def test_examples(command: str, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    _, examples = parts_of(FOUND[command])
    assert examples
    said = FOUND[command].help.partition("\n\nExample")[2]
    assert len(examples) == len(re.findall(r"^.*\blstmlm ", said, re.MULTILINE))
    if command in ("eval harness", "prove"):
        pytest.skip("needs a server or an extra: tests/export/test_lm_eval.py and tests/evaluation/proof/ run it")
    for line in BEFORE.get(command, []):
        shell.run(line)
    if command == "import torch":
        shutil.copy("runs/quickstart/tokenizer.json", "texts/words.json")
    if command == "data get":
        from lstmlm.corpus.named import DATASETS

        monkeypatch.setattr("lstmlm.corpus.named.preparation.get", lambda *_: None)
        monkeypatch.setattr(type(DATASETS["wikitext-2"]), "texts", lambda _: DATASETS["python-docs"].texts())
    if command == "audit":  # of a training that has some stretches
        shell = Shell(shell.runs, [*STAND_INS, "training.n_steps=6", "training.save_every=1"])
    if command == "bench":  # a restricted one is a process of its own, whose benchmark is not tiny
        monkeypatch.setattr(sys.modules["lstmlm.cli.bench"], "_bench_restricted", lambda *_: 0)
    if command == "generate":  # a session needs a terminal: tests/cli/test_writing.py holds some
        monkeypatch.setattr(sys.modules["lstmlm.cli.generate"], "_write_together", lambda *_: None)
    for line in examples:
        shell.run(line)


def test_the_first_examples_are_those_of_the_program(shell: Shell) -> None:
    import typer

    from lstmlm.cli import app

    examples = re.findall(r"^ *(lstmlm .+)$", typer.main.get_command(app).help or "", re.MULTILINE)
    assert len(examples) == 3
    for line in examples:
        shell.run(line)
