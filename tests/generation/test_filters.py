"""Each filter against a distribution over five tokens, worked out by hand."""

import pytest
import torch
from torch import Tensor

from lstmlm.generation.filters import (
    FILTERS,
    apply_filters,
    with_min_p,
    with_repetition_penalty,
    with_temperature,
    with_top_k,
    with_top_p,
    with_typical_p,
    without_repeated_ngrams,
    without_token,
)

PROBABILITIES = [0.1, 0.4, 0.05, 0.3, 0.15]


def distribution(*probabilities: float) -> Tensor:
    return torch.tensor([probabilities], dtype=torch.float64).log()


def probabilities(log_probabilities: Tensor) -> list[float]:
    return log_probabilities[0].exp().tolist()


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        (1, [0.1 / 0.6, 0, 0.05 / 0.6, 0.3 / 0.6, 0.15 / 0.6]),
        (2, [0.1 / 0.95, 0.4 / 0.95, 0, 0.3 / 0.95, 0.15 / 0.95]),
    ],
)
def test_without_token(token: int, expected: list[float]) -> None:
    assert probabilities(without_token(distribution(*PROBABILITIES), token)) == pytest.approx(expected)


def test_without_the_only_possible_token_the_others_are_equally_likely() -> None:
    assert probabilities(without_token(distribution(0, 0, 1, 0, 0), 2)) == pytest.approx([0.25, 0.25, 0, 0.25, 0.25])


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [
        (1.0, PROBABILITIES),
        # Squares, over their sum 0.01 + 0.16 + 0.0025 + 0.09 + 0.0225 = 0.285.
        (0.5, [0.01 / 0.285, 0.16 / 0.285, 0.0025 / 0.285, 0.09 / 0.285, 0.0225 / 0.285]),
        (float("inf"), [0.2, 0.2, 0.2, 0.2, 0.2]),
        (5e-324, [0, 1, 0, 0, 0]),
        (0.0, [0, 1, 0, 0, 0]),
    ],
)
def test_temperature(temperature: float, expected: list[float]) -> None:
    assert probabilities(with_temperature(distribution(*PROBABILITIES), temperature)) == pytest.approx(expected)


def test_a_high_temperature_leaves_impossible_tokens_impossible() -> None:
    flat = with_temperature(distribution(0, 0.9, 0.1, 0, 0), float("inf"))
    assert probabilities(flat) == pytest.approx([0, 0.5, 0.5, 0, 0])


def test_temperature_0_takes_the_lowest_id_of_a_tie() -> None:
    assert probabilities(with_temperature(distribution(0.1, 0.3, 0.3, 0.3, 0), 0.0)) == [0, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("top_k", "expected"),
    [
        (1, [0, 1, 0, 0, 0]),
        (2, [0, 0.4 / 0.7, 0, 0.3 / 0.7, 0]),
        (3, [0, 0.4 / 0.85, 0, 0.3 / 0.85, 0.15 / 0.85]),
        (5, PROBABILITIES),
        (500, PROBABILITIES),
    ],
)
def test_top_k(top_k: int, expected: list[float]) -> None:
    assert probabilities(with_top_k(distribution(*PROBABILITIES), top_k)) == pytest.approx(expected)


def test_top_k_keeps_the_lowest_ids_of_a_tie() -> None:
    tied = distribution(0.1, 0.2, 0.2, 0.3, 0.2)
    assert probabilities(with_top_k(tied, 3)) == pytest.approx([0, 0.2 / 0.7, 0.2 / 0.7, 0.3 / 0.7, 0])


@pytest.mark.parametrize(
    ("top_p", "expected"),
    [
        (1e-9, [0, 1, 0, 0, 0]),
        (0.4, [0, 1, 0, 0, 0]),
        (0.41, [0, 0.4 / 0.7, 0, 0.3 / 0.7, 0]),
        (0.7, [0, 0.4 / 0.7, 0, 0.3 / 0.7, 0]),
        (0.9, [0.1 / 0.95, 0.4 / 0.95, 0, 0.3 / 0.95, 0.15 / 0.95]),
        (0.951, PROBABILITIES),
        (1.0, PROBABILITIES),
    ],
)
@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
def test_top_p(top_p: float, expected: list[float], precision: torch.dtype) -> None:
    rounded = distribution(*PROBABILITIES).to(precision).double()
    assert probabilities(with_top_p(rounded, top_p)) == pytest.approx(expected, rel=1e-6)


def test_top_p_keeps_the_lowest_ids_of_a_tie() -> None:
    tied = distribution(0.1, 0.2, 0.2, 0.3, 0.2)
    assert probabilities(with_top_p(tied, 0.7)) == pytest.approx([0, 0.2 / 0.7, 0.2 / 0.7, 0.3 / 0.7, 0])


def test_top_p_of_1_keeps_the_rarest_token() -> None:
    assert probabilities(with_top_p(distribution(1e-9, 1 - 1e-9), 1.0))[0] == pytest.approx(1e-9)


@pytest.mark.parametrize(
    ("min_p", "expected"),
    [
        (0.0, PROBABILITIES),
        (0.125, PROBABILITIES),  # 0.125 of 0.4 is 0.05, which the rarest token has
        (0.126, [0.1 / 0.95, 0.4 / 0.95, 0, 0.3 / 0.95, 0.15 / 0.95]),
        (0.375, [0, 0.4 / 0.85, 0, 0.3 / 0.85, 0.15 / 0.85]),
        (0.75, [0, 0.4 / 0.7, 0, 0.3 / 0.7, 0]),
        (1.0, [0, 1, 0, 0, 0]),
    ],
)
def test_min_p(min_p: float, expected: list[float]) -> None:
    assert probabilities(with_min_p(distribution(*PROBABILITIES), min_p)) == pytest.approx(expected)


# The entropy of 0.5, 0.25, 0.125, 0.125 is 1.75 bits; surprisals of 1, 2, 3 and 3 bits are 0.75, 0.25 and twice 1.25
# away from it. So the second token is the most typical, not the most probable one.
@pytest.mark.parametrize(
    ("typical_p", "expected"),
    [
        (0.01, [0, 1, 0, 0]),
        (0.25, [0, 1, 0, 0]),
        (0.26, [0.5 / 0.75, 0.25 / 0.75, 0, 0]),
        (0.75, [0.5 / 0.75, 0.25 / 0.75, 0, 0]),
        (0.76, [0.5 / 0.875, 0.25 / 0.875, 0.125 / 0.875, 0]),
        (1.0, [0.5, 0.25, 0.125, 0.125]),
    ],
)
def test_typical_p(typical_p: float, expected: list[float]) -> None:
    assert probabilities(with_typical_p(distribution(0.5, 0.25, 0.125, 0.125), typical_p)) == pytest.approx(expected)


def test_typical_p_takes_no_impossible_token() -> None:
    assert probabilities(with_typical_p(distribution(0, 0.5, 0.5, 0), 0.9)) == pytest.approx([0, 0.5, 0.5, 0])


@pytest.mark.parametrize(
    ("penalty", "expected"),
    [
        # Squares of 0.4 and 0.1, which the text has; the sum is 0.16 + 0.01 + 0.05 + 0.3 + 0.15 = 0.67.
        (2.0, [0.01 / 0.67, 0.16 / 0.67, 0.05 / 0.67, 0.3 / 0.67, 0.15 / 0.67]),
        (1.0, PROBABILITIES),
        (1e300, [0, 0, 0.05 / 0.5, 0.3 / 0.5, 0.15 / 0.5]),
    ],
)
def test_repetition_penalty(penalty: float, expected: list[float]) -> None:
    filtered = with_repetition_penalty(distribution(*PROBABILITIES), penalty, [[1, 0, 1]])
    assert probabilities(filtered) == pytest.approx(expected)


def test_a_penalty_is_applied_to_each_row_by_its_own_text() -> None:
    rows = distribution(*PROBABILITIES).repeat(2, 1)
    filtered = with_repetition_penalty(rows, 2.0, [[], [3]])
    assert filtered[0].exp().tolist() == pytest.approx(PROBABILITIES)
    assert filtered[1].exp().tolist() == pytest.approx([p / 0.79 for p in (0.1, 0.4, 0.05, 0.09, 0.15)])


@pytest.mark.parametrize(
    ("size", "text", "banned"),
    [
        (1, [3, 1], {1, 3}),
        (2, [1, 3, 2, 1], {3}),
        (2, [1, 3, 1, 4, 1], {3, 4}),
        (3, [1, 3, 2, 1], set()),
        (3, [0, 1, 2, 0, 1, 4, 0, 1], {2, 4}),
        (2, [1, 1], {1}),
        (2, [1], set()),
        (2, [], set()),
        (9, [1, 1], set()),
    ],
)
def test_no_repeated_ngrams(size: int, text: list[int], banned: set[int]) -> None:
    filtered = probabilities(without_repeated_ngrams(distribution(*PROBABILITIES), size, [text]))
    left = [0 if token in banned else probability for token, probability in enumerate(PROBABILITIES)]
    assert filtered == pytest.approx([probability / sum(left) for probability in left])


def test_where_every_token_would_repeat_all_stay() -> None:
    assert probabilities(without_repeated_ngrams(distribution(0.4, 0.6, 0), 1, [[0, 1]])) == pytest.approx(
        [0.4, 0.6, 0]
    )


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, PROBABILITIES),
        # Without the most probable token, the two most probable are others.
        ({"without_token": 1, "top_k": 2}, [0, 0, 0, 0.3 / 0.45, 0.15 / 0.45]),
        # Sharpened first, the most probable token holds 0.16 / 0.285 = 0.56: enough for the nucleus alone.
        ({"temperature": 0.5, "top_p": 0.5}, [0, 1, 0, 0, 0]),
        # Of the two tokens that top-k leaves, the first holds 0.4 / 0.7 = 0.57: enough for the nucleus alone.
        ({"top_k": 2, "top_p": 0.5}, [0, 1, 0, 0, 0]),
        # A penalty comes before the temperature of 0: 0.4 squared is less than 0.3.
        ({"repetition_penalty": 2.0, "temperature": 0.0}, [0, 0, 0, 1, 0]),
        # Repeated tokens go before the shares: the two most probable are others.
        ({"no_repeat_ngram_size": 1, "top_k": 2}, [0, 0, 0, 0.3 / 0.45, 0.15 / 0.45]),
        # Of squares, over 0.285, the third is less than 0.3 times the first.
        ({"temperature": 0.5, "min_p": 0.3}, [0, 0.16 / 0.25, 0, 0.09 / 0.25, 0]),
        # Of two equally probable tokens each is as typical; of three, the middle one is.
        ({"top_k": 2, "typical_p": 0.4}, [0, 1, 0, 0, 0]),
    ],
)
def test_filters_are_applied_in_order(settings: dict[str, float], expected: list[float]) -> None:
    filtered = apply_filters(distribution(*PROBABILITIES), {**dict.fromkeys(FILTERS), **settings}, [[1]])
    assert probabilities(filtered) == pytest.approx(expected)
