"""Intervals by resampling, against what is known of them."""

import math

import numpy as np
import pytest

from lstmlm.evaluation import bootstrap
from lstmlm.evaluation.bootstrap import ratio_interval

ONES = np.ones(500, dtype=np.int64)


def test_items_of_one_length_have_the_interval_of_a_mean() -> None:
    amounts = np.random.default_rng(0).exponential(size=500)
    low, high = ratio_interval(amounts, ONES)
    half_width = 1.96 * amounts.std() / math.sqrt(500)
    # 10,000 resamples know their outer fortieth to a few hundredths of the width.
    assert low == pytest.approx(amounts.mean() - half_width, abs=0.1 * half_width)
    assert high == pytest.approx(amounts.mean() + half_width, abs=0.1 * half_width)


def test_an_item_counts_by_its_length() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, size=50)
    low, high = ratio_interval(0.25 * lengths, lengths)
    assert low == pytest.approx(0.25)
    assert high == pytest.approx(0.25)


def test_it_holds_as_often_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "N_RESAMPLES", 1000)
    generator = np.random.default_rng(0)
    holds = []
    for _ in range(40):
        lengths = generator.integers(5, 50, size=60)
        low, high = ratio_interval(lengths * 2.0 + generator.normal(size=60) * np.sqrt(lengths), lengths)
        holds.append(low < 2.0 < high)
    # 38 are expected, fewer than 34 in one of a hundred such tests.
    assert sum(holds) >= 34


def test_repeats() -> None:
    amounts = np.random.default_rng(0).normal(size=30)
    assert ratio_interval(amounts, ONES[:30]) == ratio_interval(amounts, ONES[:30])


def test_a_single_item_has_no_interval() -> None:
    assert all(map(math.isnan, ratio_interval(np.array([3.0]), np.array([7]))))
