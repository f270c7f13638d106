"""The training loop: window → loss → gradient → clip → step → events. Reads from top to bottom."""

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

import torch
from torch import Tensor

from lstmlm.config.training import TrainingOptions
from lstmlm.corpus.stream import TrainingStream, Window
from lstmlm.errors import DivergenceError, Interrupted
from lstmlm.metrics import NatsTotal
from lstmlm.models.backbone import detach
from lstmlm.models.kernels import EVALUATION, Execution
from lstmlm.models.language_model import LanguageModel, load_weights
from lstmlm.optim.optimizers import load_optimizer_tensors, optimizer_tensors, set_learning_rate
from lstmlm.optim.schedules import Schedule
from lstmlm.randomness import Randomness
from lstmlm.training.callbacks import Callback
from lstmlm.training.events import EndEvent, Event, StepEvent
from lstmlm.training.interruption import Interruption
from lstmlm.training.state import TrainState, restore_state, state_tensors


class Trainer:
    """Trains a model on a stream by truncated backpropagation through time (Williams & Peng 1990).

    The hidden state is carried from window to window and starts from zeros at each epoch. What else happens on the way
    (validation, saving, samples, reports) is the work of callbacks, which read the trainer's public attributes.
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
        execution: Execution = EVALUATION,
    ) -> None:
        self.options = options
        self.model = model
        self.schedule = schedule
        self.stream = stream
        self.seed = seed
        self.state = TrainState()
        self.n_steps = schedule.n_steps
        self.stop_reason: str | None = None
        self._optimizer = optimizer
        self._execution = execution
        self._max_norm = math.inf if clip_norm is None else clip_norm
        self._parameters = list(model.parameters())
        self._carried = model.initial_state(stream.batch_size)
        self._callbacks: Sequence[Callback] = ()
        self._interruption = Interruption()
        self._started = time.monotonic()
        self._seconds_since_report = 0.0
        self._gradient_norm = 0.0

    @property
    def epoch(self) -> float:
        """Passes over the stream so far, with the part of the current one."""
        return self.state.epoch + self.state.window / self.stream.n_windows

    @property
    def learning_rate(self) -> float:
        """The rate of the last update."""
        return self.state.learning_rate

    @property
    def elapsed_seconds(self) -> float:
        """Time spent training so far, over all resumed parts."""
        return time.monotonic() - self._started

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
            try:
                self._loop()
            except Interrupted:
                for callback in callbacks:
                    callback.on_interrupt(self)
                raise

    def _loop(self) -> None:
        self._started = time.monotonic() - self.state.elapsed_seconds
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
        self.emit(
            EndEvent(
                step=self.state.step,
                reason=self.stop_reason,
                n_tokens=self.state.n_tokens,
                elapsed_seconds=self.elapsed_seconds,
            )
        )

    def train_step(self) -> None:
        """Learn from the next window."""
        started = time.monotonic()
        window = self.stream.window(self.state.window)
        self.state.learning_rate = self.schedule.learning_rate(self.state.step)
        set_learning_rate(self._optimizer, self.state.learning_rate)

        loss = self._backward(window)
        self._optimizer.step()

        self.state.unreported_nats += loss * window.n_tokens
        self.state.unreported_tokens += window.n_tokens
        self.state.n_tokens += window.n_tokens
        self.state.step += 1
        self.state.window += 1
        if self.state.window == self.stream.n_windows:
            self.state.epoch, self.state.window = self.state.epoch + 1, 0
            self._carried = self.model.initial_state(self.stream.batch_size)
        self._seconds_since_report += time.monotonic() - started

    def _backward(self, window: Window) -> float:
        """Compute the window's clipped gradient and return its mean loss (nats per token)."""
        randomness = Randomness(self.seed, self.state.step)
        features, state = self.model(window.inputs, self._carried, randomness, self._execution)
        loss = self.model.output_layer.loss(features, window.targets, self._execution, randomness) / window.n_tokens
        mean_nats = loss.item()
        step = self.state.step
        self._require_finite("loss", mean_nats, step=step + 1, last_good_step=step)

        for parameter in self._parameters:
            parameter.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, self._max_norm).item()
        self._require_finite("gradient norm", norm, step=step + 1, last_good_step=step)
        self._gradient_norm = norm
        self._carried = detach(state)
        return mean_nats

    def _require_finite(self, what: str, value: float, *, step: int, last_good_step: int) -> None:
        if math.isfinite(value):
            return
        raise DivergenceError(
            f"step {step}: {what} is {value} (learning rate {self.learning_rate:.4g}, last gradient norm "
            f"{self._gradient_norm:.2g}). Last good step: {last_good_step}. "
            "Lower optimizer.learning_rate or set clip_norm."
        )

    def _report(self) -> None:
        since = NatsTotal(self.state.unreported_nats, self.state.unreported_tokens)
        self.state.unreported_nats, self.state.unreported_tokens = 0.0, 0
        seconds, self._seconds_since_report = self._seconds_since_report, 0.0
        self.emit(
            StepEvent(
                step=self.state.step,
                epoch=self.epoch,
                n_tokens=self.state.n_tokens,
                nats=since.per_token,
                perplexity=since.perplexity,
                learning_rate=self.learning_rate,
                gradient_norm=self._gradient_norm,
                tokens_per_second=since.n_tokens / seconds,
                elapsed_seconds=self.elapsed_seconds,
                n_steps=self.n_steps,
            )
        )

    def record_validation(self, total: NatsTotal) -> bool:
        """Take note of a validation of the current step; returns whether it is the best so far.

        Raises:
            DivergenceError: the validation loss is not finite, or so large that the perplexity is not.
        """
        state, nats_per_token = self.state, total.per_token
        self._require_finite(
            "validation perplexity", total.perplexity, step=state.step, last_good_step=state.validated_step
        )
        is_best = self.state.best_nats is None or nats_per_token < self.state.best_nats
        if is_best:
            self.state.best_nats, self.state.best_step, self.state.n_stale = nats_per_token, self.state.step, 0
        else:
            self.state.n_stale += 1
        self.state.validated_step = self.state.step
        self.schedule.after_validation(nats_per_token)
        return is_best

    def uninterrupted(self) -> AbstractContextManager[None]:
        """Hold back signals for the length of a `with` block."""
        return self._interruption.held()

    def copy_of_state(self) -> TrainState:
        """Return where the training stands, as state.json will hold it."""
        return replace(self.state, schedule=self.schedule.state(), elapsed_seconds=self.elapsed_seconds)

    def emit(self, event: Event) -> None:
        """Tell every callback of `event`."""
        for callback in self._callbacks:
            callback.on_event(event)

    def training_tensors(self) -> dict[str, Tensor]:
        """Return the tensors beside the weights that a resume needs."""
        carried = {f"state/{name}": tensor for name, tensor in state_tensors(self._carried).items()}
        remembered = optimizer_tensors(self._optimizer, self.model)
        return carried | {f"optimizer/{name}": tensor for name, tensor in remembered.items()}

    def restore(self, weights: Mapping[str, Tensor], tensors: Mapping[str, Tensor], state: TrainState) -> None:
        """Continue from a checkpoint: what `weights_of`, `training_tensors` and `state` held then."""
        load_weights(self.model, weights)
        parts: dict[str, dict[str, Tensor]] = {"state": {}, "optimizer": {}}
        for name, tensor in tensors.items():
            part, rest = name.split("/", 1)
            parts[part][rest] = tensor
        self._carried = restore_state(self._carried, parts["state"])
        load_optimizer_tensors(self._optimizer, self.model, parts["optimizer"])
        self.schedule.load_state(state.schedule)
        self.state = state


def n_training_steps(options: TrainingOptions, stream: TrainingStream) -> int:
    """Return the number of updates of the whole training."""
    return options.n_steps if options.n_steps is not None else (options.n_epochs or 0) * stream.n_windows
