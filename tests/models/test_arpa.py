"""ARPA files: one checked line by line, and one that gives the same probabilities when read back."""

import math
import re
from pathlib import Path

import numpy as np
import pytest

from lstmlm.errors import DataError
from lstmlm.models.arpa import ForeignNgrams, arpa_blocks, read_arpa
from lstmlm.models.ngram import NgramModel

UNK, START = 0, 1
LINES = ["the cat sat", "the cat ran", "", "a dog sat", "the dog sat on the cat", "a cat sat"]


def estimate(order: int) -> tuple[NgramModel, list[str]]:
    names = ["<unk>", "<eos>", *dict.fromkeys(" ".join(LINES).split())]
    tokens = [names.index(word) for line in LINES for word in (*line.split(), "<eos>")]
    return NgramModel.estimate(np.array(tokens), len(names), START, order), names


def written(model: NgramModel, names: list[str]) -> str:
    return "".join(arpa_blocks(model, names, UNK if "<unk>" in names else None))


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
    assert written(*estimate(2)) == Path(__file__).with_name("bigram.arpa").read_text("utf-8")


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
    unigrams = ["<s>", "<unk>", "a<U+0020>b", "</s>", "<U+003C>s>", "<U+003C>/s>", "<stop>", "x<s>"]
    assert [ngram for (ngram,) in read(written(model, names))] == unigrams


def test_every_token_has_a_word_of_its_own_whatever_it_is_called() -> None:
    names = ["[UNK]", "[SEP]", "<unk>", "<UNK>", "a\0b", " ", "<U+0020>", "\t", "<s>", "<U+003C>s>", "<eps>", "#0"]
    model = NgramModel.estimate(np.array([2, 3, 4, 5, 6, 7, 8, 9, 10, 11, START]), len(names), START, 2)
    words = [ngram[0] for ngram in read("".join(arpa_blocks(model, names, UNK))) if len(ngram) == 1]
    assert len(set(words)) == len(names) + 1
    assert words[:3] == ["<s>", "<unk>", "</s>"]
    assert not re.search(r"[\s\0]", "".join(words))


def test_without_an_unknown_token_the_unknown_word_has_no_probability() -> None:
    model = NgramModel.estimate(np.array([0, START]), 2, START, 1)
    assert read("".join(arpa_blocks(model, ["a", "\n"], None)))["<unk>",] == (-99, 0)


def imported(arpa: str, names: list[str], unk_id: int | None = UNK) -> ForeignNgrams:
    return read_arpa("x.arpa", arpa.split("\n"), names, START, unk_id)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_what_was_written_is_read_again(order: int) -> None:
    model, names = estimate(order)
    tokens = np.array(
        [names.index(word) for word in "the cat sat on a dog <unk> the cat ran <eos> a cat <eos>".split()]
    )
    found = imported(written(model, names), names)
    assert (found.order, found.start_id, found.unknown_in(tokens)) == (order, START, ["<unk>"])
    np.testing.assert_allclose(found.nats(tokens), model.nats(tokens), rtol=1e-6)


OF_ANOTHER_TOOL = """\\data\\
ngram 1=5
ngram 2=3

\\1-grams:
-1\t<unk>
-99\t<s>\t-0.5
-0.5\t</s>
-0.25 cat -0.125
-2\tbird\t-0.25

\\2-grams:
-0.75\t<s> cat
-0.1\tbird cat
-0.2\tcat bird

\\end\\
"""


def test_an_arpa_file_of_another_tool() -> None:
    """By hand: p(cat | <s>), b(cat) p(cat), b(cat) p(<unk>) of which two tokens have half each, p(</s>)."""
    found = imported(OF_ANOTHER_TOOL, ["<unk>", "<eos>", "cat", "dog"])
    nats = found.nats(np.array([2, 2, 3, START]))
    np.testing.assert_allclose(nats / math.log(10), [0.75, 0.375, 1.125 + math.log10(2), 0.5], rtol=1e-12)
    assert found.unknown_in(np.array([2, 3, 3])) == ["dog", "dog"]
    for context in ([], [2], [3]):
        assert sum(np.exp(-found.nats(np.array([*context, token]))[-1]) for token in range(4)) < 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\\end\\\n", "", r"x.arpa: ends before \\end\\"),
        ("\\1-grams:", "\\3-grams:", r"x.arpa:5: expected 1-grams, got 3-grams"),
        ("cat -0.125", "cat 1e9", r"x.arpa:9: expected a logarithm and 1 words, got '-0.25 cat 1e9'"),
        ("ngram 2=3", "ngram 2=3\nngram 3=7", r"x.arpa:18: expected 7 3-grams, got 0"),
        ("ngram 2=3", "ngram 2=4", r"x.arpa:17: expected 4 2-grams, got 3"),
        ("-0.25 cat -0.125", "0.25 cat", r"x.arpa:9: expected a logarithm and 1 words, got '0.25 cat'"),
        ("-0.1\tbird cat", "-0.1\tbird", r"x.arpa:14: expected a logarithm and 2 words, got '-0.1\\tbird'"),
        ("-0.75\t<s> cat", "nan\t<s> cat", r"x.arpa:13: expected a logarithm"),
    ],
)
def test_broken_arpa_files(old: str, new: str, message: str) -> None:
    content = OF_ANOTHER_TOOL.replace(old, new)
    with pytest.raises(DataError, match=message):
        imported(content, ["<unk>", "<eos>", "cat"])


def test_what_is_no_arpa_file_or_knows_no_unknown_word() -> None:
    with pytest.raises(DataError, match=r"x\.arpa: is no ARPA file"):
        imported("the cat sat", ["<unk>", "<eos>", "cat"])
    closed = imported(OF_ANOTHER_TOOL.replace("-1\t<unk>", "-1\tfish"), ["<unk>", "<eos>", "cat", "dog"])
    with pytest.raises(DataError, match=r"x\.arpa: gives 'dog' no probability\. Estimate it with <unk>"):
        closed.nats(np.array([2, 3]))


def test_kenlm_finds_the_same_probabilities(tmp_path: Path) -> None:
    kenlm = pytest.importorskip("kenlm", reason="KenLM is another tool")
    model, names = estimate(3)
    names[UNK] = "[UNK]"
    path = tmp_path / "own.arpa"
    path.write_text("".join(arpa_blocks(model, names, UNK)), "utf-8")
    words = "the cat sat on a dog [UNK] the".split()
    nats = model.nats(np.array([*map(names.index, words), START]))
    found = kenlm.Model(str(path)).score(" ".join(words).replace("[UNK]", "bird"))
    assert -found * math.log(10) == pytest.approx(nats.sum(), rel=1e-6)
