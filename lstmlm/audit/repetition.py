"""A stretch of a training, from one checkpoint to the next, trained again."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lstmlm.audit.comparison import Line
from lstmlm.checkpoint.storage import Checkpoint
from lstmlm.corpus.loading import Corpus
from lstmlm.models.language_model import weights_of
from lstmlm.training.callbacks import EarlyStop, Sample, Validate
from lstmlm.training.events import Event, PlanEvent
from lstmlm.training.state import TrainState
from lstmlm.training.trainer import Callback, Trainer

REPEATED = ("plan", "step", "validation", "sample")
"""The events of a stretch. That a checkpoint was saved is no part of the training, and neither are start and end."""


def repeat(trainer: Trainer, corpus: Corpus, end: TrainState, compare: Callable[[Checkpoint], None]) -> list[Line]:
    """Train on until the state is as far as `end`, and let `compare` see what a checkpoint would hold there.

    Where the recorded training was planned anew by a clock, it is here by the plans in `end`.

    Args:
        trainer: As a checkpoint has left it, or before its first step.
        corpus: What it learns from and is validated on.
        end: The state of the checkpoint at the end of the stretch.
        compare: Its tensors are those of the trainer, not copies.

    Returns:
        What metrics.jsonl would say of the stretch.
    """
    halt = _Halt(end, compare)
    validate = [Validate(corpus.valid, corpus.tokenizer.start_id)] if corpus.valid else []
    stop = [EarlyStop()] if corpus.valid else []
    # In the order of a training. A checkpoint was saved at the end of it, or between two by an interruption.
    trainer.fit(
        [halt, _Plans(end), halt.between, *validate, *stop, halt.between, Sample(corpus.tokenizer), halt.at_end]
    )
    return halt.lines


def events_between(events: Iterable[dict[str, Any]], start: TrainState | None, end: TrainState) -> list[Line]:
    """Return the events that a training has written between two states; without `start`, from its first step on."""
    nothing = dict.fromkeys(REPEATED, -1)
    first, last = nothing if start is None else _written(start), _written(end)
    return [
        event
        for event in events
        if event.get("event") in REPEATED
        and isinstance(event.get("step"), int)
        and first[event["event"]] < event["step"] <= last[event["event"]]
    ]


def _written(state: TrainState) -> Mapping[str, int]:
    """Of which step the last event of each kind is; as `Record` keeps them when a run is continued."""
    plan = state.plans[-1].step if state.plans else 0
    return {"plan": plan, "step": state.step, "validation": state.validated_step, "sample": state.sampled_step}


class _Plans(Callback):
    """Changes the plan of a training with a budget where it was changed."""

    def __init__(self, end: TrainState) -> None:
        self._plans = {plan.step: plan for plan in end.plans}

    def on_start(self, trainer: Trainer) -> None:
        """Begin with the plan that the training began with; without a budget it is the one that it ended with."""
        if trainer.options.budget is None and self._plans:
            trainer.follow([*self._plans.values()])
        elif trainer.state.step == 0:
            self._follow(trainer)

    def after_step(self, trainer: Trainer) -> None:
        """Take up the plan that was made after this step."""
        if trainer.options.budget is not None and trainer.state.step > trainer.state.plans[-1].step:
            self._follow(trainer)

    def _follow(self, trainer: Trainer) -> None:
        plan = self._plans.get(trainer.state.step)
        if plan is None:
            return
        trainer.plan(plan.n_steps, plan.validate_every)
        if trainer.options.budget_seconds is not None:
            trainer.emit(
                PlanEvent(
                    step=plan.step,
                    n_steps=plan.n_steps,
                    validate_every=plan.validate_every,
                    budget_seconds=trainer.options.budget_seconds,
                    spent_seconds=0.0,
                    tokens_per_second=0.0,
                    validation_seconds=0.0,
                    checkpoint_seconds=0.0,
                )
            )


class _Halt(Callback):
    """Ends a repeated training where the recorded one was saved, and keeps its events until then."""

    def __init__(self, end: TrainState, compare: Callable[[Checkpoint], None]) -> None:
        self.lines: list[Line] = []
        self.between = _At(self, is_last=False)
        self.at_end = _At(self, is_last=True)
        self._end = end
        self._compare = compare
        self._is_over = False

    def on_event(self, event: Event) -> None:
        """Keep what metrics.jsonl would."""
        if event.event in REPEATED and not self._is_over:
            self.lines.append(event.as_record())

    def check(self, trainer: Trainer, *, is_last: bool) -> None:
        """Compare and stop if this is as far as the recorded training was, or further."""
        state, end = trainer.state, self._end
        is_there = all(
            getattr(state, name) == getattr(end, name) for name in ("step", "validated_step", "sampled_step")
        )
        is_beyond = is_last and (state.step >= end.step or trainer.stop_reason is not None)
        if not self._is_over and (is_there or is_beyond):
            self._is_over = True
            weights, tensors = weights_of(trainer.average.model), trainer.training_tensors()
            self._compare(Checkpoint(weights, tensors, trainer.copy_of_state().to_json()))
            trainer.stop_reason = "the end of the stretch"


class _At(Callback):
    """Lets a `_Halt` look at a place between other callbacks."""

    def __init__(self, halt: _Halt, *, is_last: bool) -> None:
        self._halt = halt
        self._is_last = is_last

    def after_step(self, trainer: Trainer) -> None:
        """Look."""
        self._halt.check(trainer, is_last=self._is_last)
