r"""The mixture of softmaxes and its loss in one function of autograd, a block of rows at a time.

With the probabilities :math:`p_k` of expert k and its weight :math:`\pi_k`, the loss of a target y is
:math:`-\ln \sum_k \pi_k p_{ky}`. An expert's share in the target's probability,
:math:`r_k = \pi_k p_{ky} / \sum_l \pi_l p_{ly}`, is what its gradients are weighed by: :math:`r_k (p_k - e_y)` with
respect to its logits, and :math:`-r_k` with respect to :math:`\ln \pi_k`. As in `cross_entropy.py`, the forward pass
computes the gradients at once, while a block's logits are there. Unlike there, in bfloat16
:math:`p_k - e_y` is rounded as one number: gradients of the weights are off by 0.3 %, where those are by 0.01 %.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from lstmlm.metrics import NO_TARGET
from lstmlm.models.kernels.cross_entropy import Beside, bytes_at_once, linear_nats, nats_beside
from lstmlm.models.kernels.window import EVALUATION, Execution

BLOCK_BYTES = 16 << 20
"""Largest block of logits, those of all experts of a row together."""


def mixture_cross_entropy(
    latents: Float[Tensor, "rows experts latent"],
    log_prior: Float[Tensor, "rows experts"],
    weight: Float[Tensor, "vocab latent"],
    bias: Float[Tensor, " vocab"],
    targets: Int[Tensor, " rows"],
    execution: Execution = EVALUATION,
    beside: Beside | None = None,
) -> Float[Tensor, ""]:
    """Return the summed negative log-likelihood (nats) of the targets that are not `NO_TARGET`.

    Args:
        latents: Each expert's features.
        log_prior: Logarithms of the experts' weights, which sum to one.
        weight: The vectors of the tokens, the same for all experts.
        bias: Added to the logits of every expert.
        targets: The token to predict in each row.
        execution: How to multiply; in bfloat16 logits and their gradients are rounded to it, all else is float32.
        beside: What may be right in place of the experts, as in `linear_cross_entropy`.
    """
    log_weight, least_share = beside or (None, 0.0)
    if not torch.is_grad_enabled():
        nats = mixture_nats(latents, log_prior, weight, bias, targets, execution)
        return nats_beside(nats, targets, log_weight).sum()
    loss: Tensor = _MixtureCrossEntropy.apply(  # type: ignore[no-untyped-call]
        latents, log_prior, weight, bias, targets, log_weight, least_share, execution
    )
    return loss


@torch.no_grad()
def mixture_nats(
    latents: Float[Tensor, "rows experts latent"],
    log_prior: Float[Tensor, "rows experts"],
    weight: Float[Tensor, "vocab latent"],
    bias: Float[Tensor, " vocab"],
    targets: Int[Tensor, " rows"],
    execution: Execution = EVALUATION,
) -> Float[Tensor, " rows"]:
    """Return the negative log-likelihood (nats) of each target, 0 for `NO_TARGET`; no gradient."""
    n_experts = latents.shape[1]
    of_experts = linear_nats(latents.flatten(0, 1), weight, bias, targets.repeat_interleave(n_experts), execution)
    nats = -torch.logsumexp(log_prior - of_experts.view(-1, n_experts), dim=1)
    return nats.masked_fill_(targets == NO_TARGET, 0)


class _MixtureCrossEntropy(torch.autograd.Function):
    """Loss and gradients of the mixture; see the module."""

    @staticmethod
    def forward(
        ctx: Any,
        latents: Tensor,
        log_prior: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        beside: Tensor | None,
        least_share: float,
        execution: Execution,
    ) -> Tensor:
        gemm = execution.gemm(latents.dtype)
        n_experts, matrix = latents.shape[1], gemm.cast(weight)
        total = latents.new_zeros(())
        gradients = tuple(torch.zeros_like(operand) for operand in (latents, log_prior, weight, bias))
        grad_latents, grad_log_prior, grad_weight, grad_bias = gradients
        grad_beside = None if beside is None else torch.zeros_like(beside)
        n_rows_a_block = max(
            1, bytes_at_once(latents, BLOCK_BYTES) // (n_experts * len(weight) * latents.dtype.itemsize)
        )
        for start in range(0, len(latents), n_rows_a_block):
            block = slice(start, start + n_rows_a_block)
            rows = gemm.cast(latents[block].flatten(0, 1))
            logits = gemm.linear(rows, matrix).to(bias.dtype).add_(bias)
            of_block = None if beside is None else beside[block]
            nats, share, of_experts = _differentiate(logits, log_prior[block], targets[block], of_block, least_share)
            total += nats.sum()
            grad_logits = gemm.cast(logits)
            grad_latents[block] = gemm.linear(grad_logits, matrix.t()).view_as(latents[block])
            grad_log_prior[block] = -share
            if grad_beside is not None:
                grad_beside[block] = (of_experts - 1).masked_fill_(targets[block] == NO_TARGET, 0)
            gemm.outer_into(grad_weight, grad_logits, rows, add=True)
            grad_bias += gemm.total(grad_logits)
        ctx.save_for_backward(*gradients, grad_beside)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_loss: Tensor) -> tuple[Tensor | None, ...]:
        *gradients, of_beside = (None if saved is None else saved * grad_loss for saved in ctx.saved_tensors)
        return *gradients, None, of_beside, None, None


def _differentiate(
    logits: Tensor, log_prior: Tensor, targets: Tensor, beside: Tensor | None, least_share: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Replace `logits` (rows times experts, vocab) by their gradients.

    Returns:
        Each row's nats, what each expert has of its gradient, and what all experts have of its probability.
    """
    ignored = (targets == NO_TARGET)[:, None]
    wanted = targets.clamp(min=0).repeat_interleave(log_prior.shape[1])[:, None]
    log_target = logits.gather(1, wanted)
    normalizer = torch.logsumexp(logits, dim=1, keepdim=True)
    log_target -= normalizer
    joint = log_prior + log_target.view_as(log_prior)
    of_experts = torch.logsumexp(joint, dim=1, keepdim=True)
    log_total = of_experts if beside is None else torch.logaddexp(of_experts, beside[:, None])
    of_all = torch.exp(of_experts - log_total)
    share = torch.exp(joint - of_experts) * (least_share + (1 - least_share) * of_all)
    share.masked_fill_(ignored, 0)
    logits.sub_(normalizer).exp_()
    # p_y − 1, without the rounding of p_y.
    logits.scatter_(1, wanted, torch.expm1(log_target))
    logits.mul_(share.view(-1, 1))
    return -log_total.masked_fill(ignored, 0), share, of_all[:, 0]
