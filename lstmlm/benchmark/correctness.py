"""The gate before every figure: what is faster and wrong is not faster."""

from collections.abc import Mapping

from torch import Tensor

TOLERANCES = {"float32": 2e-5, "bfloat16": 2e-2}
"""Largest distance from the reference, as a part of its norm. float32 orders its sums differently: a few hundred
roundings of 6e-8 on the way through a window; bfloat16 operands are rounded to 8 bits, each by up to 4e-3."""


def difference(results: Mapping[str, Tensor], wanted: Mapping[str, Tensor], precision: str) -> str | None:
    """Return in what `results` differ from `wanted` beyond the tolerance of `precision`, or None.

    Args:
        results: Outputs, losses and gradients by name.
        wanted: The same of the reference, in float32 or better.
        precision: Number format of the matrix products that gave `results`.
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
