"""Intervals by resampling (Efron 1979): how far a figure depends on the sentences that happen to be in the text."""

import numpy as np
from jaxtyping import Float, Int

N_RESAMPLES = 10_000
CONFIDENCE = 0.95
SEED = 1


def ratio_interval(amounts: Float[np.ndarray, " items"], units: Int[np.ndarray, " items"]) -> tuple[float, float]:
    """Return where sum(`amounts`) / sum(`units`) lies with probability `CONFIDENCE`, had other items been drawn.

    Items, such as lines, are drawn with replacement, each with its amount and its units, and the ratio is that of the
    sums: an item counts by its length. Differences between two models as amounts make this the paired bootstrap.
    A single item says nothing about others: its limits are not numbers.
    """
    n_items = len(amounts)
    if n_items == 1:
        return np.nan, np.nan
    generator = np.random.default_rng(SEED)
    ratios = np.empty(N_RESAMPLES)
    for resample in range(N_RESAMPLES):
        drawn = generator.integers(n_items, size=n_items)
        ratios[resample] = amounts[drawn].sum() / units[drawn].sum()
    low, high = np.quantile(ratios, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
