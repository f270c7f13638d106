"""The learning-rate schedules that a configuration can name."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from lstmlm.config.schedule import (
    AnnealOnPlateauOptions,
    ConstantOptions,
    OneCycleOptions,
    ScheduleOptions,
    StepOptions,
    WarmupCosineOptions,
    WarmupLinearOptions,
)


class Schedule(ABC):
    """The learning rate of every step.

    Args:
        options: The schedule's own options.
        peak: The optimizer's learning rate, which the schedule scales.
        n_steps: Length of the whole training, as it is planned first.
    """

    def __init__(self, options: Any, peak: float, n_steps: int) -> None:
        self.options = options
        self.peak = peak
        self.n_steps = n_steps

    @abstractmethod
    def learning_rate(self, step: float, epoch: int) -> float:
        """Return the rate of the update after `step` completed ones and `epoch` completed passes over the stream.

        Where the length of a training changes on the way, `step` is the place in the first plan that corresponds, and
        may lie between two steps.
        """

    def after_validation(self, nats_per_token: float) -> None:
        """Take note of a validation. Most schedules do not mind."""

    def state(self) -> dict[str, float | int]:
        """Return what must be remembered to continue, as plain numbers."""
        return {}

    def load_state(self, state: Mapping[str, float | int]) -> None:
        """Restore what `state` returned."""


class Constant(Schedule):
    """The same rate throughout."""

    def learning_rate(self, step: float, epoch: int) -> float:
        """Return the optimizer's rate."""
        return self.peak


class AnnealOnPlateau(Schedule):
    """Lower the rate whenever validation stops improving (as in the PyTorch examples' language model)."""

    def __init__(self, options: AnnealOnPlateauOptions, peak: float, n_steps: int) -> None:
        super().__init__(options, peak, n_steps)
        self._n_lowered = 0
        self._n_stale = 0
        self._best = math.inf

    def learning_rate(self, step: float, epoch: int) -> float:
        """Return the rate after all reductions so far."""
        return float(self.peak * self.options.factor**self._n_lowered)

    def after_validation(self, nats_per_token: float) -> None:
        """Lower the rate if this validation and `patience` ones before it failed to improve on the best."""
        if nats_per_token < self._best:
            self._best, self._n_stale = nats_per_token, 0
            return
        self._n_stale += 1
        if self._n_stale > self.options.patience:
            self._n_lowered, self._n_stale = self._n_lowered + 1, 0

    def state(self) -> dict[str, float | int]:
        """Return the reductions so far and what decides on the next."""
        best = {"best": self._best} if math.isfinite(self._best) else {}
        return {"n_lowered": self._n_lowered, "n_stale": self._n_stale, **best}

    def load_state(self, state: Mapping[str, float | int]) -> None:
        """Restore what `state` returned."""
        self._n_lowered, self._n_stale = int(state["n_lowered"]), int(state["n_stale"])
        self._best = state.get("best", math.inf)


class WarmupCosine(Schedule):
    """Rise linearly, then fall along a half cosine (Loshchilov & Hutter 2017, section 3, without restarts)."""

    def learning_rate(self, step: float, epoch: int) -> float:
        """Return the rate at `step`; the last step of the training uses the final fraction of the peak."""
        warmed_up, end = self.options.warmup_steps, self.options.final_fraction
        if step < warmed_up:
            return float(self.peak * (step + 1) / (warmed_up + 1))
        progress = min(1.0, (step - warmed_up) / max(1, self.n_steps - 1 - warmed_up))
        return float(self.peak * (end + (1 - end) * (1 + math.cos(math.pi * progress)) / 2))


class Step(Schedule):
    """Lower the rate at given times."""

    def learning_rate(self, step: float, epoch: int) -> float:
        """Return the rate after all reductions that are due by now."""
        now = epoch if self.options.unit == "epochs" else step
        return float(self.peak * self.options.factor ** sum(now >= milestone for milestone in self.options.milestones))


class WarmupLinear(Schedule):
    """Rise linearly, stay, then fall linearly."""

    def learning_rate(self, step: float, epoch: int) -> float:
        """Return the rate at `step`; the last step of the training uses the final fraction of the peak."""
        warmed_up, last = self.options.warmup_steps, self.n_steps - 1
        decay_start = max(warmed_up, min(round(self.options.decay_start * self.n_steps), last - 1))
        points = [(-1, 0.0), (warmed_up, 1.0), (decay_start, 1.0), (last, self.options.final_fraction)]
        return self.peak * _interpolate(step, points)


class OneCycle(Schedule):
    """Rise linearly, fall back, then fall further to the end (1cycle: Smith 2018, section 4)."""

    def learning_rate(self, step: float, epoch: int) -> float:
        """Return the rate at `step`, from the initial to the final fraction of the peak."""
        options, last = self.options, self.n_steps - 1
        points = [
            (0, options.initial_fraction),
            (options.rise * last, 1.0),
            (2 * options.rise * last, options.initial_fraction),
            (last, options.final_fraction),
        ]
        return self.peak * _interpolate(step, points)


def _interpolate(x: float, points: Sequence[tuple[float, float]]) -> float:
    """Return the value at `x` of the line through `points`, which are ordered; beyond the last one its value."""
    for (x_0, y_0), (x_1, y_1) in pairwise(points):
        if x < x_1:
            return y_0 + (y_1 - y_0) * (x - x_0) / (x_1 - x_0)
    return points[-1][1]


SCHEDULES: dict[type[ScheduleOptions], type[Schedule]] = {
    ConstantOptions: Constant,
    AnnealOnPlateauOptions: AnnealOnPlateau,
    StepOptions: Step,
    WarmupCosineOptions: WarmupCosine,
    WarmupLinearOptions: WarmupLinear,
    OneCycleOptions: OneCycle,
}


def build_schedule(options: ScheduleOptions, peak: float, n_steps: int) -> Schedule:
    """Build the schedule that `options` choose; `peak` is the optimizer's learning rate."""
    return SCHEDULES[type(options)](options, peak, n_steps)
