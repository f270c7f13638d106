"""The kinds of dropout. Each takes the step's `Randomness`; without one (at evaluation) nothing is dropped."""

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lstmlm.models.cells.cell import CellWeights
from lstmlm.randomness import Randomness


def keep_mask(
    shape: tuple[int, ...], like: Tensor, probability: float, randomness: Randomness, site: str
) -> Float[Tensor, "..."]:
    """Draw a mask that is 0 with `probability`, else 1 / (1 - probability), so that the expected value stays 1."""
    mask = torch.empty(shape, dtype=like.dtype, device=like.device)
    return mask.bernoulli_(1 - probability, generator=randomness.generator(site)).div_(1 - probability)


def dropout(
    x: Float[Tensor, "time batch width"], probability: float, randomness: Randomness | None, site: str
) -> Float[Tensor, "time batch width"]:
    """Drop single units, afresh at every time step (Srivastava et al. 2014; in recurrent nets Zaremba et al. 2014)."""
    if randomness is None or probability == 0:
        return x
    return x * keep_mask(tuple(x.shape), x, probability, randomness, site)


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
