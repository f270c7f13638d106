"""Matrix products by each route that the machine offers, and the measurement that chooses among them.

A recurrent step multiplies few rows (the columns of a batch) by a large matrix that stays the same for a whole window.
Which library is fastest at that differs by processor, width and batch, often by a factor of two, so it is measured.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from statistics import median
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

Product = Callable[[Tensor], Tensor]
"""Multiplies rows (rows, in) by a matrix that it holds: (rows, out)."""


class GemmPath(StrEnum):
    """By which route matrices are multiplied."""

    NATIVE = "native"
    """torch's own product, in the number format of its operands (MKL on most processors)."""

    ONEDNN = "onednn"
    """oneDNN in float32, with the matrix of a window laid out for it once."""

    BFLOAT16 = "bfloat16"
    """bfloat16 operands, summed in float32; results are rounded to bfloat16. Layout as with `ONEDNN`."""


@dataclass(frozen=True)
class Gemm:
    """The products of a kernel by one route. Where the route does not exist, torch's own product steps in."""

    path: GemmPath

    @classmethod
    def of(cls, path: GemmPath, dtype: torch.dtype) -> "Gemm":
        """Return the products of `path` for weights of `dtype`: routes other than torch's own are for float32."""
        return cls(path if dtype == torch.float32 else GemmPath.NATIVE)

    def cast(self, tensor: Tensor) -> Tensor:
        """Return `tensor` in the number format of the operands: itself where that is its own."""
        return tensor.bfloat16() if self.path == GemmPath.BFLOAT16 else tensor

    def prepare(self, weight: Float[Tensor, "out in"], n_rows: int) -> Product:
        """Return x -> x Wᵀ for many products with the same cast `weight`, laid out once for `n_rows` rows."""
        linear = self._onednn(weight)
        if linear is not None:
            # A transposed view takes so long to lay out that float32, which oneDNN reads nearly as fast as it stands,
            # does not earn it back in a window.
            as_it_stands = self.path == GemmPath.ONEDNN and not weight.is_contiguous()
            packed = weight if as_it_stands else torch.ops.mkldnn._reorder_linear_weight(weight, n_rows)
            return lambda rows: linear(rows, packed, None, "none", [], "")
        transposed = weight.t()
        return lambda rows: torch.mm(rows, transposed)

    def linear(
        self, rows: Float[Tensor, "rows in"], weight: Float[Tensor, "out in"], bias: Float[Tensor, " out"] | None = None
    ) -> Float[Tensor, "rows out"]:
        """Return x Wᵀ + b once, for many rows; all operands are cast."""
        # oneDNN takes plain matrices as well; for one product with many rows, laying them out does not pay.
        if self.path == GemmPath.ONEDNN and (linear := self._onednn(weight)) is not None:
            product: Tensor = linear(rows, weight, bias, "none", [], "")
            return product
        return torch.mm(rows, weight.t()) if bias is None else torch.addmm(bias, rows, weight.t())

    def linear_into(
        self, out: Float[Tensor, "rows out"], rows: Float[Tensor, "rows in"], weight: Float[Tensor, "out in"]
    ) -> None:
        """Write x Wᵀ into `out`, which may be a part of a wider matrix; all operands are cast."""
        if self.path == GemmPath.ONEDNN:
            out.copy_(self.linear(rows, weight))
        else:
            torch.mm(rows, weight.t(), out=out)

    def outer(self, left: Float[Tensor, "rows out"], right: Float[Tensor, "rows in"]) -> Float[Tensor, "out in"]:
        """Return the sum over rows of their outer products, Lᵀ R: the gradient of a weight. Operands are cast."""
        return self.linear(left.t(), right.t())

    def total(self, rows: Float[Tensor, "rows out"]) -> Float[Tensor, " out"]:
        """Return the sum over rows: the gradient of a bias. As a product, since torch adds up bfloat16 slowly."""
        return torch.mm(rows.new_ones(1, len(rows)), rows)[0]

    def _onednn(self, weight: Tensor) -> Callable[..., Tensor] | None:
        """Return oneDNN's linear map, or None where this route or this machine has none."""
        if self.path == GemmPath.NATIVE or weight.device.type != "cpu":
            return None
        return onednn_linear(weight.dtype)


@cache
def onednn_linear(dtype: torch.dtype) -> Callable[..., Tensor] | None:
    """Return torch's binding of oneDNN's linear map, if it is there and multiplies correctly in `dtype`.

    The binding is not public: it may be missing, take other arguments or refuse the processor. So it is tried.
    """
    try:
        linear: Callable[..., Tensor] = torch.ops.mkldnn._linear_pointwise.default
        rows, weight = torch.eye(3, 4, dtype=dtype), torch.arange(20, dtype=dtype).view(5, 4)
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, 3)
        with torch.no_grad():
            products = [linear(rows, matrix, None, "none", [], "") for matrix in (packed, weight)]
    except (AttributeError, RuntimeError, TypeError):
        return None
    return linear if all(product.equal(weight.t()[:3]) for product in products) else None


@dataclass(frozen=True)
class LayerShape:
    """What decides the products of a recurrent layer: its widths and its window."""

    n_steps: int
    batch_size: int
    input_size: int
    hidden_size: int
    n_gates: int


@dataclass(frozen=True)
class GemmChoice:
    """The fastest route for a model, and the seconds that the products of one training step took by each."""

    path: GemmPath
    seconds: dict[GemmPath, float]


def available_paths(device: torch.device) -> tuple[GemmPath, ...]:
    """Return the routes that exist on `device`; bfloat16 only where the hardware has instructions for it."""
    if device.type == "cuda":
        has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
        return (GemmPath.NATIVE, GemmPath.BFLOAT16) if has_bfloat16 else (GemmPath.NATIVE,)
    paths = [GemmPath.NATIVE]
    if onednn_linear(torch.float32) is not None:
        paths.append(GemmPath.ONEDNN)
    # Neither question is public; without an answer nothing is lost but speed.
    questions = [getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    if any(question is not None and question() for question in questions):
        paths.append(GemmPath.BFLOAT16)
    return tuple(paths)


def choose_gemm_path(
    shapes: Sequence[LayerShape], candidates: Iterable[GemmPath] | None = None, *, n_rounds: int = 5
) -> GemmChoice:
    """Measure the products of a training step on the processor by each route and choose the fastest.

    Rounds alternate between the routes, so that what else the machine does slows all of them alike.

    Args:
        shapes: The layers of the model.
        candidates: Routes to compare; by default all that are available.
        n_rounds: Measurements of each route, of which the median counts.
    """
    paths = tuple(candidates or available_paths(torch.device("cpu")))
    measured: dict[GemmPath, list[float]] = {path: [] for path in paths}
    workloads = {path: [_training_products(Gemm(path), shape) for shape in shapes] for path in paths}
    for round_number in range(n_rounds + 1):
        for path, layers in workloads.items():
            seconds = sum(layer() for layer in layers)
            if round_number > 0:  # the first round warms up
                measured[path].append(seconds)
    medians = {path: median(seconds) for path, seconds in measured.items()}
    return GemmChoice(min(medians, key=medians.__getitem__), medians)


def _training_products(gemm: Gemm, shape: LayerShape) -> Callable[[], float]:
    """Return a measurement of a layer's products, in seconds: forward and backward, each serial one done twice."""
    n_rows, gates_size = shape.n_steps * shape.batch_size, shape.n_gates * shape.hidden_size
    inputs = gemm.cast(torch.ones(n_rows, shape.input_size))
    gates = gemm.cast(torch.ones(n_rows, gates_size))
    hidden = gemm.cast(torch.ones(n_rows, shape.hidden_size))
    weight_ih = gemm.cast(torch.ones(gates_size, shape.input_size))
    weight_hh = gemm.cast(torch.ones(gates_size, shape.hidden_size))

    def seconds_of(function: Callable[..., Any], *arguments: Any) -> float:
        start = time.perf_counter()
        function(*arguments)
        return time.perf_counter() - start

    @torch.no_grad()
    def measure() -> float:
        forward, backward = gemm.prepare(weight_hh, shape.batch_size), gemm.prepare(weight_hh.t(), shape.batch_size)
        few_hidden, few_gates = hidden[: shape.batch_size], gates[: shape.batch_size]
        serial = [
            seconds_of(forward, few_hidden) + seconds_of(backward, few_gates) for _ in range(min(8, shape.n_steps))
        ]
        window = seconds_of(gemm.linear, inputs, weight_ih) + seconds_of(gemm.linear, gates, weight_ih.t())
        window += seconds_of(gemm.outer, gates, inputs) + seconds_of(gemm.outer, gates, hidden)
        return shape.n_steps * median(serial) + window

    return measure
