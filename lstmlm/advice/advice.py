"""What to train on a text within a time on this machine: the text is read, some steps are measured, all is chosen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lstmlm.advice.choices import (
    TOKENS_A_WEIGHT,
    WEIGHTS_A_TOKEN,
    WIDTHS,
    Choice,
    choose_model,
    choose_tokens,
    choose_training,
    choose_windows,
)
from lstmlm.advice.survey import Survey, survey, text_field
from lstmlm.advice.writing import written
from lstmlm.config import RunConfig
from lstmlm.config.data import DataOptions
from lstmlm.config.duration import parse_duration
from lstmlm.corpus.loading import Corpus, load_corpus
from lstmlm.corpus.stream import TrainingStream
from lstmlm.distributed import ALONE
from lstmlm.errors import DataError, counted
from lstmlm.training.budget import measure_costs
from lstmlm.training.preparation.execution import find_device, resolve_cutoffs, resolve_execution
from lstmlm.training.preparation.preparation import build_trainer, checked_corpus, initial_model
from lstmlm.training.trainer import Trainer
from lstmlm.yaml.schema import from_overrides
from lstmlm.yaml.settings import as_override

SHARE_TO_TRAIN = 0.8
"""Of a budget: what is left goes into the start, validations and checkpoints."""

FEWEST_TOKENS = 200
"""Of a training split; from fewer nothing can be learnt."""


@dataclass(frozen=True)
class Advice:
    """A configuration, and what it rests on."""

    config: RunConfig
    yaml: str
    choices: Sequence[Choice]
    warnings: Sequence[str]
    """What a training will warn of."""


KEPT = ("field", "encoding", "eos", "holdout")
"""What of data may be given, as it says how a text is to be read; all else is chosen."""


def advise(data: DataOptions, budget: str, tell: Callable[[str], None]) -> Advice:
    """Choose a configuration for a corpus, to be trained for `budget` or less; `tell` hears what is being done.

    Args:
        data: The corpus; `field`, `encoding`, `eos` and `holdout` are kept as they are given.
        budget: Such as 10m.
        tell: Is told in a few words.

    Raises:
        ConfigError: there is no such corpus, or an option has no effect on it.
        DataError: the text cannot be read, or is too short.
    """
    data = data.model_copy(update={"field": text_field(data)})
    tell("reading the text")
    given = [Choice(f"data.{key}", getattr(data, key)) for key in ("corpus", *_changed(data))]
    seen = survey(data)
    tokens = choose_tokens(seen)
    start = [*given, *tokens]
    config = _config([*start, Choice("data.batch_size", 1), Choice("data.bptt", 1)])
    corpus = load_corpus(config.data)
    n_tokens = corpus.train.n_tokens
    if n_tokens < FEWEST_TOKENS:
        raise DataError(f"{data.corpus}: {n_tokens} tokens to train on are too few. Give a text of some pages.")
    start += choose_windows(seen, config.data.tokenizer.name, n_tokens)
    tell("measuring this machine")
    seconds = SHARE_TO_TRAIN * parse_duration(budget)
    width, speed = _widest(start, corpus, seconds)
    model = _model(start, corpus, width)
    config = _config([*start, *model])
    passes = seconds * speed / n_tokens
    n_steps = round(seconds * speed / (config.data.batch_size * config.data.bptt))
    training = choose_training(width, config.model.backbone.n_layers, n_tokens, n_steps, passes, budget)
    if passes > 1:
        start.append(Choice("data.partial_shuffle", True, "each pass begins elsewhere, so that windows differ"))
    choices = [*start, *_with_reason(model, width, speed), *training]
    config = _config(choices)
    _, warnings = checked_corpus(config)
    return Advice(config, written(_header(data, seen, corpus), choices), choices, [*config.warnings(), *warnings])


def _changed(data: DataOptions) -> list[str]:
    """The options of a text that are not as they are by default."""
    fields = DataOptions.model_fields
    return [key for key in KEPT if getattr(data, key) != fields[key].default]


def _config(choices: Sequence[Choice]) -> RunConfig:
    lengths = ("training.n_epochs", "training.budget")
    length = [] if any(choice.key in lengths for choice in choices) else ["training.n_steps=1"]
    values = (as_override(choice.key, choice.value) for choice in choices)
    return from_overrides(RunConfig, [*values, *length])


def _model(start: Sequence[Choice], corpus: Corpus, width: int) -> list[Choice]:
    """The choice of a model of a given width, whose clusters, if it has any, save work."""
    data = _config(start).data
    counts = corpus.train.count_tokens(corpus.tokenizer.vocab_size)
    longest = corpus.train.longest_line(corpus.tokenizer.start_id)
    found = choose_model(data.tokenizer.name, len(counts), corpus.train.n_tokens, longest, width)
    resolved = resolve_cutoffs(_config([*start, *found]), counts).model.output
    if getattr(resolved, "cutoffs", None) == ():
        why = f"clusters would save nothing with {len(counts):,} tokens"
        found[-1] = Choice("model.output.name", "softmax", why)
    return found


def _widest(start: Sequence[Choice], corpus: Corpus, seconds: float) -> tuple[int, float]:
    """The widest network that learns enough in the time, and its speed (tokens a second)."""
    for width in WIDTHS:
        trainer = _trainer(_config([*start, *_model(start, corpus, width)]), corpus)
        n_parameters = sum(weight.numel() for weight in trainer.model.parameters())
        if n_parameters > WEIGHTS_A_TOKEN * corpus.train.n_tokens and width != WIDTHS[-1]:
            continue
        n_weights = sum(weight.numel() for weight in trainer.model.backbone.parameters())
        speed = 1 / measure_costs(trainer, corpus).token_seconds
        if speed * seconds >= TOKENS_A_WEIGHT * n_weights:
            break
    return width, speed


def _trainer(config: RunConfig, corpus: Corpus) -> Trainer:
    """What trains as a short run does, on this machine's device."""
    device = find_device(config.training, ALONE)
    counts = corpus.train.count_tokens(corpus.tokenizer.vocab_size)
    stream = TrainingStream(corpus.train, corpus.tokenizer.start_id, config.data, config.seed, device)
    window, config = stream.epoch(0).window(0), resolve_cutoffs(config, counts)
    config = resolve_execution(config, len(counts), window, 1, device=device).config
    return build_trainer(config, initial_model(config, corpus, None).to(device), stream, 1)


def _with_reason(model: Sequence[Choice], width: int, speed: float) -> list[Choice]:
    why = f"at {speed:,.0f} tokens/s the widest that meets {TOKENS_A_WEIGHT} tokens for each weight of its layers"
    if width == WIDTHS[-1]:
        why = f"narrow, for little text or time: {speed:,.0f} tokens/s"
    return [replace(choice, reason=why) if choice.key == "model.backbone.hidden_size" else choice for choice in model]


def _header(data: DataOptions, seen: Survey, corpus: Corpus) -> list[str]:
    name = data.corpus
    held_out = [f"{text.n_tokens:,} of {text.split}" for text in corpus.splits[1:]]
    return [
        f"For {name}: {seen.n_chars:,} characters to train on, {counted(corpus.train.n_tokens, 'token')}; "
        f"held out {' and '.join(held_out) or 'nothing'}.",
        "Chosen by lstmlm init, for this text and machine. What a key means: lstmlm config explain KEY",
    ]
