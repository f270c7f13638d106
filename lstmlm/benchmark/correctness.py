"""The gate before every figure: what is faster and wrong is not faster."""

from collections.abc import Mapping

import torch
from torch import Tensor

Results = Mapping[str, Tensor]
"""Outputs, losses and gradients by name."""

TOLERANCES = {"float32": 2e-5, "bfloat16": 2e-2}
"""Largest distance from the reference, as a part of its norm. float32 orders its sums differently: a few hundred
roundings of 6e-8 on the way through a window; bfloat16 operands are rounded to 8 bits, each by up to 4e-3."""


def with_gradients(name: str, value: Tensor, leaves: Mapping[str, Tensor], grad: Tensor | None = None) -> Results:
    """Return a value under its name, and its gradients by all leaves, given its own where it is no single number."""
    gradients = torch.autograd.grad(value, list(leaves.values()), grad)
    return {name: value, **{f"gradient of {leaf}": found for leaf, found in zip(leaves, gradients, strict=True)}}


def difference(results: Results, wanted: Results, precision: str) -> str | None:
    """Return in what `results` differ from `wanted` beyond the tolerance of `precision`, or None.

    `wanted` are those of the reference, in float32 or better; `precision` is that of the products that gave `results`.
    """
    tolerance = TOLERANCES[precision]
    distances = {name: _distance(results[name], wanted[name]) for name in wanted}
    # Not a number is no small distance either.
    wrong = {name: distance for name, distance in distances.items() if not distance <= tolerance}
    if not wrong:
        return None
    name = max(wrong, key=lambda name: wrong[name])
    return f"{name} differs by {wrong[name]:.1e} of its norm, allowed {tolerance:.0e}"


def _distance(result: Tensor, wanted: Tensor) -> float:
    result, wanted = result.detach().double(), wanted.detach().double()
    norm = float(wanted.norm())
    return float((result - wanted).norm()) / norm if norm else float(result.norm())
