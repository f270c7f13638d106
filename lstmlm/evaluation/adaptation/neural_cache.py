r"""The continuous cache (Grave et al. 2017, "Improving neural language models with a continuous cache").

The cache holds the features :math:`h_i` from which each of the latest tokens was predicted, beside that token
:math:`x_{i+1}`. It predicts what followed similar features:

.. math::

    p_\text{cache}(w \mid h_t) \propto \sum_{i: x_{i+1} = w} \exp(\theta \, h_t \cdot h_i)

The paper mixes it with the model: :math:`p = (1 - \lambda) \, p_\text{model} + \lambda \, p_\text{cache}`.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

ROWS_PER_BLOCK = 128
"""Tokens whose similarities to the cache are computed together."""


@torch.inference_mode()
def cache_nats(
    features: Float[Tensor, "tokens hidden"], tokens: Int[Tensor, " tokens"], size: int, theta: float
) -> Float[np.ndarray, " tokens"]:
    """Return the surprisal of every token of a text (nats) to a cache that holds the `size` tokens before it.

    It is infinite for a token that is not in the cache, and so for the first of all. The model predicts each token from
    `features`; the larger `theta`, the more their similarity counts.
    """
    nats = torch.empty(len(tokens), dtype=torch.float64)
    for start in range(0, len(tokens), ROWS_PER_BLOCK):
        now = slice(start, min(start + ROWS_PER_BLOCK, len(tokens)))
        shares, held = _shares(features, now, size, theta)
        of_token = shares.masked_fill_(tokens[now, None] != tokens[held], 0).sum(1)
        nats[now] = -of_token.double().log()
    return nats.nan_to_num(nan=torch.inf, posinf=torch.inf).numpy()


@torch.inference_mode()
def cache_log_probabilities(
    features: Float[Tensor, "tokens hidden"],
    tokens: Int[Tensor, " tokens"],
    size: int,
    theta: float,
    position: int,
    vocab_size: int,
) -> Float[np.ndarray, " vocab"]:
    """Return the log-probability of every token (nats) at a position after the first one; see `cache_nats`."""
    start = position // ROWS_PER_BLOCK * ROWS_PER_BLOCK
    shares, held = _shares(features, slice(start, min(start + ROWS_PER_BLOCK, len(tokens))), size, theta)
    probabilities = torch.zeros(vocab_size, dtype=torch.float64)
    probabilities.index_add_(0, tokens[held], shares[position - start].double())
    return probabilities.log().numpy()


def _shares(
    features: Float[Tensor, "tokens hidden"], now: slice, size: int, theta: float
) -> tuple[Float[Tensor, "now held"], slice]:
    """Return what the tokens that may be in the cache have of its probability at each position of a block."""
    held = slice(max(0, now.start - size), now.stop)
    similarities = theta * features[now] @ features[held].T
    before = now.start - held.start
    is_held = torch.ones_like(similarities, dtype=torch.bool).tril_(before - 1).triu_(before - size)
    similarities.masked_fill_(~is_held, -torch.inf)
    return torch.softmax(similarities, dim=1), held
