"""Texts and prompts from standard input: they give what a file or an argument gives."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TEXT = "The farmer sleeps.\nThe cat watches the moon.\n"

Feed = Callable[..., Any]


@pytest.fixture
def feed() -> Feed:
    """Return a function that runs `lstmlm` with a standard input and the given arguments."""
    from typer.testing import CliRunner

    from lstmlm.cli import app

    return lambda content, *arguments: CliRunner().invoke(app, arguments, input=content)


@pytest.mark.parametrize(
    "command",
    [
        ["eval", "perplexity", "--json", "--text"],
        ["eval", "ngram", "--order", "2", "--json", "--text"],
        ["eval", "adaptation", "ngram", "--json", "--text"],
        ["eval", "compare", "runs/tiny", "runs/tiny", "--json", "--text"],
        ["inspect", "gradients", "--max-lag", "3", "--json", "--text"],
        ["eval", "surprisal"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_a_text_gives_what_its_file_gives(command: list[str], trained: Path, feed: Feed) -> None:
    Path("text.txt").write_text(TEXT, "utf-8")
    from_file, from_input = feed(None, *command, "text.txt"), feed(TEXT, *command, "-")
    assert (from_file.exit_code, from_input.exit_code) == (0, 0), from_input.output
    assert without_seconds(from_input.stdout) == without_seconds(from_file.stdout.replace("text.txt", "standard input"))


def without_seconds(output: str) -> Any:
    try:
        report = json.loads(output)
    except json.JSONDecodeError:
        return output
    if isinstance(report, dict):
        report.pop("seconds", None)
    return report


def test_a_prompt_is_read_without_the_newline_at_its_end(trained: Path, feed: Feed) -> None:
    options = ("--max-tokens", "3", "--seed", "1")
    assert feed("The farmer\n", "generate", "-", *options).stdout == feed("", "generate", "The farmer", *options).stdout


def test_an_empty_input(trained: Path, feed: Feed) -> None:
    result = feed("", "eval", "perplexity", "--text", "-")
    message = "standard input: is empty. Put text into it, a sentence or paragraph a line."
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.splitlines()[-1] == message
    options = ("--max-tokens", "3", "--seed", "1")
    assert feed("", "generate", "-", *options).stdout == feed(None, "generate", "", *options).stdout != ""


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ("item,word\n1,The\n1,cat\n", []),
        ("item,word\n1,The\n1,cat\n", ["--format", "csv"]),
        ('{"text": "The cat"}\n', []),
    ],
)
def test_a_table_is_one_there_too(content: str, options: list[str], trained: Path, feed: Feed) -> None:
    result = feed(content, "eval", "surprisal", "-", "--jsonl", *options)
    assert [json.loads(line)["word"] for line in result.stdout.splitlines()] == ["The", "cat", "<eos>"]
