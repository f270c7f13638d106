"""`lstmlm next`: a table for people, an object for programs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]


def test_a_table_with_bars(trained: Path, lstmlm: Cli) -> None:
    result = lstmlm("next", "The farmer", "--top", "3")
    assert result.exit_code == 0
    header, *rows, last = result.stdout.splitlines()
    assert header.split() == ["word", "probability"]
    assert len(rows) == 3
    assert rows[0].endswith("█" * 24)
    assert last == "Every word of the vocabulary was considered."
    assert result.stderr == "runs/tiny\n"


def test_an_object(trained: Path, lstmlm: Cli) -> None:
    result = json.loads(lstmlm("next", "The farmer", "--json").stdout)
    assert list(result) == [
        "run",
        "prompt",
        "words",
        "n_prefixes",
        "unexplored_probability",
        "largest_missed_probability",
        "complete_probability",
    ]
    assert len(result["words"]) == 10
    probabilities = [word["probability"] for word in result["words"]]
    assert probabilities == sorted(probabilities, reverse=True)


def test_the_last_word_is_completed(trained: Path, lstmlm: Cli) -> None:
    result = lstmlm("next", "The xyzzy far", "--complete", "--json")
    words = [word["word"] for word in json.loads(result.stdout)["words"]]
    assert "farmer" in words
    assert all(word.startswith("far") for word in words)
    assert result.stderr == "runs/tiny\nwarning: the model does not know xyzzy: read as <unk>.\n"


def test_a_prompt_is_read_as_a_file_is(trained: Path, lstmlm: Cli) -> None:
    typed = lstmlm("next", "\ufeffThe farmer\r\nThe\r", "--json")
    assert typed.stdout == lstmlm("next", "The farmer\nThe\n", "--json").stdout
    assert typed.stderr == "runs/tiny\n"
    generated, plain = (lstmlm("generate", text, "--seed", "1", "--json").stdout for text in ("\ufeffThe\r\n", "The\n"))
    assert generated == plain
    gates, plain = (lstmlm("inspect", "gates", text, "--json").stdout for text in ("\ufeffThe\r\n", "The\n"))
    assert gates == plain


def test_no_word_begins_so(trained: Path, lstmlm: Cli) -> None:
    result = lstmlm("next", "The xq", "--complete")
    wanted = "No word that the model knows begins so. Capitals and accents count.\n"
    assert (result.exit_code, result.stdout) == (0, wanted)


def test_nothing_to_complete(trained: Path, lstmlm: Cli) -> None:
    result = lstmlm("next", "The ", "--complete")
    assert (result.exit_code, result.stdout) == (2, "")
    message = "--complete: needs a word that is begun, got 'The '. Begin one, or leave it out."
    assert result.stderr.splitlines()[-1] == message


@pytest.mark.parametrize("tokenizer", ["{name: char}", "{name: byte}"])
def test_words_of_many_tokens_come_with_a_bound(tokenizer: str, add_run: Callable[..., None], lstmlm: Cli) -> None:
    add_run("runs/tiny", f"data.tokenizer={tokenizer}", "training.n_steps=60")
    shown = lstmlm("next", "The farmer", "--top", "2").stdout
    assert "beginnings of words were read. Any other word has a probability of at most " in shown
    # Whether a farm goes on is not certain.
    likely = json.loads(lstmlm("next", "The f", "--json").stdout)["complete_probability"] >= 0.5
    assert ("The last word goes on with probability" in lstmlm("next", "The f").stdout) == (not likely)
    assert lstmlm("next", "The farm", "--complete", "--top", "2").stdout.count("farm") == 2
