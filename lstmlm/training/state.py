"""All that a bit-exact resume needs beside the weights, and how long the training is to be."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from torch import Tensor

from lstmlm.errors import CheckpointError
from lstmlm.models.backbone import BackboneState
from lstmlm.models.cells.cell import named
from lstmlm.models.language_model import require_alike

Count: TypeAlias = Annotated[int, Field(ge=0, lt=2**63)]
AtLeastOne: TypeAlias = Annotated[int, Field(ge=1, lt=2**63)]
Amount: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class Plan:
    """How a training goes on after a step."""

    step: Count
    """Completed updates when it was made; 0: before training."""

    n_steps: AtLeastOne
    """Length of the whole training, those included (updates)."""

    validate_every: AtLeastOne | None
    """Steps between validations; None: at the end of every epoch."""


def position(plans: Sequence[Plan], step: int) -> float:
    """Return the step of the first plan that corresponds to the update after `step` completed ones.

    Schedules and averages see positions, so that a change of plan neither jumps nor cuts off the end: from the last
    completed update on, what is left of the first plan is stretched evenly over the updates that are left. The last
    one of all has the last position of the first plan.

    Args:
        plans: In the order in which they were made; each leaves an update to do.
        step: Completed updates, none before the last plan was made.
    """
    if len(plans) == 1:
        return step
    end = plans[0].n_steps - 1
    start, reached = 0, 0.0
    for before, after in pairwise(plans):
        last_done = after.step - 1
        reached += (end - reached) * (last_done - start) / (before.n_steps - 1 - start)
        start = last_done
    return reached + (end - reached) * (step - start) / (plans[-1].n_steps - 1 - start)


@dataclass
class TrainState:
    """Where a training stands. Plain numbers only; tensors are kept beside it."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    step: Count = 0
    """Completed updates."""

    epoch: Count = 0
    """Completed passes over the stream."""

    window: Count = 0
    """The next window of this pass."""

    n_tokens: Count = 0
    """Targets learnt from so far."""

    elapsed_seconds: Amount = 0.0
    """Time spent training, over all resumed parts."""

    best_nats: Amount | None = None
    """Lowest validation loss so far (nats per token)."""

    best_step: Count = 0
    """Step of that validation; 0 before the first."""

    n_stale: Count = 0
    """Validations in a row without improvement."""

    validated_step: Count = 0
    """Step of the last completed validation."""

    learning_rate: Amount = 0.0
    """The schedule's rate at the last update."""

    sampled_step: Count = 0
    """Step of the last sample."""

    unreported_nats: Amount = 0.0
    """Loss of the steps since the last report, summed over their tokens (nats)."""

    unreported_tokens: Count = 0
    """How many tokens these were."""

    schedule: dict[str, Count | Amount] = field(default_factory=dict)
    """What the schedule remembers."""

    averaging: dict[str, bool | Count | list[Amount]] = field(default_factory=dict)
    """What the average remembers beside its tensors."""

    plans: list[Plan] = field(default_factory=list)
    """How long the training was to be, first and after each change; the last one counts."""

    budget: dict[str, Amount] = field(default_factory=dict)
    """What a budget remembers of time spent and of what things cost."""

    def to_json(self) -> dict[str, Any]:
        """Return the content of state.json."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "TrainState":
        """Restore what `to_json` returned.

        Raises:
            CheckpointError: it is something else.
        """
        try:
            state = _STATE.validate_python(record)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            raise CheckpointError(f"state.json: {key}: {first['msg']}, got {first['input']!r:.60}. {_REMEDY}") from None
        for before, after in pairwise(state.plans):
            if not max(1, before.step) <= after.step < before.n_steps:
                raise CheckpointError(f"state.json: plans: {after} does not follow {before}. {_REMEDY}")
        return state


_STATE = TypeAdapter(TrainState)
_REMEDY = "Use the version of lstmlm that wrote the run."


def state_tensors(state: BackboneState) -> dict[str, Tensor]:
    """Name the tensors of a backbone's state by layer: "0/hidden", "0/cell", "1/hidden" and so on."""
    tensors = {level: named(cell_state) for level, cell_state in enumerate(state)}
    return {f"{level}/{name}": tensor for level, parts in tensors.items() for name, tensor in parts.items()}


def restore_state(like: BackboneState, tensors: Mapping[str, Tensor]) -> BackboneState:
    """Rebuild a backbone's state, shaped `like` the given one, from what `state_tensors` returned.

    Raises:
        CheckpointError: that was the state of another backbone, or of another number of columns.
    """
    require_alike(tensors, state_tensors(like))
    return tuple(
        type(cell_state)(*(tensors[f"{level}/{name}"].to(part.device) for name, part in named(cell_state).items()))
        for level, cell_state in enumerate(like)
    )
