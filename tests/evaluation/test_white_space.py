"""One text, one number: perplexity, surprisal, pairs and rescoring feed a model the same tokens."""

import random
from pathlib import Path

import numpy as np
import pytest

from lstmlm.config.data import (
    BPETokenizerOptions,
    ByteTokenizerOptions,
    CharTokenizerOptions,
    DataOptions,
    EosPlace,
    TokenizerOptions,
    WordTokenizerOptions,
)
from lstmlm.config.model import LSTMOptions, ModelOptions
from lstmlm.corpus.loading import encode_file
from lstmlm.corpus.reading.text_files import Line
from lstmlm.corpus.reading.white_space import words_of
from lstmlm.corpus.tokenizers import Tokenizer, train_tokenizer
from lstmlm.evaluation.pairs.accuracy import judge
from lstmlm.evaluation.pairs.items import BAD, GOOD, PAIR_FORMULA, Item
from lstmlm.evaluation.reading import Reading
from lstmlm.evaluation.rescoring.combination import Combination
from lstmlm.evaluation.rescoring.formats import Hypothesis
from lstmlm.evaluation.rescoring.rescoring import Rescorer
from lstmlm.evaluation.surprisal.stimuli import read_stimuli
from lstmlm.evaluation.surprisal.surprisal import _rows, measure_words
from lstmlm.models.language_model import LanguageModel, build_language_model
from lstmlm.scoring import score

SPACES = [" ", " ", " ", "  ", "\t", "\u00a0", "\u202f", "\u3000", "\u2028", "\x1c", "\x1f", "\x85", "\f", "\v"]
WORDS = ["the", "cat's", "sat,", "naïve", "早上", "喝了", "x\u200cy", "3.5", "(a", "<unk>", "🙂", "—"]
TRAINING = "the cat's sat,  (a\tmat 3.5\u00a0: naïve\n早上喝了\n the 🙂 — x\u200cy\n" * 5

EVERY_EOS: list[EosPlace] = ["line", "document", "line_and_document", "never"]

every_tokenizer = pytest.mark.parametrize(
    "options",
    [
        WordTokenizerOptions(),
        WordTokenizerOptions(split="punctuation"),
        CharTokenizerOptions(),
        ByteTokenizerOptions(),
        BPETokenizerOptions(vocab_size=300),
    ],
    ids=["word", "punctuation", "char", "byte", "bpe"],
)


def random_line(chance: random.Random) -> str:
    """Words and white space, also at both ends, between no words or twice in a row."""
    pieces = [chance.choice(chance.choice([WORDS, WORDS, SPACES])) for _ in range(chance.randrange(8))]
    return "".join(piece + chance.choice(["", *SPACES]) for piece in pieces)


def random_text(chance: random.Random) -> str:
    """Some lines, the last with or without its end."""
    lines = [random_line(chance) for _ in range(chance.randint(1, 5))]
    return "\n".join(lines) + chance.choice(["", "\n"]) or "\n"


def tiny(tokenizer: Tokenizer) -> LanguageModel:
    options = ModelOptions(backbone=LSTMOptions(n_layers=1, hidden_size=8), embedding_size=8)
    return build_language_model(options, tokenizer.vocab_size, seed=3).double()


@every_tokenizer
@pytest.mark.parametrize("eos", EVERY_EOS)
def test_surprisal_feeds_the_tokens_of_perplexity(options: TokenizerOptions, eos: EosPlace, tmp_path: Path) -> None:
    tokenizer, chance, path = train_tokenizer(options, [TRAINING]), random.Random(5), tmp_path / "a.txt"
    for _ in range(40):
        path.write_text(random_text(chance), encoding="utf-8", newline="")
        wanted = encode_file(path, DataOptions(corpus="./any", eos=eos), tokenizer)
        sentences = read_stimuli(path).sentences
        rows = _rows(tokenizer, sentences, Reading(eos=eos))
        assert [token for row in rows for token in row.ids] == wanted.tokens.tolist(), path.read_bytes()
        assert sum(len(sentence.words) for sentence in sentences) == wanted.n_words


@every_tokenizer
@pytest.mark.parametrize("eos", EVERY_EOS)
def test_rows_sum_to_the_nats_of_the_text(options: TokenizerOptions, eos: EosPlace, tmp_path: Path) -> None:
    tokenizer, chance, path = train_tokenizer(options, [TRAINING]), random.Random(7), tmp_path / "a.txt"
    model = tiny(tokenizer)
    for _ in range(5):
        path.write_text(random_text(chance), encoding="utf-8", newline="")
        tokens = encode_file(path, DataOptions(corpus="./any", eos=eos), tokenizer).tokens
        words = measure_words(model, tokenizer, read_stimuli(path).sentences, reading=Reading(eos=eos))
        nats = sum(word.figures.nats for word in words if word.figures)
        assert nats == pytest.approx(score(model, tokens, tokenizer.start_id).sum(), rel=1e-6)


@every_tokenizer
@pytest.mark.parametrize("eos", ["line", "never"])
def test_pairs_and_hypotheses_have_the_nats_of_their_line(
    options: TokenizerOptions, eos: EosPlace, tmp_path: Path
) -> None:
    tokenizer, chance, path = train_tokenizer(options, [TRAINING]), random.Random(9), tmp_path / "a.txt"
    model, reading = tiny(tokenizer), Reading(eos=eos)

    def nats_of(text: str) -> float:
        path.write_text(f"{text}\n", encoding="utf-8", newline="")
        tokens = encode_file(path, DataOptions(corpus="./any", eos=eos), tokenizer).tokens
        return float(score(model, tokens, tokenizer.start_id).sum())

    def score_lines(lines: object) -> list[np.ndarray]:
        return [score(model, np.array(line), tokenizer.start_id) for line in lines]  # type: ignore[attr-defined]

    rescorer = Rescorer(model, tokenizer, Combination(), "wer", reading)
    for _ in range(8):
        line = random_line(chance)
        pair = Item("x", "1", "x", {GOOD: {1: line}, BAD: {1: "the"}}, PAIR_FORMULA)
        [verdict] = judge([pair], tokenizer, score_lines, reading)
        assert verdict.nats_good == pytest.approx(nats_of(line), rel=1e-6)
        # A hypothesis is words, with one blank between them.
        spaced = " ".join(words_of(line))
        [[scored]] = rescorer.rescore([[Hypothesis("u", line, 0.0, Line(path, 1, line))]])
        assert scored.lm_nats == pytest.approx(nats_of(spaced), rel=1e-6)


def test_words_are_joined_as_the_training_text_joins_them(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(CharTokenizerOptions(), ["早上喝了咖啡。\n"])
    path = tmp_path / "words.tsv"
    path.write_text("word\n早上\n喝了\n咖啡。\n", encoding="utf-8")
    sentences = read_stimuli(path).sentences
    unspaced = [token for row in _rows(tokenizer, sentences, Reading(join="")) for token in row.ids]
    assert unspaced == tokenizer.encode("早上喝了咖啡。\n").tolist()
    spaced = [token for row in _rows(tokenizer, sentences, Reading()) for token in row.ids]
    assert spaced == tokenizer.encode("早上 喝了 咖啡。\n").tolist()
    items = [Item("x", "1", "x", {GOOD: {1: "早上", 2: "喝了"}, BAD: {1: "早上"}}, PAIR_FORMULA)]
    asked: list[object] = []

    def listening(lines: object) -> list[np.ndarray]:
        asked.extend(lines)  # type: ignore[arg-type, call-overload]
        return [np.ones(len(line)) for line in lines]  # type: ignore[attr-defined]

    judge(items, tokenizer, listening, Reading(join=""))
    assert asked[0] == tuple(tokenizer.encode("早上喝了\n").tolist())


def test_the_last_word_of_an_unspaced_line_ends_for_certain() -> None:
    tokenizer = train_tokenizer(CharTokenizerOptions(), ["早上喝了\n"])
    from lstmlm.evaluation.surprisal.stimuli import Sentence

    sentence = Sentence(1, 1, ["早上喝了"], [{}, {}], "早上喝了\n")
    *_, end = measure_words(tiny(tokenizer), tokenizer, [sentence])
    assert end.figures is not None
    assert (end.figures.rank, end.figures.nats) == (1, pytest.approx(0, abs=1e-9))
