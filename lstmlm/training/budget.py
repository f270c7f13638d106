"""A training that ends in time: a number of steps planned from measured speed, and planned anew where that changes.

What a step, a validation and a checkpoint take is measured in a rehearsal before training, on a copy that is thrown
away, and then in the training itself. Plans are recorded (`Plan` in state.py); given them, nothing depends on a clock.
"""

import copy
import math
from bisect import bisect_right
from dataclasses import asdict, dataclass, replace

from lstmlm.corpus.encoded_text import EncodedText
from lstmlm.corpus.loading import Corpus
from lstmlm.distributed import World
from lstmlm.errors import ConfigError
from lstmlm.models.language_model import LanguageModel, weights_of
from lstmlm.scoring import columns_for, score_each
from lstmlm.training.events import CheckpointEvent, Event, PlanEvent, ValidationEvent
from lstmlm.training.trainer import Callback, Trainer

RESERVE_SECONDS, RESERVE_SHARE = 1.0, 0.01
"""What of a budget is not planned: for the start and end of the interpreter, and for a machine that slows down late."""

VALIDATION_SHARE = 0.03
"""Validations that nobody asked for, or the checkpoints in their place, take no more of the time than this."""

FEWEST_STEPS = 20
"""A budget in which fewer fit is refused."""

TOLERATED_SHARE, TOLERATED_BUDGET_SHARE = 0.05, 0.01
"""A plan stays as long as its end is off by no more than this part of the time left, or this part of the budget."""

CHECKED_SHARE, CHECKED_BUDGET_SHARE = 0.1, 0.02
"""A plan is checked after this part of the time left, but not before this part of the budget, and at validations."""

WARM_UP_STEPS, FEWEST_MEASURED_STEPS, MOST_MEASURED_STEPS = 2, 3, 50
MEASURED_BUDGET_SHARE, MOST_MEASURED_SECONDS = 0.005, 3.0

MEASURED_ROWS = 192
"""Rows of the validation split's columns that are scored to estimate what all of them take."""

READ_AGAIN_ROWS = 500
"""Rows of each column that a validation reads twice, about: as many as a trained network remembers."""

SAVED_BYTES_PER_SECOND = 100e6
"""A careful guess of how fast a checkpoint is hashed and written, until the first one tells."""


@dataclass(frozen=True)
class Costs:
    """What a training spends its time on."""

    token_seconds: float
    """To learn from a token, mean."""

    validation_seconds: float
    """A validation, with the sample and the checkpoint that follow it; 0 without a validation split."""

    checkpoint_seconds: float
    """A checkpoint."""

    @property
    def interval_seconds(self) -> float:
        """What each interval of validations ends with: a validation, or without a validation split a checkpoint."""
        return self.validation_seconds or self.checkpoint_seconds


@dataclass(frozen=True)
class Forecast:
    """How long a training takes."""

    costs: Costs

    tokens_per_step: float

    validate_every: int
    """Steps between validations; between checkpoints where there is nothing to validate on."""

    save_every: int | None

    @property
    def step_seconds(self) -> float:
        """Mean time of an update."""
        return self.tokens_per_step * self.costs.token_seconds

    def seconds(self, done: int, n_steps: int) -> float:
        """Return the time from the update number `done` to the end of a command that makes `n_steps`.

        What is due after the update number `done` counts, and so do the last validation, the last checkpoint, and the
        evaluation of the best weights, which are read back for it.
        """
        n_intervals = _n_due(self.validate_every, done, n_steps) + 1
        seconds = (n_steps - done) * self.step_seconds + n_intervals * self.costs.interval_seconds
        if self.save_every is not None:
            n_together = _n_due(math.lcm(self.validate_every, self.save_every), done, n_steps)
            n_further = _n_due(self.save_every, done, n_steps) - n_together
            seconds += n_further * self.costs.checkpoint_seconds
        return seconds + self.costs.validation_seconds

    def n_steps_within(self, seconds: float, done: int) -> int:
        """Return how many updates the longest training makes that ends within `seconds` from the one number `done`.

        One more than are done where nothing fits: a plan ends with an update. It ends with a validation where the steps
        after that would take less time than another one.
        """
        lengths = range(done + 1, done + 2 + max(0, int(seconds / self.step_seconds)))
        n_fitting = bisect_right(lengths, seconds, key=lambda n_steps: self.seconds(done, n_steps))
        n_steps = lengths[max(0, n_fitting - 1)]
        beyond = n_steps % self.validate_every
        is_too_little = beyond * self.step_seconds < self.costs.interval_seconds
        return n_steps - beyond if is_too_little and n_steps - beyond > done else n_steps

    def seldom(self, seconds: float) -> int:
        """Return an interval of `validate_every` that takes a small part of `seconds`, the last one ending with them.

        Returns:
            Steps between two of them.
        """
        shortest = math.ceil(self.costs.interval_seconds / VALIDATION_SHARE / self.step_seconds)
        n_steps = replace(self, validate_every=shortest).n_steps_within(seconds, 0)
        return math.ceil(n_steps / max(1, n_steps // shortest))


def _n_due(every: int, done: int, n_steps: int) -> int:
    """Count the multiples of `every` among the steps from `done` to the one before the last; 0 counts for none."""
    return (n_steps - 1) // every - (max(done, 1) - 1) // every


class Budget(Callback):
    """Ends a training, and the command around it, within a time. Comes before the callbacks that do something.

    Args:
        seconds: The budget.
        started: When the command started, by the trainer's clock.
    """

    def __init__(self, seconds: float, started: float) -> None:
        self._seconds = seconds
        self._started = started
        self._costs = Costs(0.0, 0.0, 0.0)
        self._seen: set[str] = set()
        self._last: tuple[float, int] | None = None
        self._last_check = 0.0
        self._training_seconds, self._trained_tokens = 0.0, 0

    @property
    def _target(self) -> float:
        return self._seconds * (1 - RESERVE_SHARE) - RESERVE_SECONDS

    def plan(self, trainer: Trainer, corpus: Corpus) -> None:
        """Measure, and give a new training the number of steps that fit.

        Raises:
            ConfigError: too few do.
        """
        # On a copy: everything but the stream, which no step changes.
        costs = measure_costs(copy.deepcopy(trainer, {id(trainer.stream): trainer.stream}), corpus, self._seconds)
        self._costs = Costs(**trainer.world.broadcast(asdict(costs)))
        forecast = forecast_of(trainer, self._costs)
        spent = trainer.world.broadcast(trainer.clock() - self._started)
        needed = forecast.seconds(0, FEWEST_STEPS)
        if spent + needed > self._target:
            steps = FEWEST_STEPS * forecast.step_seconds
            enough = math.ceil((spent + needed + RESERVE_SECONDS) / (1 - RESERVE_SHARE))
            raise ConfigError(
                f"training.budget: {trainer.options.budget} is too short: {spent:.1f} s went into preparing, "
                f"{FEWEST_STEPS} steps take {steps:.1f} s, validation, checkpoint and final evaluation "
                f"{needed - steps:.1f} s. Give {enough}s or more."
            )
        every = trainer.options.validate_every
        of_epochs = forecast.validate_every * forecast.step_seconds
        if every is None and of_epochs * VALIDATION_SHARE < self._costs.interval_seconds:
            every = forecast.seldom(self._target - spent)
            forecast = replace(forecast, validate_every=every)
        trainer.plan(forecast.n_steps_within(self._target - spent, 0), every)

    def on_start(self, trainer: Trainer) -> None:
        """Announce the first plan; or take up what a resumed training knows, and how long it has taken."""
        recorded = dict(trainer.state.budget)
        before = recorded.pop("preparation_seconds", 0.0)
        if recorded:
            self._costs = Costs(**recorded)
        trainer.state.budget = {"preparation_seconds": before + trainer.clock() - self._started}
        self._last_check = trainer.state.budget["preparation_seconds"] + trainer.state.elapsed_seconds
        self._remember(trainer)
        if trainer.state.step == 0:
            self._announce(trainer, self._last_check)

    def on_event(self, event: Event) -> None:
        """Take note of what the time goes into."""
        self._seen.add(event.event)

    def after_step(self, trainer: Trainer) -> None:
        """Measure what happened since the step before, and check the plan if it is time."""
        now, n_tokens = trainer.elapsed_seconds, trainer.state.n_tokens
        last, self._last = self._last, (now, n_tokens)
        seen, self._seen = self._seen, set()
        if last is None:
            return
        self._measure(now - last[0], n_tokens - last[1], seen)
        self._remember(trainer)
        spent = trainer.state.budget["preparation_seconds"] + now
        pause = max(CHECKED_SHARE * (self._target - spent), CHECKED_BUDGET_SHARE * self._seconds)
        is_due = ValidationEvent.event in seen or spent - self._last_check >= pause
        # One clock decides for all processes.
        if trainer.world.broadcast(is_due) and trainer.state.step < trainer.n_steps:
            self._check(trainer, spent)

    def _measure(self, seconds: float, n_tokens: int, seen: set[str]) -> None:
        """Take note of the time between two steps: it holds one, and what the callbacks did before it."""
        beside = max(0.0, seconds - n_tokens * self._costs.token_seconds)
        if ValidationEvent.event in seen:
            self._costs = replace(self._costs, validation_seconds=beside)
        elif CheckpointEvent.event in seen:
            self._costs = replace(self._costs, checkpoint_seconds=beside)
        else:
            self._training_seconds += seconds
            self._trained_tokens += n_tokens

    def _check(self, trainer: Trainer, spent: float) -> None:
        """Plan anew if the training would end too late or too early."""
        self._last_check = spent
        if self._trained_tokens > 0:
            self._costs = replace(self._costs, token_seconds=self._training_seconds / self._trained_tokens)
            self._remember(trainer)
        step, left = trainer.state.step, self._target - spent
        forecast = forecast_of(trainer, self._costs)
        miss = abs(forecast.seconds(step, trainer.n_steps) - left)
        is_near = miss <= max(TOLERATED_SHARE * left, TOLERATED_BUDGET_SHARE * self._seconds)
        n_steps = trainer.world.broadcast(trainer.n_steps if is_near else forecast.n_steps_within(left, step))
        if n_steps != trainer.n_steps:
            self._training_seconds, self._trained_tokens = 0.0, 0
            with trainer.uninterrupted():
                trainer.plan(n_steps, trainer.validate_every)
                self._announce(trainer, spent)

    def _remember(self, trainer: Trainer) -> None:
        trainer.state.budget.update(asdict(self._costs))

    def _announce(self, trainer: Trainer, spent: float) -> None:
        trainer.emit(
            PlanEvent(
                step=trainer.state.step,
                budget_seconds=self._seconds,
                spent_seconds=spent,
                n_steps=trainer.n_steps,
                validate_every=trainer.validate_every,
                tokens_per_second=1 / self._costs.token_seconds,
                validation_seconds=self._costs.validation_seconds,
                checkpoint_seconds=self._costs.checkpoint_seconds,
            )
        )


def forecast_of(trainer: Trainer, costs: Costs) -> Forecast:
    """Return how long `trainer`, as it is planned, takes at these costs."""
    # With windows of drawn length other epochs have a few more or less; the check at the next validation sees it.
    n_windows = trainer.stream.epoch(0).n_windows
    every = trainer.validate_every or n_windows
    return Forecast(costs, trainer.stream.n_tokens / n_windows, every, trainer.options.save_every)


def budget_of(trainer: Trainer, corpus: Corpus, started: float) -> list[Budget]:
    """Return what lets a training with a budget end in time, planned unless it goes on; nothing for one without.

    Args:
        trainer: As its next step will find it.
        corpus: Of which the validation split takes time too.
        started: When the command started, by the trainer's clock.

    Raises:
        ConfigError: too few steps fit.
    """
    seconds = trainer.options.budget_seconds
    if seconds is None:
        return []
    budget = Budget(seconds, started)
    if trainer.state.step == 0:
        budget.plan(trainer, corpus)
    return [budget]


def measure_costs(trainer: Trainer, corpus: Corpus, budget_seconds: float = 0) -> Costs:
    """Train for a few steps, more of them the longer the budget, and do a part of a validation.

    A checkpoint is guessed by its size.
    """
    for _ in range(WARM_UP_STEPS):
        trainer.train_step()
    before, started = trainer.state.n_tokens, trainer.clock()
    for n_measured in range(1, MOST_MEASURED_STEPS + 1):
        trainer.train_step()
        is_long = trainer.clock() - started > min(MOST_MEASURED_SECONDS, MEASURED_BUDGET_SHARE * budget_seconds)
        if trainer.world.broadcast(is_long) and n_measured >= FEWEST_MEASURED_STEPS:
            break
    token_seconds = (trainer.clock() - started) / (trainer.state.n_tokens - before)

    weights, tensors = weights_of(trainer.average.model), trainer.training_tensors()
    n_bytes = sum(tensor.nbytes for tensor in (*weights.values(), *tensors.values()))
    checkpoint_seconds = n_bytes / SAVED_BYTES_PER_SECOND
    if corpus.valid is None:
        return Costs(token_seconds, 0.0, checkpoint_seconds)
    started = trainer.clock()
    part = _read_a_part(trainer.average.model, corpus.valid, corpus.tokenizer.start_id, trainer.world)
    return Costs(token_seconds, (trainer.clock() - started) / part + checkpoint_seconds, checkpoint_seconds)


def _read_a_part(model: LanguageModel, valid: EncodedText, start_id: int, world: World) -> float:
    """Score the beginning of this process's columns; returns which part of a validation's reading that is.

    Each is read from the zero state, and once: a network that has not learnt to forget would have short columns read
    again and again until their states agree.
    """
    n_columns = columns_for(valid.n_tokens, world.size)
    n_rows = min(MEASURED_ROWS, valid.n_tokens // n_columns)
    columns = [valid.tokens[column * n_rows :][:n_rows].tolist() for column in range(n_columns)]
    mine = columns[world.share(n_columns)] if n_columns >= world.size else columns
    score_each(model, mine, start_id)
    return n_rows / (valid.n_tokens / n_columns + (READ_AGAIN_ROWS if n_columns > 1 else 0))
