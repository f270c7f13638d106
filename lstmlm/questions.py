"""The questions of `lstmlm eval`, `next` and `inspect`: each reads what it needs, asks, and returns the answer."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from torch import Tensor

from lstmlm.config.adaptation import AdaptationOptions, RMSOptions
from lstmlm.corpus.loading import load_halves
from lstmlm.corpus.reading.compression import gzipped
from lstmlm.corpus.reading.decoding import UTF8
from lstmlm.corpus.reading.text_files import files_in, name_of, read_lines
from lstmlm.corpus.tokenizers import Tokenizer
from lstmlm.errors import DataError, in_proportion
from lstmlm.evaluation.adaptation.adaptation import Adaptation
from lstmlm.evaluation.adaptation.dynamic import measure_gradient_rms
from lstmlm.evaluation.memory.gates import LayerActivity, read_gates
from lstmlm.evaluation.memory.gradients import GradientNorms, measure_gradients
from lstmlm.evaluation.normalization import advice as spelling_advice
from lstmlm.evaluation.normalization import find_normalization
from lstmlm.evaluation.pairs.accuracy import PairsResult, Scorer, measure_accuracy
from lstmlm.evaluation.pairs.files import SUFFIXES, read_items
from lstmlm.evaluation.pairs.items import Item
from lstmlm.evaluation.perplexity.comparison import Contestant, compare_models
from lstmlm.evaluation.perplexity.ensemble import evaluate_ensemble
from lstmlm.evaluation.perplexity.ngram import evaluate_ngram_mixture
from lstmlm.evaluation.proof.checks import Prover, unproven
from lstmlm.evaluation.reading import Reading
from lstmlm.evaluation.report import Report, most_frequent
from lstmlm.evaluation.rescoring.formats import FORMATS, require_apart
from lstmlm.evaluation.rescoring.nbest import read_nbest, recognize_format
from lstmlm.evaluation.rescoring.references import read_references
from lstmlm.evaluation.rescoring.rescoring import RescoringOptions, evaluate_rescoring
from lstmlm.evaluation.surprisal.stimuli import Stimuli
from lstmlm.evaluation.surprisal.surprisal import WORDS, FirstWord, MeasuredWord, WordContext, measure_words
from lstmlm.files import write_blocks_atomically
from lstmlm.generation.next_word import NextWords, find_next_words
from lstmlm.models.arpa import ForeignNgrams, arpa_blocks, read_arpa
from lstmlm.models.ngram import NgramModel
from lstmlm.scoring import score_each
from lstmlm.workflows import TrainedModel, require_same_reading

logger = logging.getLogger(__name__)


def compare(
    a: TrainedModel,
    b: TrainedModel,
    *,
    split: str | None = None,
    text: Path | None = None,
    encoding: str = UTF8,
    n_pairs: int = 1,
) -> Report:
    """Compare two models, as one of `n_pairs`, on a text file or on a split of the corpus that each was trained on.

    Raises:
        DataError: the text cannot be read, is not the same for both, or leaves nothing to compare.
    """
    runs = ((t, t.encode(split, text, encoding)) for t in (a, b))
    both = (Contestant(t.name, t.model, t.tokenizer, read, t.run.config.data.eos) for t, read in runs)
    return compare_models(*both, n_pairs=n_pairs)


def measure_surprisal(
    trained: TrainedModel,
    stimuli: Stimuli,
    *,
    context: WordContext,
    first_word: FirstWord,
    join: str | None = None,
    normalization: str | None = None,
    prover: Prover | None = None,
) -> tuple[list[MeasuredWord], str | None]:
    """Measure every word of sentences, and their ends, in its context; `join` stands between words that a table has.

    `prover` puts the words under proof.

    Returns:
        The words and ends in order; and what to say where the model knows next to nothing of them.

    Raises:
        ConfigError: there is no normalization of that name.
    """
    sentences = stimuli.sentences
    are_joined = any(sentence.text is None and len(sentence.words) > 1 for sentence in sentences)
    reading = _reading(trained, join, are_joined=are_joined)._replace(spell=find_normalization(normalization))
    found = measure_words(
        trained.model,
        trained.tokenizer,
        sentences,
        context=context,
        first_word=first_word,
        reading=reading,
        read=prover or unproven,
    )
    words = list(found)
    if prover is not None and first_word != "skip":
        prover.require({WORDS: sum(word.figures.nats for word in words if word.figures)}, {})
    texts = [" ".join(sentence.words) for sentence in sentences]
    return words, None if normalization else spelling_advice(texts, trained.tokenizer)


def _reading(trained: TrainedModel, join: str | None, *, are_joined: bool) -> Reading:
    """How the model reads; where that is unusual, it is said."""
    reading = trained.reading(join)
    if are_joined and join is None and not reading.join:
        logger.info("the model knows no blank: words are joined without one (--join ' ' puts one there)")
    return reading


def next_words(trained: TrainedModel, prompt: str, n_words: int, *, complete: bool = False) -> NextWords:
    """Find the most likely words after `prompt`, or with `complete` those that its last word begins."""
    return find_next_words(trained.model, trained.tokenizer, trained.beginning(prompt), n_words, complete=complete)


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
    return read_gates(trained.model, trained.tokenizer, trained.beginning(sentence), trained.name, layer)


def evaluate_ngrams(
    trained: TrainedModel,
    order: int,
    *,
    split: str | None = None,
    text: Path | None = None,
    encoding: str = UTF8,
    foreign: Path | None = None,
    prover: Prover | None = None,
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
        foreign: An ARPA file of another tool, to be measured instead.
        prover: Puts what is scored under proof.

    Raises:
        DataError: the text or the corpus cannot be read, or the corpus has no validation split.
    """
    model, tokenizer = trained.model, trained.tokenizer
    try:
        validation = trained.encode_split("valid")
    except DataError as error:
        raise type(error)(f"{error} The mixture's weights are found in it.") from None
    measured = whole = trained.encode(split, text, encoding)
    if whole.sha256 == validation.sha256:
        validation, measured = load_halves(trained.run.config.data, "valid", tokenizer)
    ngrams: NgramModel | ForeignNgrams
    if foreign is None:
        ngrams = _estimate_ngrams(trained, order)
    else:
        lines = (line.text for line in read_lines(foreign, encoding=encoding))
        ngrams = read_arpa(name_of(foreign), lines, _names_of(tokenizer), tokenizer.start_id, tokenizer.unk_id)
        if unknown := ngrams.unknown_in(measured.tokens):
            of_text = f"{len(unknown):,} of the text's {measured.n_tokens:,} tokens, such as {most_frequent(unknown)}"
            logger.info("%s: does not know %s", name_of(foreign), of_text)
    report = evaluate_ngram_mixture(model, ngrams, measured, validation, tokenizer, trained.name, prover or unproven)
    source = trained.source(split, text, encoding) if prover and measured is whole else None
    return report if prover is None else prover.proven(report, measured, source)


def write_ngrams(trained: TrainedModel, order: int, path: Path) -> int:
    """Write an n-gram model of what the run has learnt as an ARPA file, packed if `path` ends in .gz; return its order.

    Raises:
        DataError: the corpus cannot be read.
        CheckpointError: the file cannot be written.
    """
    ngrams = _estimate_ngrams(trained, order)
    blocks = (block.encode() for block in arpa_blocks(ngrams, _names_of(trained.tokenizer), trained.tokenizer.unk_id))
    write_blocks_atomically(path, gzipped(blocks) if path.suffix == ".gz" else blocks)
    return ngrams.order


def _names_of(tokenizer: Tokenizer) -> list[str]:
    return [tokenizer.token(token_id) for token_id in range(tokenizer.vocab_size)]


def _estimate_ngrams(trained: TrainedModel, order: int) -> NgramModel:
    training, tokenizer = trained.encode_split("train"), trained.tokenizer
    return NgramModel.estimate(training.tokens, tokenizer.vocab_size, tokenizer.start_id, order)


def read_pairs(
    paths: Sequence[Path],
    format_name: str | None = None,
    columns: Sequence[str] = (),
    normalization: str | None = None,
    encoding: str = UTF8,
    *,
    has_ends: bool = True,
) -> list[Item | DataError]:
    """Read minimal pairs and test suites.

    Args:
        paths: Files of pairs or suites, or folders of them.
        format_name: A name in `lstmlm.evaluation.pairs.files.FORMATS`; recognised file by file where not given.
        columns: Those of the better and the worse sentence; known by their names where not given.
        normalization: A name in `NORMALIZATIONS`, for a model that knows words as a corpus writes them.
        encoding: That of the files.
        has_ends: Whether the ends of the sentences count.

    Returns:
        Items, and in place of what is none the error that says why.

    Raises:
        ConfigError: there is no format or normalization of that name.
        DataError: a folder holds no such files, or there is nothing to ask in any file.
    """
    normalize = find_normalization(normalization)
    files = files_in(paths, SUFFIXES)
    found = [item for file in files for item in read_items(file, format_name, normalize, columns, encoding)]
    if not any(isinstance(item, Item) for item in found):
        listed = "\n".join(in_proportion(list(map(str, found))))
        raise DataError(listed or "No file holds a pair, or an item with a prediction. Add one.")
    return found if has_ends else [replace(item, has_end=False) if isinstance(item, Item) else item for item in found]


def evaluate_pairs(
    trained: TrainedModel,
    items: Sequence[Item | DataError],
    *,
    normalization: str | None = None,
    ngram_order: int | None = None,
    join: str | None = None,
) -> PairsResult:
    """Ask which sentences of minimal pairs and test suites are less surprising.

    Args:
        trained: The model to ask.
        items: What `read_pairs` has found, of which errors are counted.
        normalization: What the sentences are written with.
        ngram_order: Ask instead an n-gram model of the run's training split, of this order.
        join: What stands between the regions of a suite; as in `TrainedModel.reading`.

    Raises:
        DataError: sentences break off, and the tokens do not say whether a word does.
    """
    sentences = [regions for item in items if isinstance(item, Item) for regions in item.sentences.values()]
    reading = _reading(trained, join, are_joined=any(len(regions) > 1 for regions in sentences))
    tokenizer, name = trained.tokenizer, trained.name
    score: Scorer = partial(score_each, trained.model, start_id=tokenizer.start_id)
    if ngram_order is not None:
        score, name = _estimate_ngrams(trained, ngram_order).nats_each, f"{ngram_order}-gram of {name}"
    return measure_accuracy(items, tokenizer, score, name, normalization, reading)


def evaluate_adaptation(
    trained: TrainedModel,
    methods: Sequence[str],
    options: AdaptationOptions,
    *,
    split: str | None = None,
    text: Path | None = None,
    encoding: str = UTF8,
    tune: str | None = None,
    prover: Prover | None = None,
) -> Report:
    """Measure how well a model that adapts as it reads predicts a text.

    Args:
        trained: The model to ask.
        methods: Sections of `AdaptationOptions`: what to use.
        options: The hyper-parameters, or where the search for them starts.
        split: As in `TrainedModel.encode`.
        text: As in `TrainedModel.encode`.
        encoding: As in `TrainedModel.encode`.
        tune: Split to choose the hyper-parameters on. Where that is what is measured, they are chosen on its first half
            and measured on the second.
        prover: Puts what is scored under proof.

    Raises:
        DataError: a text cannot be read, or the corpus has no such split.
    """
    tokenizer, tuned_on = trained.tokenizer, None
    measured = whole = trained.encode(split, text, encoding)
    gradient_rms: Sequence[Tensor] = ()
    if "dynamic" in methods and isinstance(options.dynamic, RMSOptions):
        training = trained.encode_split("train")
        gradient_rms = measure_gradient_rms(trained.model, training.tokens, tokenizer.start_id, options.dynamic.window)
    ngrams = _estimate_ngrams(trained, options.ngram.order) if "ngram" in methods else None
    adaptation = Adaptation(trained.model, tokenizer, methods, gradient_rms, ngrams)
    if tune is not None:
        tuning = trained.encode_split(tune, "--tune")
        if tuning.sha256 == whole.sha256:
            tuning, measured = load_halves(trained.run.config.data, tune, tokenizer)
        options, tuned_on = adaptation.tuned(tuning.tokens, options), tuning.name
    report = adaptation.report(measured, options, trained.name, tuned_on, prover or unproven)
    source = trained.source(split, text, encoding) if prover and measured is whole else None
    return report if prover is None else prover.proven(report, measured, source)


def evaluate_together(
    members: Sequence[TrainedModel],
    *,
    split: str | None = None,
    text: Path | None = None,
    encoding: str = UTF8,
    prover: Prover | None = None,
) -> Report:
    """Measure how well models predict a text together, their probabilities averaged; `prover` puts it under proof.

    Raises:
        CheckpointError: they do not all have the tokenizer of the first, or read a text otherwise.
        DataError: the text cannot be read, or the corpus of the first has no such split.
    """
    first = require_same_reading(members)
    measured = first.encode(split, text, encoding)
    report = evaluate_ensemble({m.name: m.model for m in members}, measured, first.tokenizer, prover or unproven)
    return report if prover is None else prover.proven(report, measured, first.source(split, text, encoding))


def rescore(
    trained: TrainedModel,
    paths: Sequence[Path],
    options: RescoringOptions,
    *,
    list_format: str | None = None,
    costs: Path | None = None,
    references: Path | None = None,
    ignored: Sequence[str] = (),
    output: Path | None = None,
    join: str | None = None,
    encoding: str = UTF8,
) -> tuple[Report, list[str]]:
    """Rescore n-best lists, and where references are given, count the errors before and after.

    Args:
        trained: The model to ask.
        paths: Files of lists, or folders of them.
        options: How to rescore.
        list_format: A name in `FORMATS`; recognised by the first line where not given.
        costs: Acoustic costs of Kaldi's hypotheses.
        references: What was said.
        ignored: Words of lists and references that are none, such as noises.
        output: Where to write the rescored lists, in their own format.
        join: What stands between the words of a hypothesis; as in `TrainedModel.reading`.
        encoding: How the characters of the files are written.

    Returns:
        Error rates or else hypotheses; and what is wrong with lines that had to be left out.

    Raises:
        ConfigError: the options contradict each other or the lists, or a list would be written over.
        DataError: a file cannot be read, or nothing in it can be used.
    """
    problems: list[str] = []
    list_format = list_format or recognize_format(paths, encoding)
    lists = read_nbest(paths, list_format, costs, problems, ignored, encoding)
    said = read_references(references, lists, problems, ignored, encoding) if references else {}
    if output is not None:
        require_apart(output, list_format, lists)
    reading = _reading(trained, join, are_joined=True)
    rescoring = evaluate_rescoring(trained.model, trained.tokenizer, lists, said, options, trained.name, reading)
    if output is not None:
        FORMATS[list_format].write(output, rescoring.lists)
    return rescoring.report, problems
