"""The n-gram model against a slow one written from the equations, and against numbers computed by hand."""

import logging
import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from lstmlm.config.data import DataOptions
from lstmlm.corpus.loading import load_corpus
from lstmlm.models.ngram import FALLBACK_DISCOUNTS, NgramModel

VOCAB, START = 60, 3
Line = Sequence[int]


def lines(n_lines: int = 400, seed: int = 0) -> list[list[int]]:
    """Lines, some of them empty, in which some tokens are frequent and most are rare; 0 never occurs."""
    draws = np.random.default_rng(seed)
    drawn = [draws.zipf(1.4, size=draws.integers(9)) for _ in range(n_lines)]
    return [line[(line < VOCAB) & (line != START)].tolist() for line in drawn]


def tokens_of(lines: Sequence[Line]) -> np.ndarray:
    return np.array([token for line in lines for token in (*line, START)], dtype=np.int32)


def estimate(lines: Sequence[Line], order: int) -> NgramModel:
    return NgramModel.estimate(tokens_of(lines), VOCAB, START, order)


class SlowKneserNey:
    """The same model, one probability at a time, with `<s>` and `</s>` of their own."""

    def __init__(self, lines: Sequence[Line], order: int) -> None:
        marked = [("<s>", *line, "</s>") for line in lines]
        occurrences = [
            Counter(line[i : i + length] for line in marked for i in range(len(line) - length + 1))
            for length in range(order + 1)
        ]
        del occurrences[1]["<s>",]
        self.order = order
        self.occurrences = occurrences
        self.fixed_discounts: dict[int, Sequence[float]] = {}
        self.count()

    def count(self) -> None:
        self.counts = [*self.occurrences]
        for length in range(1, self.order):
            n_before = Counter(longer[1:] for longer in self.occurrences[length + 1])
            self.counts[length] = Counter(
                {ngram: n_before[ngram] or n for ngram, n in self.occurrences[length].items()}
            )

    def leave_out(self, ngram: tuple[int | str, ...]) -> None:
        """Count anew without one occurrence of a token after its context; the discounts stay."""
        self.fixed_discounts = {length: self.discounts(length) for length in range(1, self.order + 1)}
        for begin in range(len(ngram)):
            self.occurrences[len(ngram) - begin][ngram[begin:]] -= 1
        self.occurrences = [+counts for counts in self.occurrences]
        self.count()

    def nats(self, line: Line) -> list[float]:
        marked = ("<s>", *line, "</s>")
        return [
            -math.log(self.probability(marked[i], marked[max(0, i + 1 - self.order) : i]))
            for i in range(1, len(marked))
        ]

    def probability(self, token: int | str, context: tuple[int | str, ...]) -> float:
        lower = self.probability(token, context[1:]) if context else 1 / VOCAB
        counts = self.counts[len(context) + 1]
        followers = [n for ngram, n in counts.items() if ngram[:-1] == context]
        if not followers:
            return lower
        discount = self.discounts(len(context) + 1)
        n = counts[*context, token]
        taken = sum(discount[min(3, n)] for n in followers)
        return (n - discount[min(3, n)] + taken * lower) / sum(followers)

    def discounts(self, length: int) -> Sequence[float]:
        if self.fixed_discounts:
            return self.fixed_discounts[length]
        n = Counter(self.counts[length].values())
        y = n[1] / (n[1] + 2 * n[2])
        estimated = [k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3)]
        return (0, *(estimated if min(estimated) > 0 else FALLBACK_DISCOUNTS))


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_is_the_slow_model_written_from_the_equations(order: int) -> None:
    learnt, unseen = lines(), [*lines(40, seed=1), [0, 1, 0], []]
    slow = SlowKneserNey(learnt, order)
    wanted = [nats for line in unseen for nats in slow.nats(line)]
    np.testing.assert_allclose(estimate(learnt, order).nats(tokens_of(unseen)), wanted, rtol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_what_is_left_out_is_as_if_it_had_not_been_counted(order: int) -> None:
    """Each n-gram of the longest that end with a token is counted once less, with the discounts of the whole text."""
    learnt = lines(60)
    model = estimate(learnt, order)
    for line in learnt[:12]:
        marked, ids = ("<s>", *line, "</s>"), [START, *line, START]
        for end in range(2, len(marked) + 1):
            begin = max(0, end - order)
            rest = SlowKneserNey(learnt, order)
            rest.leave_out(marked[begin:end])
            found = model.tables[end - begin - 1].left_out
            assert found is not None
            wanted = rest.probability(marked[end - 1], marked[begin : end - 1])
            assert found[row_of(model, ids[begin:end])] == pytest.approx(wanted, rel=1e-12)


def row_of(model: NgramModel, ngram: Sequence[int]) -> int:
    row = ngram[0]
    for table, token in zip(model.tables[1:], ngram[1:], strict=False):
        [row] = table.find(np.array([row * VOCAB + token]))
    return int(row)


def test_by_hand() -> None:
    """Lines `1 1 2`: the bigrams <s> 1, 1 1, 1 2 and 2 </s>, once each, with the discounts for texts too small."""
    model = estimate([[1, 1, 2]], 2)
    # 1 follows two different tokens, 2 and </s> one each.
    floor = (0.5 + 0.5 + 1) / 4 / VOCAB
    one, two, end = (2 - 1) / 4 + floor, (1 - 0.5) / 4 + floor, (1 - 0.5) / 4 + floor
    wanted = [(1 - 0.5) / 1 + 0.5 * one, (1 - 0.5) / 2 + 0.5 * two, 0.5 + 0.5 * end, 0.5 * floor]
    np.testing.assert_allclose(np.exp(-model.nats(np.array([1, 2, START, 7]))), wanted, rtol=1e-15)


def test_left_out_by_hand() -> None:
    """Lines `1 1 2`, as above: without its one occurrence, 2 is after 1 what it is anywhere, once less there too."""
    [singles, pairs] = estimate([[1, 1, 2]], 2).tables
    assert singles.left_out is not None
    assert pairs.left_out is not None
    # Of four different tokens before another three are left: 1 after two, </s> after one.
    elsewhere = (0 - 0 + (1 + 0.5) / VOCAB) / 3
    after_one = (0 + 0.5 * elsewhere) / 1  # 1 1 is left, of which 0.5 is taken
    row = row_of(estimate([[1, 1, 2]], 2), [1, 2])
    assert singles.left_out[2] == pytest.approx(elsewhere, rel=1e-15)
    assert pairs.left_out[row] == pytest.approx(after_one, rel=1e-15)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_probabilities_sum_to_one_in_every_context(order: int) -> None:
    model = estimate(lines(), order)
    for context in [[], [1], [1, 1, 1], [2, START], [START, START], [1, 2, 0], [0], [1, 4, 1, 1, 2]]:
        continuations = model.nats_each([[*context, token] for token in range(VOCAB)])
        assert sum(math.exp(-nats[-1]) for nats in continuations) == pytest.approx(1, rel=1e-12)


def test_lines_and_texts_do_not_know_of_each_other() -> None:
    model, texts = estimate(lines(), 4), lines(30, seed=1)
    together = model.nats(tokens_of(texts))
    alone = [model.nats(tokens_of([line])) for line in texts]
    np.testing.assert_array_equal(together, np.concatenate(alone))
    for found, line in zip(model.nats_each(texts), alone, strict=True):
        np.testing.assert_array_equal(found, line[:-1])
    assert model.nats_each([]) == []


def test_a_token_does_not_know_of_those_after_it() -> None:
    model, tokens = estimate(lines(), 4), tokens_of(lines(20, seed=1))
    np.testing.assert_array_equal(model.nats(tokens[:7]), model.nats(tokens)[:7])
    assert len(model.nats(tokens[:0])) == 0


def test_ngrams_are_as_long_as_lines_allow() -> None:
    """Of `<s> 1 2 </s>` there are n-grams of up to four tokens."""
    model = estimate([[1, 2], [1]], 9)
    assert model.order == 4
    np.testing.assert_array_equal(model.ngrams(4, np.array([0])), [[START, 1, 2, START]])
    np.testing.assert_array_equal(model.ngrams(3, np.arange(3)), [[1, 2, START], [START, 1, 2], [START, 1, START]])


def test_discounts_that_cannot_be_estimated_are_replaced_with_a_word(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "lstmlm"):
        estimate([[1, 1, 2]], 2)
    assert caplog.messages == ["n-grams of 1, 2 tokens: too few are rare to estimate discounts. Taking 0.5, 1.0, 1.5."]
    caplog.clear()
    with caplog.at_level(logging.INFO, "lstmlm"):
        NgramModel.estimate(np.random.default_rng(0).zipf(1.3, size=9999).clip(max=2000), 2001, 1999, 2)
    assert caplog.messages == []


def test_penn_treebank(corpus_path: Callable[[str], Path], tmp_path: Path) -> None:
    """KenLM's lmplz and query have 199.018 and 148.007; lmplz enters the last unigram with another count."""
    for split in ("train", "valid"):
        (tmp_path / f"{split}.txt").symlink_to(corpus_path(f"ptb/{split}.txt").absolute())
    corpus = load_corpus(DataOptions(corpus=str(tmp_path)))
    assert corpus.valid is not None
    tokenizer = corpus.tokenizer
    for order, perplexity in [(2, 199.019), (5, 148.008)]:
        model = NgramModel.estimate(corpus.train.tokens, tokenizer.vocab_size, tokenizer.start_id, order)
        assert math.exp(model.nats(corpus.valid.tokens).mean()) == pytest.approx(perplexity, abs=0.001)
