r"""The last layer and its loss in one function of autograd, a block of rows at a time.

For features h, a target y and :math:`p = \mathrm{softmax}(W h + b)`, the loss is :math:`-\ln p_y` and its gradient with
respect to the logits :math:`p - e_y`. Logits are by far the largest tensor of a language model, and nothing but this
gradient needs them. So the forward pass computes it at once, in the very memory of a block's logits, and turns it into
the gradients of features, W and b; the backward pass only scales those by the gradient that arrives.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from lstmlm.metrics import NO_TARGET
from lstmlm.models.kernels.gemm import Gemm
from lstmlm.models.kernels.pointwise import PointwiseStep
from lstmlm.models.kernels.window import EVALUATION, Execution

BLOCK_BYTES = {torch.bfloat16: 48 << 20, torch.float32: 16 << 20, torch.float64: 16 << 20}
"""Largest block of logits. Each block adds to the gradient of W, which costs as much memory traffic as W is large; in
bfloat16, where arithmetic is cheap, this weighs more, and the rows of a usual window make one block."""

EAGER_ROWS = 32
"""Rows whose softmax is computed together where it is not compiled, so that its passes stay in the cache."""


def linear_cross_entropy(
    features: Float[Tensor, "rows hidden"],
    weight: Float[Tensor, "vocab hidden"],
    bias: Float[Tensor, " vocab"],
    targets: Int[Tensor, " rows"],
    execution: Execution = EVALUATION,
) -> Float[Tensor, ""]:
    """Return the summed negative log-likelihood (nats) of the targets that are not `NO_TARGET`.

    In bfloat16 logits and their gradients are rounded to it; softmax, sums and results are float32.
    """
    if not torch.is_grad_enabled():
        return linear_nats(features, weight, bias, targets, execution).sum()
    loss: Tensor = _LinearCrossEntropy.apply(features, weight, bias, targets, execution)  # type: ignore[no-untyped-call]
    return loss


@torch.no_grad()
def linear_nats(
    features: Float[Tensor, "rows hidden"],
    weight: Float[Tensor, "vocab hidden"],
    bias: Float[Tensor, " vocab"],
    targets: Int[Tensor, " rows"],
    execution: Execution = EVALUATION,
) -> Float[Tensor, " rows"]:
    """Return the negative log-likelihood (nats) of each target, 0 for `NO_TARGET`; no gradient."""
    gemm = Gemm.of(execution.gemm_path, features.dtype)
    rows, weight, bias = gemm.cast(features), gemm.cast(weight), gemm.cast(bias)
    nats = []
    for block in _blocks(len(rows), len(weight), rows.dtype):
        logits = gemm.linear(rows[block], weight, bias)
        for part in _blocks(len(logits), len(weight), logits.dtype, EAGER_ROWS):
            values = logits[part].to(features.dtype)
            wanted = targets[block][part]
            picked = values.gather(1, wanted.clamp(min=0)[:, None])[:, 0]
            nats.append((values.logsumexp(1) - picked).masked_fill_(wanted == NO_TARGET, 0))
    return torch.cat(nats) if nats else features.new_zeros(0)


class _LinearCrossEntropy(torch.autograd.Function):
    """Loss and gradients of the last layer; see the module."""

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, execution: Execution
    ) -> Tensor:
        gemm = Gemm.of(execution.gemm_path, features.dtype)
        fuse = execution.fuse and features.dtype == torch.float32
        needs_features, needs_weight, needs_bias, *_ = ctx.needs_input_grad
        rows, cast_weight, cast_bias = gemm.cast(features), gemm.cast(weight), gemm.cast(bias)
        grad_features = torch.empty_like(features) if needs_features else None
        grad_weight = grad_bias = None
        nats = features.new_empty(len(features))
        for block in _blocks(len(rows), len(weight), rows.dtype):
            logits = gemm.linear(rows[block], cast_weight, cast_bias)
            nats[block] = _differentiate(logits, targets[block], features.dtype, fuse=fuse)
            if grad_features is not None:
                grad_features[block] = gemm.linear(logits, cast_weight.t())
            if needs_weight:
                product = gemm.outer(logits, rows[block])
                grad_weight = product.to(weight.dtype) if grad_weight is None else grad_weight.add_(product)
            if needs_bias:
                total = logits.sum(0, dtype=bias.dtype)
                grad_bias = total if grad_bias is None else grad_bias.add_(total)
        ctx.save_for_backward(grad_features, grad_weight, grad_bias)
        return nats.sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_loss: Tensor) -> tuple[Tensor | None, ...]:
        gradients = (None if gradient is None else gradient * grad_loss for gradient in ctx.saved_tensors)
        return *gradients, None, None


def _differentiate(logits: Tensor, targets: Tensor, dtype: torch.dtype, *, fuse: bool) -> Tensor:
    """Replace `logits` by the gradient of the loss with respect to them; returns the nats of each target."""
    ignored = targets == NO_TARGET
    index = targets.clamp(min=0)[:, None]
    picked = logits.gather(1, index)[:, 0].to(dtype)
    # An infinite normalizer makes every probability zero, and so the gradient of a row without a target.
    penalty = torch.zeros_like(picked).masked_fill_(ignored, torch.inf)[:, None]
    normalizer = torch.empty_like(penalty)
    SOFTMAX.bind((logits, normalizer, penalty), fuse=fuse)(logits, normalizer, penalty)
    nats = (normalizer[:, 0] - picked).masked_fill_(ignored, 0)
    # p_y − 1 = exp(−nats) − 1, here without the rounding of p_y.
    logits.scatter_(1, index, torch.expm1(-nats)[:, None].to(logits.dtype))
    return nats


def _softmax_equations(logits: Tensor, normalizer: Tensor, penalty: Tensor) -> None:
    values = logits.float()
    log_total = torch.logsumexp(values, dim=1, keepdim=True)
    logits.copy_(torch.exp(values - (log_total + penalty)))
    normalizer.copy_(log_total)


def _softmax_in_place(logits: Tensor, normalizer: Tensor, penalty: Tensor) -> None:
    for rows, total, extra in zip(
        *(torch.split(tensor, EAGER_ROWS) for tensor in (logits, normalizer, penalty)), strict=True
    ):
        values = rows.to(total.dtype)
        torch.logsumexp(values, dim=1, keepdim=True, out=total)
        probabilities = values.sub_(total + extra).exp_()
        if probabilities is not rows:
            rows.copy_(probabilities)


SOFTMAX = PointwiseStep(_softmax_equations, _softmax_in_place)


def _blocks(n_rows: int, vocab_size: int, dtype: torch.dtype, most: int | None = None) -> list[slice]:
    """Cut `n_rows` into equal blocks (the last may be smaller) of at most `BLOCK_BYTES`, or of `most` rows."""
    most = most or max(1, BLOCK_BYTES[dtype] // (vocab_size * dtype.itemsize))
    n_blocks = -(-n_rows // most)
    size = -(-n_rows // max(1, n_blocks))
    return [slice(start, min(start + size, n_rows)) for start in range(0, n_rows, max(1, size))]
