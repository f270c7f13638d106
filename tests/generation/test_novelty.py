"""Passages that samples share with a corpus, against a search through all of them."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstmlm.config.data import WordTokenizerOptions
from lstmlm.corpus.encoded_text import encode_text
from lstmlm.corpus.tokenizers import train_tokenizer
from lstmlm.generation import novelty
from lstmlm.generation.novelty import KnownPassage, Passage, find_known_passages, longest_passages

tokens = st.lists(st.integers(0, 2), max_size=12)


def searched(corpus: Sequence[int], sample: Sequence[int]) -> Passage:
    """The same by trying all passages, the longest first."""
    for length in range(len(sample), 0, -1):
        for start in range(len(sample) - length + 1):
            for place in range(len(corpus) - length + 1):
                if corpus[place : place + length] == sample[start : start + length]:
                    return Passage(start, length, place)
    return Passage(0, 0, 0)


@given(corpus=tokens, samples=st.lists(tokens, min_size=1, max_size=3))
def test_the_longest_passages_are_those_of_a_search(corpus: list[int], samples: list[list[int]]) -> None:
    found = longest_passages(np.array(corpus, dtype=np.int32), samples, 3)
    assert found == [searched(corpus, sample) for sample in samples]


@pytest.mark.parametrize("places_at_once", [1, 2, 5])
def test_a_passage_may_lie_across_the_parts_that_a_corpus_is_searched_in(
    places_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(novelty, "PLACES_AT_ONCE", places_at_once)
    corpus = np.array([5, 1, 2, 3, 4, 5, 1, 2, 9], dtype=np.uint16)
    found = longest_passages(corpus, [[7, 2, 3, 4, 5, 7], [8], [1, 2, 9], [7, 1, 2, 7]], 10)
    assert found == [Passage(1, 4, 2), Passage(0, 0, 0), Passage(0, 3, 6), Passage(1, 2, 1)]


def test_a_passage_has_its_line_and_its_text() -> None:
    text = "the cat sleeps\n\nthe dog watches the moon\nthe end\n"
    tokenizer = train_tokenizer(WordTokenizerOptions(), [text])
    corpus = encode_text("train.txt", [text], tokenizer, "train")
    copied, new = tokenizer.encode_prompt("end dog watches the cat"), [tokenizer.encode_prompt("<unk>")[0]]
    assert find_known_passages(tokenizer, corpus, [copied, new]) == [
        KnownPassage(text="dog watches the", n_tokens=3, corpus="train.txt", line=3, token=6),
        None,
    ]
