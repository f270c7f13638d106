"""The kinds of dropout. Each takes the step's `Randomness`; without one (at evaluation) nothing is dropped."""

from dataclasses import replace

from jaxtyping import Float, Int
from torch import Tensor

from lstmlm.models.cells.cell import CellWeights
from lstmlm.randomness import Randomness, realised


def keep_mask(
    shape: tuple[int, ...],
    like: Tensor,
    probability: float,
    randomness: Randomness,
    site: str,
    *,
    column_axis: int | None = None,
) -> Float[Tensor, "..."]:
    """Draw a mask that is 0 with `probability`, else 1 / (1 - probability), so that the expected value stays 1.

    The scale is that of the probability which is drawn in truth, see `realised`: the expected value is 1 exactly.
    Number format and device are those of `like`; `site` is the place in the model that the mask is for. `column_axis`
    is the axis of `shape` that counts columns, if any: where a batch is computed in parts, this one's columns are cut
    from the mask of all.
    """
    sizes = tuple(size * randomness.n_parts if axis == column_axis else size for axis, size in enumerate(shape))
    keep = 1 - probability
    mask = randomness.bernoulli(sizes, keep, site, like).mul_(1 / realised(keep))
    return mask if column_axis is None else mask.chunk(randomness.n_parts, column_axis)[randomness.part]


def dropout(
    x: Float[Tensor, "time batch width"], probability: float, randomness: Randomness | None, site: str, *, locked: bool
) -> Float[Tensor, "time batch width"]:
    """Drop single units of each column.

    Either afresh at every time step (Srivastava et al. 2014; in recurrent nets Zaremba et al. 2014), or `locked`: the
    same ones at all steps of the window (variational dropout, Gal & Ghahramani 2016; Merity et al. 2018, section 4.2).
    """
    if randomness is None or probability == 0:
        return x
    n_steps, *rest = x.shape
    return x * keep_mask((1 if locked else n_steps, *rest), x, probability, randomness, site, column_axis=1)


def state_mask(
    hidden: Float[Tensor, "batch hidden"], probability: float, randomness: Randomness | None, site: str
) -> Float[Tensor, "batch hidden"] | None:
    """Draw what h_{t-1} is multiplied with on its way into W_h, at all steps of a window; None drops nothing.

    Variational state dropout (Gal & Ghahramani 2016; Melis et al. 2018): outputs and carried state stay whole.
    """
    if randomness is None or probability == 0:
        return None
    return keep_mask(tuple(hidden.shape), hidden, probability, randomness, site, column_axis=0)


def word_dropout(
    embedded: Float[Tensor, "time batch embedding"],
    tokens: Int[Tensor, "time batch"],
    vocab_size: int,
    probability: float,
    randomness: Randomness | None,
) -> Float[Tensor, "time batch embedding"]:
    """Drop whole words of the vocabulary, wherever they occur in the window (Gal & Ghahramani 2016)."""
    if randomness is None or probability == 0:
        return embedded
    mask = keep_mask((vocab_size,), embedded, probability, randomness, "dropout.embedding")
    return embedded * mask[tokens].unsqueeze(-1)


def weight_drop(weights: CellWeights, probability: float, randomness: Randomness | None, site: str) -> CellWeights:
    """Drop hidden-to-hidden weights, one mask for the whole window (DropConnect; Merity et al. 2018, section 2).

    The raw matrix stays the trained parameter: the gradient reaches it through the mask.
    """
    if randomness is None or probability == 0:
        return weights
    mask = keep_mask(tuple(weights.weight_hh.shape), weights.weight_hh, probability, randomness, site)
    return replace(weights, weight_hh=weights.weight_hh * mask)
