"""How a torture is shared out and counted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """One of several parts of all cases, from 0; the first of many is a sample."""

    index: int = 0
    n_parts: int = 1

    def of(self, cases: Sequence[T]) -> Sequence[T]:
        """Return the cases of this part, spread over all of them."""
        return cases[self.index :: self.n_parts]

    def split(self, n_parts: int) -> list["Part"]:
        """Return parts that together are this one."""
        return [Part(self.index + self.n_parts * index, self.n_parts * n_parts) for index in range(n_parts)]


@dataclass
class Tally:
    """How many cases of a torture were survived."""

    what: str
    n_cases: int = 0
    losses: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def count(self, case: str, loss: str | None) -> None:
        """Count a case, and what was lost in it if anything was."""
        self.n_cases += 1
        if loss is not None:
            self.losses.append(f"{case}: {loss}")

    def add(self, other: "Tally") -> None:
        """Count the cases of another part too."""
        self.n_cases += other.n_cases
        self.losses += other.losses
        self.notes += [note for note in other.notes if note not in self.notes]

    def __str__(self) -> str:
        counts = f"{self.n_cases - len(self.losses):,} of {self.n_cases:,}" if self.n_cases else "skipped"
        return "\n".join([f"{self.what}: {counts}", *(f"  {line}" for line in (*self.notes, *self.losses[:5]))])


Torture = Callable[[Part], list[Tally]]
