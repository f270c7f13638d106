"""What can be known of a training before it: what it takes, and whether the network learns. Nothing is written."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from math import log

import torch

from lstmlm.checkpoint.environment import resident_bytes
from lstmlm.config import RunConfig
from lstmlm.config.averaging import NoAveragingOptions
from lstmlm.config.model import DropoutOptions
from lstmlm.config.output import MixtureOptions
from lstmlm.config.schedule import ConstantOptions
from lstmlm.config.training import RegularizationOptions
from lstmlm.corpus.loading import Corpus
from lstmlm.corpus.stream import Window
from lstmlm.errors import ConfigError
from lstmlm.training.budget import forecast_of, measure_costs
from lstmlm.training.callbacks import most_checkpoints
from lstmlm.training.trainer import Trainer

NEAR_ZERO_NATS = 0.1
"""A token, beyond what the batch leaves open: the right ones then have a probability of nine tenths."""

MOST_STEPS = 1000

HARDLY_FALLEN = 0.9
"""Of the first loss."""

STEPS_BETWEEN_REPORTS = 50


@dataclass(frozen=True)
class Requirements:
    """What a training takes, by its first steps."""

    n_parameters: int
    vocab_size: int
    n_train_tokens: int
    n_steps: int
    n_epochs: float
    tokens_per_second: float
    seconds: float
    """From the start of the command to its end, about."""
    peak_memory_bytes: int | None
    """Of the process, or on a GPU of its memory; None where the system does not tell."""
    checkpoint_bytes: int
    disk_bytes: int
    """Of all checkpoints that lie there at a time, and of the n-grams."""


def measure_requirements(trainer: Trainer, corpus: Corpus, started: float) -> Requirements:
    """Train three steps, score a part of the validation split, and say what the whole takes.

    Args:
        trainer: As its first step will find it; afterwards it has made some.
        corpus: What it learns.
        started: When the command started, by the trainer's clock.
    """
    prepared = trainer.clock() - started
    stream, n_steps, n_bytes = trainer.stream, trainer.n_steps, trainer.checkpoint_bytes
    costs = measure_costs(trainer, corpus)
    forecast = forecast_of(trainer, costs)
    seconds = trainer.options.budget_seconds or prepared + forecast.seconds(0, n_steps)
    is_on_gpu = trainer.device.type == "cuda"
    return Requirements(
        n_parameters=sum(weight.numel() for weight in trainer.model.parameters()),
        vocab_size=corpus.tokenizer.vocab_size,
        n_train_tokens=stream.n_tokens,
        n_steps=n_steps,
        n_epochs=n_steps * forecast.tokens_per_step / stream.n_tokens,
        tokens_per_second=1 / costs.token_seconds,
        seconds=seconds,
        peak_memory_bytes=torch.cuda.max_memory_allocated() if is_on_gpu else resident_bytes("VmHWM"),
        checkpoint_bytes=n_bytes,
        disk_bytes=n_bytes * most_checkpoints(trainer) + trainer.ngram_bytes,
    )


def without_regularization(config: RunConfig) -> RunConfig:
    """The configuration with nothing in it that keeps a network from learning a text by heart, at a constant rate.

    Nor with n-grams, which know it before the network has learnt anything, or other weights, which may rest on some.
    """
    output = config.model.output
    if isinstance(output, MixtureOptions):
        output = output.model_copy(update={"latent_dropout": 0.0})
    optimizer = config.optimizer.model_copy(update={"weight_decay": 0.0})
    return config.model_copy(
        update={
            "model": config.model.model_copy(
                update={"dropout": DropoutOptions(), "output": output, "ngram_order": None}
            ),
            "optimizer": optimizer,
            "schedule": ConstantOptions(),
            "averaging": NoAveragingOptions(),
            "training": config.training.model_copy(
                update={"regularization": RegularizationOptions(), "state_reset": 0.0, "initialize_from": None}
            ),
        }
    )


@dataclass(frozen=True)
class Overfit:
    """How near to zero the loss of a single batch has come (nats a token)."""

    n_steps: int
    n_tokens: int
    first: float
    last: float
    least: float
    """What no network gets below: columns that begin alike, and go on in several ways."""

    @property
    def is_near_zero(self) -> bool:
        """Whether the batch is known by heart."""
        return self.last - self.least < NEAR_ZERO_NATS

    def error(self, learning_rate: float) -> ConfigError:
        """Say what it suggests that the batch was not learnt at this rate."""
        tries = f"optimizer.learning_rate ({learning_rate:g})"
        advice = f"It falls, but slowly: raise {tries} or the width of the layers."
        if self.last > HARDLY_FALLEN * self.first:
            advice = f"It hardly falls: try a tenth and ten times of {tries}."
        return ConfigError(
            f"training: after {self.n_steps:,} steps on a single batch its loss is {self.last:.3f} nats a token, "
            f"{self.first:.3f} at first, where {self.least:.3f} can be reached. {advice} If nothing helps, try "
            "model.backbone.implementation=reference: if that learns it, what computes layers here is at fault."
        )


def overfit_batch(trainer: Trainer, tell: Callable[[int, float], None]) -> Overfit:
    """Train on the first window alone, from the zero state, until its loss is near zero or for `MOST_STEPS`.

    Args:
        trainer: Of a configuration `without_regularization`.
        tell: Hears the number of a step and its loss now and then.

    Raises:
        DivergenceError: a loss or gradient is not finite.
    """
    window = trainer.stream.epoch(0).window(0)
    least, losses = _least_nats(window), list[float]()
    while not losses or (losses[-1] - least >= NEAR_ZERO_NATS and len(losses) < MOST_STEPS):
        losses.append(trainer.learn_again(window))
        if len(losses) % STEPS_BETWEEN_REPORTS == 0:
            tell(len(losses), losses[-1])
    return Overfit(len(losses), window.n_tokens, losses[0], losses[-1], least)


def _least_nats(window: Window) -> float:
    """The mean loss of a network that knows a batch by heart: where columns are alike so far, it can only share."""
    columns = zip(window.inputs.T.tolist(), window.targets.T.tolist(), strict=True)
    seen = Counter(
        (tuple(inputs[: row + 1]), target) for inputs, targets in columns for row, target in enumerate(targets)
    )
    alike = Counter[tuple[int, ...]]()
    for (prefix, _), count in seen.items():
        alike[prefix] += count
    return sum(count * log(alike[prefix] / count) for (prefix, _), count in seen.items()) / window.n_tokens
