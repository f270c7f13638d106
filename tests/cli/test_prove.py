"""`--prove` on every evaluation: all checks pass on a trained run, and the report says so."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LINES = "The farmer goes to the market.\nThe cat sleeps.\nThe farmer knows the cat.\n" * 4


@pytest.mark.parametrize(
    "command",
    [
        "eval perplexity",
        "eval perplexity --context line",
        "eval ngram --order 3",
        "eval ensemble runs/tiny runs/other",
        "eval adaptation dynamic",
        "eval adaptation dynamic temperature cache ngram --set cache.theta=0.5 --tune valid",
    ],
)
def test_every_evaluation_passes(
    command: str, here: Path, add_run: Callable[..., None], lstmlm: Callable[..., Any]
) -> None:
    add_run("runs/other", "model.output.name=adaptive", "seed=2")
    add_run("runs/tiny", "model.output.name=adaptive")
    run = [] if "ensemble" in command else ["--run", "runs/tiny"]
    result = lstmlm(*command.split(), *run, "--prove", "--json")
    assert result.exit_code == 0, result.stderr
    assert result.stderr.count("✔") == 5 and "✘" not in result.stderr
    values = json.loads(result.stdout)
    assert (values["proof_failed"], values["proof_seed"], len(values["proof_sha256"])) == ("", 1, 64)
    plain = json.loads(lstmlm(*command.split(), *run, "--json").stdout)
    figures = [{**found, "seconds": 0, "rows": None} for found in (values, plain)]
    assert figures[0] == figures[1] | {name: values[name] for name in values if name.startswith("proof_")}


@pytest.mark.parametrize("options", [[], ["--context", "sentence"], ["--context", "3"], ["--first-word", "zero-state"]])
def test_surprisal_passes(options: list[str], trained: Path, lstmlm: Callable[..., Any]) -> None:
    (trained / "sentences.txt").write_text(LINES, "utf-8")
    plain, proven = (lstmlm("eval", "surprisal", "sentences.txt", *options, *prove) for prove in ([], ["--prove"]))
    assert (proven.exit_code, proven.stderr.count("✔")) == (0, 5), proven.stderr
    assert proven.stdout == plain.stdout


def test_for_people_the_checks_follow_the_figures(trained: Path, lstmlm: Callable[..., Any]) -> None:
    result = lstmlm("eval", "perplexity", "--prove", "--seed", "3")
    assert [line.split(":")[0] for line in result.stdout.splitlines()[-5:]] == [
        *("✔ distribution", "✔ prefix", "✔ answer", "✔ count", "✔ cut")
    ]


@pytest.mark.parametrize(("split", "counted"), [("test", " words, "), ("valid", " (the text was not read again); ")])
def test_the_count_says_whether_the_text_was_read_again(
    split: str, counted: str, trained: Path, lstmlm: Callable[..., Any]
) -> None:
    """Of the validation split the mixture's weights take the first half, and a half is no file."""
    result = lstmlm("eval", "ngram", "--order", "2", "--split", split, "--prove")
    [line] = [line for line in result.stdout.splitlines() if line.startswith("✔ count: ")]
    assert counted in line


def test_a_run_is_proved_by_its_own_command(trained: Path, lstmlm: Callable[..., Any]) -> None:
    result = lstmlm("prove", "runs/tiny")
    command = "lstmlm eval perplexity --prove --run runs/tiny"
    assert (result.exit_code, result.stderr) == (
        2,
        f"runs/tiny: is a run, which lstmlm reads itself. Check it: {command}\n",
    )
    assert lstmlm(*command.split()[1:]).exit_code == 0


def test_a_failed_proof_exits_with_1(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from lstmlm.cli import app
    from lstmlm.models.output_layers.softmax import SoftmaxLayer

    honest = SoftmaxLayer.nats
    monkeypatch.setattr(SoftmaxLayer, "nats", lambda *arguments: 0.9 * honest(*arguments))
    result = CliRunner().invoke(app, ["eval", "perplexity", "--prove"])
    assert result.exit_code == 1
    assert "✘ distribution: runs/tiny, position" in result.stdout
