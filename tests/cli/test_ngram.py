"""`lstmlm eval ngram` by the command line: what it prints, what it writes, what it refuses."""

import gzip
import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]


def test_the_ngram_model_the_run_and_their_mixture(trained: Path, lstmlm: Cli) -> None:
    result = lstmlm("eval", "ngram", "--order", "3", "--json")
    report = json.loads(result.stdout)
    alone = json.loads(lstmlm("eval", "perplexity", "--json").stdout)
    digests = ["context", "counted", "normalization", "text_sha256", "tokenizer_sha256", "fingerprint"]
    keys = ["run", "text", "split", "n_tokens", "order", "weights_from", "seconds", *digests, "rows"]
    assert list(report) == keys
    assert [report[name] for name in digests] == [alone[name] for name in digests]
    assert (report["run"], report["split"], report["order"]) == ("runs/tiny", "test", 3)
    assert Path(report["weights_from"]).name == "valid.txt"
    ngrams, run, mixture = report["rows"]
    assert list(run) == ["model", "nats", "bits_per_token", "perplexity", "weight"]
    assert [ngrams["model"], run["model"], mixture["model"]] == ["3-gram", "runs/tiny", "mixture"]
    assert all(run[key] == pytest.approx(alone[key], rel=1e-6) for key in ("nats", "bits_per_token", "perplexity"))
    assert ngrams["weight"] + run["weight"] == pytest.approx(1)
    assert result.stderr.endswith(f"runs/tiny: {report['text']}\n")


def test_as_a_table(trained: Path, lstmlm: Cli) -> None:
    lines = lstmlm("eval", "ngram", "--split", "valid").stdout.splitlines()
    assert lines[0].split() == ["model", "nats", "bits_per_token", "perplexity", "weight"]
    assert [line.split()[0] for line in lines[1:4]] == ["5-gram", "runs/tiny", "mixture"]
    assert "valid.txt (first half)" in "\n".join(lines[4:])


@pytest.mark.parametrize("tokenizer", ["char", "byte"])
def test_every_tokenizer(tokenizer: str, here: Path, add_run: Callable[..., None], lstmlm: Cli) -> None:
    add_run("runs/tiny", f"data.tokenizer={{name: {tokenizer}}}")
    (here / "own.txt").write_text("The farmer sleeps.\n", "utf-8")
    report = json.loads(lstmlm("eval", "ngram", "--text", "own.txt", "--json").stdout)
    assert (report["text"], report["split"], report["n_tokens"]) == ("own.txt", None, 19)
    assert lstmlm("export", "arpa", "own.arpa").exit_code == 0
    assert "<s> T h e" in (here / "own.arpa").read_text("utf-8")


def test_the_model_is_written_as_arpa_and_read_again(trained: Path, lstmlm: Cli) -> None:
    first = lstmlm("eval", "ngram", "--order", "2", "--json")
    for name in ("own.arpa", "own.arpa.gz"):
        result = lstmlm("export", "arpa", name, "--order", "2")
        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr == f"runs/tiny: the 2-grams of its training split are in {name}\n"
        again = lstmlm("eval", "ngram", "--from", name, "--json")
        assert again.exit_code == 0, again.stderr
        [wanted, _, mixture], [found, _, mixed] = (json.loads(one.stdout)["rows"] for one in (first, again))
        assert (found["model"], found["nats"]) == ("2-gram", pytest.approx(wanted["nats"], rel=1e-6))
        assert mixed["nats"] == pytest.approx(mixture["nats"], rel=1e-6)
    written = (trained / "own.arpa").read_text("utf-8")
    assert written.startswith("\\data\\\nngram 1=")
    assert written.endswith("\n\\end\\\n")
    assert gzip.decompress((trained / "own.arpa.gz").read_bytes()).decode() == written


def test_the_order_that_is_told_is_that_of_the_file(trained: Path, lstmlm: Cli) -> None:
    result = lstmlm("export", "arpa", "own.arpa", "--order", "5000")
    counts = [line for line in (trained / "own.arpa").read_text("utf-8").splitlines() if line.startswith("ngram ")]
    assert result.stderr == f"runs/tiny: the {len(counts)}-grams of its training split are in own.arpa\n"
    assert len(counts) < 5000


def test_an_arpa_file_that_knows_other_words(trained: Path, lstmlm: Cli, caplog: pytest.LogCaptureFixture) -> None:
    (trained / "small.arpa").write_text(
        "\\data\\\nngram 1=4\n\n\\1-grams:\n-1\t<unk>\n-99\t<s>\n-1\t</s>\n-0.1\tthe\n\n\\end\\\n", "utf-8"
    )
    (trained / "own.txt").write_text("the farmer sleeps\n", "utf-8")
    with caplog.at_level(logging.INFO):
        result = lstmlm("eval", "ngram", "--from", "small.arpa", "--text", "own.txt", "--json")
    assert json.loads(result.stdout)["rows"][0]["model"] == "1-gram"
    assert caplog.messages == ["small.arpa: does not know 2 of the text's 4 tokens, such as farmer sleeps"]


BIGRAMS = "\\2-grams:\n-0.2\t<s> the\n-0.4\tthe farmer\n-0.5\tfarmer </s>\n\n\\end\\\n"
SIZES = "\\data\\\nngram 1=5\nngram 2=3\n\n\\1-grams:\n"
OTHER_TOOLS = {
    "KenLM": f"{SIZES}-1.2\t<unk>\t0\n0\t<s>\t-0.3\n-0.9\t</s>\t0\n-0.7\tthe\t-0.2\n-1.1\tfarmer\t-0.2\n\n{BIGRAMS}",
    "SRILM": f"\n{SIZES}-0.9\t</s>\n-99\t<s>\t-0.3\n-1.2\t<unk>\n-1.1\tfarmer\t-0.2\n-0.7\tthe\t-0.2\n\n{BIGRAMS}",
}


@pytest.mark.parametrize("tool", OTHER_TOOLS)
def test_an_arpa_file_of_another_tool_is_measured_and_mixed(trained: Path, lstmlm: Cli, tool: str) -> None:
    (trained / "other.arpa").write_text(OTHER_TOOLS[tool], "utf-8")
    (trained / "own.txt").write_text("the farmer\n", "utf-8")
    result = lstmlm("eval", "ngram", "--from", "other.arpa", "--text", "own.txt", "--json")
    assert result.exit_code == 0, result.stderr
    other, run, mixture = json.loads(result.stdout)["rows"]
    assert (other["model"], other["nats"]) == ("2-gram", pytest.approx(1.1 * math.log(10)))  # p(the | <s>) and so on
    assert other["weight"] + run["weight"] == pytest.approx(1)
    assert min(other["nats"], run["nats"]) - math.log(2) * 3 <= mixture["nats"] <= max(other["nats"], run["nats"])


def test_what_arpa_files_are_not_written(trained: Path, lstmlm: Cli) -> None:
    (trained / "own.arpa").write_text("something else", "utf-8")
    for command, message in (
        ("export arpa own.arpa", "own.arpa: exists, and is not replaced. Name another place, or remove it first."),
        (
            "export arpa none/own.arpa",
            "none/own.arpa: cannot be written, as there is no folder none. Make it: mkdir -p none",
        ),
        (
            "eval ngram --from own.arpa --order 2",
            "--from own.arpa: cannot be combined with --order, of a new model. Leave it out.",
        ),
    ):
        result = lstmlm(*command.split())
        assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"{message}\n")
    result = lstmlm("export", "arpa", "new.arpa", "--order", "1")  # KenLM reads no file of single tokens
    assert result.exit_code == 2 and "'--order'" in result.stderr
    assert (trained / "own.arpa").read_text("utf-8") == "something else"
    result = lstmlm("eval", "ngram", "--from", "own.arpa")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr == "own.arpa: is no ARPA file, which begins with \\data\\.\n"


def test_a_corpus_without_validation_split(here: Path, lstmlm: Cli) -> None:
    (here / "corpus").mkdir()
    (here / "corpus" / "train.txt").write_text("a b c d\n" * 20, "utf-8")
    assert lstmlm("train", "--config", "tiny.yaml", "--set", "data.corpus=./corpus").exit_code == 0
    result = lstmlm("eval", "ngram", "--text", "corpus/train.txt")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr == "./corpus: has no valid split. Add one. The mixture's weights are found in it.\n"


def test_split_and_text_together(trained: Path, lstmlm: Cli) -> None:
    result = lstmlm("eval", "ngram", "--split", "test", "--text", "x.txt")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "--text: cannot be combined with --split test. Give one of them.\n"


def test_an_order_below_one(trained: Path, lstmlm: Cli) -> None:
    result = lstmlm("eval", "ngram", "--order", "0")
    assert result.exit_code == 2
    assert "'--order'" in result.stderr
