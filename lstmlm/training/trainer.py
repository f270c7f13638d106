"""The training loop: window → loss → gradient → clip → step → events. Reads from top to bottom."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

import torch
from torch import Tensor

from lstmlm.checkpoint.environment import resident_bytes
from lstmlm.config.averaging import NoAveragingOptions
from lstmlm.config.training import TrainingOptions
from lstmlm.corpus.stream import TrainingStream, Window
from lstmlm.distributed import ALONE, World
from lstmlm.errors import CheckpointError, ConfigError, DivergenceError, Interrupted
from lstmlm.metrics import NatsTotal
from lstmlm.models.backbone import BackboneState, part_of_state
from lstmlm.models.kernels import EVALUATION, Execution
from lstmlm.models.language_model import LanguageModel, load_weights, weights_of
from lstmlm.optim.averaging import Average, NoAverage
from lstmlm.optim.optimizers import load_optimizer_tensors, n_moments, optimizer_tensors, set_learning_rate
from lstmlm.optim.schedules import Schedule
from lstmlm.randomness import Randomness
from lstmlm.training.events import EndEvent, Event, LengthEvent, StepEvent
from lstmlm.training.gradient import WindowGradient
from lstmlm.training.interruption import Interruption
from lstmlm.training.regularization import reset_columns
from lstmlm.training.state import Plan, TrainState, position, restore_state, state_tensors


class Callback:
    """Watches a training. Callbacks are called in the order in which they were given."""

    def on_start(self, trainer: "Trainer") -> None:
        """Act once before the first step."""

    def after_step(self, trainer: "Trainer") -> None:
        """Act after each step, and once at the start, when a resumed run may still owe work for its last step."""

    def on_event(self, event: Event) -> None:
        """Take note of what happened."""

    def on_interrupt(self, trainer: "Trainer") -> None:
        """Act before a signal ends the training; the last step is complete."""


class Trainer:
    """Trains a model on a stream by truncated backpropagation through time (Williams & Peng 1990).

    The hidden state is carried from window to window and starts from zeros at each epoch. What else happens on the way
    (validation, saving, samples, reports) is the work of callbacks, which read the trainer's public attributes. The
    processes of a world each have a share of the columns, and do the same in everything else.
    """

    def __init__(
        self,
        options: TrainingOptions,
        model: LanguageModel,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule,
        stream: TrainingStream,
        *,
        clip_norm: float | None,
        seed: int,
        average: Average[LanguageModel] | None = None,
        execution: Execution = EVALUATION,
        world: World = ALONE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.options = options
        self.model = model
        self.schedule = schedule
        self.average = average or NoAverage(NoAveragingOptions(), model, schedule.n_steps)
        self.stream = stream
        self.seed = seed
        self.state = TrainState(plans=[Plan(0, schedule.n_steps, options.validate_every)])
        self.stop_reason: str | None = None
        self.length_before = schedule.n_steps
        """Updates of the whole training, as the checkpoint that it was restored from had them."""

        self.world = world
        self._optimizer = optimizer
        self._gradient = WindowGradient(
            options, model, execution, seed, world, bptt=stream.options.bptt, clip_norm=clip_norm
        )
        self._epoch = stream.epoch(0)
        self._carried = self._initial_state()
        self._callbacks: Sequence[Callback] = ()
        self._interruption = Interruption(world.first_of if world.size > 1 else None)
        self.clock = clock
        self._started = clock()
        # Of this process: what was learnt before the interruption took another one's time.
        self._tokens_since_report, self._seconds_since_report = 0, 0.0
        self._gradient_norm = 0.0

    @property
    def epoch(self) -> float:
        """Passes over the stream so far, with the part of the current one."""
        return self.state.epoch + self._epoch.share_before(self.state.window)

    @property
    def n_steps(self) -> int:
        """Updates of the whole training, as planned now."""
        return self.state.plans[-1].n_steps

    @property
    def is_stale(self) -> bool:
        """Whether the last `patience` validations were no improvement."""
        return self.state.n_stale >= (self.options.patience or math.inf)

    @property
    def validate_every(self) -> int | None:
        """Steps between validations, as planned now; None: at the end of every epoch."""
        return self.state.plans[-1].validate_every

    @property
    def is_validation_due(self) -> bool:
        """Whether the plan has a validation after this step; a checkpoint in its place without a validation split."""
        state, every = self.state, self.validate_every
        return state.window == 0 if every is None else state.step % every == 0

    @property
    def elapsed_seconds(self) -> float:
        """Time spent training so far, over all resumed parts."""
        return self.clock() - self._started

    def plan(self, n_steps: int, validate_every: int | None) -> None:
        """From now on, end after `n_steps` updates of the whole training, more than are done, and validate so often."""
        plan = Plan(self.state.step, n_steps, validate_every)
        self.follow([plan] if self.state.step == 0 else [*self.state.plans, plan])

    def follow(self, plans: list[Plan]) -> None:
        """Be as long as these plans say, the first of which schedule and average are laid out over."""
        self.state.plans = plans
        self.schedule.n_steps = self.average.n_steps = plans[0].n_steps

    def fit(self, callbacks: Sequence[Callback]) -> None:
        """Train to the end, or until a callback sets `stop_reason`.

        Raises:
            DivergenceError: a loss or gradient is not finite; the weights are those before that step.
            Interrupted: a signal came; every callback has had its `on_interrupt` before.
        """
        self._callbacks = callbacks
        with self._interruption.active():
            for callback in callbacks:
                callback.on_start(self)
            if self.length_before != self.state.plans[0].n_steps and self.options.budget is None:
                self.emit(LengthEvent(step=self.state.step, n_steps_before=self.length_before, n_steps=self.n_steps))
            try:
                self._loop()
            except DivergenceError as error:
                self._end(error.reason)
                raise
            except Interrupted as stop:
                for callback in callbacks:
                    callback.on_interrupt(self)
                if stop.reason:
                    self._end(stop.reason)
                raise

    def _loop(self) -> None:
        self._started = self.clock() - self.state.elapsed_seconds
        while True:
            # A resumed run may still owe what was due after its last step, so this comes before the next one.
            for callback in self._callbacks:
                callback.after_step(self)
            if self.state.step >= self.n_steps:
                self.stop_reason = self.stop_reason or "the last step"
            if self.stop_reason:
                break
            with self._interruption.held():
                self.train_step()
                if self.state.step % self.options.log_every == 0 or self.state.step == self.n_steps:
                    self._report()
        self._end(self.stop_reason)

    def _end(self, reason: str) -> None:
        step, n_tokens, seconds = self.state.step, self.state.n_tokens, self.elapsed_seconds
        self.emit(EndEvent(step=step, reason=reason, n_tokens=n_tokens, elapsed_seconds=seconds))

    def train_step(self) -> None:
        """Learn from the next window."""
        started = self.clock()
        window = self._epoch.window(self.state.window, self.world.rank, self.world.size)
        place = position(self.state.plans, self.state.step)
        self.state.learning_rate = self.schedule.learning_rate(place, self.state.epoch)
        # With drawn lengths, each token moves the weights the same.
        length = len(window.inputs) / self.stream.options.bptt if self.stream.options.variable_bptt else 1.0
        set_learning_rate(self._optimizer, self.state.learning_rate * length)

        randomness = Randomness(self.seed, self.state.step, self.world.rank, self.world.size)
        self._carried = reset_columns(self._carried, self._initial_state(), self.options.state_reset, randomness)
        loss = self._backward(window)
        self._optimizer.step()

        self.state.unreported_nats += loss * window.n_tokens
        self.state.unreported_tokens += window.n_tokens
        self.state.n_tokens += window.n_tokens
        self.state.step += 1
        self.average.after_step(place + 1)
        self.state.window += 1
        if self.state.window == self._epoch.n_windows:
            self.state.epoch, self.state.window = self.state.epoch + 1, 0
            self._epoch, self._carried = self.stream.epoch(self.state.epoch), self._initial_state()
        self._tokens_since_report += window.n_tokens
        self._seconds_since_report += self.clock() - started

    def learn_again(self, window: Window) -> float:
        """Learn from a window from the zero state, and nothing else; returns its mean loss (nats a token)."""
        self._carried = self._initial_state()
        set_learning_rate(self._optimizer, self.schedule.learning_rate(0, 0))
        loss = self._backward(window)
        self._optimizer.step()
        self.state.step += 1
        return loss

    def _initial_state(self) -> BackboneState:
        """Return the state in which this process's columns begin."""
        return self.model.initial_state(self.stream.batch_size // self.world.size)

    def _backward(self, window: Window) -> float:
        """Compute the window's clipped gradient and return its mean loss (nats per token)."""
        loss, norm, state = self._gradient.compute(window, self._carried, self.state.step)
        step = self.state.step
        # The one place in a step that waits for the device.
        mean_nats, gradient_norm = torch.stack([loss, norm]).tolist()
        self._require_finite("loss", mean_nats, step + 1, last_good_step=step)
        self._require_finite("gradient norm", gradient_norm, step + 1, last_good_step=step)
        self._gradient_norm, self._carried = gradient_norm, state
        return float(mean_nats)

    def _require_finite(self, what: str, value: float, step: int, *, last_good_step: int) -> None:
        if not math.isfinite(value):
            raise DivergenceError(
                f"step {step}: {what} is {value} (learning rate {self.state.learning_rate:.4g}, last gradient "
                f"norm {self._gradient_norm:.2g}). Last good step: {last_good_step}. "
                "Lower optimizer.learning_rate or set clip_norm."
            )

    def _report(self) -> None:
        since = NatsTotal(self.state.unreported_nats, self.state.unreported_tokens)
        if self.state.step % self.options.log_every == 0:
            # A report at the end alone is none of a training that turns out to be longer.
            self.state.unreported_nats, self.state.unreported_tokens = 0.0, 0
        # Of a coarse clock steps may take no time at all.
        speed = self._tokens_since_report / max(self._seconds_since_report, 1e-9)
        self._tokens_since_report, self._seconds_since_report = 0, 0.0
        self.emit(
            StepEvent(
                step=self.state.step,
                epoch=self.epoch,
                n_tokens=self.state.n_tokens,
                nats=since.per_token,
                perplexity=since.perplexity,
                learning_rate=self.state.learning_rate,
                gradient_norm=self._gradient_norm,
                tokens_per_second=speed,
                elapsed_seconds=self.elapsed_seconds,
                n_steps=self.n_steps,
                memory_bytes=resident_bytes("VmRSS"),
            )
        )

    def record_validation(self, total: NatsTotal) -> bool:
        """Take note of a validation of the current step; returns whether it is the best so far.

        Raises:
            DivergenceError: the validation loss is not finite, or so large that the perplexity is not.
        """
        state, nats_per_token = self.state, total.per_token
        perplexity, last_good_step = total.perplexity, state.validated_step
        self._require_finite("validation perplexity", perplexity, state.step, last_good_step=last_good_step)
        is_best = state.best_nats is None or nats_per_token < state.best_nats
        if is_best:
            state.best_nats, state.best_step, state.n_stale = nats_per_token, state.step, 0
        else:
            state.n_stale += 1
        state.validated_step = state.step
        self.schedule.after_validation(nats_per_token)
        self.average.after_validation(nats_per_token)
        return is_best

    def uninterrupted(self) -> AbstractContextManager[None]:
        """Hold back signals for the length of a `with` block."""
        return self._interruption.held()

    def copy_of_state(self) -> TrainState:
        """Return where the training stands, as state.json will hold it."""
        schedule, averaging = self.schedule.state(), self.average.state()
        return replace(self.state, schedule=schedule, averaging=averaging, elapsed_seconds=self.elapsed_seconds)

    def emit(self, event: Event) -> None:
        """Tell every callback of `event`."""
        for callback in self._callbacks:
            callback.on_event(event)

    def training_tensors(self) -> dict[str, Tensor]:
        """Return the tensors that a resume needs beside the weights to use, which are those of `average.model`.

        The state is that of all columns, so that any number of processes can go on from it.
        """
        carried, n_columns = state_tensors(self._carried), self.stream.batch_size
        parts = {
            "state": {name: self.world.joined(part, n_columns) for name, part in carried.items()},
            "optimizer": optimizer_tensors(self._optimizer, self.model),
            "trained": {} if self.average.model is self.model else weights_of(self.model),
        }
        return {f"{part}/{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}

    @property
    def device(self) -> torch.device:
        """What computes."""
        return next(self.model.parameters()).device

    @property
    def checkpoint_bytes(self) -> int:
        """What a checkpoint takes, nearly: the weights, and as many numbers for each moment and for an average."""
        n_numbers = 1 + n_moments(self._optimizer) + (not isinstance(self.average, NoAverage))
        return n_numbers * sum(parameter.nbytes for parameter in self.model.parameters())

    @property
    def ngram_bytes(self) -> int:
        """What the n-grams that the model is mixed with take once in a run; 0 where there are none."""
        ngrams = self.model.ngrams
        return 0 if ngrams is None else sum(tensor.nbytes for tensor in ngrams.tensors().values())

    def restore(self, weights: Mapping[str, Tensor], tensors: Mapping[str, Tensor], state: TrainState) -> None:
        """Continue from a checkpoint: the weights of `average.model`, `training_tensors` and `copy_of_state` then.

        Raises:
            CheckpointError: they are those of another training.
        """
        parts: dict[str, dict[str, Tensor]] = {"state": {}, "optimizer": {}, "trained": {}}
        for name, tensor in tensors.items():
            part, _, rest = name.partition("/")
            if part not in parts:
                raise CheckpointError(f"{name}: is no tensor of a training. It belongs to another version of lstmlm.")
            parts[part][rest] = tensor
        try:
            self.average.load_state(state.averaging)
            self.schedule.load_state(state.schedule)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"state.json: does not fit schedule and average ({error!r}).") from None
        load_weights(self.model, parts["trained"] or weights)
        load_weights(self.average.model, weights)
        of_all_columns = restore_state(self.model.initial_state(self.stream.batch_size), parts["state"])
        self._carried = part_of_state(of_all_columns, self.world.rank, self.world.size)
        load_optimizer_tensors(self._optimizer, self.model, parts["optimizer"])
        # Only a budget plans by a clock. Else the options say how long the training is, as if it always had been.
        plans, self.state = self.state.plans, state
        if self.options.budget is not None:
            plans = state.plans
        elif state.plans:
            self.length_before = state.plans[-1].n_steps
        self.follow(plans)
        self._epoch = self.stream.epoch(state.epoch)
        if state.window >= self._epoch.n_windows:
            raise CheckpointError(
                f"state.json: window {state.window} is beyond the {self._epoch.n_windows} of an epoch."
            )


NOT_PLANNED_YET = 10**9
"""Length of a training with a budget until it is planned: in its first steps, long schedules do the same."""


MOST_DRAWN_WINDOWS = 10**7
"""Counted by drawing all of them, which takes up to a minute."""


def n_training_steps(options: TrainingOptions, stream: TrainingStream) -> int:
    """Return the number of updates of the whole training.

    Raises:
        ConfigError: it cannot be counted in a time that anyone waits.
    """
    if options.budget is not None:
        return NOT_PLANNED_YET
    if options.n_steps is not None:
        return options.n_steps
    n_epochs, n_windows = options.n_epochs or 0, stream.epoch(0).n_windows
    if not stream.options.variable_bptt:
        return n_epochs * n_windows
    if n_epochs * n_windows > MOST_DRAWN_WINDOWS:
        raise ConfigError(
            f"training.n_epochs: {n_epochs:,} epochs of about {n_windows:,} windows are too many to draw before the "
            "first step (data.variable_bptt). Lower it, or give training.n_steps instead."
        )
    return sum(stream.epoch(number).n_windows for number in range(n_epochs))
