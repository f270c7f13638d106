"""Figures of several trainings, against tables of Student's distribution and sums written out."""

import math

import numpy as np
import pytest

from lstmlm.errors import DataError
from lstmlm.evaluation.seeds import seed_difference, seed_mean


def test_the_limits_are_student_s() -> None:
    found = seed_mean([88.0, 90.0, 92.0])
    # t(0.975, 2) = 4.3027; the standard deviation is 2.
    assert (found.n_runs, found.mean) == (3, 90.0)
    assert (found.low, found.high) == pytest.approx((90 - 4.302653 * 2 / 3**0.5, 90 + 4.302653 * 2 / 3**0.5))


def test_one_run_has_no_limits() -> None:
    found = seed_mean([88.0])
    assert (found.n_runs, found.mean) == (1, 88.0)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    difference = seed_difference({1: 88.0}, {1: 87.0})
    assert difference.mean == -1
    assert math.isnan(difference.p_value)
    assert difference.n_needed is None


def test_a_paired_difference() -> None:
    # Of the sleep data of Student 1908, table I: t = 4.0621 with 9 degrees of freedom, p = 0.002833.
    a = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    b = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    found = seed_difference(dict(enumerate(a)), dict(enumerate(b)))
    assert found.n_runs == 10
    assert found.mean == pytest.approx(1.58)
    assert found.p_value == pytest.approx(0.002833, abs=1e-6)
    assert seed_difference(dict(enumerate(a)), dict(enumerate(b)), 10).p_value == pytest.approx(0.02833, abs=1e-5)
    assert (found.low, found.high) == pytest.approx((0.7001142, 2.4598858), abs=1e-6)


def test_a_difference_beyond_doubt_has_no_negative_p() -> None:
    for n in range(3, 20):
        found = seed_difference(dict.fromkeys(range(n), 0.0), {seed: 100 + 0.01 * seed for seed in range(n)})
        assert 0 <= found.p_value < 1e-5


def test_only_seeds_that_both_have_are_paired() -> None:
    found = seed_difference({1: 10.0, 2: 20.0, 3: 30.0}, {2: 21.0, 3: 32.0, 4: 0.0})
    assert (found.n_runs, found.mean) == (2, 1.5)
    with pytest.raises(DataError, match=r"\[1\] and \[2\] have none in common"):
        seed_difference({1: 10.0}, {2: 10.0})
    with pytest.raises(DataError, match="none to take the mean of"):
        seed_mean([])


def test_runs_that_would_be_needed() -> None:
    # The tables of Cohen 1988 have 34 pairs for half a standard deviation, at 5 % and a power of 80 %.
    differences = np.array([-1.0, 1.0]) / math.sqrt(2) + 0.5
    assert seed_difference({1: 0.0, 2: 0.0}, dict(enumerate(differences, start=1))).n_needed == 34
    # Of ten comparisons each is made at 0.5 %: (2.807 + 0.842)² / 0.25 = 53.3, and Student's t asks for three more.
    ten = seed_difference({1: 0.0, 2: 0.0}, dict(enumerate(differences, start=1)), 10)
    assert (ten.p_value, ten.n_needed) == (1.0, 57)
    nothing = seed_difference({1: 0.0, 2: 0.0}, {1: 1.0, 2: -1.0})
    assert (nothing.p_value, nothing.n_needed) == (pytest.approx(1.0), None)
    same = seed_difference({1: 5.0, 2: 6.0}, {1: 5.0, 2: 6.0})
    assert (same.mean, same.p_value, same.n_needed) == (0.0, 1.0, None)
