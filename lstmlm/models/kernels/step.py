"""A step of a window: what the loop over time needs to know of a cell, and its arithmetic where it is not compiled."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from lstmlm.models.cells.cell import masked


@dataclass(frozen=True)
class WindowKernel:
    """What a window needs to know of a cell: its sizes and its arithmetic, over whole tensors (batch, ·).

    Attributes:
        name: What the compiled loop is called.
        n_gates: Gates whose pre-activations are computed by products.
        n_kept: Values a unit that the forward pass keeps for the backward pass.
        has_memory: Whether the state holds something beside the output.
        forward: From W_x x_t + b, W_h h_{t-1}, h_{t-1} and the memory before (or None) to h_t, the memory and what is
            kept.
        backward: From the gradient of h_t, the carry, h_{t-1}, h_t, both memories and what was kept to the gradients
            of the pre-activations, first of W_x x_t + b, then of W_h h_{t-1} (the same tensors where they are equal),
            and the next carry.
    """

    name: str
    n_gates: int
    n_kept: int
    has_memory: bool
    forward: Callable[..., tuple[Tensor, Tensor | None, tuple[Tensor, ...]]]
    backward: Callable[..., tuple[tuple[Tensor, ...], tuple[Tensor, ...], Tensor | None]]

    def is_in_place(self, projected: Tensor) -> bool:
        """Whether what is kept takes the place of `projected`, and gradients in the same format that of what was kept.

        Not on a GPU, where an operation that was put together in parts may write one of them before it reads another.
        """
        return self.n_kept == self.n_gates and projected.device.type == "cpu"

    def write_step(
        self,
        projected: Tensor,
        recurrent: Tensor,
        bias: Tensor,
        recurrent_bias: Tensor | None,
        mask: Tensor | None,
        hidden_before: Tensor,
        hidden: Tensor,
        operand: Tensor | None,
        memory_before: Tensor | None,
        memory: Tensor | None,
        kept: Tensor,
    ) -> None:
        """Compute one step into `hidden`, `operand` (what the next product takes), `memory` and `kept`."""
        recurrent = recurrent.to(hidden.dtype)
        recurrent = recurrent if recurrent_bias is None else recurrent + recurrent_bias
        h_t, c_t, values = self.forward(projected + bias, recurrent, hidden_before, memory_before)
        hidden.copy_(h_t)
        if operand is not None:
            operand.copy_(masked(h_t, mask))
        if memory is not None and c_t is not None:
            memory.copy_(c_t)
        for place, value in zip(kept.chunk(max(1, self.n_kept), dim=1), values, strict=False):
            place.copy_(value)

    def write_step_back(
        self,
        grad_output: Tensor,
        through_weight: Tensor,
        mask: Tensor | None,
        hidden_before: Tensor,
        hidden: Tensor,
        memory_before: Tensor | None,
        memory: Tensor | None,
        kept: Tensor,
        grad_projected: Tensor,
        grad_recurrent: Tensor | None,
        carry: Tensor,
    ) -> None:
        """Compute the gradients of one step into `grad_projected`, `grad_recurrent` (None: the same) and `carry`."""
        grad_hidden = grad_output + masked(through_weight.to(hidden.dtype), mask)
        values = kept.chunk(max(1, self.n_kept), dim=1)
        for_x, for_h, carried = self.backward(grad_hidden, carry, hidden_before, hidden, memory_before, memory, values)
        for gates, gradients in ((grad_projected, for_x), (grad_recurrent, for_h)):
            if gates is not None:
                for place, gradient in zip(gates.chunk(self.n_gates, dim=1), gradients, strict=True):
                    place.copy_(gradient)
        if carried is not None:
            carry.copy_(carried)
