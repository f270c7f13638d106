"""`lstmlm report`: one file with everything in it, and nothing that is fetched."""

import json
import os
import re
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]


class Reader(HTMLParser):
    """Collects the attributes of a page and checks that its elements are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs


@pytest.fixture
def two(trained: Path, add_run: Callable[..., None]) -> Path:
    add_run("runs/rnn<b>", "model.backbone.name=rnn", "training.n_steps=4", "training.sample_tokens=5")
    return trained


def test_a_page(two: Path, lstmlm: Cli) -> None:
    result = lstmlm("report", "tiny", "rnn<b>", "--output", "page.html")
    assert (result.exit_code, result.stdout) == (0, "")
    page = Path("page.html").read_text("utf-8")
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    assert not [name for name, _ in reader.attributes if name in ("src", "href")]
    assert "url(" not in page
    assert "@import" not in page
    assert page.count("<svg") == 2  # curves and gradients
    assert "rnn&lt;b&gt;" in page
    assert "rnn<b>" not in page
    for split in ("valid", "test"):
        said = lstmlm("eval", "perplexity", "--run", "runs/tiny", "--split", split).stdout
        perplexity = float(re.findall(r"perplexity +([\d.]+)", said)[0])
        assert f"{perplexity:,.2f}" in page
    for part in ("model.backbone.name", "&quot;rnn&quot;", "sha256", "fingerprint", "perplexity per word", ">tiny<"):
        assert part in page
    assert "_per_" not in page
    assert "n_tokens" not in page
    assert page.count("<circle") == 4  # a single step and a single validation are seen, too


def test_what_no_run_has_is_no_column(two: Path, lstmlm: Cli) -> None:
    """Words do not say all of their text. Heads are words, and a fingerprint is as long as `eval perplexity` has it."""
    assert lstmlm("report", "tiny", "--format", "md").exit_code == 0
    text = Path("report.md").read_text("utf-8")
    fingerprint = json.loads(lstmlm("eval", "perplexity", "--run", "runs/tiny", "--json").stdout)["fingerprint"]
    assert "| run | split | perplexity | perplexity per word | tokens | fingerprint |" in text
    assert f" | {fingerprint[:12]} |" in text
    assert "| data train tokens | " in text


def test_runs_beside_each_other(two: Path, lstmlm: Cli) -> None:
    """What differs has a column a run, what is at its default too; what does not is said once."""
    assert lstmlm("report", "tiny", "rnn<b>", "--format", "md", "--quick").exit_code == 0
    text = Path("report.md").read_text("utf-8")
    assert "|  | tiny | rnn<b> |" in text
    assert '| model.backbone.name | "lstm" | "rnn" |' in text
    assert "|  | all runs |" in text
    assert "| model.backbone.hidden_size | 12 |\n" in text
    assert text.count("| data train sha256 | ") == 1


def test_markdown(two: Path, lstmlm: Cli) -> None:
    result = lstmlm("report", "rnn<b>", "--format", "md", "--quick")
    assert result.stderr == "report.md is written.\n"
    text = Path("report.md").read_text("utf-8")
    assert text.startswith("# runs/rnn<b>\n\n## Results\n\n| run | state | model |")
    assert '| model.backbone.name | "rnn" |' in text
    assert "Scored again" not in text


def test_the_name_of_the_file_says_what_it_is(two: Path, lstmlm: Cli) -> None:
    assert lstmlm("report", "rnn<b>", "--output", "evening.MD", "--quick").exit_code == 0
    assert Path("evening.MD").read_text("utf-8").startswith("# runs/rnn<b>")
    for arguments in (("x.html", "--format", "md"), ("x.md", "--format", "html"), ("x.pdf",)):
        result = lstmlm("report", "rnn<b>", "--quick", "--output", *arguments)
        assert (result.exit_code, result.stderr.startswith(f"--output: {arguments[0]} ")) == (2, True)
        assert not Path(arguments[0]).exists()
    assert lstmlm("report", "rnn<b>", "--quick", "--output", "evening").exit_code == 0
    assert Path("evening").read_text("utf-8").startswith("<!doctype html>")


@pytest.mark.skipif(
    sys.platform != "linux" or os.fsdecode(b"\xe9") != "\udce9", reason="needs Linux, and names that are UTF-8"
)
@pytest.mark.parametrize("form", ["html", "md"])
def test_a_name_that_is_not_utf_8(trained: Path, lstmlm: Cli, form: str) -> None:
    name = os.fsdecode(b"caf\xe9")
    Path("runs/tiny").rename(f"runs/{name}")
    assert lstmlm("report", name, "--quick", "--format", form).exit_code == 0
    assert r"runs/caf\udce9" in Path(f"report.{form}").read_text("utf-8")


def test_runs_that_are_not_whole(two: Path, lstmlm: Cli) -> None:
    """What there is of them is shown, and what is wrong is said."""
    Path("runs/tiny/metrics.jsonl").unlink()
    [model, *_] = Path("runs/rnn<b>/checkpoints").glob("*/model.safetensors")
    model.write_bytes(b"")
    result = lstmlm("report", "tiny", "rnn<b>")
    assert result.exit_code == 0
    assert "model.safetensors: is damaged" in result.stderr
    assert "interrupted" in Path("report.html").read_text("utf-8")
    Path("runs/tiny/config.yaml").write_text("nothing", "utf-8")
    assert lstmlm("report", "tiny").stderr.count("config.yaml: is damaged") == 1  # not said again for its scores
    assert (lstmlm("report", "none").exit_code, lstmlm("report", "-o", "no/r.html").exit_code) == (4, 2)
    foreign = lstmlm("report", "tiny.yaml")
    assert (foreign.exit_code, foreign.stderr.split(". ")[0]) == (4, "tiny.yaml: holds no run")


def test_a_validation_need_not_tell_its_epoch(trained: Path, lstmlm: Cli) -> None:
    """As one that another program wrote."""
    metrics = Path("runs/tiny/metrics.jsonl")
    metrics.write_text(metrics.read_text("utf-8").replace('"epoch"', '"era"'), "utf-8")
    assert lstmlm("report", "tiny", "--format", "md", "--quick").exit_code == 0
    [heads] = re.findall(r"\| run \| state .*", Path("report.md").read_text("utf-8"))
    assert "| best valid perplexity | steps |" in heads


def test_what_cannot_be_drawn_of_one_run_is_drawn_of_others(two: Path, lstmlm: Cli) -> None:
    """Advice is about the command that has the option."""
    Path("corpus").mkdir()
    for split, n_lines in (("train", 40), ("valid", 3)):
        Path(f"corpus/{split}.txt").write_text("the cat sat on the mat\n" * n_lines, "utf-8")
    lstmlm("train", "--config", "tiny.yaml", "--run-dir", "runs/short", "--set", "data.corpus=./corpus")
    result = lstmlm("report", "tiny", "short")
    assert result.stderr.splitlines()[0] == (
        "Left out: lstmlm inspect gradients --run runs/short: corpus/valid.txt: 21 tokens, but a lag of 100 needs 102. "
        "Give --max-lag 19 or less."
    )
    page = Path("report.html").read_text("utf-8")
    assert page.count("<svg") == 1
    assert "tiny, hidden<" in page
    assert "short, hidden<" not in page
