"""The questions of `lstmlm eval`, `next` and `inspect`: each reads what it needs, asks, and returns the answer."""

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from lstmlm.corpus.datasets import load_corpus, text_file
from lstmlm.corpus.normalization import find_normalization
from lstmlm.corpus.sources import files_in
from lstmlm.corpus.stimuli import Stimuli, read_stimuli
from lstmlm.errors import DataError
from lstmlm.evaluation.comparison import Contestant, compare_models
from lstmlm.evaluation.gates import LayerActivity, read_gates
from lstmlm.evaluation.gradients import GradientNorms, measure_gradients
from lstmlm.evaluation.ngram_mixture import evaluate_ngram_mixture
from lstmlm.evaluation.pairs.accuracy import PairsResult, measure_accuracy
from lstmlm.evaluation.pairs.files import SUFFIXES, read_items
from lstmlm.evaluation.report import Report
from lstmlm.evaluation.surprisal import FirstWord, MeasuredWord, WordContext, measure_words
from lstmlm.files import write_blocks_atomically
from lstmlm.generation.next_word import NextWords, find_next_words
from lstmlm.models.arpa import arpa_blocks
from lstmlm.models.ngram import NgramModel
from lstmlm.scoring import score_each
from lstmlm.workflows import TrainedModel


def compare(a: TrainedModel, b: TrainedModel, *, split: str | None = None, text: Path | None = None) -> Report:
    """Compare two models on a text file, or on a split of the corpus that each was trained on.

    Raises:
        DataError: the text cannot be read, is not the same for both, or leaves nothing to compare.
    """
    contestants = [
        Contestant(trained.name, trained.model, trained.tokenizer, trained.encode(split, text)) for trained in (a, b)
    ]
    return compare_models(*contestants)


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
    models: Iterable[TrainedModel], *, split: str | None = None, text: Path | None = None, max_lag: int
) -> list[GradientNorms]:
    """Measure how far back the predictions of each model reach, on a text file or on a split of its own corpus.

    Raises:
        DataError: the text cannot be read, is too short for `max_lag`, or a corpus has no such split.
    """
    return [
        norms
        for trained in models
        for norms in measure_gradients(
            trained.model,
            trained.encode(split, text),
            trained.tokenizer.start_id,
            trained.name,
            max_lag,
        )
    ]


def inspect_gates(trained: TrainedModel, sentence: str, layer: int | None = None) -> LayerActivity:
    """Let a model read `sentence` and return what a layer, the last one unless given, does at each token.

    Raises:
        ConfigError: there is no such layer.
        DataError: the sentence is empty.
    """
    return read_gates(trained.model, trained.tokenizer, sentence, trained.name, layer)


def evaluate_ngrams(
    trained: TrainedModel, order: int, *, split: str | None = None, text: Path | None = None, arpa: Path | None = None
) -> Report:
    """Estimate an n-gram model from what the run has learnt, and measure it, the run and their mixture on a text.

    Args:
        trained: The run.
        order: Number of tokens of the longest n-grams, 1 or more.
        split: As in `evaluate`.
        text: As in `evaluate`.
        arpa: Where to write the n-gram model in the format of other toolkits.

    Raises:
        DataError: the text or the corpus cannot be read, or the corpus has no validation split.
        CheckpointError: `arpa` cannot be written.
    """
    tokenizer = trained.tokenizer
    corpus = load_corpus(trained.run.config.data, tokenizer)
    if corpus.valid is None:
        raise DataError(f"{corpus.name}: has no valid.txt, in which the mixture's weights are found. Put one there.")
    measured = trained.encode(split, text)
    ngrams = NgramModel.estimate(corpus.train.tokens, tokenizer.vocab_size, tokenizer.start_id, order)
    if arpa is not None:
        names = [tokenizer.token(token_id) for token_id in range(tokenizer.vocab_size)]
        write_blocks_atomically(arpa, (block.encode() for block in arpa_blocks(ngrams, names)))
    return evaluate_ngram_mixture(trained.model, ngrams, measured, corpus.valid, trained.name)


def evaluate_pairs(
    trained: TrainedModel, paths: Sequence[Path], *, format_name: str | None = None, normalization: str | None = None
) -> PairsResult:
    """Ask which sentences of minimal pairs and test suites are less surprising.

    Args:
        trained: The model to ask.
        paths: Files of pairs or suites, or folders of them.
        format_name: A name in `lstmlm.evaluation.pairs.files.FORMATS`; recognised file by file where not given.
        normalization: A name in `NORMALIZATIONS`, for a model that knows words as a corpus writes them.

    Raises:
        ConfigError: there is no format or normalization of that name.
        DataError: a folder holds no such files, or there is nothing to ask in any file.
    """
    normalize = find_normalization(normalization)
    texts = map(text_file, files_in(paths, SUFFIXES))
    items = chain.from_iterable(read_items(text, format_name, normalize) for text in texts)
    score = partial(score_each, trained.model, start_id=trained.tokenizer.start_id)
    return measure_accuracy(items, trained.tokenizer, score, trained.name, normalization)
