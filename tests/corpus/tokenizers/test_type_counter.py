"""Counts in bounded memory, against counting all."""

import random
from collections import Counter

from lstmlm.corpus.tokenizers.type_counter import TypeCounter


def test_counts_are_exact_where_types_fit() -> None:
    counter, words = TypeCounter(3), "a b a c b a".split()
    counter.add(words[:2])
    counter.add(words[2:])
    assert (counter.counts, counter.n_dropped, counter.shortfall) == (Counter(words), 0, 0)


def test_counts_are_bounded_where_they_do_not() -> None:
    generator, counter = random.Random(3), TypeCounter(100)
    words = [str(int(generator.paretovariate(0.6))) for _ in range(20_000)]
    for start in range(0, len(words), 50):
        counter.add(words[start : start + 50])
        assert len(counter.counts) <= 100
    assert 0 < counter.shortfall < 500
    truth = Counter(words)
    assert all(truth[word] - counter.shortfall <= counter.counts[word] <= n for word, n in truth.items())
