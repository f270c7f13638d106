"""Mixtures of models, by hand and against a search through all weights."""

import math

import numpy as np
import pytest

from lstmlm.evaluation.interpolation import mixture_nats, mixture_weights


def nats(n_models: int, n_tokens: int = 200) -> np.ndarray:
    return np.random.default_rng(1).exponential(2, size=(n_models, n_tokens))


def test_probabilities_are_averaged_not_nats() -> None:
    found = mixture_nats(-np.log([[0.5, 0.1], [0.1, 0.9]]), np.array([0.25, 0.75]))
    np.testing.assert_allclose(np.exp(-found), [0.2, 0.7], rtol=1e-12)


def test_a_model_may_find_a_token_impossible() -> None:
    impossible = np.array([[math.log(2), math.log(2)], [math.inf, 0.0]])
    np.testing.assert_allclose(np.exp(-mixture_nats(impossible, np.array([0.5, 0.5]))), [0.25, 0.75], rtol=1e-12)
    assert np.isfinite(mixture_weights(impossible)).all()


def test_long_odds_neither_overflow_nor_vanish() -> None:
    assert mixture_nats(np.array([[2000.0], [2000.0]]), np.array([0.5, 0.5])) == pytest.approx([2000])


def test_the_mixture_weights_are_those_that_a_search_finds() -> None:
    of_two = nats(2)
    shares = np.linspace(0.001, 0.999, 999)
    costs = [mixture_nats(of_two, np.array([1 - share, share])).sum() for share in shares]
    assert mixture_weights(of_two)[1] == pytest.approx(shares[np.argmin(costs)], abs=1e-3)


def test_no_small_change_of_three_weights_is_better() -> None:
    of_three = nats(3)
    best = mixture_weights(of_three)
    assert best.sum() == pytest.approx(1, abs=1e-12)
    for change in ([0.01, -0.01, 0], [0, 0.01, -0.01], [-0.01, 0, 0.01]):
        for other in (best + change, best - np.array(change)):
            assert mixture_nats(of_three, other).sum() > mixture_nats(of_three, best).sum()


def test_a_model_that_never_helps_gets_nothing() -> None:
    of_two = np.stack([nats(1)[0], nats(1)[0] + 1])
    assert mixture_weights(of_two)[1] == pytest.approx(0, abs=1e-3)
