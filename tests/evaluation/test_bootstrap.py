"""Intervals by resampling, against what is known of them."""

import math

import numpy as np
import pytest

from lstmlm.evaluation import bootstrap
from lstmlm.evaluation.bootstrap import joint_confidence, ratio_interval

ONES = np.ones(500, dtype=np.int64)


@pytest.mark.parametrize(("n_pairs", "n_errors"), [(1, 1.96), (5, 2.576)])
def test_items_of_one_length_have_the_interval_of_a_mean(n_pairs: int, n_errors: float) -> None:
    """Of five comparisons, each is made with 99 %."""
    amounts = np.random.default_rng(0).exponential(size=500)
    low, high = ratio_interval(amounts, ONES, joint_confidence(n_pairs))
    half_width = n_errors * amounts.std() / math.sqrt(500)
    # 2,000 resamples know their outer fortieth to a few hundredths of the width.
    assert low == pytest.approx(amounts.mean() - half_width, abs=0.1 * half_width)
    assert high == pytest.approx(amounts.mean() + half_width, abs=0.1 * half_width)


def test_an_item_counts_by_its_length() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, size=50)
    low, high = ratio_interval(0.25 * lengths, lengths)
    assert low == pytest.approx(0.25)
    assert high == pytest.approx(0.25)


@pytest.mark.parametrize("dtype", [np.uint32, np.int32])
def test_long_lines_of_a_token_store_count_as_others_do(dtype: type) -> None:
    lengths = np.random.default_rng(0).integers(60_000, 90_000, size=50)
    amounts = np.random.default_rng(1).normal(0.01, 0.03, size=50) * lengths
    assert ratio_interval(amounts, lengths.astype(dtype)) == ratio_interval(amounts, lengths)


@pytest.mark.parametrize("n_lines", [12, 50, 200])
def test_it_holds_as_often_as_it_says(n_lines: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens have 5 nats on average; lines differ in length and in how hard they are."""
    monkeypatch.setattr(bootstrap, "N_RESAMPLES", 500)
    generator = np.random.default_rng(0)
    n_held = 0
    for _ in range(1000):
        lengths = np.maximum(1, generator.lognormal(3, 0.6, size=n_lines).round()).astype(np.int64)
        of_line = 5 + generator.normal(0, 0.8, size=n_lines)
        # The sum of so many surprisals, which are skewed, like those of words.
        low, high = ratio_interval(generator.gamma(1.2 * lengths, of_line / 1.2), lengths)
        n_held += low < 5 < high
    assert 930 <= n_held <= 970


def test_many_items_are_put_together() -> None:
    generator = np.random.default_rng(0)
    lengths = generator.integers(1, 50, size=20_000)
    amounts = generator.gamma(lengths, 5)
    ratio = amounts.sum() / lengths.sum()
    half_width = 1.96 * np.sqrt(((amounts - ratio * lengths) ** 2).sum()) / lengths.sum()
    low, high = ratio_interval(amounts, lengths)
    assert (ratio - low, high - ratio) == pytest.approx((half_width, half_width), rel=0.1)


def test_two_items_tell_next_to_nothing() -> None:
    low, high = ratio_interval(np.array([3.0, 4.0]), np.array([7, 7]))
    # The standard error is 1/14. Of two items Student's t has limits at 12.7 of them; here they are at 10.
    assert (low, high) == pytest.approx((0.5 - 10 / 14, 0.5 + 10 / 14))
    assert ratio_interval(np.array([3.0, 3.0]), np.array([7, 7])) == pytest.approx((3 / 7, 3 / 7))


def test_repeats() -> None:
    amounts = np.random.default_rng(0).normal(size=30)
    assert ratio_interval(amounts, ONES[:30]) == ratio_interval(amounts, ONES[:30])


def test_items_without_units_leave_an_interval() -> None:
    """Such as references without words, of which a resample may have nothing else."""
    low, high = ratio_interval(np.array([1.0] * 4 + [0.0] * 6), np.array([2] * 4 + [0] * 6))
    assert low <= 0.5 <= high
    assert all(map(math.isnan, ratio_interval(np.array([1.0, 0.0]), np.array([0, 0]))))


def test_a_single_item_has_no_interval() -> None:
    assert all(map(math.isnan, ratio_interval(np.array([3.0]), np.array([7]))))
