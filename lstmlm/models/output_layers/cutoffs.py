"""Where the clusters of an adaptive softmax begin, so that a training step costs least by the counts of a corpus."""

import numpy as np
from jaxtyping import Int

MAX_TAILS = 4
"""Clusters beside the head that are considered. The paper finds two to four enough: each one more saves less, and a
smaller head models frequent words worse."""

MAX_CANDIDATES = 400
"""Ids at which a cluster may begin. A larger vocabulary is searched on a grid that is finer where tokens are frequent:
1 per cent off the best place costs next to nothing."""

PRODUCT_COST = 20_000_000
"""What a softmax costs whatever its size, in multiplications: the gathering of its rows and a few dozen calls.
Measured on Penn Treebank with widths 200 and 650 as what makes the choice fastest, between float32 (less) and bfloat16
(more); half or twice as much changes little."""


def choose_cutoffs(
    counts: Int[np.ndarray, " vocab"], n_rows: int, width: int, *, product_cost: int = PRODUCT_COST
) -> tuple[int, ...]:
    """Return the cutoffs of least expected cost; none where the full softmax is cheapest.

    A softmax costs rows × outcomes × width multiplications and `product_cost`. The head has all rows of a window, and
    as outcomes the tokens before the first cutoff and one for each tail. A tail has the rows whose target is in it, by
    the share of its tokens in `counts`. This is the model of Grave et al. 2017, section 4.1, with a constant in place
    of their least number of rows; they too search by dynamic programming.

    All clusters count as equally wide, whatever `div_value` is: else the cheapest would be those that narrow soonest.
    `counts` are those of the training split by token id, `n_rows` is batch size × bptt, and `width` that of the
    features.
    """
    ends = _candidates(len(counts))
    share_before = np.concatenate([[0], np.cumsum(counts)])[ends] / counts.sum()
    # least[i]: cost of the tokens before ends[i] with the clusters so far; the head alone at first.
    least = n_rows * width * ends + float(product_cost)
    best_cost, best_cutoffs = least[-1], tuple[int, ...]()
    # From before each candidate (first axis) to another, with one more outcome of the head.
    sizes, shares = ends - ends[:, None], share_before - share_before[:, None]
    tail = np.where(sizes > 0, n_rows * width * (shares * sizes + 1) + product_cost, np.inf)
    origins: list[Int[np.ndarray, " candidates"]] = []
    for _ in range(MAX_TAILS):
        through = least[:, None] + tail
        origins.append(through.argmin(axis=0))
        least = through.min(axis=0)
        if least[-1] < best_cost:
            best_cost, best_cutoffs = least[-1], _trace(ends, origins)
    return best_cutoffs


def _candidates(vocab_size: int) -> Int[np.ndarray, " candidates"]:
    """Return the ids before which a cluster may end, the last of them the size of the vocabulary."""
    if vocab_size <= MAX_CANDIDATES:
        return np.arange(1, vocab_size + 1)
    return np.unique(np.geomspace(1, vocab_size, MAX_CANDIDATES).round().astype(np.int64))


def _trace(ends: Int[np.ndarray, " candidates"], origins: list[Int[np.ndarray, " candidates"]]) -> tuple[int, ...]:
    """Follow the choices back from the whole vocabulary."""
    position, cutoffs = len(ends) - 1, []
    for origin in reversed(origins):
        position = int(origin[position])
        cutoffs.append(int(ends[position]))
    return tuple(reversed(cutoffs))
