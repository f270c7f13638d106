"""Matrix products by each route that the machine offers. Which is fastest differs by processor and shape."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lstmlm.models.cells.cell import linear as linear_of_torch
from lstmlm.models.kernels.native import NAMES, Linear, Product, native_function

LinearMap = Callable[[Tensor], Tensor]
"""Multiplies rows (rows, in) by a matrix that it holds: (rows, out)."""


class GemmPath(StrEnum):
    """By which route matrices are multiplied."""

    NATIVE = "native"
    """torch's own product, in the number format of its operands (MKL on most processors)."""

    ONEDNN = "onednn"
    """oneDNN in float32, with the matrix of a window laid out for it once."""

    OWN = "own"
    """Our own product in float32 and float64 (native/cpp/product.cpp), compiled for the processor."""

    BFLOAT16 = "bfloat16"
    """bfloat16 operands, summed in float32; results are rounded to bfloat16. Layout as with `ONEDNN`."""

    OWN_BFLOAT16 = "own_bfloat16"
    """Our own product of bfloat16 operands, summed in float32."""

    @classmethod
    def of(cls, matmul: str, *, rounds: bool) -> "GemmPath":
        """Return what `training.matmul` means in float32, or where operands are rounded to bfloat16."""
        if not rounds:
            return cls(matmul)
        return cls.OWN_BFLOAT16 if matmul == "own" else cls.BFLOAT16

    @property
    def matmul(self) -> str:
        """How `training.matmul` says it."""
        return "own" if self.is_ours else "onednn" if self == GemmPath.ONEDNN else "native"

    @property
    def rounds(self) -> bool:
        """Whether operands are rounded to bfloat16."""
        return self in (GemmPath.BFLOAT16, GemmPath.OWN_BFLOAT16)

    @property
    def is_ours(self) -> bool:
        """Whether products are our own where they are compiled."""
        return self in (GemmPath.OWN, GemmPath.OWN_BFLOAT16)


@dataclass(frozen=True)
class Gemm:
    """The products of a kernel by one route. Where the route does not exist, torch's own product steps in."""

    path: GemmPath

    compiled: bool = True
    """Whether our own product may sum the gradients of weights on other routes than ours, too."""

    def format_of(self, dtype: torch.dtype) -> torch.dtype:
        """Return the number format of the operands made of numbers of `dtype`."""
        return torch.bfloat16 if self.path.rounds else dtype

    def cast(self, tensor: Tensor) -> Tensor:
        """Return `tensor` in the number format of the operands: itself where that is its own."""
        return tensor.to(self.format_of(tensor.dtype))

    def prepare(self, weight: Float[Tensor, "out in"], n_rows: int) -> LinearMap:
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

    def linear(self, rows: Float[Tensor, "rows in"], weight: Float[Tensor, "out in"]) -> Float[Tensor, "rows out"]:
        """Return x Wᵀ once, for many rows; all operands are cast."""
        # oneDNN takes plain matrices as well; for one product with many rows, laying them out does not pay.
        if self.path == GemmPath.ONEDNN and (linear := self._onednn(weight)) is not None:
            product: Tensor = linear(rows, weight, None, "none", [], "")
            return product
        if self._is_ours(rows):
            out = rows.new_empty(len(rows), len(weight))
            multiply(out, rows, weight.t())
            return out
        return torch.mm(rows, weight.t())

    def linear_into(
        self, out: Float[Tensor, "rows out"], rows: Float[Tensor, "rows in"], weight: Float[Tensor, "out in"]
    ) -> None:
        """Write x Wᵀ into `out`, which may be a part of a wider matrix; all operands are cast."""
        if self.path == GemmPath.ONEDNN:
            out.copy_(self.linear(rows, weight))
        elif self._is_ours(rows):
            multiply(out, rows, weight.t())
        else:
            torch.mm(rows, weight.t(), out=out)

    def add_linear(
        self, out: Float[Tensor, "rows out"], rows: Float[Tensor, "rows in"], weight: Float[Tensor, "out in"]
    ) -> None:
        """Add x Wᵀ to `out`, which is not cast; the operands are."""
        if self._is_ours(rows):
            multiply(out, rows, weight.t(), add=True)
        else:
            out += self.linear(rows, weight)

    def outer(self, left: Float[Tensor, "rows out"], right: Float[Tensor, "rows in"]) -> Float[Tensor, "out in"]:
        """Return the sum over rows of their outer products, Lᵀ R: the gradient of a weight. Operands are cast."""
        format_of_sums = torch.float32 if self._is_ours(left) and self.path.rounds else left.dtype
        out = left.new_empty(left.shape[1], right.shape[1], dtype=format_of_sums)
        self.outer_into(out, left, right)
        return out

    def outer_into(
        self,
        out: Float[Tensor, "out in"],
        left: Float[Tensor, "rows out"],
        right: Float[Tensor, "rows in"],
        *,
        add: bool = False,
    ) -> None:
        """Write the sum of outer products into `out`, which is not cast, or add it."""
        # Our float32 is the fastest here by every route.
        is_faster = self.compiled and not self.path.rounds and _own_product(left, left) is not None
        if is_faster or self._is_ours(left):
            multiply(out, left.t(), right, add=add)
        elif add:
            out += self.linear(left.t(), right.t())
        else:
            out.copy_(self.linear(left.t(), right.t()))

    def total(self, rows: Float[Tensor, "rows out"]) -> Float[Tensor, " out"]:
        """Return the sum over rows: the gradient of a bias. As a product: a sum of bfloat16 copies all of it first."""
        if self.path.rounds and self._is_ours(rows):
            return self.outer(rows.new_ones(len(rows), 1), rows)[0]
        return torch.mm(rows.new_ones(1, len(rows)), rows)[0]

    def _onednn(self, weight: Tensor) -> Callable[..., Tensor] | None:
        """Return oneDNN's linear map, or None where this route or this machine has none."""
        if self.path == GemmPath.NATIVE or self.path.is_ours or weight.device.type != "cpu":
            return None
        return onednn_linear(weight.dtype)

    def _is_ours(self, rows: Tensor) -> bool:
        return self.path.is_ours and _own_product(rows, rows) is not None


def _own_product(operand: Tensor, out: Tensor) -> Callable[[Any], None] | None:
    """Return our product of two matrices in the format of `operand` into one in the format of `out`, if it is there."""
    rounded = operand.dtype == torch.bfloat16
    return native_function("product", operand, f"_to_{NAMES[out.dtype]}" if rounded else "")


def multiply(
    out: Float[Tensor, "rows columns"],
    left: Float[Tensor, "rows depth"],
    right: Float[Tensor, "depth columns"],
    *,
    add: bool = False,
) -> None:
    """Write the product of two matrices into `out`, or add it, by our own product, which must be compiled.

    In bfloat16 `out` may be float32; else nothing can be added to it. Matrices may lie in memory any way, but the
    columns of `out` side by side.
    """
    native = _own_product(left, out)
    assert native is not None  # as the caller found
    assert out.stride(1) == 1 or out.shape[1] <= 1
    native(
        Product.of(
            n_rows=len(out),
            n_columns=out.shape[1],
            depth=len(right),
            left_row=left.stride(0),
            left_column=left.stride(1),
            right_row=right.stride(0),
            right_column=right.stride(1),
            out_row=out.stride(0),
            add=add,
            left=left,
            right=right,
            out=out,
        )
    )


FEW_ROWS = 8
"""Up to here native/cpp/linear.cpp is the fastest in the number format of W; beyond, arithmetic takes the time."""


def linear(
    rows: Float[Tensor, "*batch in"], weight: Float[Tensor, "out in"], bias: Float[Tensor, " out"] | None = None
) -> Float[Tensor, "*batch out"]:
    """Return x Wᵀ + b in the number format of x and b, for the few rows of generation as fast as W can be read.

    W may be bfloat16 beside an x of float32: half as much to read, and nothing else is rounded where the product is
    compiled.
    """
    n_rows = rows.numel() // rows.shape[-1]
    # C++ is told sizes and one format: what does not fit together is refused by torch.
    fits = rows.dtype in (torch.float32, torch.float64) and rows.shape[-1] == weight.shape[1]
    fits = fits and (bias is None or (bias.dtype == rows.dtype and len(bias) == len(weight)))
    is_rounded = weight.dtype == torch.bfloat16 and rows.dtype == torch.float32
    is_for_us = fits and (is_rounded or (weight.dtype == rows.dtype and 0 < n_rows <= FEW_ROWS))
    needs_graph = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (rows, weight, bias))
    native = native_function("linear", weight) if is_for_us and not needs_graph else None
    if native is None:
        return linear_of_torch(rows, weight, bias)
    out = rows.new_empty(*rows.shape[:-1], len(weight))
    native(
        Linear.of(
            n_rows=n_rows,
            depth=weight.shape[1],
            n_columns=len(weight),
            rows=rows.contiguous(),
            weight=weight.contiguous(),
            bias=None if bias is None else bias.contiguous(),
            out=out,
        )
    )
    return out


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


def available_paths(device: torch.device) -> tuple[GemmPath, ...]:
    """Return the routes that exist on `device`; bfloat16 only where the hardware has instructions for it."""
    if device.type == "cuda":
        has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
        return (GemmPath.NATIVE, GemmPath.BFLOAT16) if has_bfloat16 else (GemmPath.NATIVE,)
    paths = [GemmPath.NATIVE]
    if onednn_linear(torch.float32) is not None:
        paths.append(GemmPath.ONEDNN)
    if _own_product(torch.empty(0), torch.empty(0)) is not None:
        paths.append(GemmPath.OWN)
    # oneDNN may be kept from the instructions (ONEDNN_MAX_CPU_ISA), and emulate them elsewhere. Neither question is
    # public; without an answer nothing is lost but speed.
    questions = [getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    has_instructions = any(question is not None and question() for question in questions)
    if has_instructions and onednn_linear(torch.bfloat16) is not None:
        paths.append(GemmPath.BFLOAT16)
    rounded = torch.empty(0, dtype=torch.bfloat16)
    if GemmPath.BFLOAT16 in paths and _own_product(rounded, rounded) is not None:
        paths.append(GemmPath.OWN_BFLOAT16)
    return tuple(paths)
