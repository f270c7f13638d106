"""What happens beside the updates: validating, saving, sampling, stopping early, writing metrics."""

import logging
import math
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from lstmlm.checkpoint.checkpoints import MOST_CHECKPOINTS
from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.checkpoint.shared_run import SharedRun
from lstmlm.checkpoint.storage import Checkpoint
from lstmlm.corpus.encoded_text import EncodedText
from lstmlm.corpus.tokenizers import Tokenizer
from lstmlm.errors import CheckpointError, DivergenceError
from lstmlm.generation.options import SamplingOptions
from lstmlm.generation.texts import continue_prompt
from lstmlm.metrics import NatsTotal
from lstmlm.models.language_model import weights_of
from lstmlm.randomness import Randomness
from lstmlm.scoring import score
from lstmlm.training.events import CheckpointEvent, EndEvent, Event, SampleEvent, ValidationEvent
from lstmlm.training.trainer import Callback, Trainer

SAMPLE_TEMPERATURE = 0.8

logger = logging.getLogger(__name__)


class Record(Callback):
    """Writes every event to metrics.jsonl; a resumed run first drops what came after its checkpoint.

    What a run that is over has written stays as it is. An event that cannot be written waits, and no checkpoint is
    published before it is written.
    """

    def __init__(self, run: RunDirectory) -> None:
        self._log = run.metrics
        self._is_whole = False
        self._is_failing = False

    def on_start(self, trainer: Trainer) -> None:
        """Forget the lines of what will be done again: later steps, and what the last step still owes."""
        state = trainer.state
        last, is_over = self._log.events()[-1:], trainer.is_stale or state.step >= trainer.n_steps
        self._is_whole = is_over and [(e["event"], e.get("step")) for e in last] == [(EndEvent.event, state.step)]
        if self._is_whole:
            return
        # Without a checkpoint the run begins anew, and with it the lines from before the first step.
        # What was reported at an end that is none any more stays: the checkpoint there vouches for it.
        is_changed = trainer.length_before != trainer.n_steps
        self._log.keep_until(
            state.step or -1,
            validation=state.validated_step,
            sample=state.sampled_step,
            plan=state.plans[-1].step,
            length=state.step - 1 if is_changed else state.step,
        )

    def on_event(self, event: Event) -> None:
        """Write one line."""
        if self._is_whole:
            return
        try:
            self._log.write(event.as_record())
        except CheckpointError as error:
            if not self._is_failing:
                logger.warning("%s Events wait until they can be written.", error)
            self._is_failing = True
        else:
            self._is_failing = False


class Tell(Callback):
    """Passes every event on to an observer, such as a progress display."""

    def __init__(self, observer: Callable[[Event], None]) -> None:
        self._observer = observer

    def on_event(self, event: Event) -> None:
        """Tell the observer."""
        self._observer(event)


class Validate(Callback):
    """Scores the validation split at the end of every epoch, or every `validate_every` steps, and at the end."""

    def __init__(self, text: EncodedText, start_id: int) -> None:
        self._text = text
        self._start_id = start_id

    def after_step(self, trainer: Trainer) -> None:
        """Validate if it is due and not yet done: every token once, in order, with carried state."""
        state = trainer.state
        is_due = state.step >= trainer.n_steps or trainer.is_validation_due
        if state.step == state.validated_step or not is_due:
            return
        started = time.monotonic()
        nats = score(trainer.average.model, self._text.tokens, self._start_id, world=trainer.world)
        # The same bits for all: what they decide by it must be the same.
        total = NatsTotal(trainer.world.broadcast(float(nats.sum())), len(nats))
        with trainer.uninterrupted():
            is_best = trainer.record_validation(total)
            trainer.emit(
                ValidationEvent(
                    step=state.step,
                    epoch=trainer.epoch,
                    n_tokens=total.n_tokens,
                    nats=total.nats,
                    perplexity=total.perplexity,
                    learning_rate=state.learning_rate,
                    is_best=is_best,
                    n_averaged=trainer.average.n_averaged,
                    seconds=time.monotonic() - started,
                    elapsed_seconds=trainer.elapsed_seconds,
                )
            )


def most_checkpoints(trainer: Trainer) -> int:
    """How many checkpoints of a training, as it is planned, `Save` leaves on the disk at once, at most."""
    n_steps, keep = trainer.n_steps, trainer.options.keep
    of_validations = trainer.validate_every or trainer.stream.epoch(0).n_windows
    intervals = [of_validations, trainer.options.save_every] if trainer.options.save_every else [of_validations]
    n_saved = 1 + sum((n_steps - 1) // every for every in intervals)
    if len(intervals) > 1:
        n_saved -= (n_steps - 1) // math.lcm(*intervals)
    n_kept = n_saved if keep == "all" else n_steps.bit_length() if keep == "2^k" else keep or 0
    return min(n_saved, MOST_CHECKPOINTS + n_kept)


class Save(Callback):
    """Publishes a checkpoint where a validation is due, every `save_every` steps, at the end and at an interruption."""

    def __init__(self, run: SharedRun) -> None:
        self._run = run
        self._saved = (0, 0, 0)

    def on_start(self, trainer: Trainer) -> None:
        """Remember what is on disk already."""
        if self._run.last is not None:
            self._saved = self._progress(trainer)

    def after_step(self, trainer: Trainer) -> None:
        """Save if it is due."""
        state, every = trainer.state, trainer.options.save_every
        is_last = state.step == trainer.n_steps or trainer.stop_reason is not None
        is_due = is_last or trainer.is_validation_due or (every and state.step % every == 0)
        if state.step == 0 or not is_due:
            return
        try:
            self._save(trainer)
        except CheckpointError as error:
            if is_last or trainer.options.on_save_error == "stop":
                raise
            if trainer.world.is_main:
                logger.warning("%s Step %d is not saved; training goes on.", error, state.step)

    def on_interrupt(self, trainer: Trainer) -> None:
        """Save the last completed step."""
        if trainer.state.step > 0:
            self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        progress, state = self._progress(trainer), trainer.copy_of_state()
        if progress == self._saved:
            return
        started = time.monotonic()
        weights, tensors = weights_of(trainer.average.model), trainer.training_tensors()
        _require_finite(trainer, {**weights, **tensors})
        # Where the best weights are not on the disk, the newest stand in: none were validated yet, or they were lost.
        is_best = state.best_step == state.step or state.best_step != self._run.best
        with trainer.uninterrupted():
            self._run.save(state.step, Checkpoint(weights, tensors, state.to_json()), is_best=is_best)
            # Within: a signal that waits takes effect at the end of the block, and would save the same again.
            self._saved = progress
            trainer.emit(CheckpointEvent(step=state.step, is_best=is_best, seconds=time.monotonic() - started))

    @staticmethod
    def _progress(trainer: Trainer) -> tuple[int, int, int]:
        """Tell one state worth saving from another: a step is saved again once it has been validated and sampled."""
        return trainer.state.step, trainer.state.validated_step, trainer.state.sampled_step


def _require_finite(trainer: Trainer, tensors: Mapping[str, Tensor]) -> None:
    """Refuse to save numbers that are not finite: an update can overflow though its loss and gradient did not."""
    for name, tensor in tensors.items():
        # NaN spreads to the least and the greatest number; asking each one whether it is finite takes as much memory.
        if tensor.numel() and not torch.stack(tensor.aminmax()).isfinite().all():
            raise DivergenceError(
                f"step {trainer.state.step}: {name} has numbers that are not finite (learning rate "
                f"{trainer.state.learning_rate:.4g}). It is not saved. Lower optimizer.learning_rate or set clip_norm."
            )


class Sample(Callback):
    """Shows a short text of the model's own after each validation."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def after_step(self, trainer: Trainer) -> None:
        """Sample if there was a validation at this step."""
        state, n_tokens = trainer.state, trainer.options.sample_tokens
        if n_tokens == 0 or state.sampled_step == state.validated_step:
            return
        text = self._sample(trainer, n_tokens) if trainer.world.is_main else ""
        with trainer.uninterrupted():
            state.sampled_step = state.validated_step
            trainer.emit(SampleEvent(step=state.step, text=text))

    def _sample(self, trainer: Trainer, n_tokens: int) -> str:
        options = SamplingOptions(max_tokens=n_tokens, temperature=SAMPLE_TEMPERATURE)
        seed = Randomness(trainer.seed, trainer.state.step).seed_of("sample")
        drawn = continue_prompt(trainer.average.model, self._tokenizer, "", options, [seed])
        return "".join(sample.piece for [sample] in drawn)


class EarlyStop(Callback):
    """Ends the training after `patience` validations in a row without improvement."""

    def after_step(self, trainer: Trainer) -> None:
        """Stop if it is time."""
        if trainer.is_stale:
            trainer.stop_reason = f"{trainer.state.n_stale} validations without improvement"
