"""`lstmlm eval adaptation` and `lstmlm eval ensemble` by the command line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]

PROJECT = Path(__file__).parent.parent.parent

TUNED = "dynamic.learning_rate dynamic.decay temperature cache.size cache.theta cache.weight".split()


def report_of(result: Any) -> dict[str, Any]:
    assert result.exit_code == 0, result.stderr
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def perplexities(report: dict[str, Any]) -> dict[str, float]:
    return {row["method"]: row["perplexity"] for row in report["rows"]}


def message_of(result: Any, status: int) -> str:
    assert (result.exit_code, result.stdout) == (status, ""), (result.stderr, result.exception)
    message: str = result.stderr.splitlines()[-1]
    return message


def test_every_method_together_tuned_on_another_split_and_then_given_what_was_tuned(trained: Path, lstmlm: Cli) -> None:
    arguments = ("eval", "adaptation", "cache", "dynamic", "temperature", "--json")
    tuned = report_of(lstmlm(*arguments, "--tune", "valid"))
    assert (tuned["split"], Path(tuned["tuned_on"]).name) == ("test", "valid.txt")
    assert list(perplexities(tuned)) == [
        *("static", "dynamic", "dynamic + temperature", "dynamic + temperature + cache")
    ]
    sets = [part for name in TUNED for part in ("--set", f"{name}={tuned[name]}")]
    given = report_of(lstmlm(*arguments, *sets))
    assert given["tuned_on"] is None
    assert given["rows"] == tuned["rows"]


@pytest.mark.parametrize("method", ["cache", "dynamic", "temperature"])
def test_a_mixture_of_softmaxes_adapts_too(method: str, here: Path, lstmlm: Cli) -> None:
    output = "model.output={name: mixture, n_experts: 2}"
    assert lstmlm("train", "--config", "tiny.yaml", "--set", output).exit_code == 0
    report = report_of(lstmlm("eval", "adaptation", method, "--json"))
    assert list(perplexities(report)) == ["static", method]


def test_the_smallest_cache_is_of_one_token(trained: Path, lstmlm: Cli) -> None:
    tuned = report_of(lstmlm("eval", "adaptation", "cache", "--tune", "valid", "--set", "cache.size=1", "--json"))
    assert tuned["cache.size"] >= 1


def test_the_static_row_is_the_perplexity(trained: Path, lstmlm: Cli) -> None:
    adapted = perplexities(report_of(lstmlm("eval", "adaptation", "cache", "--json")))
    alone = report_of(lstmlm("eval", "perplexity", "--json"))
    assert adapted["static"] == pytest.approx(alone["perplexity"], rel=1e-6)


def test_a_split_that_is_measured_is_tuned_on_its_first_half(trained: Path, lstmlm: Cli) -> None:
    arguments = ("eval", "adaptation", "cache", "--tune", "valid", "--json")
    report = report_of(lstmlm(*arguments, "--split", "valid"))
    assert report["tuned_on"].endswith("valid.txt (first half)")
    assert report["text"].endswith("valid.txt (second half)")
    shutil.copy(report["text"].removesuffix(" (second half)"), "the-same.txt")
    assert report_of(lstmlm(*arguments, "--text", "the-same.txt"))["text"] == report["text"]


def test_the_sgd_form_needs_no_training_text(here: Path, lstmlm: Cli) -> None:
    shutil.copytree(PROJECT / "data" / "tiny", "corpus")
    assert lstmlm("train", "--config", "tiny.yaml", "--set", "data.corpus=./corpus").exit_code == 0
    shutil.move("corpus/valid.txt", "own.txt")
    shutil.rmtree("corpus")
    arguments = ("eval", "adaptation", "dynamic", "--text", "own.txt")
    assert lstmlm(*arguments, "--set", "dynamic.name=sgd").exit_code == 0
    assert message_of(lstmlm(*arguments), 3).startswith("corpus: no such file or folder.")


def test_people_see_a_table_and_small_numbers(trained: Path, lstmlm: Cli) -> None:
    shown = lstmlm("eval", "adaptation", "dynamic", "--set", "dynamic.learning_rate=0.000025").stdout.splitlines()
    assert shown[0].split() == ["method", "nats", "bits_per_token", "perplexity", "ratio_to_static"]
    assert [line.split()[0] for line in shown[1:3]] == ["static", "dynamic"]
    assert "dynamic.learning_rate  2.5e-05" in shown


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (
            ("cahce",),
            2,
            "METHOD: unknown method 'cahce'. Did you mean 'cache'? Choose one of: dynamic, temperature, cache, ngram.",
        ),
        (("cache", "--tune", "vald"), 2, "--tune: unknown split 'vald'. Choose one of: train, valid, test."),
        (
            ("cache", "--set", "cache.sise=5"),
            2,
            "--set cache.sise=5: cache.sise: unknown key. Did you mean 'size'?",
        ),
        (
            ("cache", "--set", "cache.weight=1"),
            2,
            "--set cache.weight=1: cache.weight: must be less than 1, got 1.",
        ),
        (
            ("dynamic", "--set", "cache.size=2000"),
            2,
            "--set cache.size: has no effect without the method cache. Name it, or leave this out.",
        ),
        (
            ("cache", "temperature", "--tune", "valid", "--set", "temperature=0.9"),
            2,
            "--set temperature: is what --tune searches. Leave one of them out.",
        ),
        (
            ("dynamic", "--set", "dynamic.name=adam"),
            2,
            "--set dynamic.name=adam: dynamic.name: unknown form of dynamic evaluation 'adam'. "
            "Choose one of: rms, sgd.",
        ),
        (
            ("cache", "--split", "valid", "--text", "x.txt"),
            2,
            "--text: cannot be combined with --split valid. Give one of them.",
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_mistakes(arguments: tuple[str, ...], status: int, message: str, trained: Path, lstmlm: Cli) -> None:
    assert message_of(lstmlm("eval", "adaptation", *arguments), status) == message


def test_a_training_that_another_seed_began_is_averaged(
    trained: Path, add_run: Callable[..., None], lstmlm: Cli
) -> None:
    add_run("runs/other", "seed=2")
    report = report_of(lstmlm("eval", "ensemble", "runs/tiny", "runs/other", "--json"))
    assert (report["split"], report["n_models"]) == ("test", 2)
    assert [row["model"] for row in report["rows"]] == ["runs/tiny", "runs/other", "ensemble"]


def test_an_ensemble_of_different_tokens_is_refused(trained: Path, add_run: Callable[..., None], lstmlm: Cli) -> None:
    add_run("runs/chars", "data.tokenizer={name: char}")
    message = message_of(lstmlm("eval", "ensemble", "runs/tiny", "runs/chars"), 4)
    assert message == (
        "runs/chars: has another tokenizer than runs/tiny, and only probabilities of the same tokens can be averaged. "
        "Choose runs with one tokenizer.json."
    )


def test_an_ensemble_that_reads_differently_is_refused(
    trained: Path, add_run: Callable[..., None], lstmlm: Cli
) -> None:
    add_run("runs/never", "data.eos=never")
    message = message_of(lstmlm("eval", "ensemble", "runs/tiny", "runs/never"), 4)
    assert message.startswith(
        "runs/never: reads line ends otherwise than runs/tiny (data.eos: never there, line here). Choose"
    )


@pytest.mark.parametrize("runs", [["runs/a"], ["runs/a", "runs/a"]])
def test_an_ensemble_needs_several_runs(runs: list[str], here: Path, lstmlm: Cli) -> None:
    message = message_of(lstmlm("eval", "ensemble", *runs), 2)
    assert message == f"RUN: needs two or more different runs, got {', '.join(runs)}. Name others."
