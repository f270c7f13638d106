"""What a recurrent cell is: one time step, from an input and a state to an output and the next state."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn


def linear(
    rows: Float[Tensor, "*batch in"], weight: Float[Tensor, "out in"], bias: Float[Tensor, " out"] | None = None
) -> Float[Tensor, "*batch out"]:
    """Return x Wᵀ + b in the number format of x and b; a W of another one is multiplied in its own."""
    if weight.dtype == rows.dtype:
        return nn.functional.linear(rows, weight, bias)
    product = nn.functional.linear(rows.to(weight.dtype), weight).to(rows.dtype)
    return product if bias is None else product + bias


@dataclass(frozen=True)
class CellWeights:
    """The parameters of a cell, gates stacked along the first axis. Iterating gives each tensor, in the order below."""

    weight_ih: Float[Tensor, "gates input"]
    """Input-to-hidden matrix W_x."""

    weight_hh: Float[Tensor, "gates hidden"]
    """Hidden-to-hidden matrix W_h, where weight drop applies."""

    bias: Float[Tensor, " gates"]
    """Bias b."""

    extra: tuple[Tensor, ...] = ()
    """What a cell has beyond these, such as the gains of its normalisation; its docstring gives the order."""

    linear: Callable[..., Tensor] = linear
    """What multiplies by them; a kernel's is faster."""

    def __iter__(self) -> Iterator[Tensor]:
        return iter((self.weight_ih, self.weight_hh, self.bias, *self.extra))


Input = Float[Tensor, "batch input"]
Hidden = Float[Tensor, "batch hidden"]
"""What goes into a step, and what it gives: a row for each text that is read side by side."""

Inputs = Float[Tensor, "time batch input"]
Outputs = Float[Tensor, "time batch hidden"]
"""The same of all steps of a window."""

Mask = Hidden | None
"""State dropout: what h_{t-1} is multiplied with on its way into W_h, and nowhere else; None drops nothing."""

CellState = tuple[Tensor, ...]
"""The state of one cell: a `NamedTuple` of tensors (batch, hidden)."""

State = TypeVar("State", bound=CellState)


class NoGates(NamedTuple):
    """The gates of a cell that has none."""


class Cell(nn.Module, ABC):
    """One time step of a recurrent layer.

    A cell owns its weights and knows its equations; running it over a window, carrying and detaching the state, and
    dropout are the backbone's work. Subclasses say how many gates they stack and what their state holds, and register
    what parameters they have beyond the three that every cell has.
    """

    n_gates: int
    state_type: ClassVar[Any]
    """A `NamedTuple`; its fields are tensors (batch, hidden)."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.weight_ih = nn.Parameter(torch.empty(self.n_gates * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(self.n_gates * hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.empty(self.n_gates * hidden_size))

    def weights(self) -> CellWeights:
        """Return the cell's own parameters; those beyond the common three in the order of their registration."""
        weight_ih, weight_hh, bias, *extra = self.parameters()
        return CellWeights(weight_ih, weight_hh, bias, tuple(extra))

    @abstractmethod
    def initialize(self, generator: torch.Generator) -> None:
        """Draw the initial weights from `generator`."""

    def initial_state(self, batch_size: int) -> CellState:
        """Return the state in which a text begins: zeros."""
        size = (batch_size, self.hidden_size)
        state: CellState = self.state_type(*(self.bias.new_zeros(size) for _ in self.state_type._fields))
        return state

    @abstractmethod
    def forward(
        self, x_t: Input, state: CellState, weights: CellWeights | None = None, state_mask: Mask = None
    ) -> tuple[Hidden, CellState]:
        """Read one token a column.

        Args:
            x_t: Input of this step.
            state: State after the step before.
            weights: What to use in place of the cell's own weights, such as dropped ones.
            state_mask: State dropout.

        Returns:
            The output of this step and the next state.
        """

    def gates(
        self, x_t: Input, state: CellState, weights: CellWeights | None = None, state_mask: Mask = None
    ) -> tuple[Tensor, ...]:
        """Return what a step decides before it changes the state: a `NamedTuple` of tensors (batch, hidden).

        The arguments are those of `forward`.
        """
        return NoGates()


def masked(hidden: Hidden, state_mask: Mask) -> Tensor:
    """Apply the mask of state dropout, if there is one."""
    return hidden if state_mask is None else hidden * state_mask


def named(tensors: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Return the tensors of a cell's state or gates by name."""
    return dict(zip(type(tensors)._fields, tensors, strict=True))  # type: ignore[attr-defined]


def map_state(function: Callable[[Tensor], Tensor], state: State) -> State:
    """Apply `function` to every tensor of a cell's state."""
    return type(state)(*map(function, state))


def run_steps(
    cell: Cell, inputs: Inputs, state: CellState, weights: CellWeights, state_mask: Mask = None
) -> tuple[Outputs, CellState]:
    """Apply `cell` to every time step in turn: the reference of the kernels. Returns outputs and the last state."""
    outputs = []
    for x_t in inputs:
        output, state = cell(x_t, state, weights, state_mask)
        outputs.append(output)
    return torch.stack(outputs), state
