r"""The averages of weights that a configuration can name, each kept in a model beside the one that is trained.

Each is a running mean, :math:`m \leftarrow m + w_n (\theta - m)` for the weights :math:`\theta` after the n-th step
that counts, with :math:`w_1 = 1`: no initial value takes part in it.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from lstmlm.config.averaging import AveragingOptions, EMAOptions, NoAveragingOptions, NTASGDOptions, TailOptions

ROUNDING = 1e-9
"""Relative error of a share of steps that is none: 1 - 0.9 of 10 is less than 1."""

Model = TypeVar("Model", bound=nn.Module)


class Average(ABC, Generic[Model]):
    """A running mean of a model's weights.

    Args:
        options: The average's own options.
        model: The model that is trained; it is never changed here.
        n_steps: Length of the whole training, as it is planned first.
    """

    def __init__(self, options: Any, model: Model, n_steps: int) -> None:
        self.options = options
        self.n_steps = n_steps
        self.n_averaged = 0
        self._trained = model
        self._averaged: Model | None = None

    @property
    def model(self) -> Model:
        """The model to use: with the mean of the weights, or the trained one as long as nothing has been averaged."""
        return self._trained if self._averaged is None else self._averaged

    def after_step(self, step: float) -> None:
        """Take in the weights after `step` updates, if they count.

        Where the length of a training changes on the way, `step` is the place in the first plan that corresponds.
        """
        if not self._counts(step):
            return
        self.n_averaged += 1
        if self._averaged is None:
            self._averaged = copy.deepcopy(self._trained)
            return
        means, weights = (tuple(model.parameters()) for model in (self._averaged, self._trained))
        with torch.no_grad():
            torch._foreach_lerp_(means, weights, self._weight(self.n_averaged))

    def after_validation(self, nats_per_token: float) -> None:
        """Take note of a validation. Most averages do not mind."""

    def state(self) -> dict[str, Any]:
        """Return what must be remembered beside the weights of `model`, as JSON has it."""
        return {"n_averaged": self.n_averaged}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` returned; the weights of `model` are to be filled in after this."""
        self.n_averaged = int(state.get("n_averaged", 0))
        self._averaged = copy.deepcopy(self._trained) if self.n_averaged else None

    @abstractmethod
    def _counts(self, step: float) -> bool:
        """Whether the weights after `step` updates take part."""

    def _weight(self, n: int) -> float:
        """Return w_n; by default that of the plain mean."""
        return 1 / n


class NoAverage(Average[Model]):
    """The trained model itself."""

    def _counts(self, step: float) -> bool:
        return False


class EMA(Average[Model]):
    """Exponential moving average, corrected for its start as Adam's means are (Kingma & Ba 2015, section 3)."""

    def _counts(self, step: float) -> bool:
        return True

    def _weight(self, n: int) -> float:
        return float((1 - self.options.decay) / (1 - self.options.decay**n))


class Tail(Average[Model]):
    """Mean of the last iterates (Polyak & Juditsky 1992)."""

    def _counts(self, step: float) -> bool:
        return bool(step > (1 - self.options.fraction) * self.n_steps * (1 + ROUNDING))


class NTASGD(Average[Model]):
    """Mean of all iterates since validation stopped improving (Merity et al. 2018, section 3).

    The trigger is that of the authors' program, `val_loss > min(best_val_loss[:-n])`; algorithm 1 of the paper, whose
    indices count from the other end, would compare with recent validations only.
    """

    def __init__(self, options: NTASGDOptions, model: Model, n_steps: int) -> None:
        super().__init__(options, model, n_steps)
        self._has_triggered = False
        self._validations: list[float] = []

    def after_validation(self, nats_per_token: float) -> None:
        """Begin to average if this validation is worse than the best of those before the last few."""
        earlier = self._validations[: -self.options.nonmonotone_interval]
        self._has_triggered = self._has_triggered or (bool(earlier) and nats_per_token > min(earlier))
        self._validations.append(nats_per_token)

    def state(self) -> dict[str, Any]:
        """Return the validations so far, too."""
        return {**super().state(), "has_triggered": self._has_triggered, "validations": list(self._validations)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` returned."""
        super().load_state(state)
        self._has_triggered, self._validations = bool(state["has_triggered"]), list(map(float, state["validations"]))

    def _counts(self, step: float) -> bool:
        return self._has_triggered


AVERAGES: dict[type[AveragingOptions], type[Average[Any]]] = {
    NoAveragingOptions: NoAverage,
    EMAOptions: EMA,
    TailOptions: Tail,
    NTASGDOptions: NTASGD,
}


def build_average(options: AveragingOptions, model: Model, n_steps: int) -> Average[Model]:
    """Build the average that `options` choose, of the weights of `model` in a training of `n_steps`."""
    return AVERAGES[type(options)](options, model, n_steps)
