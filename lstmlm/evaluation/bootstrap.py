"""Intervals by resampling (Efron 1979): how far a figure depends on the sentences that happen to be in the text."""

import numpy as np
from jaxtyping import Float, Integer

from lstmlm.config.data import EosPlace

N_RESAMPLES = 2_000
CONFIDENCE = 0.95
SEED = 1

MOST_ITEMS = 1_000
"""More are put together, neighbours with neighbours, which resemble each other more than others do."""

LEAST_ERROR = 0.1
"""Of a resample, as a share of that of all items: one item that was drawn again and again has none."""

RESAMPLES_AT_ONCE = 250


def joint_confidence(n_pairs: int) -> float:
    """Return with which each of `n_pairs` comparisons has to be made for all to hold with `CONFIDENCE` (Bonferroni)."""
    return 1 - (1 - CONFIDENCE) / n_pairs


def ratio_interval(
    amounts: Float[np.ndarray, " items"], units: Integer[np.ndarray, " items"], confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Return where sum(`amounts`) / sum(`units`) lies with probability `confidence`, had other items been drawn.

    Items, such as lines, are drawn with replacement, each with its amount and its units, and the ratio is that of the
    sums: an item counts by its length. Differences between two models as amounts make this the paired bootstrap.
    The limits are those of the bootstrap-t (Efron & Tibshirani 1993, section 12.5): what is resampled is how many
    standard errors the ratio is away, so that the interval of a few items is as wide as it has to be. A single item
    says nothing of others: its limits are not numbers.
    """
    # Of a token store units are small unsigned numbers, whose squares would not fit.
    n_items, amounts, units = len(amounts), amounts.astype(np.float64), units.astype(np.float64)
    if n_items == 1 or not units.any():
        return np.nan, np.nan
    if n_items > MOST_ITEMS:
        starts = np.arange(MOST_ITEMS) * n_items // MOST_ITEMS
        amounts, units = np.add.reduceat(amounts, starts), np.add.reduceat(units, starts)
    terms = np.stack([amounts, units, amounts * amounts, amounts * units, units * units], axis=-1)
    [ratio], [error] = (found.tolist() for found in _ratio_and_error(terms.sum(axis=0, keepdims=True), len(terms)))
    if error == 0:
        return ratio, ratio
    generator = np.random.default_rng(SEED)
    distances = []
    for _ in range(N_RESAMPLES // RESAMPLES_AT_ONCE):
        drawn = generator.integers(len(terms), size=(RESAMPLES_AT_ONCE, len(terms)))
        ratios, errors = _ratio_and_error(terms[drawn].sum(axis=1), len(terms))
        with np.errstate(invalid="ignore"):
            distances.append((ratios - ratio) / np.maximum(errors, LEAST_ERROR * error))
    ends = [(1 + confidence) / 2, (1 - confidence) / 2]
    found = np.concatenate(distances)
    high, low = np.quantile(found[np.isfinite(found)], ends)  # of items without units a resample may have nothing else
    return float(ratio - high * error), float(ratio - low * error)


def what_is_resampled(eos: EosPlace) -> str:
    """Return what the items of a text are called whose ends are where `eos` says."""
    return "documents" if eos == "document" else "lines"


def _ratio_and_error(
    sums: Float[np.ndarray, "draws 5"], n_items: int
) -> tuple[Float[np.ndarray, " draws"], Float[np.ndarray, " draws"]]:
    """Return the ratio of sums, and its standard error by linearisation, from the sums of a, u, a², a u and u²."""
    amount, unit, squares, products, unit_squares = np.moveaxis(sums, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = amount / unit
        residuals = squares - 2 * ratio * products + ratio**2 * unit_squares
        # Rounding leaves a little where every item has the same ratio.
        residuals = np.where(residuals > 1e-12 * squares, residuals, 0.0)
        return ratio, np.sqrt(residuals * n_items / (n_items - 1)) / unit
