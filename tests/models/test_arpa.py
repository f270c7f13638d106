"""ARPA files: one checked line by line, and one that gives the same probabilities when read back."""

import math
from pathlib import Path

import numpy as np
import pytest

from lstmlm.models.arpa import arpa_blocks
from lstmlm.models.ngram import NgramModel

START = 1
LINES = ["the cat sat", "the cat ran", "", "a dog sat", "the dog sat on the cat", "a cat sat"]


def estimate(order: int) -> tuple[NgramModel, list[str]]:
    names = ["<unk>", "<eos>", *dict.fromkeys(" ".join(LINES).split())]
    tokens = [names.index(word) for line in LINES for word in (*line.split(), "<eos>")]
    return NgramModel.estimate(np.array(tokens), len(names), START, order), names


def written(model: NgramModel, names: list[str]) -> str:
    return "".join(arpa_blocks(model, names))


def read(arpa: str) -> dict[tuple[str, ...], tuple[float, float]]:
    """Return the logarithms to base 10 of probability and backoff of each n-gram; check the counts of the header."""
    header, *sections = arpa.split("\n\n")
    entries: dict[tuple[str, ...], tuple[float, float]] = {}
    for length, section in enumerate(sections[:-1], start=1):
        title, *lines = section.split("\n")
        assert title == f"\\{length}-grams:"
        assert header.split("\n")[length] == f"ngram {length}={len(lines)}"
        for line in lines:
            probability, ngram, *backoff = line.split("\t")
            assert len(ngram.split(" ")) == length
            entries[tuple(ngram.split(" "))] = float(probability), float(backoff[0]) if backoff else 0.0
    assert (header.split("\n")[0], sections[-1]) == ("\\data\\", "\\end\\\n")
    return entries


def log_probability(entries: dict[tuple[str, ...], tuple[float, float]], ngram: tuple[str, ...]) -> float:
    if ngram in entries:
        return entries[ngram][0]
    return entries.get(ngram[:-1], (0.0, 0.0))[1] + log_probability(entries, ngram[1:])


def test_the_golden_file() -> None:
    assert written(*estimate(2)) == Path(__file__).with_name("bigram.arpa").read_text()


@pytest.mark.parametrize("order", [1, 2, 4])
def test_a_reader_finds_the_same_probabilities(order: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lstmlm.models.arpa.NGRAMS_PER_BLOCK", 3)
    model, names = estimate(order)
    entries = read(written(model, names))
    words = ["<s>", *"the cat sat on a dog <unk> the cat ran".split(), "</s>"]
    wanted = model.nats(np.array([*(names.index(word) for word in words[1:-1]), START]))
    found = [log_probability(entries, tuple(words[max(0, i + 1 - order) : i + 1])) for i in range(1, len(words))]
    # Seven digits are written, as by SRILM.
    np.testing.assert_allclose(np.array(found) * -math.log(10), wanted, rtol=1e-6)


def test_names_that_arpa_cannot_have() -> None:
    names = ["a b", "\n", "<s>", "</s>", "<stop>", "x<s>"]
    model = NgramModel.estimate(np.array([0, 2, 3, 4, 5, START]), len(names), START, 1)
    unigrams = ["<s>", "a<U+0020>b", "</s>", "<U+003C>s>", "<U+003C>/s>", "<stop>", "x<s>"]
    assert [ngram for (ngram,) in read(written(model, names))] == unigrams
