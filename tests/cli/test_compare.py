"""`lstmlm eval perplexity` and `lstmlm eval compare` by the command line: what people and programs get."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]

COMPARE = ("eval", "compare", "runs/tiny", "runs/other")


@pytest.mark.parametrize("tokenizer", ["{name: word}", "{name: char}"])
def test_the_perplexity_that_training_has_seen(
    tokenizer: str, here: Path, add_run: Callable[..., None], lstmlm: Cli
) -> None:
    add_run("runs/tiny", f"data.tokenizer={tokenizer}")
    events = [json.loads(line) for line in (here / "runs" / "tiny" / "metrics.jsonl").read_text("utf-8").splitlines()]
    [validation] = [event for event in events if event["event"] == "validation"]
    report = json.loads(lstmlm("eval", "perplexity", "--split", "valid", "--json").stdout)
    assert report["n_tokens"] == validation["n_tokens"]
    assert report["nats"] == pytest.approx(validation["nats"], rel=1e-9)
    assert report["perplexity"] == pytest.approx(validation["perplexity"], rel=1e-9)


def test_people_see_the_figures_that_mean_something(trained: Path, lstmlm: Cli) -> None:
    (trained / "known.txt").write_text("the farmer\nthe\n", "utf-8")
    (trained / "unknown.txt").write_text("the xylophone\n", "utf-8")
    report = json.loads(lstmlm("eval", "perplexity", "--text", "known.txt", "--json").stdout)
    lines = lstmlm("eval", "perplexity", "--text", "known.txt").stdout.splitlines()
    assert [re.split("  +", line) for line in lines] == [
        ["figure", "value", "over"],
        ["perplexity", f"{report['perplexity']:,.4f}", "5 tokens"],
        ["perplexity per word", f"{report['perplexity_per_word']:,.4f}", "3 words"],
        ["bits per character", f"{report['bits_per_char']:,.4f}", "15 characters"],
        ["bits per byte", f"{report['bits_per_byte']:,.4f}", "15 bytes"],
        [""],
        [
            "95% interval",
            f"{report['perplexity_low']:,.4f} to {report['perplexity_high']:,.4f}, "
            "had other lines been drawn than these 2",
        ],
        ["counted", "every token, <eos> included"],
        ["context", "document"],
        ["fingerprint", report["fingerprint"][:12]],
    ]
    shown = lstmlm("eval", "perplexity", "--text", "unknown.txt").stdout
    assert "perplexity without <unk>" in shown
    assert "bits per byte  none: 1 tokens are <unk>, or none at all, in place of what the text says\n" in shown
    assert "bits per character" not in shown


def test_lines_by_themselves(trained: Path, lstmlm: Cli) -> None:
    document, line = (
        json.loads(lstmlm("eval", "perplexity", "--json", "--context", context).stdout)
        for context in ("document", "line")
    )
    assert (document["context"], line["context"]) == ("document", "line")
    assert document["n_tokens"] == line["n_tokens"]
    assert document["nats"] != line["nats"]
    assert document["fingerprint"] != line["fingerprint"]


def test_a_context_that_there_is_not(trained: Path, lstmlm: Cli) -> None:
    result = lstmlm("eval", "perplexity", "--context", "paragraph")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'--context'" in result.stderr


def test_two_runs(trained: Path, add_run: Callable[..., None], lstmlm: Cli) -> None:
    add_run("runs/other", "seed=2")
    report = json.loads(lstmlm(*COMPARE, "--json").stdout)
    assert (report["run_a"], report["run_b"], report["split"]) == ("runs/tiny", "runs/other", "test")
    for side, run in (("a", "runs/tiny"), ("b", "runs/other")):
        alone = json.loads(lstmlm("eval", "perplexity", "--run", run, "--json").stdout)
        assert report["rows"][0][side] == pytest.approx(alone["perplexity"], rel=1e-9)
        assert report[f"fingerprint_{side}"] == alone["fingerprint"]
    valid = json.loads(lstmlm(*COMPARE, "--split", "valid", "--json").stdout)
    assert valid["split"] == "valid"


def test_people_see_a_table_and_who_is_better(trained: Path, add_run: Callable[..., None], lstmlm: Cli) -> None:
    add_run("runs/other", "seed=2")
    report = json.loads(lstmlm(*COMPARE, "--json").stdout)
    result = lstmlm(*COMPARE)
    header, row, blank, *lines = result.stdout.splitlines()
    assert header.split() == ["figure", "a", "b", "ratio", "low", "high"]
    figures = [f"{report['rows'][0][name]:,.4f}" for name in ("a", "b", "ratio", "low", "high")]
    assert row.split() == ["perplexity", *figures]
    assert blank == ""
    assert lines == [
        "a          runs/tiny",
        "b          runs/other",
        f"better     {report['better'] or 'this text does not tell'}",
        "low, high  95% interval, from 2,000 resamples of the lines",
    ]
    assert result.stderr.endswith(f"data/tiny/test.txt: {report['n_lines']} lines\n")


def test_documents_that_are_drawn_again_are_called_so(here: Path, add_run: Callable[..., None], lstmlm: Cli) -> None:
    records = "".join(json.dumps({"text": f"the farmer\nsees cow {number}"}) + "\n" for number in range(90))
    (here / "texts.jsonl").write_text(records, "utf-8")
    for run, seed in (("runs/tiny", 1), ("runs/other", 2)):
        add_run(run, f"seed={seed}", f"data.corpus={here}/texts.jsonl", "data.eos=document")
    report, shown = json.loads(lstmlm(*COMPARE, "--json").stdout), lstmlm(*COMPARE)
    assert report["resampled"] == "documents"
    assert shown.stdout.endswith("from 2,000 resamples of the documents\n")
    assert shown.stderr.endswith(f": {report['n_lines']} documents\n")


def test_other_tokens_of_a_text_that_both_know(trained: Path, add_run: Callable[..., None], lstmlm: Cli) -> None:
    add_run("runs/other", "data.tokenizer={name: char}")
    (trained / "known.txt").write_text("the farmer\nthe\n", "utf-8")
    report = json.loads(lstmlm(*COMPARE, "--text", "known.txt", "--json").stdout)
    assert [row["figure"] for row in report["rows"]] == ["bits_per_char", "bits_per_byte"]
    (trained / "unknown.txt").write_text("the eht\n", "utf-8")
    refused = lstmlm(*COMPARE, "--text", "unknown.txt")
    assert (refused.exit_code, refused.stdout) == (3, "")
    assert "says: of runs/tiny, 1 tokens are <unk>, or none at all, in place of what the text says. " in refused.stderr


def test_white_space_that_words_do_not_say(trained: Path, add_run: Callable[..., None], lstmlm: Cli) -> None:
    add_run("runs/other", "data.tokenizer={name: char}")
    (trained / "spaced.txt").write_text("the  farmer\n the\n", "utf-8")
    lost = "its tokens do not give the text back (white space, case, or a word read as a token that ends lines)"
    report, kept = (
        json.loads(lstmlm("eval", "perplexity", "--run", run, "--text", "spaced.txt", "--json").stdout)
        for run in COMPARE[2:]
    )
    assert (report["unsaid"], report["bits_per_char"], report["bits_per_byte"]) == (lost, None, None)
    assert (kept["unsaid"], kept["bits_per_byte"]) == (None, kept["bits_per_char"])
    assert (
        f"bits per byte  none: {lost}\n"
        in lstmlm("eval", "perplexity", "--run", "runs/tiny", "--text", "spaced.txt").stdout
    )
    refused = lstmlm(*COMPARE, "--text", "spaced.txt")
    assert (refused.exit_code, refused.stdout) == (3, "")
    assert f"leave out what the text says: of runs/tiny, {lost}. Compare runs" in refused.stderr


def test_other_texts_are_refused(trained: Path, lstmlm: Cli) -> None:
    (trained / "corpus").mkdir()
    for split in ("train", "test"):
        (trained / "corpus" / f"{split}.txt").write_text("a b c d e\n" * 20, "utf-8")
    training = lstmlm("train", "--config", "tiny.yaml", "--run-dir", "runs/other", "--set", "data.corpus=./corpus")
    assert training.exit_code == 0, training.stderr
    result = lstmlm(*COMPARE)
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.startswith("runs/tiny and runs/other: cannot be compared on different texts, ")
    assert "corpus/test.txt (" in result.stderr


def test_a_run_that_does_not_exist(trained: Path, lstmlm: Cli) -> None:
    result = lstmlm(*COMPARE)
    assert (result.exit_code, result.stdout) == (4, "")
    assert result.stderr == (
        "runs/other: no such run. Train one: lstmlm train --config quickstart --run-dir runs/other\n"
    )


def test_split_and_text_together(trained: Path, lstmlm: Cli) -> None:
    result = lstmlm(*COMPARE, "--split", "test", "--text", "x.txt")
    assert result.exit_code == 2
    assert result.stderr == "--text: cannot be combined with --split test. Give one of them.\n"
