"""START HERE. Train, generate, evaluate: each a screenful that puts the parts together.

A tour of the parts, in the order in which `train` uses them:

    config/__init__.py        every option of a run
    corpus/loading.py         text → token ids
    corpus/stream.py          token ids → columns → windows
    models/language_model.py  embedding → backbone → softmax
    models/cells/lstm.py      one time step, the equations
    training/preparation/     what is settled before the first step, as one value
    training/trainer.py       the loop
    generation/sampler.py     from a trained model back to text
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from lstmlm.checkpoint.run_directory import RunDirectory
from lstmlm.checkpoint.shared_run import SharedRun
from lstmlm.config import RunConfig
from lstmlm.corpus.encoded_text import EncodedText, TextCounter
from lstmlm.corpus.loading import Corpus, counted_anew, encode_file, load_split
from lstmlm.corpus.reading.decoding import UTF8
from lstmlm.corpus.reading.splits import beginning_of
from lstmlm.corpus.tokenizers import Tokenizer
from lstmlm.distributed import ALONE, World
from lstmlm.errors import ConfigError, DataError, RunMismatchError
from lstmlm.evaluation.fingerprint import Context
from lstmlm.evaluation.perplexity.perplexity import evaluate_perplexity
from lstmlm.evaluation.proof.checks import Prover, unproven
from lstmlm.evaluation.reading import Reading
from lstmlm.evaluation.report import Report
from lstmlm.export.huggingface import open_run
from lstmlm.generation.options import SamplingOptions
from lstmlm.generation.texts import SampledText, continue_prompt
from lstmlm.models.language_model import LanguageModel, build_language_model
from lstmlm.training.budget import budget_of
from lstmlm.training.callbacks import EarlyStop, Record, Sample, Save, Tell, Validate
from lstmlm.training.events import Event
from lstmlm.training.preparation.origin import load_best_weights, reading_corpus_of, tokenizer_of
from lstmlm.training.preparation.preparation import Preparation, prepared
from lstmlm.training.trainer import Callback
from lstmlm.training.trial import (
    Overfit,
    Requirements,
    measure_requirements,
    overfit_batch,
    without_regularization,
)


def train(
    config: RunConfig,
    run_dir: Path,
    *,
    resume: bool = False,
    world: World = ALONE,
    observers: Sequence[Callable[[Event], None]] = (),
    started: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Report | None:
    """Train a language model and leave in `run_dir` everything that is needed to use it.

    Args:
        config: What to train, on what, how and for how long.
        run_dir: Where the run goes; must not hold one yet, unless `resume`.
        resume: Continue the run in `run_dir`, exactly where it was, or start it if there is none.
        world: The processes that train together; only the main one touches `run_dir` and is heard by observers.
        observers: Are told every event, such as a progress display.
        started: When the command started, from where a budget counts, by `clock`; without it: now.
        clock: Seconds since any fixed moment.

    Returns:
        The perplexity of the best weights on the validation split; None if the corpus has none.

    Raises:
        ConfigError: the configuration does not suit the corpus, the budget is too short, or training diverged.
        DataError: the corpus cannot be read, or is too short.
        CheckpointError: `run_dir` holds another run, or is in use; or the run to initialize from does not suit.
        Interrupted: a signal ended the training; its last step is saved.
        WorldError: another process is lost.
    """
    started = clock() if started is None else started
    with prepared(config, run_dir, resume=resume or world.is_restart, world=world, clock=clock) as settled:
        budget = budget_of(settled.trainer, settled.corpus, started)
        with settled.opened_run(observers) as run:
            settled.trainer.fit(_callbacks(settled.corpus, run, budget, observers))
    return _report_on_best(settled, run)


def try_out(config: RunConfig, run_dir: Path, started: float) -> Requirements:
    """Make the first steps of a training and say what the whole takes; nothing is written. Raises as `train` does."""
    with _tried(config, run_dir) as settled:
        budget_of(settled.trainer, settled.corpus, started)
        settled.require_space(run_dir)
        return measure_requirements(settled.trainer, settled.corpus, started)


def overfit(config: RunConfig, run_dir: Path, tell: Callable[[int, float], None]) -> Overfit:
    """Learn the first batch of a training by heart, without regularisation; nothing is written.

    Raises:
        ConfigError: the batch cannot be learnt so: its loss does not come near zero, or is not finite.
    """
    with _tried(without_regularization(config), run_dir) as settled:
        found = overfit_batch(settled.trainer, tell)
    if not found.is_near_zero:
        raise found.error(config.optimizer.learning_rate)
    return found


def _tried(config: RunConfig, run_dir: Path) -> AbstractContextManager[Preparation]:
    """What a new run would begin with, also where there is one already: it is looked for where nothing is."""
    return prepared(config, run_dir / "trial", resume=False, world=ALONE, clock=time.monotonic)


def _callbacks(
    corpus: Corpus, run: SharedRun, budget: Sequence[Callback], observers: Sequence[Callable[[Event], None]]
) -> list[Callback]:
    """What happens between two steps, in this order."""
    watch = [Record(run.directory), *map(Tell, observers)] if run.directory else []
    validate = [Validate(corpus.valid, corpus.tokenizer.start_id), EarlyStop()] if corpus.valid else []
    return [*watch, *budget, *validate, Sample(corpus.tokenizer), Save(run)]


def _report_on_best(settled: Preparation, run: SharedRun) -> Report | None:
    model, corpus = settled.trainer.model, settled.corpus
    if corpus.valid is None:
        return None
    load_best_weights(model, run)
    eos = settled.execution.config.data.eos
    return evaluate_perplexity(model, corpus.valid, corpus.tokenizer, str(run.path), world=run.world, eos=eos)


@dataclass(frozen=True)
class TrainedModel:
    """A model with its best weights and the tokenizer that belongs to it."""

    run: RunDirectory
    model: LanguageModel
    tokenizer: Tokenizer

    @property
    def name(self) -> str:
        """What reports call it."""
        return str(self.run.path)

    def reading(self, join: str | None) -> Reading:
        """How the model reads words and sentences: between words `join`, by default a blank where it knows one."""
        # Where words are tokens, there is always something between them.
        blank = " " if self.run.knows_blank or not self.tokenizer.encode_prompt(" ") else ""
        return Reading(blank if join is None else join, self.run.config.data.eos)

    def beginning(self, text: str) -> str:
        """A text that may go on, such as a prompt, as the model reads it: newlines are blanks if it knows no lines."""
        return beginning_of(text, self.run.config.data)

    def encode(self, split: str | None, text: Path | None, encoding: str = UTF8) -> EncodedText:
        """Read and encode a text file, or without one a split of the run's own corpus.

        Args:
            split: "train", "valid" or "test"; without it "test" where there is one, else "valid".
            text: A file in place of a split, or `STANDARD_INPUT`.
            encoding: How the characters of that file are written.

        Raises:
            DataError: the text cannot be read, or the corpus has no such split or another text than in training.
        """
        if text is not None:
            return encode_file(text, self.run.config.data, self.tokenizer, encoding)
        try:
            return self.encode_split(split)
        except DataError as error:
            raise type(error)(f"{error} Or name a text to measure: --text FILE") from None

    def prover(self, seed: int) -> Prover:
        """Make what puts scores of this model's tokens under proof."""
        return Prover(self.tokenizer.vocab_size, self.tokenizer.start_id, seed)

    def source(self, split: str | None, text: Path | None, encoding: str = UTF8) -> TextCounter | None:
        """Count anew what `encode` has read, without a tokenizer; None where it can be read only once, or is tokens."""
        return counted_anew(self.run.config.data, split, text, encoding)

    def encode_split(self, split: str | None, flag: str = "--split") -> EncodedText:
        """Read and encode a split of the run's own corpus, as `load_split` does, and check that it is still that text.

        Raises:
            DataError: there is no corpus, it cannot be read, has no such split, or another text than in training.
        """
        data = self.run.config.data
        with reading_corpus_of(self.run):
            encoded = load_split(data, split, self.tokenizer, flag=flag)
        self.run.require_same_text(data.corpus, str(encoded.split), encoded.sha256, "Restore that text.")
        return encoded


def load(run_dir: Path | None = None) -> TrainedModel:
    """Load the best weights of a run, of the newest below runs/ where none is named. The corpus is not needed.

    What `lstmlm export huggingface` has made of a run can be named as well; then there is no corpus.

    Raises:
        CheckpointError: there is no run, it has no checkpoint yet, or a file of it is damaged.
    """
    run = open_run(run_dir) if run_dir else RunDirectory.newest(Path("runs"))
    tokenizer = tokenizer_of(run)
    model = build_language_model(run.config.model, tokenizer.vocab_size, run.config.seed)
    load_best_weights(model, run)
    if model.ngrams is not None:
        try:
            model.ngrams.load(run.load_ngrams())
        except RunMismatchError as error:
            raise type(error)(f"{run.path}: {error}") from None
    return TrainedModel(run, model, tokenizer)


def generate_texts(
    trained: TrainedModel, prompt: str, options: SamplingOptions, seeds: Sequence[int]
) -> Iterator[list[SampledText]]:
    """Continue `prompt` once for each seed, side by side; yields samples as `continue_prompt` does."""
    return continue_prompt(trained.model, trained.tokenizer, trained.beginning(prompt), options, seeds)


def evaluate(
    trained: TrainedModel,
    *,
    split: str | None = None,
    text: Path | None = None,
    encoding: str = UTF8,
    context: Context = "document",
    world: World = ALONE,
    prover: Prover | None = None,
) -> Report:
    """Measure the perplexity of a text file, or of a split of the run's own corpus; see `evaluate_perplexity`.

    Args:
        trained: The model to ask.
        split: As in `TrainedModel.encode`.
        text: As in `TrainedModel.encode`.
        encoding: As in `TrainedModel.encode`.
        context: What each token is predicted from.
        world: The processes that share the work; all call this, and get the same report.
        prover: Puts what is scored under proof.

    Raises:
        ConfigError: the run knows no lines, which are to be read one by one.
        DataError: as `TrainedModel.encode` does.
    """
    eos = trained.run.config.data.eos
    if context == "line" and eos == "never":
        raise ConfigError(f"--context line: {trained.name} knows no lines, as its data.eos is never. Leave it out.")
    encoded = trained.encode(split, text, encoding)
    read = prover or unproven
    report = evaluate_perplexity(trained.model, encoded, trained.tokenizer, trained.name, context, world, read, eos)
    return report if prover is None else prover.proven(report, encoded, trained.source(split, text, encoding))


def require_same_reading(members: Sequence[TrainedModel]) -> TrainedModel:
    """Return the first of models, where all read a text as the same tokens. Raises RunMismatchError otherwise."""
    first, *others = members
    for other in others:
        if other.tokenizer.digest != first.tokenizer.digest:
            raise RunMismatchError(
                f"{other.name}: has another tokenizer than {first.name}, and only probabilities of the same "
                "tokens can be averaged. Choose runs with one tokenizer.json."
            )
        there, here = (member.run.config.data.eos for member in (other, first))
        if there != here:
            raise RunMismatchError(
                f"{other.name}: reads line ends otherwise than {first.name} (data.eos: {there} there, {here} here). "
                "Choose runs that read alike."
            )
    return first
