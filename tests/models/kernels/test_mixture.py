"""The fused mixture and its loss against plain operations: values, gradients, ignored targets, blocks, memory."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import linear

from lstmlm.metrics import NO_TARGET
from lstmlm.models.kernels import Execution, GemmPath, mixture_cross_entropy, mixture_nats
from lstmlm.models.kernels import mixture as module

ROWS, EXPERTS, LATENT, VOCAB = 23, 3, 6, 50


@pytest.fixture(params=[ROWS, 5], ids=["one block", "blocks of 5 rows"])
def _blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_BYTES", request.param * EXPERTS * VOCAB * 8)


def operands(dtype: torch.dtype, rows: int = ROWS) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    latents, prior, weight, bias = (
        torch.randn(*shape, generator=generator, dtype=torch.float64)
        for shape in ((rows, EXPERTS, LATENT), (rows, EXPERTS), (VOCAB, LATENT), (VOCAB,))
    )
    targets = torch.randint(VOCAB, (rows,), generator=generator)
    targets[1::4] = NO_TARGET
    leaves = (latents, prior.log_softmax(1), weight, bias)
    latents, prior, weight, bias = (leaf.to(dtype).requires_grad_() for leaf in leaves)
    return latents, prior, weight, bias, targets


def reference(latents: Tensor, log_prior: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    probabilities = (log_prior.exp()[..., None] * linear(latents, weight, bias).softmax(-1)).sum(1)
    kept = targets != NO_TARGET
    return -probabilities[kept].gather(1, targets[kept, None]).log().sum()


def distances(got: list[Tensor], wanted: list[Tensor]) -> list[float]:
    return [float((a.double() - b).norm().detach() / b.norm().detach()) for a, b in zip(got, wanted, strict=True)]


@pytest.mark.usefixtures("_blocks")
def test_float64_is_exact() -> None:
    *leaves, targets = operands(torch.float64)
    results = []
    for function in (reference, mixture_cross_entropy):
        loss = function(*leaves, targets)
        results.append([loss, *torch.autograd.grad(3 * loss, leaves)])
    assert max(distances(results[1], results[0])) < 1e-13


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("path", GemmPath)
def test_every_route_is_near_float64(path: GemmPath) -> None:
    *leaves, targets = operands(torch.float64)
    loss = reference(*leaves, targets)
    wanted = [loss, *torch.autograd.grad(3 * loss, leaves)]
    *leaves, targets = operands(torch.float32)
    loss = mixture_cross_entropy(*leaves, targets, Execution(path, compiled=False))
    got = [loss, *torch.autograd.grad(3 * loss, leaves)]
    assert {result.dtype for result in got} == {torch.float32}
    # bfloat16 rounds logits to 8 bits: an error of 2^-9 of a logit, each its own, of which sums keep little.
    assert max(distances(got, wanted)) < (1e-2 if path.rounds else 1e-6)


@pytest.mark.usefixtures("_blocks")
def test_nats_of_each_token() -> None:
    *leaves, targets = operands(torch.float64)
    nats = mixture_nats(*leaves, targets)
    assert nats[targets == NO_TARGET].count_nonzero() == 0
    assert not nats.requires_grad
    torch.testing.assert_close(nats.sum(), reference(*leaves, targets))
    with torch.no_grad():
        torch.testing.assert_close(mixture_cross_entropy(*leaves, targets), nats.sum())


def test_huge_logits_stay_finite() -> None:
    latents, prior, weight, bias, targets = operands(torch.float32)
    loss = mixture_cross_entropy(latents * 1e4, prior, weight * 1e4, bias, targets)
    loss.backward()
    assert loss.isfinite()
    assert weight.grad is not None and weight.grad.isfinite().all()


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows(rows: int) -> None:
    *leaves, targets = operands(torch.float64, rows)
    loss = mixture_cross_entropy(*leaves, targets)
    torch.testing.assert_close(loss, reference(*leaves, targets))
    gradients = torch.autograd.grad(loss, leaves)
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_memory_does_not_grow_with_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    original = module._differentiate

    def watched(logits: Tensor, *rest: Tensor) -> tuple[Tensor, Tensor]:
        sizes.append(len(logits))
        return original(logits, *rest)

    monkeypatch.setattr(module, "_differentiate", watched)
    monkeypatch.setattr(module, "BLOCK_BYTES", 5 * EXPERTS * VOCAB * 4)
    *leaves, targets = operands(torch.float32, 23)
    mixture_cross_entropy(*leaves, targets)
    assert sizes == [5 * EXPERTS] * 4 + [3 * EXPERTS]
