"""Linear interpolation: weights with a known answer, averages by hand, and where the weights of a report come from."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from lstmlm.config.model import LSTMOptions, ModelOptions
from lstmlm.corpus.datasets import EncodedText
from lstmlm.evaluation.mixture import mixture_nats, mixture_weights
from lstmlm.evaluation.ngram_mixture import evaluate_ngram_mixture
from lstmlm.models.language_model import build_language_model
from lstmlm.models.ngram import NgramModel
from lstmlm.scoring import score

VOCAB, START = 9, 0


@pytest.mark.parametrize("n_first", [35, 50, 70])
def test_weights_that_can_be_computed(n_first: int) -> None:
    """One model gives `n_first` of 100 tokens 0.9 and the others 0.1, the other model the reverse.

    The mixture gives the first ones q = 0.1 + 0.8 w, best where q is their share.
    """
    probabilities = np.where(np.arange(100) < n_first, [[0.9], [0.1]], [[0.1], [0.9]])
    wanted = (n_first / 100 - 0.1) / 0.8
    assert mixture_weights(-np.log(probabilities)) == pytest.approx([wanted, 1 - wanted], abs=1e-5)


def test_a_model_that_is_never_better_gets_no_weight() -> None:
    assert mixture_weights(np.array([[1.0, 2.0, 3.0], [1.5, 2000.0, 3.5]])) == pytest.approx([1, 0], abs=1e-5)


def test_probabilities_are_averaged() -> None:
    nats = -np.log([[0.5, 0.2], [0.1, 0.4], [0.3, 0.3]])
    weights = np.array([0.5, 0.25, 0.25])
    np.testing.assert_allclose(np.exp(-mixture_nats(nats, weights)), [0.35, 0.275], rtol=1e-15)
    # Far below the smallest float, too.
    np.testing.assert_allclose(mixture_nats(np.array([[2000.0], [2000.0]]), np.array([0.5, 0.5])), [2000], rtol=1e-15)


def text(name: str, n_tokens: int, seed: int) -> EncodedText:
    tokens = np.random.default_rng(seed).zipf(1.5, size=n_tokens).clip(max=VOCAB) - 1
    return EncodedText(name, None, tokens.astype(np.int32), 30, 90, 91, 2, name)


def evaluate(measured: EncodedText, validation: EncodedText) -> Any:
    options = ModelOptions(backbone=LSTMOptions(n_layers=1, hidden_size=6), embedding_size=6)
    model = build_language_model(options, VOCAB, seed=1)
    ngrams = NgramModel.estimate(text("train.txt", 500, 0).tokens, VOCAB, START, 3)
    report = evaluate_ngram_mixture(model, ngrams, measured, validation, "runs/x")
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
    assert [row["bits_per_byte"] for row in report.rows] == pytest.approx([x / 91 / math.log(2) for x in totals])


@pytest.mark.parametrize("n_tokens", [1, 101])
def test_on_the_validation_text_weights_come_from_its_first_half(n_tokens: int) -> None:
    valid = text("valid.txt", n_tokens, 2)
    same_text = dataclasses.replace(valid, name="copy.txt")
    report, nats = evaluate(same_text, valid)
    assert report.values["weights_from"] == "first half of valid.txt"
    weights = mixture_weights(nats["valid.txt"][:, : (n_tokens + 1) // 2])
    assert [row["weight"] for row in report.rows] == [*weights, None]
