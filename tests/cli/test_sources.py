"""From files of any kind to a figure: what a run learns to read, its evaluations read alike."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]

STORY = "the farmer sleeps\nthe cat watches the moon\n"


@pytest.mark.parametrize(
    ("eos", "n_tokens"), [("line", 8 + 2), ("line_and_document", 8 + 3), ("document", 8 + 1), ("never", 8 + 1)]
)
def test_a_text_is_read_as_the_corpus_was(eos: str, n_tokens: int, here: Path, lstmlm: Cli) -> None:
    (here / "stories").mkdir()
    for number in range(40):
        (here / "stories" / f"{number}.txt.gz").write_bytes(gzip.compress(STORY.encode()))
    trained = lstmlm("train", "--config", "tiny.yaml", "--set", "data.corpus=stories/*.gz", "--set", f"data.eos={eos}")
    assert trained.exit_code == 0, trained.stderr
    for name, content in (("text.txt", STORY), ("text.jsonl", json.dumps({"text": STORY}))):
        Path(name).write_text(content, "utf-8")
        report = json.loads(lstmlm("eval", "perplexity", "--text", name, "--json").stdout)
        assert (report["n_tokens"], report["n_words"]) == (n_tokens, 8)
    report = json.loads(lstmlm("eval", "perplexity", "--split", "train", "--json").stdout)
    assert report["n_words"] == 36 * 8
    assert report["n_tokens"] == {"line": 36 * 10, "line_and_document": 36 * 11, "document": 36 * 9}.get(
        eos, 36 * 8 + 1
    )


def test_an_option_without_effect(here: Path, lstmlm: Cli) -> None:
    result = lstmlm("train", "--config", "tiny.yaml", "--set", "data.eos=document")
    assert result.exit_code == 2
    assert "data.eos: 'document' has no effect" in result.stderr
    assert not Path("runs").exists()


def test_a_text_may_have_another_encoding_and_another_field_than_the_corpus(here: Path, lstmlm: Cli) -> None:
    story = "the café sleeps — “naïve”\n"
    records = "".join(json.dumps({"body": story}) + "\n" for _ in range(60))
    (here / "stories.jsonl").write_bytes(records.encode("utf-16"))
    chosen = ("--set", "data.corpus=./stories.jsonl", "--set", "data.field=body", "--set", "data.encoding=utf-16")
    trained = lstmlm("train", "--config", "tiny.yaml", *chosen)
    assert trained.exit_code == 0, trained.stderr
    figures = []
    for name, content, options in (
        ("body.jsonl", json.dumps({"body": story}).encode(), ()),
        ("text.ndjson", json.dumps({"text": story}).encode(), ()),
        ("utf8.txt", story.encode(), ()),
        ("windows.txt", story.encode("windows-1252"), ("--encoding", "windows-1252")),
    ):
        Path(name).write_bytes(content)
        report = json.loads(lstmlm("eval", "perplexity", "--text", name, *options, "--json").stdout)
        figures.append((report["n_oov"], report["nats"] if "nats" in report else report["perplexity"]))
    assert len(set(figures)) == 1
    assert figures[0][0] == 0
    refused = lstmlm("eval", "perplexity", "--text", "windows.txt")
    assert refused.exit_code == 3
    assert "It may be windows-1252, which reads 'the café sleeps — “naïve”'." in refused.stderr
