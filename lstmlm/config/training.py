"""The `training` section: how long, how often to validate, save and report."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, PositiveInt, model_validator

from lstmlm.config.duration import parse_duration
from lstmlm.config.options import Options, PathText


class RegularizationOptions(Options):
    """What is added to the loss so that activations stay small and change slowly (Merity et al. 2017).

    Reported losses are without it.
    """

    alpha: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    """Activation regularisation (AR): weight of the mean square of the last layer's outputs after dropout; AWD-LSTM
    takes 2."""

    beta: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    """Temporal activation regularisation (TAR): weight of the mean square of the difference between the last layer's
    outputs, before dropout, at neighbouring time steps; AWD-LSTM takes 1."""


def _is_duration(text: object) -> object:
    parse_duration(text)
    return text


Duration = Annotated[str, BeforeValidator(_is_duration)]
"""A time such as `90s`, `10m` or `1h30m`."""


class TrainingOptions(Options):
    """How long, how often to validate, save and report. Give one of `n_epochs`, `n_steps` and `budget`."""

    n_epochs: Annotated[int, Field(gt=0, le=1_000_000)] | None = None
    """Passes over the training stream."""

    n_steps: Annotated[int, Field(gt=0, le=10**12)] | None = None
    """Updates of the weights, one a window."""

    budget: Duration | None = None
    """Time from the start of the command to its end, such as `90s`, `10m` or `1h30m`. The number of steps that fit is
    planned from the speed of this machine and corpus, and planned anew where that changes."""

    initialize_from: PathText | None = None
    """A run, such as `runs/x`, whose best weights the training starts from. The tokenizer is that run's too: its
    vocabulary is what the weights are about, whatever words the corpus here has."""

    accumulate: PositiveInt = 1
    """Groups of columns that a window is computed in, one after the other, to save memory: their gradients add up to
    that of the whole window, and the update is the same up to rounding. Must divide `data.batch_size`."""

    regularization: RegularizationOptions = RegularizationOptions()

    state_reset: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability that a column starts a window from the zero state instead of what it read before, so that the model
    learns to begin a text (as in the code of Melis et al. 2020)."""

    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format of the matrix products in training; weights, state and sums stay float32, and so does evaluation.
    `auto` measures once, when a run is created, and writes into it what is faster on that machine."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """What computes: `auto` is the GPU where there is one. Of several, each process of a distributed training has its
    own. A checkpoint can be continued on any device."""

    matmul: Literal["auto", "native", "onednn", "own"] = "auto"
    """What multiplies matrices in training: torch's own product, oneDNN, or C++ that is compiled for this machine;
    measured with `precision`. In bfloat16 torch's own product is oneDNN's."""

    compile: Literal["auto", "never", "always"] = "auto"
    """Whether what lies between large matrix products runs as C++ that is compiled for this machine, once, in some ten
    seconds; `auto` does so where there is a C++ compiler."""

    validate_every: PositiveInt | None = None
    """Steps between validations. Without it: at the end of every epoch, or less often where that would take more than
    a small part of a budget. The last step always validates."""

    save_every: PositiveInt | None = None
    """Steps between checkpoints beside those that follow every validation, or come in its place where the corpus has no
    validation split."""

    keep: Literal["all", "2^k"] | PositiveInt | None = None
    """Checkpoints that stay beside the best, the last and the one before it: `all`; so many at most, and at least half
    as many, evenly spread over the training; or `2^k`, the first at or after each power of two of the steps. `lstmlm
    audit` trains again from one to the next. Without it: none."""

    on_save_error: Literal["warn", "stop"] = "warn"
    """What a checkpoint that cannot be written does, because the disk is full or failing: `warn` trains on and tries
    again at the next one, `stop` ends the training. The last checkpoint, and that of an interruption, must succeed."""

    log_every: PositiveInt = 20
    """Steps between progress reports."""

    patience: PositiveInt | None = None
    """Stop after this many validations in a row without improvement. Without it: never early."""

    sample_tokens: Annotated[int, Field(ge=0, le=1_000_000)] = 30
    """Length of the sample that is shown after each validation (tokens); 0 for none."""

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        given = [name for name in ("n_epochs", "n_steps", "budget") if getattr(self, name) is not None]
        if len(given) != 1:
            others = ", null for the others" if given else ""
            raise ValueError(
                f"needs n_epochs, n_steps or budget, got {' and '.join(given) or 'none'}. Give one of them{others}."
            )
        return self

    @property
    def budget_seconds(self) -> int | None:
        """The budget as a number (seconds)."""
        return None if self.budget is None else parse_duration(self.budget)
