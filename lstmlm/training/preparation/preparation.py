"""All that a training begins with, as one value, made in one pass from top to bottom."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from lstmlm.checkpoint.environment import describe_environment
from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.checkpoint.shared_run import SharedRun
from lstmlm.config import RunConfig
from lstmlm.corpus.loading import Corpus, load_corpus, with_tokenizer_of_store
from lstmlm.corpus.stream import TrainingStream
from lstmlm.corpus.tokenizers import Tokenizer, load_tokenizer
from lstmlm.distributed import ALONE, World
from lstmlm.errors import CheckpointError
from lstmlm.models.language_model import LanguageModel, build_language_model
from lstmlm.models.ngram import NgramModel
from lstmlm.optim.averaging import build_average
from lstmlm.optim.optimizers import build_optimizer
from lstmlm.optim.schedules import build_schedule
from lstmlm.training.callbacks import most_checkpoints
from lstmlm.training.events import Event, SplitSummary, StartEvent
from lstmlm.training.preparation import agreement
from lstmlm.training.preparation.execution import (
    ResolvedExecution,
    execution_of,
    find_device,
    resolve_cutoffs,
    resolve_execution,
    with_cutoffs_of,
)
from lstmlm.training.preparation.origin import (
    Origin,
    environment_warnings,
    found_origin,
    load_best_weights,
    reading_corpus_of,
    record_changes,
    require_continuable,
    require_same_corpus,
)
from lstmlm.training.state import TrainState
from lstmlm.training.trainer import Trainer, n_training_steps


@dataclass(frozen=True)
class Preparation:
    """What is settled before the first step."""

    run: SharedRun
    """The run that is continued; of a new one only the place, until `opened_run`."""

    corpus: Corpus

    execution: ResolvedExecution
    """How to compute, with the configuration: nothing in it is `auto` any more."""

    trainer: Trainer
    """With the stream and the model; where a run goes on, as its last checkpoint left it."""

    @contextmanager
    def opened_run(self, observers: Sequence[Callable[[Event], None]]) -> Iterator[SharedRun]:
        """Create the run unless it is continued, and announce what is about to be trained.

        Raises:
            CheckpointError: there is no room for its checkpoints, or it cannot be written.
        """
        if not self.trainer.world.is_main:
            yield self.run
            return
        self.require_space(self.run.path)
        if self.run.directory is not None:
            record_changes(self.run.directory)
        trainer = self.trainer
        environment = describe_environment(
            self.corpus.provenance, self.execution.milliseconds, trainer.device, trainer.world.size
        )
        tokenizer_json = self.corpus.tokenizer.to_json()
        ngrams = None if trainer.model.ngrams is None else trainer.model.ngrams.tensors()
        new = RunDirectory.create(self.run.path, self.execution.config, tokenizer_json, environment, ngrams)
        with nullcontext(self.run.directory) if self.run.directory else new as directory:
            for observer in observers:
                observer(self._announcement(environment_warnings(directory, environment)))
            yield replace(self.run, directory=directory)

    def require_space(self, run_dir: Path) -> None:
        """Check that what this training writes has room in `run_dir`. Raises CheckpointError if not."""
        n_checkpoints = most_checkpoints(self.trainer)
        # A run that goes on has them already.
        ngram_bytes = 0 if self.run.directory else self.trainer.ngram_bytes
        RunDirectory.require_space(run_dir, self.trainer.checkpoint_bytes, n_checkpoints, ngram_bytes)

    def _announcement(self, warnings: Sequence[str]) -> StartEvent:
        corpus, config, trainer = self.corpus, self.execution.config, self.trainer
        n_epochs = config.training.n_epochs or math.ceil(trainer.n_steps / trainer.stream.epoch(0).n_windows)
        of_length = config.length_warnings(trainer.n_steps, n_epochs, trainer.validate_every)
        known = config.warnings()
        return StartEvent(
            step=0,
            corpus=corpus.name,
            splits=tuple(
                SplitSummary(split=str(s.split), n_tokens=s.n_tokens, n_unk=s.n_unk, unk_rate=s.unk_rate)
                for s in corpus.splits
            ),
            vocab_size=corpus.tokenizer.vocab_size,
            n_parameters=sum(weight.numel() for weight in trainer.model.parameters()),
            n_steps=trainer.n_steps if config.training.budget is None else None,
            precision=config.training.precision,
            milliseconds=self.execution.milliseconds,
            warnings=(
                *warnings,
                *self.execution.warnings(trainer.device),
                *agreement.corpus_warnings(config, corpus),
                *(warning for warning in of_length if warning not in known),
            ),
        )


@contextmanager
def prepared(
    config: RunConfig, run_dir: Path, *, resume: bool, world: World, clock: Callable[[], float]
) -> Iterator[Preparation]:
    """Settle everything in turn; a run that is continued is locked as long as the `with` block lasts.

    All processes go through this side by side: what only the main one knows, it tells the others.

    Raises:
        ConfigError: the configuration does not suit the corpus or this machine, or processes differ in what they have.
        DataError: the corpus cannot be read, is too short, or is not that of the run.
        CheckpointError: `run_dir` holds another run, or is in use; or the run to initialize from does not suit.
    """
    config = config.model_copy(update={"data": with_tokenizer_of_store(config.data)})
    device = find_device(config.training, world)
    agreement.require_same_start(config, device, world)
    with found_origin(config, run_dir, resume=resume) if world.is_main else nullcontext(Origin()) as origin:
        with reading_corpus_of(origin.run):
            corpus = _shared_corpus(config, origin.tokenizer, world)
        if origin.run is not None:
            require_same_corpus(origin.run, corpus)
        stream = _suitable_stream(config, corpus, device)
        n_steps = n_training_steps(config.training, stream)
        execution = _shared_execution(config, origin, corpus, stream, n_steps, device, world)
        model = initial_model(execution.config, corpus, origin.source).to(device)
        trainer = build_trainer(execution.config, model, stream, n_steps, world, clock)
        run = SharedRun(run_dir, origin.run, world)
        _restore(trainer, run)
        yield Preparation(run, corpus, execution, trainer)


def checked_corpus(config: RunConfig) -> tuple[Corpus, list[str]]:
    """Load the corpus as for a training; return it with what would be warned of.

    Raises:
        ConfigError: the configuration does not suit the corpus.
        DataError: the corpus cannot be read, or is too short.
    """
    config = config.model_copy(update={"data": with_tokenizer_of_store(config.data)})
    corpus = load_corpus(config.data)
    _suitable_stream(config, corpus, torch.device("cpu"))
    return corpus, agreement.corpus_warnings(config, corpus)


def _suitable_stream(config: RunConfig, corpus: Corpus, device: torch.device) -> TrainingStream:
    """Lay out the training text, unless the options do not suit the corpus."""
    agreement.check_against_corpus(config, corpus)
    return TrainingStream(corpus.train, corpus.tokenizer.start_id, config.data, config.seed, device)


def _shared_corpus(config: RunConfig, tokenizer: Tokenizer | None, world: World) -> Corpus:
    """Load the corpus in every process, with the tokenizer that the main one has, if it has one."""
    json = world.broadcast(None if tokenizer is None else tokenizer.to_json())
    if json is not None and not world.is_main:
        tokenizer = load_tokenizer(config.data.tokenizer, json)
    with world.one_per_machine_first():
        corpus = load_corpus(config.data, tokenizer)
    agreement.require_same_text(corpus, world)
    return corpus


def _shared_execution(
    config: RunConfig,
    origin: Origin,
    corpus: Corpus,
    stream: TrainingStream,
    n_steps: int,
    device: torch.device,
    world: World,
) -> ResolvedExecution:
    """Replace every `auto`: the main process takes what the run has that goes on, or finds out what is best here."""
    execution = ResolvedExecution(origin.run.config if origin.run else config, {})
    if world.is_main and origin.run is None:
        counts = corpus.train.count_tokens(corpus.tokenizer.vocab_size)
        config = config if origin.source is None else with_cutoffs_of(config, origin.source.config)
        config = resolve_cutoffs(config, counts)
        window = stream.epoch(0).window(0, world.rank, world.size)
        execution = resolve_execution(config, len(counts), window, n_steps, device=device)
    of_main = world.broadcast(execution.config.model_dump_json())
    return execution if world.is_main else ResolvedExecution(RunConfig.model_validate_json(of_main), {})


def initial_model(config: RunConfig, corpus: Corpus, source: RunDirectory | None) -> LanguageModel:
    """Build the model with the weights that a new run starts from: drawn by the seed, or the best ones of `source`."""
    tokenizer, order = corpus.tokenizer, config.model.ngram_order
    model = build_language_model(config.model, tokenizer.vocab_size, config.seed)
    if model.ngrams is not None and order is not None:
        tokens = corpus.train.tokens
        model.ngrams.fill(NgramModel.estimate(tokens, tokenizer.vocab_size, tokenizer.start_id, order))
    if source is not None:
        try:
            load_best_weights(model, source)
        except CheckpointError as error:
            raise type(error)(f"training.initialize_from: {error}") from None
    elif config.model.initial_bias == "unigram":
        model.output_layer.start_from_unigram(corpus.train.count_tokens(corpus.tokenizer.vocab_size))
    return model


def build_trainer(
    config: RunConfig,
    model: LanguageModel,
    stream: TrainingStream,
    n_steps: int,
    world: World = ALONE,
    clock: Callable[[], float] = time.monotonic,
) -> Trainer:
    """Build what trains `model` on `stream`, with all that the configuration names."""
    return Trainer(
        config.training,
        model,
        build_optimizer(config.optimizer, model),
        build_schedule(config.schedule, config.optimizer.learning_rate, n_steps),
        stream,
        clip_norm=config.optimizer.clip_norm,
        seed=config.seed,
        average=build_average(config.averaging, model, n_steps),
        execution=execution_of(config.training),
        world=world,
        clock=clock,
    )


def _restore(trainer: Trainer, run: SharedRun) -> None:
    """Go on from the last checkpoint of a run, if it has one."""
    last = run.last
    if last is None:
        return
    weights, tensors, state = run.load_training(last)
    try:
        trainer.restore(weights, tensors, TrainState.from_json(state))
    except CheckpointError as error:
        raise type(error)(f"{run.path}: {error}") from None
    if trainer.options.budget is None:
        require_continuable(run, trainer)
