"""minicons scores an exported directory as `lstmlm eval surprisal --context sentence` scores the run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lstmlm
from lstmlm.export.huggingface import export_huggingface

TOLERANCE = 1e-3
"""Bits, of every word."""

SENTENCES = ["The cat sleeps.", "the farmer waits by the old river", "don't ask the sailor , he says", "a 東京 !"]
PAGE = Path(__file__).parents[2] / "docs" / "export.md"


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("tokenizer", "ngram_order"),
    [
        ({"name": "word"}, None),
        ({"name": "word"}, 3),
        ({"name": "char"}, None),
        ({"name": "byte"}, None),
        ({"name": "bpe", "vocab_size": 270}, None),
        ({"name": "bpe", "vocab_size": 270}, 3),
    ],
    ids=["word", "word, n-grams", "char", "byte", "bpe", "bpe, n-grams"],
)
def test_the_call_of_the_documentation_gives_our_surprisal(
    make_run: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tokenizer: dict[str, Any],
    ngram_order: int | None,
) -> None:
    pytest.importorskip("minicons", reason="needs minicons: make check-peers")
    [code] = [block for block in PAGE.read_text("utf-8").split("```python\n") if "minicons" in block[:60]]
    model = {
        "backbone": {"n_layers": 1, "hidden_size": 8, "name": "lstm"},
        "embedding_size": 8,
        "ngram_order": ngram_order,
    }
    trained = make_run(model, tokenizer)
    export_huggingface(trained.run, trained.model, trained.tokenizer, tmp_path / "exported")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    names: dict[str, Any] = {"sentences": SENTENCES}
    exec(compile(code.split("```")[0], "export.md", "exec"), names)  # noqa: S102
    rows = lstmlm.load(trained.run.path).surprisal(SENTENCES, context="sentence")
    wanted = [(row["word"], row["surprisal_bits"]) for row in rows if row["word"] != "<eos>"]
    found = [word for sentence in names["bits"] for word in sentence]
    assert [word for word, _ in found] == [word for word, _ in wanted]
    for (word, bits), (_, ours) in zip(found, wanted, strict=True):
        assert bits == pytest.approx(ours, abs=TOLERANCE), word
