"""The questions of `lstmlm eval`, `next` and `inspect`: each reads what it needs, asks, and returns the answer."""

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from torch import Tensor

from lstmlm.config.adaptation import AdaptationOptions, RMSOptions
from lstmlm.corpus.encoded_text import EncodedText
from lstmlm.corpus.loading import load_halves
from lstmlm.corpus.reading.decoding import UTF8
from lstmlm.corpus.reading.splits import text_file
from lstmlm.corpus.reading.text_files import files_in
from lstmlm.corpus.tokenizers import Tokenizer
from lstmlm.errors import CheckpointError, DataError
from lstmlm.evaluation.adaptation.adaptation import Adaptation
from lstmlm.evaluation.adaptation.dynamic import measure_gradient_rms
from lstmlm.evaluation.memory.gates import LayerActivity, read_gates
from lstmlm.evaluation.memory.gradients import GradientNorms, measure_gradients
from lstmlm.evaluation.pairs.accuracy import PairsResult, Scorer, measure_accuracy
from lstmlm.evaluation.pairs.files import SUFFIXES, read_items
from lstmlm.evaluation.pairs.normalization import find_normalization
from lstmlm.evaluation.perplexity.comparison import Contestant, compare_models
from lstmlm.evaluation.perplexity.ensemble import evaluate_ensemble
from lstmlm.evaluation.perplexity.ngram import evaluate_ngram_mixture
from lstmlm.evaluation.report import Report
from lstmlm.evaluation.rescoring.formats import FORMATS
from lstmlm.evaluation.rescoring.nbest import read_nbest, read_references, recognise_format
from lstmlm.evaluation.rescoring.rescoring import RescoringOptions, evaluate_rescoring
from lstmlm.evaluation.surprisal.stimuli import Stimuli, read_stimuli
from lstmlm.evaluation.surprisal.surprisal import FirstWord, MeasuredWord, WordContext, measure_words
from lstmlm.files import write_blocks_atomically
from lstmlm.generation.next_word import NextWords, find_next_words
from lstmlm.models.arpa import arpa_blocks
from lstmlm.models.ngram import NgramModel
from lstmlm.scoring import score_each
from lstmlm.workflows import TrainedModel


def compare(
    a: TrainedModel, b: TrainedModel, *, split: str | None = None, text: Path | None = None, encoding: str = UTF8
) -> Report:
    """Compare two models on a text file, or on a split of the corpus that each was trained on.

    Raises:
        DataError: the text cannot be read, is not the same for both, or leaves nothing to compare.
    """
    return compare_models(*(Contestant(t.name, t.model, t.tokenizer, t.encode(split, text, encoding)) for t in (a, b)))


def measure_surprisal(
    trained: TrainedModel, path: Path, *, context: WordContext, first_word: FirstWord
) -> tuple[Stimuli, list[MeasuredWord]]:
    """Measure every word of a file of sentences in its context.

    Returns:
        What the file holds, with what of it could not be read, and its words and ends of sentences in order.

    Raises:
        DataError: the file cannot be read at all.
    """
    stimuli = read_stimuli(path)
    words = measure_words(trained.model, trained.tokenizer, stimuli.sentences, context=context, first_word=first_word)
    return stimuli, list(words)


def next_words(trained: TrainedModel, prompt: str, n_words: int, *, complete: bool = False) -> NextWords:
    """Find the most likely words after `prompt`, or with `complete` those that its last word begins."""
    return find_next_words(trained.model, trained.tokenizer, prompt, n_words, complete=complete)


def inspect_gradients(
    models: Iterable[TrainedModel],
    *,
    split: str | None = None,
    text: Path | None = None,
    encoding: str = UTF8,
    max_lag: int,
) -> list[GradientNorms]:
    """Measure how far back the predictions of each model reach, on a text file or on a split of its own corpus.

    Raises:
        DataError: the text cannot be read, is too short for `max_lag`, or a corpus has no such split.
    """
    found: list[GradientNorms] = []
    for trained in models:
        read, start_id = trained.encode(split, text, encoding), trained.tokenizer.start_id
        found += measure_gradients(trained.model, read, start_id, trained.name, max_lag)
    return found


def inspect_gates(trained: TrainedModel, sentence: str, layer: int | None = None) -> LayerActivity:
    """Let a model read `sentence` and return what a layer, the last one unless given, does at each token.

    Raises:
        ConfigError: there is no such layer.
        DataError: the sentence is empty.
    """
    return read_gates(trained.model, trained.tokenizer, sentence, trained.name, layer)


def evaluate_ngrams(
    trained: TrainedModel,
    order: int,
    *,
    split: str | None = None,
    text: Path | None = None,
    encoding: str = UTF8,
    arpa: Path | None = None,
) -> Report:
    """Estimate an n-gram model from what the run has learnt, and measure it, the run and their mixture on a text.

    The weights of the mixture are found on the validation split; where that is what is measured, on its first half, and
    then the second is measured.

    Args:
        trained: The run.
        order: Number of tokens of the longest n-grams, 1 or more.
        split: As in `TrainedModel.encode`.
        text: As in `TrainedModel.encode`.
        encoding: As in `TrainedModel.encode`.
        arpa: Where to write the n-gram model in the format of other toolkits.

    Raises:
        DataError: the text or the corpus cannot be read, or the corpus has no validation split.
        CheckpointError: `arpa` cannot be written.
    """
    tokenizer, training = trained.tokenizer, trained.encode_split("train")
    try:
        validation = trained.encode_split("valid")
    except DataError as error:
        raise DataError(f"{error} The mixture's weights are found in it.") from None
    measured = trained.encode(split, text, encoding)
    if measured.sha256 == validation.sha256:
        validation, measured = load_halves(trained.run.config.data, "valid", tokenizer)
    ngrams = _estimate_ngrams(training, tokenizer, order)
    if arpa is not None:
        names = [tokenizer.token(token_id) for token_id in range(tokenizer.vocab_size)]
        write_blocks_atomically(arpa, (block.encode() for block in arpa_blocks(ngrams, names)))
    return evaluate_ngram_mixture(trained.model, ngrams, measured, validation, trained.name)


def _estimate_ngrams(training: EncodedText, tokenizer: Tokenizer, order: int) -> NgramModel:
    return NgramModel.estimate(training.tokens, tokenizer.vocab_size, tokenizer.start_id, order)


def evaluate_pairs(
    trained: TrainedModel,
    paths: Sequence[Path],
    *,
    format_name: str | None = None,
    normalization: str | None = None,
    ngram_order: int | None = None,
) -> PairsResult:
    """Ask which sentences of minimal pairs and test suites are less surprising.

    Args:
        trained: The model to ask.
        paths: Files of pairs or suites, or folders of them.
        format_name: A name in `lstmlm.evaluation.pairs.files.FORMATS`; recognised file by file where not given.
        normalization: A name in `NORMALIZATIONS`, for a model that knows words as a corpus writes them.
        ngram_order: Ask instead an n-gram model of the run's training split, of this order.

    Raises:
        ConfigError: there is no format or normalization of that name.
        DataError: a folder holds no such files, or there is nothing to ask in any file.
    """
    normalize = find_normalization(normalization)
    texts = map(text_file, files_in(paths, SUFFIXES))
    items = chain.from_iterable(read_items(text, format_name, normalize) for text in texts)
    tokenizer, name = trained.tokenizer, trained.name
    score: Scorer = partial(score_each, trained.model, start_id=tokenizer.start_id)
    if ngram_order is not None:
        training = trained.encode_split("train")
        score, name = _estimate_ngrams(training, tokenizer, ngram_order).nats_each, f"{ngram_order}-gram of {name}"
    return measure_accuracy(items, tokenizer, score, name, normalization)


def evaluate_adaptation(
    trained: TrainedModel,
    methods: Sequence[str],
    options: AdaptationOptions,
    *,
    split: str | None = None,
    text: Path | None = None,
    encoding: str = UTF8,
    tune: str | None = None,
) -> Report:
    """Measure how well a model predicts a text to which it adapts as it reads.

    Args:
        trained: The model to ask.
        methods: Sections of `AdaptationOptions`: what to use.
        options: The hyper-parameters, or where the search for them starts.
        split: As in `TrainedModel.encode`.
        text: As in `TrainedModel.encode`.
        encoding: As in `TrainedModel.encode`.
        tune: Split to choose the hyper-parameters on. Where that is what is measured, they are chosen on its first half
            and measured on the second.

    Raises:
        DataError: a text cannot be read, or the corpus has no such split.
    """
    data, tokenizer, tuned_on = trained.run.config.data, trained.tokenizer, None
    measured = trained.encode(split, text, encoding)
    gradient_rms: Sequence[Tensor] = ()
    if "dynamic" in methods and isinstance(options.dynamic, RMSOptions):
        training = trained.encode_split("train")
        gradient_rms = measure_gradient_rms(trained.model, training.tokens, tokenizer.start_id, options.dynamic.window)
    ngrams = None
    if "ngram" in methods:
        ngrams = _estimate_ngrams(trained.encode_split("train"), tokenizer, options.ngram.order)
    adaptation = Adaptation(trained.model, tokenizer, methods, gradient_rms, ngrams)
    if tune is not None:
        tuning = trained.encode_split(tune, "--tune")
        if tuning.sha256 == measured.sha256:
            tuning, measured = load_halves(data, tune, tokenizer)
        options, tuned_on = adaptation.tuned(tuning.tokens, options), tuning.name
    return adaptation.report(measured, options, trained.name, tuned_on)


def evaluate_together(
    members: Sequence[TrainedModel], *, split: str | None = None, text: Path | None = None, encoding: str = UTF8
) -> Report:
    """Measure how well models predict a text together, their probabilities averaged.

    Raises:
        CheckpointError: they do not all have the tokenizer of the first.
        DataError: the text cannot be read, or the corpus of the first has no such split.
    """
    first, *others = members
    for other in others:
        if other.tokenizer.digest != first.tokenizer.digest:
            raise CheckpointError(
                f"{other.name}: has another tokenizer than {first.name}, and only probabilities of the same "
                "tokens can be averaged. Choose runs with one tokenizer.json."
            )
    models = {member.name: member.model for member in members}
    return evaluate_ensemble(models, first.encode(split, text, encoding), first.tokenizer)


def rescore(
    trained: TrainedModel,
    paths: Sequence[Path],
    options: RescoringOptions,
    *,
    list_format: str | None = None,
    costs: Path | None = None,
    references: Path | None = None,
    output: Path | None = None,
) -> tuple[Report, list[str]]:
    """Rescore n-best lists, and where references are given, count the errors before and after.

    Args:
        trained: The model to ask.
        paths: Files of lists, or folders of them.
        options: How to rescore.
        list_format: A name in `FORMATS`; recognised by the first line where not given.
        costs: Acoustic costs of Kaldi's hypotheses.
        references: What was said.
        output: Where to write the rescored lists, in their own format.

    Returns:
        Error rates or else hypotheses; and what is wrong with lines that had to be left out.

    Raises:
        ConfigError: the options contradict each other or the lists.
        DataError: a file cannot be read, or nothing in it can be used.
    """
    problems: list[str] = []
    list_format = list_format or recognise_format(paths)
    lists = read_nbest(paths, list_format, costs, problems)
    said = read_references(references, lists, problems) if references else {}
    rescoring = evaluate_rescoring(trained.model, trained.tokenizer, lists, said, options, trained.name)
    if output is not None:
        FORMATS[list_format].write(output, rescoring.lists)
    return rescoring.report, problems
