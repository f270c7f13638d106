"""Figures of tokenizers: the same in whatever blocks a text is read."""

from pathlib import Path

import pytest

from lstmlm.config.data import (
    BPETokenizerOptions,
    CharTokenizerOptions,
    FileTokenizerOptions,
    TokenizerOptions,
    WordTokenizerOptions,
)
from lstmlm.corpus.encoded_text import measure
from lstmlm.corpus.tokenizers import train_tokenizer, training_text

FOREIGN = Path(__file__).parent / "foreign"
TEXT = "the cat sat on a long line\nand an open end"


@pytest.mark.parametrize(
    "options",
    [
        WordTokenizerOptions(),
        CharTokenizerOptions(),
        BPETokenizerOptions(),
        FileTokenizerOptions(path=str(FOREIGN / "unigram.model")),
    ],
    ids=lambda options: options.name,
)
def test_figures_do_not_depend_on_blocks(options: TokenizerOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = train_tokenizer(options, [TEXT])
    whole = measure(tokenizer, [TEXT])
    assert whole["n_tokens"] == len(tokenizer.encode(TEXT))
    assert whole["restores_text"]
    monkeypatch.setattr(training_text, "PIECE_CHARS", 5)
    assert measure(tokenizer, ["the cat", " sat on a long", " line\n", "and an open", " end"]) == whole


def test_what_is_lost_is_seen_in_any_blocks() -> None:
    tokenizer = train_tokenizer(WordTokenizerOptions(), ["a b\n"])
    assert not measure(tokenizer, ["a  b\n"])["restores_text"]
    assert not measure(tokenizer, ["a b", "  b\n"])["restores_text"]
