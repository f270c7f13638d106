"""A report on an n-gram model, a run and both together."""

import math
from typing import Any

import numpy as np
import pytest

from lstmlm.config.data import WordTokenizerOptions
from lstmlm.config.model import LSTMOptions, ModelOptions
from lstmlm.corpus.encoded_text import EncodedText
from lstmlm.corpus.tokenizers import train_tokenizer
from lstmlm.errors import ConfigError
from lstmlm.evaluation.interpolation import mixture_nats, mixture_weights
from lstmlm.evaluation.perplexity.ngram import evaluate_ngram_mixture
from lstmlm.models.language_model import build_language_model
from lstmlm.models.ngram import NgramModel
from lstmlm.scoring import score

VOCAB, START = 9, 0
TOKENIZER = train_tokenizer(WordTokenizerOptions(), ["a b c\n"])


def text(name: str, n_tokens: int, seed: int) -> EncodedText:
    tokens = np.random.default_rng(seed).zipf(1.5, size=n_tokens).clip(max=VOCAB) - 1
    return EncodedText(name, None, tokens.astype(np.int32), 30, np.array([90]), np.array([91]), 2, 0, name)


def evaluate(measured: EncodedText, validation: EncodedText, run: str = "runs/x") -> Any:
    options = ModelOptions(backbone=LSTMOptions(n_layers=1, hidden_size=6), embedding_size=6)
    model = build_language_model(options, VOCAB, seed=1)
    ngrams = NgramModel.estimate(text("train.txt", 500, 0).tokens, VOCAB, START, 3)
    report = evaluate_ngram_mixture(model, ngrams, measured, validation, TOKENIZER, run)
    nats = {
        part.name: np.stack([ngrams.nats(part.tokens), score(model, part.tokens, START)])
        for part in (measured, validation)
    }
    return report, nats


def test_each_model_and_the_mixture_on_another_text() -> None:
    test, valid = text("test.txt", 201, 1), text("valid.txt", 101, 2)
    report, nats = evaluate(test, valid)
    weights = mixture_weights(nats["valid.txt"])
    totals = [*nats["test.txt"].sum(axis=1), mixture_nats(nats["test.txt"], weights).sum()]
    assert (report.values["n_tokens"], report.values["order"], report.values["weights_from"]) == (201, 3, "valid.txt")
    assert [row["model"] for row in report.rows] == ["3-gram", "runs/x", "mixture"]
    assert [row["weight"] for row in report.rows] == [*weights, None]
    assert [row["nats"] for row in report.rows] == pytest.approx(totals)
    assert [row["perplexity"] for row in report.rows] == pytest.approx([math.exp(total / 201) for total in totals])


@pytest.mark.parametrize("run", ["mixture", "3-gram"])
def test_a_run_that_is_called_like_another_row_is_refused(run: str) -> None:
    with pytest.raises(ConfigError, match=f"^{run}: is what another row of the table is called"):
        evaluate(text("test.txt", 201, 1), text("valid.txt", 101, 2), run)
