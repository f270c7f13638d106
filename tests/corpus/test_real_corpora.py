"""Counts of well-known corpora, as section 10 of docs/design.md and data/README.md state them."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lstmlm.config.data import (
    BPETokenizerOptions,
    ByteTokenizerOptions,
    CharTokenizerOptions,
    DataOptions,
    UnigramTokenizerOptions,
)
from lstmlm.corpus.encoded_text import measure
from lstmlm.corpus.loading import load_corpus, load_split
from lstmlm.corpus.reading.text_files import read_blocks
from lstmlm.corpus.tokenizers import train_tokenizer

PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("name", "n_train", "n_valid", "vocab_size"),
    [("ptb", 929_589, 73_760, 10_000), ("wikitext-2", 2_088_628, 217_646, 33_278)],
)
def test_tokens_and_vocabulary(
    name: str, n_train: int, n_valid: int, vocab_size: int, corpus_path: Callable[[str], Path], tmp_path: Path
) -> None:
    # Without the test split: who has it is not asked to have it read here.
    for split in ("train", "valid"):
        (tmp_path / f"{split}.txt").symlink_to(corpus_path(f"{name}/{split}.txt").absolute())
    corpus = load_corpus(DataOptions(corpus=str(tmp_path)))
    assert corpus.valid is not None
    assert (corpus.train.n_tokens, corpus.valid.n_tokens, corpus.tokenizer.vocab_size) == (n_train, n_valid, vocab_size)
    n_lines = int((corpus.valid.tokens == corpus.tokenizer.start_id).sum())
    assert corpus.valid.n_words == n_valid - n_lines


def test_the_characters_of_tinyshakespeare(corpus_path: Callable[[str], Path]) -> None:
    text = corpus_path("tinyshakespeare/input.txt").read_text(encoding="utf-8")
    tokenizer = train_tokenizer(CharTokenizerOptions(), [text])
    assert tokenizer.vocab_size == 65 + 1
    assert tokenizer.decode(tokenizer.encode(text)) == text
    options = DataOptions(corpus=str(corpus_path("tinyshakespeare/input.txt")), tokenizer=CharTokenizerOptions())
    splits = [load_split(options, split, tokenizer) for split in ("train", "valid", "test")]
    assert sum(split.n_chars for split in splits) == 1_115_394
    assert [split.n_chars / 1_115_394 for split in splits] == pytest.approx([0.9, 0.05, 0.05], abs=0.001)


@pytest.mark.parametrize("folder", ["languages", "languages/udhr", "novels"])
def test_languages_and_odd_files_are_restored(folder: str, corpus_path: Callable[[str], Path]) -> None:
    """The first of each file, as `read_blocks` has it: without a byte-order mark, lines ended by newlines."""
    subwords = {"vocab_size": 1000}
    for path in sorted(corpus_path(folder).glob("*.txt")):
        text = next(read_blocks(path, block_bytes=30_000))
        assert "\r" not in text and "\ufeff" not in text
        for options in (
            ByteTokenizerOptions(),
            CharTokenizerOptions(),
            BPETokenizerOptions(**subwords),
            UnigramTokenizerOptions(**subwords),
        ):
            measured = measure(train_tokenizer(options, [text]), [text])
            assert measured["restores_text"], (path, options)
            assert measured["unk_rate"] == 0
            assert 0 < measured["unigram_bits_per_byte"] < 8


def test_the_digests_of_the_readme(corpus_path: Callable[[str], Path]) -> None:
    rows = re.findall(
        r"\| `(\S+)` \| `([0-9a-f]{64})` \|", (PROJECT / "data" / "README.md").read_text(encoding="utf-8")
    )
    assert len(rows) == 5
    for name, digest in rows:
        assert hashlib.sha256(corpus_path(name).read_bytes()).hexdigest() == digest
