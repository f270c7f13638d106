"""`lstmlm generate` beyond one prompt: temperatures, prompts of a file, JSON lines, what the training text has."""

import json
from collections.abc import Callable
from math import log
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]
BRIEFLY = ("--max-tokens", "6", "--seed", "1")


def records(result: Any) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_every_prompt_is_continued_at_every_temperature(trained: Path, lstmlm: Cli) -> None:
    Path("prompts.txt").write_text("The farmer\n\n  \nThe cat\n", "utf-8")
    found = records(
        lstmlm(
            "generate",
            "--prompts",
            "prompts.txt",
            "--temperature",
            "0",
            "--temperature",
            "1",
            "-n",
            "2",
            "--json",
            *BRIEFLY,
        )
    )
    assert [(each["prompt"], each["temperature"], each["seed"]) for each in found] == [
        (prompt, temperature, seed) for prompt in ("The farmer", "The cat") for temperature in (0, 1) for seed in (1, 2)
    ]
    for each in found:
        alone = lstmlm(
            "generate",
            each["prompt"],
            "--temperature",
            str(each["temperature"]),
            "--max-tokens",
            "6",
            "--seed",
            str(each["seed"]),
        )
        assert alone.stdout == f"{each['prompt']}{each['text']}\n"


def test_temperatures_have_headings_for_people(trained: Path, lstmlm: Cli) -> None:
    one, both = lstmlm("generate", "The", *BRIEFLY).stdout, ("--temperature", "1", "--temperature", "0.5")
    text = lstmlm("generate", "The", *both, *BRIEFLY).stdout
    assert text.startswith(f"temperature 1:\n{one}\ntemperature 0.5:\nThe")


def test_log_probabilities_are_those_of_the_tokens(trained: Path, lstmlm: Cli) -> None:
    import lstmlm as library

    [found] = records(lstmlm("generate", "The farmer", "--json", "--temperature", "2", "--min-p", "0.001", *BRIEFLY))
    assert found["finish_reason"] == "length"
    assert len(found["tokens"]) == len(found["log_probabilities"]) == 6
    model = library.load("runs/tiny")
    whole, before = (model.full_scores(text, eos=False) for text in ("The farmer" + found["text"], "The farmer"))
    assert [score.token for score in whole[len(before) :]] == found["tokens"]
    wanted = [score.log10_probability * log(10) for score in whole[len(before) :]]
    assert found["log_probabilities"] == pytest.approx(wanted, abs=1e-4)


def test_a_sample_that_stops_has_the_tokens_before_its_stop_text(trained: Path, lstmlm: Cli) -> None:
    [whole] = records(lstmlm("generate", "The farmer", "--json", *BRIEFLY))
    stop = whole["tokens"][3]
    n_before = whole["tokens"].index(stop)
    [found] = records(lstmlm("generate", "The farmer", "--json", "--stop", stop.replace("<eos>", "\n"), *BRIEFLY))
    assert found["finish_reason"] == "stop"
    assert found["tokens"] == whole["tokens"][:n_before]
    assert found["log_probabilities"] == pytest.approx(whole["log_probabilities"][:n_before])


def test_a_stop_text_that_never_comes(trained: Path, lstmlm: Cli) -> None:
    result = lstmlm("generate", "The", "--stop", "ZZZ", "--json", *BRIEFLY)
    assert records(result)[0]["finish_reason"] == "length"
    assert "No sample has come to a stop text." in result.stderr


def test_what_the_training_text_has_is_found_in_it(trained: Path, lstmlm: Cli) -> None:
    found = records(lstmlm("generate", "The", "--novelty", "--json", "-n", "3", *BRIEFLY))
    for each in found:
        passage = each["novelty"]
        assert 1 <= passage["n_tokens"] <= 6
        lines = Path(passage["corpus"]).read_text("utf-8").split("\n")
        first_word = passage["text"].split("\n")[0].split(" ")[0]
        assert first_word in lines[passage["line"] - 1]
    shown = lstmlm("generate", "The", "--novelty", "-n", "3", *BRIEFLY).stdout.splitlines()
    assert [line.split()[0] for line in shown[-4:]] == ["sample", "1", "2", "3"]
    assert f"line {found[-1]['novelty']['line']}" in shown[-1]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("--min-p", "1.5"), 2, "--min-p: needs a number from 0 to 1, got 1.5."),
        (("--repetition-penalty", "0"), 2, "--repetition-penalty: needs a number above 0, got 0."),
        (("--temperature", "1", "--temperature", "-1"), 2, "--temperature: needs a number of 0 or more, got -1."),
        (("--prompts", "empty.txt"), 3, "empty.txt: has no prompts. Write one a line."),
        (("--prompts", "none.txt"), 3, "none.txt"),
        (
            ("The", "--prompts", "empty.txt"),
            2,
            "--prompts: cannot be combined with the prompt 'The'. Give one of them.",
        ),
        (("--interactive",), 2, "--interactive: needs a terminal to read from and to show words on. Leave it out."),
        (("-i", "--novelty"), 2, "--interactive: cannot be combined with --novelty. Give one of them."),
        (("-i", "--raw"), 2, "--interactive: cannot be combined with --raw. Give one of them."),
        (("-i", "-"), 2, "--interactive: cannot be combined with the prompt -. Give one of them."),
        (
            ("-i", "--temperature", "0.5", "--temperature", "1"),
            2,
            "--interactive: cannot be combined with more than one --temperature. Give one of them.",
        ),
    ],
)
def test_what_cannot_be_done_is_said(
    arguments: tuple[str, ...], status: int, message: str, trained: Path, lstmlm: Cli
) -> None:
    Path("empty.txt").write_text("\n \n", "utf-8")
    result = lstmlm("generate", *arguments)
    assert result.exit_code == status
    assert message in result.stderr
    assert result.stdout == ""


def test_filters_that_change_nothing_are_named(trained: Path, lstmlm: Cli) -> None:
    result = lstmlm("generate", "The", "--temperature", "0", "--top-p", "0.9", "--min-p", "0.1", *BRIEFLY)
    assert "warning: --temperature 0 takes the likeliest token: without effect are --top-p, --min-p." in result.stderr
    others = ("--temperature", "1", "--repetition-penalty", "2")
    assert "warning" not in lstmlm("generate", "The", "--temperature", "0", *others, *BRIEFLY).stderr


def test_unknown_characters_of_all_prompts_are_named_once(trained: Path, lstmlm: Cli) -> None:
    Path("prompts.txt").write_text("The Ω\nΩ The Ψ\n", "utf-8")
    result = lstmlm("generate", "--prompts", "prompts.txt", *BRIEFLY)
    assert result.stderr.count("warning") == 1
    assert "the model does not know Ω, Ψ: read as <unk>." in result.stderr
