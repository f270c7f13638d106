"""Sums of negative log-likelihood and what they are called in other units; no target, and numbers as JSON has them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NO_TARGET = -1
"""Stands for a token id where a column of a window has nothing left to predict. It costs nothing and is not counted."""


@dataclass(frozen=True)
class NatsTotal:
    """A summed negative log-likelihood (nats) with the number of tokens it was summed over: never a mean of means."""

    nats: float = 0.0
    n_tokens: int = 0

    def __add__(self, other: "NatsTotal") -> "NatsTotal":
        return NatsTotal(self.nats + other.nats, self.n_tokens + other.n_tokens)

    @property
    def per_token(self) -> float:
        """Mean surprisal of a token (nats)."""
        return self.nats / self.n_tokens

    @property
    def perplexity(self) -> float:
        """exp(nats / token); infinite where that is beyond a float."""
        return perplexity(self.nats, self.n_tokens)


def perplexity(nats: float, n_units: int) -> float:
    """Return exp(`nats` / `n_units`), the perplexity per unit (token, word); infinity where a float cannot hold it.

    Without units it is not a number.
    """
    if n_units == 0:
        return math.nan
    try:
        return math.exp(nats / n_units)
    except OverflowError:
        return math.inf


def bits_per(nats: float, n_units: int) -> float:
    """Return the mean surprisal of a unit (token, word, character, byte) in bits; without units, not a number."""
    return nats / math.log(2) / n_units if n_units else math.nan


def finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` with None in place of numbers that JSON does not have, at any depth: infinity, not a number."""
    return {key: _finite(value) for key, value in values.items()}


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return list(map(_finite, value))
    return finite(value) if isinstance(value, dict) else value
