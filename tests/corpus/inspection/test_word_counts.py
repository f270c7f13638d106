"""Counts of words: against counting by hand, and the laws of texts that were made to follow them."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstmlm.corpus.inspection.word_counts import WordCounts


def counted(words: list[str], most_types: int = 1000, n_at_once: int = 7) -> WordCounts:
    counts = WordCounts(most_types)
    for start in range(0, len(words), n_at_once):
        counts.read(words[start : start + n_at_once])
    return counts


@given(words=st.lists(st.sampled_from("abcdefgh"), max_size=50), n_at_once=st.integers(1, 60))
def test_counts_are_those_of_the_whole(words: list[str], n_at_once: int) -> None:
    counts = counted(words, n_at_once=n_at_once)
    assert counts.counts == Counter(words)
    assert (counts.n_words, counts.n_types, counts.n_dropped) == (len(words), len(set(words)), 0)
    assert counts.n_singletons == sum(words.count(word) == 1 for word in set(words))


def test_shares() -> None:
    counts = counted("a a a a b b c d".split())
    assert [counts.share_covered_by(n) for n in (0, 1, 2, 100)] == [0, 0.5, 0.75, 1]


def test_rare_types_are_forgotten_above_a_number_whatever_their_order() -> None:
    words = [*("often " * 50).split(), *("twice " * 2).split(), *(f"once{i}" for i in range(20))]
    kept = []
    for seed in range(3):
        random.Random(seed).shuffle(words)
        counts = WordCounts(most_types=21)
        counts.read(words)
        kept.append(dict(counts.counts))
        assert (counts.n_types, counts.n_dropped) == (22, 20)
    assert kept == [{"often": 50, "twice": 2}] * 3


def test_the_growth_of_a_vocabulary_that_follows_heaps_law() -> None:
    # The n-th word is new where the law 3 · n^0.6 reaches another whole number.
    words = []
    n_types = 0
    for n in range(1, 50_001):
        if int(3 * n**0.6) > n_types:
            n_types += 1
        words.append(str(n_types))
    counts = counted(words, most_types=10**6, n_at_once=1234)
    assert counts.heaps_exponent() == pytest.approx(0.6, abs=0.005)
    last_measured = max(n for n, _ in counts._growth if n <= 45_000)
    new = 3 * (50_000**0.6 - last_measured**0.6)
    assert counts.new_types_per_thousand_words() == pytest.approx(1000 * new / (50_000 - last_measured), rel=0.01)


def test_counts_that_follow_zipfs_law() -> None:
    counts = WordCounts()
    for rank in range(1, 1000):
        counts.read([f"word{rank}"] * round(20_000 / rank**0.9))
    assert counts.zipf_exponent() == pytest.approx(0.9, abs=0.01)


def test_a_short_text_follows_no_law() -> None:
    counts = counted("a short text".split())
    assert (counts.heaps_exponent(), counts.zipf_exponent(), counts.new_types_per_thousand_words()) == (None,) * 3
