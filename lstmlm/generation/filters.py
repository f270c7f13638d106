"""The filters between a model's next-token distribution and a draw from it.

A filter takes log-probabilities (nats) and its setting, and returns those of another distribution: it sums to 1 and has
at least one token left. The next filter takes its shares of what is left. Among equally probable tokens the one with
the lowest id comes first.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

LogProbabilities = Float64[Tensor, "batch vocab"]

Texts = Sequence[Sequence[int]]
"""The tokens that each row goes on from: those of the prompt and those drawn by now."""

# The softmax of a float32 model is off by up to this much, so a share is complete when it is that close to it.
ROUNDING = 1e-6


def without_token(log_probabilities: LogProbabilities, token: int) -> LogProbabilities:
    """Make one token of two or more impossible; where it alone was possible, the others become equally likely."""
    removed = torch.arange(log_probabilities.shape[-1], device=log_probabilities.device) == token
    others = log_probabilities.masked_fill(removed, -torch.inf)
    nothing_left = others.isneginf().all(dim=-1, keepdim=True)
    return others.masked_fill(nothing_left & ~removed, 0.0).log_softmax(dim=-1)


def with_only(log_probabilities: LogProbabilities, tokens: Sequence[int]) -> LogProbabilities:
    """Keep these tokens; where none of them is possible, all stay."""
    return _keeping(log_probabilities, _said(log_probabilities[:1], [tokens]))


def with_repetition_penalty(log_probabilities: LogProbabilities, penalty: float, texts: Texts) -> LogProbabilities:
    """Raise the probability of what the text has already to the power `penalty` (Keskar et al. 2019, section 4.1).

    The paper divides a token's score by the penalty. Here the score is the log-probability itself, which unlike a logit
    has no arbitrary constant in it; as it is never above 0, it is multiplied, as implementations do with such a score.
    """
    # However large a penalty is, it leaves what is possible possible.
    penalized = (log_probabilities * penalty).clamp(min=torch.finfo(log_probabilities.dtype).min)
    changed = _said(log_probabilities, texts) & ~log_probabilities.isneginf()
    return torch.where(changed, penalized, log_probabilities).log_softmax(dim=-1)


def without_repeated_ngrams(log_probabilities: LogProbabilities, size: int, texts: Texts) -> LogProbabilities:
    """Keep the tokens that end no `size` tokens which the text has already (Paulus et al. 2018, section 2.5).

    Where every possible token does, all stay.
    """
    last_tokens = [_ends_of_repeated(text, size) for text in texts]
    return _keeping(log_probabilities, ~_said(log_probabilities, last_tokens))


def _ends_of_repeated(text: Sequence[int], size: int) -> list[int]:
    """The tokens that have followed the last `size - 1` tokens of a text wherever these have stood before."""
    if len(text) < size:
        return []
    windows = torch.tensor(text).unfold(0, size, 1)
    is_repeated = (windows[:, :-1] == torch.tensor(text[len(text) - size + 1 :])).all(dim=-1)
    repeated: list[int] = windows[is_repeated, -1].tolist()
    return repeated


def _said(log_probabilities: LogProbabilities, texts: Texts) -> Bool[Tensor, "batch vocab"]:
    """Which tokens each text has."""
    said = torch.zeros_like(log_probabilities, dtype=torch.bool)
    for row, text in zip(said, texts, strict=True):
        row[torch.tensor(text, dtype=torch.long)] = True
    return said


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
    ids = log_probabilities.argsort(dim=-1, descending=True, stable=True)
    return _renormalized(log_probabilities, _first_with_share(log_probabilities.exp(), ids, top_p))


def with_min_p(log_probabilities: LogProbabilities, min_p: float) -> LogProbabilities:
    """Keep the tokens that are at least `min_p` times as probable as the best one (Nguyen et al. 2024, section 3)."""
    if min_p == 0:
        return log_probabilities
    least = log_probabilities.amax(dim=-1, keepdim=True) + math.log(min_p) - ROUNDING
    return _renormalized(log_probabilities, log_probabilities >= least)


def with_typical_p(log_probabilities: LogProbabilities, typical_p: float) -> LogProbabilities:
    """Keep the locally typical set (Meister et al. 2023, equation 11).

    These are the fewest tokens whose probabilities sum to `typical_p`, of those whose surprisal is nearest to the
    entropy of the distribution.
    """
    if typical_p >= 1:
        return log_probabilities
    probabilities = log_probabilities.exp()
    surprisals = -log_probabilities
    entropy = torch.where(probabilities > 0, probabilities * surprisals, 0.0).sum(dim=-1, keepdim=True)
    ids = (surprisals - entropy).abs().argsort(dim=-1, stable=True)
    return _renormalized(log_probabilities, _first_with_share(probabilities, ids, typical_p))


Filter = Callable[..., Tensor]
"""Takes log-probabilities and its setting, and where it is `OF_TEXT` the `Texts` as well."""

# In the order in which they are applied; the key is what the setting is called.
FILTERS: Mapping[str, Filter] = {
    "without_token": without_token,
    "only": with_only,
    "repetition_penalty": with_repetition_penalty,
    "no_repeat_ngram_size": without_repeated_ngrams,
    "temperature": with_temperature,
    "top_k": with_top_k,
    "top_p": with_top_p,
    "min_p": with_min_p,
    "typical_p": with_typical_p,
}

OF_TEXT = frozenset({"repetition_penalty", "no_repeat_ngram_size"})


def apply_filters(
    log_probabilities: LogProbabilities, settings: Mapping[str, Any], texts: Texts = ()
) -> LogProbabilities:
    """Apply the filters that have a setting, in the order of `FILTERS`; None leaves a filter out."""
    for name, filtered in FILTERS.items():
        setting = settings[name]
        if setting is not None:
            arguments = (setting, texts) if name in OF_TEXT else (setting,)
            log_probabilities = filtered(log_probabilities, *arguments)
    return log_probabilities


def _first_with_share(
    probabilities: Float64[Tensor, "batch vocab"], ids: Int64[Tensor, "batch vocab"], share: float
) -> Bool[Tensor, "batch vocab"]:
    """Choose the first of `ids` that have this share together; one at least."""
    ranked = probabilities.gather(-1, ids)
    chosen = ranked.cumsum(dim=-1) - ranked < share - ROUNDING
    chosen[:, 0] = True
    return torch.zeros_like(chosen).scatter(-1, ids, chosen)


def _keeping(log_probabilities: LogProbabilities, kept: Bool[Tensor, "#batch vocab"]) -> LogProbabilities:
    """Keep some tokens; all where none of them is possible."""
    nothing_left = log_probabilities.masked_fill(~kept, -torch.inf).isneginf().all(dim=-1, keepdim=True)
    return _renormalized(log_probabilities, kept | nothing_left)


def _renormalized(log_probabilities: LogProbabilities, kept: Bool[Tensor, "batch vocab"]) -> LogProbabilities:
    return log_probabilities.masked_fill(~kept, -torch.inf).log_softmax(dim=-1)
