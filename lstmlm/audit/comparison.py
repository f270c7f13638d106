"""What a repeated stretch of a training must have in common with the recorded one: every bit, or within a tolerance."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lstmlm.checkpoint.storage import MODEL, STATE, TRAINING, Checkpoint
from lstmlm.metrics import perplexity
from lstmlm.training.preparation.agreement import differences
from lstmlm.training.state import TrainState

Line = Mapping[str, Any]
"""An event of metrics.jsonl."""

TIMES = {"seconds", "elapsed_seconds", "tokens_per_second", "memory_bytes"}
COSTS = {"budget_seconds", "spent_seconds", "validation_seconds", "checkpoint_seconds"}
"""What a clock has said: nothing follows from it but plans, which are repeated."""

TOLERATED_NATS = 0.01
"""Relative difference of a loss where bits may differ."""

TOLERATED_DISTANCE = 0.05
"""How far apart the weights at the end of a stretch may be where bits may differ, as a share of the way they went.
50 steps in bfloat16 and in float32 end 0.0006 of it apart."""

ROUNDING = 1e-4
"""Relative difference of the numbers of n-grams, which are counted alike everywhere, where bits may differ."""

COUNTED = ("step", "epoch", "window", "n_tokens", "validated_step")
"""What of a state no rounding changes."""


def checkpoint_differences(there: Checkpoint, here: Checkpoint) -> Iterator[tuple[str, str]]:
    """Yield where two checkpoints are not the same to the bit: the file, and what differs in it."""
    for file, one, other in ((MODEL, there.weights, here.weights), (TRAINING, there.training, here.training)):
        for name in dict.fromkeys([*one, *other]):
            if difference := _tensor_difference(one.get(name), other.get(name)):
                yield file, f"{name} {difference}"
    # Version 0.1 wrote down no plans.
    unsaid = set() if there.state.get("plans") else {"plans"}
    states = (TrainState.from_json(one.state).to_json() for one in (there, here))
    recorded, repeated = (_without(_as_json(state), TIMES | {"budget"} | unsaid) for state in states)
    for key, value, again in differences(recorded, repeated):
        yield STATE, f"{key} is {value} there, {again} here"


def checkpoint_distances(there: Checkpoint, here: Checkpoint, start: Mapping[str, Tensor]) -> Iterator[tuple[str, str]]:
    """Yield where two checkpoints differ by more than rounding may do in a stretch that begins with weights `start`.

    The way of the weights is compared as a whole; what the optimizer and the layers remember is not.
    """
    if _forms(there.weights) != _forms(here.weights):
        yield MODEL, "has tensors of other names or shapes"
    else:
        apart = _distance(there.weights, here.weights)
        way = max(_distance(there.weights, start), _distance(here.weights, start))
        if apart > TOLERATED_DISTANCE * way:
            yield MODEL, f"weights are {apart / way if way else math.inf:.0%} of the stretch's way apart"
    recorded, repeated = ({key: _as_json(one.state).get(key) for key in COUNTED} for one in (there, here))
    for key, value, again in differences(recorded, repeated):
        yield STATE, f"{key} is {value} there, {again} here"


def ngram_differences(there: Mapping[str, Tensor], here: Mapping[str, Tensor], *, exact: bool) -> Iterator[str]:
    """Yield where n-grams are not those counted again; where not `exact`, their numbers may be rounded otherwise."""
    for name in dict.fromkeys([*there, *here]):
        one, other = there.get(name), here.get(name)
        if difference := _tensor_difference(one, other):
            is_rounding = not exact and one is not None and other is not None and _are_near(one, other)
            if not is_rounding:
                yield f"{name} {difference}"


def line_differences(there: Sequence[Line], here: Sequence[Line], *, exact: bool) -> Iterator[str]:
    """Yield where the events of a stretch are not the recorded ones; where not `exact`, losses may differ a little.

    Samples, and which validation was the best, are compared only where all bits are. Elsewhere a perplexity, which a
    small difference in nats makes a large one, has to be that of its own line's nats.
    """
    if not exact:
        yield from _perplexity_problems(there)
    recorded, repeated = (_compared(lines, exact=exact) for lines in (there, here))
    for number in range(max(len(recorded), len(repeated))):
        one, other = (lines[number] if number < len(lines) else None for lines in (recorded, repeated))
        if one is None or other is None or (one["event"], one["step"]) != (other["event"], other["step"]):
            yield f"{_shown(one)} is there where {_shown(other)} comes here"
            # What follows is shifted.
            return
        # Earlier versions said less.
        for key, value, again in differences(one, {key: other[key] for key in one if key in other}):
            if exact or key == "n_tokens" or not _near(value, again):
                yield f"{_shown(one)}: {key} is {value!r:.60} there, {again!r:.60} here"


def _perplexity_problems(lines: Sequence[Line]) -> Iterator[str]:
    """Yield where a line's perplexity is not exp of its nats: a step's are a mean, a validation's a sum over tokens."""
    for line in lines:
        nats, n_tokens = line.get("nats"), line.get("n_tokens") if line["event"] == "validation" else 1
        if "perplexity" in line and isinstance(nats, float) and isinstance(n_tokens, int):
            said, own = line["perplexity"], perplexity(nats, n_tokens)
            if not math.isclose(_number(said), own):
                yield f"{_shown(line)}: perplexity is {said!r:.60} there, {own!r:.60} by its nats"


def _number(said: object) -> float:
    """What a line says: JSON has no infinity, which is null there; not a number if it says none."""
    return math.inf if said is None else said if isinstance(said, float) else math.nan


def _compared(lines: Sequence[Line], *, exact: bool) -> list[Line]:
    if exact:
        return [_without(_as_json(line), TIMES | COSTS) for line in lines]
    kept = ("event", "step", "nats", "n_tokens", "n_steps")
    return [{key: line[key] for key in kept if key in line} for line in lines if line["event"] != "sample"]


def _near(there: object, here: object) -> bool:
    are_numbers = isinstance(there, float) and isinstance(here, float)
    return are_numbers and math.isclose(there, here, rel_tol=TOLERATED_NATS)  # type: ignore[arg-type]


def _are_near(there: Tensor, here: Tensor) -> bool:
    are_numbers = there.is_floating_point() and there.shape == here.shape
    return are_numbers and torch.allclose(there.double(), here.cpu().double(), rtol=ROUNDING, atol=0)


def _shown(line: Line | None) -> str:
    return "nothing" if line is None else f"{line['event']} of step {line['step']}"


def _without(record: Mapping[str, Any], keys: set[str]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in keys}


def _as_json(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a file says of it: lists and tuples are one there."""
    found: dict[str, Any] = json.loads(json.dumps(record))
    return found


def _tensor_difference(there: Tensor | None, here: Tensor | None) -> str | None:
    """Say how two tensors differ in any bit; None where they do not."""
    if there is None or here is None:
        return "is there and not here" if here is None else "is here and not there"
    here = here.detach().cpu()
    if (there.dtype, there.shape) != (here.dtype, here.shape):
        return f"is {there.dtype} {list(there.shape)} there, {here.dtype} {list(here.shape)} here"
    if torch.equal(_bits(there), _bits(here)):
        return None
    apart = (there.double() - here.double()).abs()
    return f"differs in {int((apart > 0).sum()):,} of {apart.numel():,} numbers, by {float(apart.max()):.2g} at most"


def _bits(tensor: Tensor) -> Tensor:
    return tensor.contiguous().view(-1).view(torch.uint8)


def _forms(tensors: Mapping[str, Tensor]) -> dict[str, tuple[torch.dtype, torch.Size]]:
    return {name: (tensor.dtype, tensor.shape) for name, tensor in tensors.items()}


def _distance(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> float:
    """Return the Euclidean distance of two models."""
    return math.sqrt(sum(float((a[name].double() - b[name].cpu().double()).square().sum()) for name in a))
