"""The choice of cutoffs against an exhaustive search, and on counts as texts have them."""

from collections.abc import Sequence
from itertools import combinations, pairwise

import numpy as np
import pytest

from lstmlm.models.output_layers.cutoffs import MAX_TAILS, choose_cutoffs

N_ROWS, WIDTH = 20, 5


def cost(cutoffs: Sequence[int], counts: np.ndarray, product_cost: int) -> float:
    """The documented cost, written out."""
    first, *_ = bounds = [*cutoffs, len(counts)]
    total = N_ROWS * (first + len(cutoffs)) * WIDTH + product_cost
    for start, end in pairwise(bounds):
        rows = N_ROWS * counts[start:end].sum() / counts.sum()
        total += rows * (end - start) * WIDTH + product_cost
    return total


def zipf(vocab_size: int) -> np.ndarray:
    return (1e6 / np.arange(2, vocab_size + 2)).astype(int)


@pytest.mark.parametrize("product_cost", [0, 50, 200, 400, 10**6])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_other_cutoffs_cost_less(product_cost: int, seed: int) -> None:
    counts = zipf(12) if seed == 0 else np.random.default_rng(seed).integers(1, 100, 12) ** 2
    chosen = choose_cutoffs(counts, N_ROWS, WIDTH, product_cost=product_cost)
    every = [cutoffs for n in range(MAX_TAILS + 1) for cutoffs in combinations(range(1, 12), n)]
    least = min(cost(cutoffs, counts, product_cost) for cutoffs in every)
    assert cost(chosen, counts, product_cost) == pytest.approx(least, rel=1e-12)
    assert list(chosen) == sorted(set(chosen))


def test_a_small_vocabulary_is_not_cut() -> None:
    assert choose_cutoffs(zipf(60), 700, 200) == ()


def test_a_large_vocabulary_is_cut_where_tokens_become_rare() -> None:
    counts = zipf(200_000)
    cutoffs = choose_cutoffs(counts, 700, 650)
    assert 2 <= len(cutoffs) <= MAX_TAILS
    assert 10 < cutoffs[0] < 10_000
    assert cutoffs[-1] < 200_000
    share = cost(cutoffs, counts, 0) / cost((), counts, 0)
    assert share < 0.1  # the paper reports a tenth of the work and less for such vocabularies


def test_a_grid_costs_next_to_nothing() -> None:
    from lstmlm.models.output_layers import cutoffs as module

    counts = zipf(1500)
    on_grid = choose_cutoffs(counts, N_ROWS, WIDTH, product_cost=200)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MAX_CANDIDATES", 1500)
        exact = choose_cutoffs(counts, N_ROWS, WIDTH, product_cost=200)
    assert cost(on_grid, counts, 200) <= 1.01 * cost(exact, counts, 200)


def test_tokens_that_never_occur_are_no_obstacle() -> None:
    counts = np.zeros(1000, dtype=int)
    counts[:4] = [5, 0, 3, 2]
    cutoffs = choose_cutoffs(counts, 700, 200, product_cost=1000)
    assert cutoffs[0] <= 4
