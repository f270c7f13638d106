"""The filters between a model's next-token distribution and a draw from it.

A filter takes log-probabilities (nats) and its setting, and returns those of another distribution: it sums to 1 and has
at least one token left. Among equally probable tokens the one with the lowest id comes first.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

LogProbabilities = Float64[Tensor, "batch vocab"]

# The softmax of a float32 model is off by up to this much, so a nucleus is complete when it is that close to its share.
ROUNDING = 1e-6


def without_token(log_probabilities: LogProbabilities, token: int) -> LogProbabilities:
    """Make one token of two or more impossible; where it alone was possible, the others become equally likely."""
    removed = torch.arange(log_probabilities.shape[-1], device=log_probabilities.device) == token
    others = log_probabilities.masked_fill(removed, -torch.inf)
    nothing_left = others.isneginf().all(dim=-1, keepdim=True)
    return others.masked_fill(nothing_left & ~removed, 0.0).log_softmax(dim=-1)


def with_temperature(log_probabilities: LogProbabilities, temperature: float) -> LogProbabilities:
    """Raise probabilities to the power `1 / temperature`: sharper below 1, flatter above, at 0 the best alone."""
    if temperature == 1:
        return log_probabilities
    if temperature == 0:
        return with_top_k(log_probabilities, 1)
    # Measured from the most probable token, so that even a temperature near 0 leaves that one finite.
    distances = log_probabilities - log_probabilities.amax(dim=-1, keepdim=True)
    return torch.where(distances.isneginf(), distances, distances / temperature).log_softmax(dim=-1)


def with_top_k(log_probabilities: LogProbabilities, top_k: int) -> LogProbabilities:
    """Keep the `top_k` most probable tokens, or all where there are no more than that (Fan et al. 2018)."""
    if top_k >= log_probabilities.shape[-1]:
        return log_probabilities
    least = log_probabilities.topk(top_k, dim=-1).values[:, -1:]
    above, tied = log_probabilities > least, log_probabilities == least
    room = top_k - above.sum(dim=-1, keepdim=True)
    return _renormalized(log_probabilities, above | (tied & (tied.cumsum(dim=-1) <= room)))


def with_top_p(log_probabilities: LogProbabilities, top_p: float) -> LogProbabilities:
    """Keep the nucleus: the fewest most probable tokens whose probabilities sum to `top_p` (Holtzman et al. 2020)."""
    if top_p >= 1:
        return log_probabilities
    ranked, ids = log_probabilities.sort(dim=-1, descending=True, stable=True)
    probabilities = ranked.exp()
    before = probabilities.cumsum(dim=-1) - probabilities
    in_nucleus = before < top_p - ROUNDING
    in_nucleus[:, 0] = True
    return _renormalized(log_probabilities, torch.zeros_like(in_nucleus).scatter(-1, ids, in_nucleus))


Filter = Callable[[Tensor, Any], Tensor]

# In the order in which they are applied; the key is what the setting is called.
FILTERS: Mapping[str, Filter] = {
    "without_token": without_token,
    "temperature": with_temperature,
    "top_k": with_top_k,
    "top_p": with_top_p,
}


def apply_filters(log_probabilities: LogProbabilities, settings: Mapping[str, Any]) -> LogProbabilities:
    """Apply the filters that have a setting, in the order of `FILTERS`; None leaves a filter out."""
    for name, filtered in FILTERS.items():
        setting = settings[name]
        if setting is not None:
            log_probabilities = filtered(log_probabilities, setting)
    return log_probabilities


def _renormalized(log_probabilities: LogProbabilities, kept: Bool[Tensor, "batch vocab"]) -> LogProbabilities:
    return log_probabilities.masked_fill(~kept, -torch.inf).log_softmax(dim=-1)
