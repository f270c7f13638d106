r"""The last layer and its loss in one function of autograd, a block of rows at a time.

For features h, a target y and :math:`p = \mathrm{softmax}(W h + b)`, the loss is :math:`-\ln p_y` and its gradient with
respect to the logits :math:`p - e_y`. Logits are by far the largest tensor of a language model, and nothing but this
gradient needs them. So the forward pass computes it at once, in the very memory of a block's logits, and turns it into
the gradients of features, W and b; the backward pass only scales those by the gradient that arrives.

Of a row of the gradient, :math:`-e_y` is the large part while the model is unsure. Rounded together, the small part
would be lost in the same way in row after row. So where :math:`p_y < 1/2`, the products take p alone, and what
:math:`-e_y` adds to each gradient, a row of W and a row of features, is added in full precision.

Where something beside the softmax may be right too, such as an n-gram model that it is mixed with, the loss is
:math:`-\ln(p_y + e^s)` with a given s. All gradients are then multiplied by the softmax's share of that probability,
:math:`r = p_y / (p_y + e^s)`; that with respect to s is r − 1. With a least share :math:`\lambda` the former are
multiplied by :math:`\lambda + (1 - \lambda) r`, which is to descend :math:`\lambda` of the softmax's own loss, too.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from lstmlm.metrics import NO_TARGET
from lstmlm.models.kernels.gemm import Gemm
from lstmlm.models.kernels.native import CrossEntropy, native_function
from lstmlm.models.kernels.window import EVALUATION, Execution, graph_is_kept

BLOCK_BYTES = 24 << 20
"""Largest block of logits. Each reads W and adds to its gradient, so that few large ones are faster than many."""

ROWS_BYTES, FEWEST_ROWS = 512 << 10, 64
"""What a block has of features at most, so that they stay in the second cache, unless it would be fewer rows."""

SLICE_BYTES = 8 << 20
"""Rows of W that are cast and multiplied together: few enough to stay in the cache, so that W is never copied whole."""

LN_2 = math.log(2)

EAGER_ROWS = 32
"""Rows whose softmax is computed together where it is not compiled, so that its passes stay in the cache."""

GPU_BLOCK_BYTES = 1 << 28
"""In place of these on a GPU, which is fast with few large operations: no more than its memory always has."""


class Beside(NamedTuple):
    """What may be right in place of a softmax, or of several."""

    log_weight: Float[Tensor, "*rows"]
    """The logarithm of what is added to the probability of each target."""

    least_share: float = 0.0
    """What the softmax has of a gradient at least, wherever the other is right."""

    def flatten(self) -> "Beside":
        """Return the same, with rows along one axis."""
        return Beside(self.log_weight.flatten(), self.least_share)


def linear_cross_entropy(
    features: Float[Tensor, "rows hidden"],
    weight: Float[Tensor, "vocab hidden"],
    bias: Float[Tensor, " vocab"],
    targets: Int[Tensor, " rows"],
    execution: Execution = EVALUATION,
    beside: Beside | None = None,
) -> Float[Tensor, ""]:
    """Return the summed negative log-likelihood (nats) of the targets that are not `NO_TARGET`.

    In bfloat16 logits and their gradients are rounded to it; softmax, sums and results are float32. `beside` is what
    may be right in place of the softmax; see the module.
    """
    return cross_entropy_and_nats(features, weight, bias, targets, execution, beside)[0]


def cross_entropy_and_nats(
    features: Float[Tensor, "rows hidden"],
    weight: Float[Tensor, "vocab hidden"],
    bias: Float[Tensor, " vocab"],
    targets: Int[Tensor, " rows"],
    execution: Execution = EVALUATION,
    beside: Beside | None = None,
) -> tuple[Float[Tensor, ""], Float[Tensor, " rows"]]:
    """Return what `linear_cross_entropy` does, and `linear_nats`, which it computes anyway: nothing is beside these."""
    log_weight, least_share = beside or (None, 0.0)
    if not torch.is_grad_enabled():
        nats = linear_nats(features, weight, bias, targets, execution)
        return nats_beside(nats, targets, log_weight).sum(), nats
    found: tuple[Tensor, Tensor] = _LinearCrossEntropy.apply(  # type: ignore[no-untyped-call]
        features, weight, bias, targets, log_weight, least_share, execution
    )
    return found


@torch.no_grad()
def linear_nats(
    features: Float[Tensor, "rows hidden"],
    weight: Float[Tensor, "vocab hidden"],
    bias: Float[Tensor, " vocab"],
    targets: Int[Tensor, " rows"],
    execution: Execution = EVALUATION,
) -> Float[Tensor, " rows"]:
    """Return the negative log-likelihood (nats) of each target, 0 for `NO_TARGET`; no gradient."""
    return _nats(execution, features, weight, bias, targets)


def nats_beside(
    nats: Float[Tensor, "*rows"], targets: Int[Tensor, "*rows"], beside: Float[Tensor, "*rows"] | None
) -> Float[Tensor, "*rows"]:
    """Return the nats of targets to whose probability something is added, whose logarithm is `beside`."""
    return nats if beside is None else -torch.logaddexp(-nats, beside).masked_fill(targets == NO_TARGET, 0)


class _Gradients(NamedTuple):
    """Gradients of the loss, those that are asked for."""

    features: Float[Tensor, "rows hidden"] | None
    weight: Float[Tensor, "vocab hidden"] | None
    bias: Float[Tensor, " vocab"] | None


class _LinearCrossEntropy(torch.autograd.Function):
    """Loss and gradients of the last layer; see the module."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        beside: Tensor | None,
        least_share: float,
        execution: Execution,
    ) -> tuple[Tensor, Tensor]:
        needs_features, needs_weight, needs_bias, *_ = ctx.needs_input_grad
        # By their shapes: `zeros_like` would keep a transposed memory, and C++ is told of rows.
        grad_features = features.new_zeros(features.shape) if needs_features else None
        # The first block fills it; without rows there is none.
        new = weight.new_empty if len(features) else weight.new_zeros
        grad_weight = new(weight.shape) if needs_weight else None
        grad_bias = torch.zeros_like(bias) if needs_bias else None
        gradients = _Gradients(grad_features, grad_weight, grad_bias)
        given = None if beside is None else Beside(beside, least_share)
        nats = _nats(execution, features, weight, bias, targets, given, gradients)
        # Of every row, with a factor of 0 where nothing is missing: to pick rows, a GPU would have to be waited for.
        missing, wanted = (nats > LN_2).to(features.dtype), targets.clamp(min=0)
        grad_beside = None
        if beside is not None:
            share = torch.sigmoid(-(nats + beside))
            missing = missing * torch.lerp(share, torch.ones_like(share), least_share)
            grad_beside = (share - 1).masked_fill_(targets == NO_TARGET, 0)
        if grad_features is not None:
            grad_features.addcmul_(weight[wanted], missing[:, None], value=-1)
        if grad_weight is not None:
            grad_weight.index_add_(0, wanted, features * missing[:, None], alpha=-1)
        if grad_bias is not None:
            grad_bias.index_add_(0, wanted, missing, alpha=-1)
        ctx.save_for_backward(*gradients, grad_beside)
        ctx.mark_non_differentiable(nats)
        return nats_beside(nats, targets, beside).sum(), nats

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_loss: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        # In place unless the graph is kept for another pass: a second tensor as large as W costs more than the product.
        scale = torch.mul if graph_is_kept() else Tensor.mul_
        of_features, of_weight, of_bias, of_beside = (
            None if gradient is None else scale(gradient, grad_loss) for gradient in ctx.saved_tensors
        )
        return of_features, of_weight, of_bias, None, of_beside, None, None


def _nats(
    execution: Execution,
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    beside: Beside | None = None,
    gradients: _Gradients | None = None,
) -> Float[Tensor, " rows"]:
    """Return each target's nats, and add to `gradients` what the softmax has of them, see the module.

    The gradient of W is written.
    """
    targets = _known(targets, len(weight))
    gemm = execution.gemm(features.dtype)
    rows, nats = gemm.cast(features), features.new_empty(len(features))
    fits = _fit_together(features, weight, bias, targets)
    native = native_function("cross_entropy", rows) if execution.compiled and fits else None
    grad_features, grad_weight, grad_bias = gradients or (None, None, None)
    blocks = _row_blocks(rows, weight)
    if native is not None and blocks and not _multiplies_in_tiles(rows):
        # Rows begin with a line of the cache, and not all in one of its sets.
        line = 64 // rows.element_size()
        logits = rows.new_empty(blocks[0].stop, (-(-len(weight) // line) | 1) * line)
        native(
            CrossEntropy.of(
                n_rows=len(rows),
                n_columns=len(weight),
                depth=weight.shape[1],
                rows_at_once=len(logits),
                stride=logits.stride(0),
                differentiate=gradients is not None,
                rows=rows.contiguous(),
                weight=weight.contiguous(),
                bias=bias.contiguous(),
                targets=targets.contiguous(),
                beside=None if beside is None else beside.log_weight.contiguous(),
                least_share=0.0 if beside is None else beside.least_share,
                logits=logits,
                nats=nats,
                grad_rows=grad_features,
                grad_weight=grad_weight,
                grad_bias=grad_bias,
            )
        )
        return nats
    for block in blocks:
        logits = _logits(gemm, rows[block], weight)
        of_block = None if beside is None else Beside(beside.log_weight[block], beside.least_share)
        nats[block] = _softmax(logits, bias, targets[block], of_block, gradients is not None, native)
        for columns in _slices(weight) if gradients else ():
            if grad_features is not None:
                gemm.add_linear(grad_features[block], logits[:, columns], gemm.cast(weight[columns]).t())
            if grad_weight is not None:
                gemm.outer_into(grad_weight[columns], logits[:, columns], rows[block], add=block.start > 0)
            if grad_bias is not None:
                grad_bias[columns] += gemm.total(logits[:, columns])
        del logits  # or it would live on until the next block's are there
    return nats


def _fit_together(features: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> bool:
    """Whether C++ can take these, which is told sizes and one format; else torch refuses them."""
    shapes = features.shape[1] == weight.shape[1] and len(features) == len(targets) and len(weight) == len(bias)
    return shapes and features.dtype in (torch.float32, torch.float64) and features.dtype == weight.dtype == bias.dtype


def _known(targets: Int[Tensor, " rows"], n_outcomes: int) -> Int[Tensor, " rows"]:
    """Return targets as C++ takes them, which does not look. A GPU looks by itself, and is not waited for.

    Raises:
        IndexError: one of them is neither an outcome nor `NO_TARGET`.
    """
    if targets.device.type == "cpu" and len(targets):
        lowest, highest = (int(extreme) for extreme in targets.aminmax())
        if lowest < NO_TARGET or highest >= n_outcomes:
            wrong = lowest if lowest < NO_TARGET else highest
            raise IndexError(f"targets: {wrong} is none of {n_outcomes} outcomes")
    return targets.long()


def _multiplies_in_tiles(rows: Tensor) -> bool:
    """Return whether the processor multiplies tiles of such numbers at once, which torch does and ours does not."""
    ask = getattr(torch.cpu, "_is_amx_tile_supported", None)  # not public
    return rows.dtype == torch.bfloat16 and ask is not None and bool(ask())


def _logits(gemm: Gemm, rows: Tensor, weight: Tensor) -> Tensor:
    """Return W h of cast `rows`, without the bias, which the softmax adds in full precision."""
    logits = rows.new_empty(len(rows), len(weight))
    for columns in _slices(weight):
        gemm.linear_into(logits[:, columns], rows, gemm.cast(weight[columns]))
    return logits


def _softmax(
    logits: Float[Tensor, "rows vocab"],
    bias: Float[Tensor, " vocab"],
    targets: Int[Tensor, " rows"],
    beside: Beside | None,
    differentiate: bool,
    native: Callable[[Any], None] | None,
) -> Float[Tensor, " rows"]:
    """Return each target's nats; `differentiate` replaces `logits`, without bias, by the loss's gradient by them.

    Where the nats exceed ln 2 the gradient lacks its −1 at the target; see the module.
    """
    nats = bias.new_empty(len(logits))
    if native is not None:
        native(
            CrossEntropy.of(
                n_rows=len(logits),
                n_columns=logits.shape[1],
                rows_at_once=len(logits),
                stride=logits.stride(0),
                differentiate=differentiate,
                bias=bias.contiguous(),
                targets=targets.contiguous(),
                beside=None if beside is None else beside.log_weight.contiguous(),
                least_share=0.0 if beside is None else beside.least_share,
                logits=logits,
                nats=nats,
            )
        )
        return nats
    for part in _blocks(len(logits), EAGER_ROWS if logits.device.type == "cpu" else len(logits)):
        values, ignored = logits[part] + bias, targets[part] == NO_TARGET
        log_total = values.logsumexp(1)
        wanted = targets[part].clamp(min=0)[:, None]
        nats[part] = (log_total - values.gather(1, wanted)[:, 0]).masked_fill_(ignored, 0)
        if differentiate:
            # An infinite normalizer makes every probability zero, and so the gradient of a row without a target.
            gradient = values.sub_(log_total.masked_fill(ignored, torch.inf)[:, None]).exp_()
            # p_y − 1 = exp(−nats) − 1, here without the rounding of p_y; without the 1 where it is added apart.
            of_target = torch.where(nats[part] > LN_2, torch.exp(-nats[part]), torch.expm1(-nats[part]))
            gradient.scatter_(1, wanted, of_target.masked_fill_(ignored, 0)[:, None])
            if beside is not None:
                share = torch.sigmoid(-(nats[part] + beside.log_weight[part]))
                gradient *= torch.lerp(share, torch.ones_like(share), beside.least_share)[:, None]
            logits[part] = gradient
    return nats


def _row_blocks(rows: Tensor, weight: Tensor) -> list[slice]:
    n_logits, n_features = bytes_at_once(rows, BLOCK_BYTES), bytes_at_once(rows, ROWS_BYTES)
    of_features = max(FEWEST_ROWS, n_features // (weight.shape[1] * rows.itemsize))
    return _blocks(len(rows), min(of_features, n_logits // (len(weight) * rows.itemsize)))


def _slices(weight: Tensor) -> list[slice]:
    return _blocks(len(weight), bytes_at_once(weight, SLICE_BYTES) // (weight.shape[1] * weight.dtype.itemsize))


def bytes_at_once(operand: Tensor, in_cache: int) -> int:
    """Return how large a block may be where `operand` is: what stays `in_cache` matters on a processor alone."""
    return in_cache if operand.device.type == "cpu" else GPU_BLOCK_BYTES


def _blocks(length: int, most: int) -> list[slice]:
    """Cut `length` into equal parts, the last of which may be smaller, of at most `most` (at least one)."""
    n_parts = -(-length // max(1, most))
    size = -(-length // max(1, n_parts))
    return [slice(start, min(start + size, length)) for start in range(0, length, max(1, size))]
