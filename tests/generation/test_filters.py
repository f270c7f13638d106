"""Each filter against a distribution over five tokens, worked out by hand."""

import pytest
import torch
from torch import Tensor

from lstmlm.generation.filters import apply_filters, with_temperature, with_top_k, with_top_p, without_token

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
    ("settings", "expected"),
    [
        ({}, PROBABILITIES),
        # Without the most probable token, the two most probable are others.
        ({"without_token": 1, "top_k": 2}, [0, 0, 0, 0.3 / 0.45, 0.15 / 0.45]),
        # Sharpened first, the most probable token holds 0.16 / 0.285 = 0.56: enough for the nucleus alone.
        ({"temperature": 0.5, "top_p": 0.5}, [0, 1, 0, 0, 0]),
        # Of the two tokens that top-k leaves, the first holds 0.4 / 0.7 = 0.57: enough for the nucleus alone.
        ({"top_k": 2, "top_p": 0.5}, [0, 1, 0, 0, 0]),
    ],
)
def test_filters_are_applied_in_order(settings: dict[str, float], expected: list[float]) -> None:
    left_out = dict.fromkeys(("without_token", "temperature", "top_k", "top_p"))
    filtered = apply_filters(distribution(*PROBABILITIES), {**left_out, **settings})
    assert probabilities(filtered) == pytest.approx(expected)
