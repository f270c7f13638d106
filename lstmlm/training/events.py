"""What happens during training, for whoever watches: the metrics file, the terminal. No torch is imported."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar

from lstmlm.errors import DataError
from lstmlm.metrics import finite


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened after `step` updates."""

    event: ClassVar[str]
    step: int

    def as_record(self) -> dict[str, object]:
        """Return the line of metrics.jsonl; JSON has no infinity, so a number beyond a float becomes null."""
        return {"event": self.event, **finite(asdict(self))}


@dataclass(frozen=True, kw_only=True)
class SplitSummary:
    """How large a split is, and how much of it the model cannot tell apart."""

    split: str
    n_tokens: int
    n_unk: int
    unk_rate: float


@dataclass(frozen=True, kw_only=True)
class StartEvent(Event):
    """What is about to be trained, on what, and how."""

    event: ClassVar[str] = "start"
    corpus: str
    splits: tuple[SplitSummary, ...]
    """Of each: its name `split`, `n_tokens`, how many of them are `<unk>` (`n_unk`), and their share (`unk_rate`)."""

    vocab_size: int
    n_parameters: int
    n_steps: int | None
    """Length of the training; None where a budget plans it."""

    precision: str
    """Number format of the matrix products: float32 or bfloat16."""

    milliseconds: Mapping[str, float]
    """What a step takes, forward and backward, by each route of matrix products that was measured; empty: none was."""

    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PlanEvent(Event):
    """From this step on, a training with a budget is to be this long."""

    event: ClassVar[str] = "plan"
    budget_seconds: float
    spent_seconds: float
    """Of these, from the start of the command on, over all resumed parts."""

    n_steps: int
    validate_every: int | None
    """Steps between validations; None: at the end of every epoch."""

    tokens_per_second: float
    validation_seconds: float
    """What a validation is expected to take, with the sample and the checkpoint that follow it."""

    checkpoint_seconds: float


@dataclass(frozen=True, kw_only=True)
class LengthEvent(Event):
    """A run that goes on from this step is to be of another length than it was; lines before it have the old one."""

    event: ClassVar[str] = "length"
    n_steps_before: int
    n_steps: int


@dataclass(frozen=True, kw_only=True)
class StepEvent(Event):
    """Progress since the last such event. Losses are means over the tokens of that time."""

    event: ClassVar[str] = "step"
    epoch: float
    """Passes over the training stream, with the part of the one that is under way."""

    n_tokens: int
    """Tokens that were learnt from since the training began."""

    nats: float
    """Mean loss of a token."""

    perplexity: float
    learning_rate: float
    gradient_norm: float
    """2-norm of the last step's gradient, before it is clipped."""

    tokens_per_second: float
    elapsed_seconds: float
    """Since the training began, over all resumed parts."""

    n_steps: int
    """Length of the training, as it is planned now."""

    memory_bytes: int | None = None
    """Resident memory of the process, on macOS its peak; None where the operating system does not say."""


@dataclass(frozen=True, kw_only=True)
class ValidationEvent(Event):
    """The whole validation split was scored, with carried state, every token once."""

    event: ClassVar[str] = "validation"
    epoch: float
    n_tokens: int
    """Of the validation split."""

    nats: float
    """Sum over these tokens."""

    perplexity: float
    """exp(nats / n_tokens)."""

    learning_rate: float
    is_best: bool
    """Whether its perplexity is the lowest so far."""

    n_averaged: int
    """Of the weights after how many steps the scored ones are the average; 0: they are those of the last step."""

    seconds: float
    elapsed_seconds: float


@dataclass(frozen=True, kw_only=True)
class SampleEvent(Event):
    """A short text of the model's own."""

    event: ClassVar[str] = "sample"
    text: str


@dataclass(frozen=True, kw_only=True)
class CheckpointEvent(Event):
    """A checkpoint was published."""

    event: ClassVar[str] = "checkpoint"
    is_best: bool
    """Whether its weights are the best of the run from now on."""

    seconds: float


@dataclass(frozen=True, kw_only=True)
class EndEvent(Event):
    """Training ended, not to go on; after a divergence the last checkpoint may be of an earlier step."""

    event: ClassVar[str] = "end"
    reason: str
    n_tokens: int
    elapsed_seconds: float


def require_validation(event: Event) -> None:
    """Watch a training that is to be compared with others: refuse at its start a corpus without a validation split.

    Raises:
        DataError: it has none.
    """
    if isinstance(event, StartEvent) and not any(split.split == "valid" for split in event.splits):
        raise DataError(f"{event.corpus}: has no validation split, by which trainings are compared. Add one.")
