"""The softmax with its loss, forward and backward, beside F.cross_entropy(F.linear(…)): time and memory."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

from lstmlm.benchmark.correctness import Results, with_gradients
from lstmlm.benchmark.machine import Machine
from lstmlm.benchmark.memory import peak_extra_bytes
from lstmlm.benchmark.plan import LossShape, Plan
from lstmlm.benchmark.section import Row, Section, compare_routes
from lstmlm.models.kernels import Execution, GemmPath, linear_cross_entropy

Pass = Callable[[], Results]
Loss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

SMALL = LossShape(n_tokens=8, hidden_size=16, vocab_size=32)


def measure_losses(plan: Plan, machine: Machine, tell: Callable[[str], None]) -> Section:
    """Compare all losses of the plan."""
    rows: list[Row] = []
    for number, shape in enumerate(plan.losses, start=1):
        tell(f"loss {number} of {len(plan.losses)}, with its memory")
        rows += compare_loss(shape, plan, machine)
    return Section("loss", "Softmax and loss, forward and backward, beside F.cross_entropy(F.linear)", rows)


def compare_loss(shape: LossShape, plan: Plan, machine: Machine) -> list[Row]:
    """Return a row for each number format of ours."""
    ours = {path: prepare_pass(OurLoss(path), shape) for path in machine.gemm_paths}
    theirs = {"torch_float32": prepare_pass(torch_loss, shape)}
    wanted = theirs["torch_float32"]()
    n_flops = 3 * 2 * shape.n_tokens * shape.hidden_size * shape.vocab_size
    rows = compare_routes(shape, plan.effort, machine, ours, lambda path: ours[path](), wanted, theirs, n_flops)
    torch_bytes = peak_extra_bytes(partial(prepare_pass, torch_loss), shape, SMALL)
    for row in rows:
        if "differs" not in row:
            our_loss = OurLoss(GemmPath(row["gemm_path"]))
            row["lstmlm_peak_extra_bytes"] = peak_extra_bytes(partial(prepare_pass, our_loss), shape, SMALL)
            row["torch_float32_peak_extra_bytes"] = torch_bytes
    return rows


@dataclass(frozen=True)
class OurLoss:
    """Our kernel by the route `path`, as a class because another process has to import it."""

    path: GemmPath

    def __call__(self, features: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
        """Return the summed loss (nats)."""
        return linear_cross_entropy(features, weight, bias, targets, Execution(self.path))


def torch_loss(features: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """Return the summed loss (nats), by way of all logits."""
    return cross_entropy(linear(features, weight, bias), targets, reduction="sum")


def prepare_pass(loss: Loss, shape: LossShape) -> Pass:
    """Return both passes of `loss` over operands of a shape, always the same ones."""
    generator = torch.Generator().manual_seed(1)
    bound = shape.hidden_size**-0.5
    features = torch.randn(shape.n_tokens, shape.hidden_size, generator=generator).requires_grad_()
    weight = torch.empty(shape.vocab_size, shape.hidden_size).uniform_(-bound, bound, generator=generator)
    weight.requires_grad_()
    bias = torch.zeros(shape.vocab_size, requires_grad=True)
    targets = torch.randint(shape.vocab_size, (shape.n_tokens,), generator=generator)
    leaves = {"features": features, "weight": weight, "bias": bias}

    return lambda: with_gradients("loss", loss(features, weight, bias, targets), leaves)
