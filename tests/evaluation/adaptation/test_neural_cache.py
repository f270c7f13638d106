"""The continuous cache against its formula, one position at a time."""

import math

import numpy as np
import pytest
import torch

from lstmlm.evaluation.adaptation import neural_cache
from lstmlm.evaluation.adaptation.neural_cache import cache_nats

N_TOKENS, VOCAB = 40, 5


def features() -> torch.Tensor:
    return torch.randn(N_TOKENS, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def tokens() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(VOCAB, size=N_TOKENS))


def probabilities_by_hand(position: int, size: int, theta: float) -> list[float]:
    """Return the probability of every token of the vocabulary at a position."""
    h, x, totals = features(), tokens().tolist(), [0.0] * VOCAB
    for past in range(max(0, position - size), position):
        totals[x[past]] += math.exp(theta * float(h[position] @ h[past]))
    return [total / sum(totals) for total in totals]


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("rows", [1, 6, 128])
def test_every_position_by_hand(size: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neural_cache, "ROWS_PER_BLOCK", rows)
    found = cache_nats(features(), tokens(), size, theta=0.7)
    wanted = [probabilities_by_hand(position, size, 0.7)[token] for position, token in enumerate(tokens()) if position]
    np.testing.assert_allclose(np.exp(-found[1:]), wanted, rtol=1e-12, atol=0)


def test_probabilities_sum_to_one() -> None:
    position, total = 20, 0.0
    for token in range(VOCAB):
        asked = tokens()
        asked[position] = token
        total += math.exp(-cache_nats(features(), asked, size=15, theta=0.7)[position])
    assert total == pytest.approx(1, abs=1e-12)


def test_what_is_not_in_the_cache_is_impossible() -> None:
    found = cache_nats(features()[:4], torch.tensor([3, 3, 1, 3]), size=1, theta=0.7)
    assert found.tolist() == [math.inf, 0, math.inf, math.inf]


def test_without_similarity_it_counts() -> None:
    found = cache_nats(features()[:5], torch.tensor([3, 3, 1, 0, 3]), size=4, theta=1e-12)
    assert found[4] == pytest.approx(math.log(2), abs=1e-9)


def test_large_similarities_do_not_overflow() -> None:
    similar = torch.tensor([[40.0, 0], [40, 0], [0, 40], [40, 0]])
    found = cache_nats(similar, torch.tensor([1, 2, 3, 1]), size=10, theta=1.0)
    assert found[3] == pytest.approx(math.log(2), rel=1e-6)
