"""Linear interpolation: the probabilities of several models averaged, with weights found on a validation text."""

import time

import numpy as np
from jaxtyping import Float

from lstmlm.corpus.datasets import EncodedText
from lstmlm.evaluation.report import Report, Row
from lstmlm.metrics import bits_per, perplexity
from lstmlm.models.language_model import LanguageModel
from lstmlm.models.ngram import NgramModel
from lstmlm.scoring import score

WEIGHT_TOLERANCE = 1e-6


def mixture_weights(nats: Float[np.ndarray, "models tokens"]) -> Float[np.ndarray, " models"]:
    """Return the weights with which the mixture predicts best, given the surprisal of each token for each model (nats).

    They are found by expectation maximisation (Jelinek & Mercer 1980): a model's weight is the share of the tokens that
    it accounts for.
    """
    likelihoods = np.exp(nats.min(axis=0) - nats)  # relative to the best, so that none underflows everywhere
    weights, change = np.full(len(nats), 1 / len(nats)), 1.0
    while change > WEIGHT_TOLERANCE:
        joint = weights[:, None] * likelihoods
        shares = (joint / joint.sum(axis=0)).mean(axis=1)
        weights, change = shares, np.abs(shares - weights).max()
    return weights


def mixture_nats(
    nats: Float[np.ndarray, "models tokens"], weights: Float[np.ndarray, " models"]
) -> Float[np.ndarray, " tokens"]:
    """Return the surprisal of each token (nats) where probabilities are averaged with these weights."""
    best = nats.min(axis=0)
    mixed: np.ndarray = best - np.log(weights @ np.exp(best - nats))
    return mixed


def evaluate_ngram_mixture(
    model: LanguageModel, ngrams: NgramModel, text: EncodedText, validation: EncodedText, run: str
) -> Report:
    """Measure an n-gram model, a run and their mixture on `text`.

    Args:
        model: The run's model.
        ngrams: Estimated from the text that the run has learnt.
        text: What to measure them on.
        validation: Where the weights are found; if `text` is the same, its first half.
        run: What the report calls the model.
    """
    started = time.monotonic()
    nats, weights_from = _nats_of_both(model, ngrams, text), validation.name
    if text.sha256 == validation.sha256:
        weights_from = f"first half of {validation.name}"
        weights = mixture_weights(nats[:, : -(-text.n_tokens // 2)])
    else:
        weights = mixture_weights(_nats_of_both(model, ngrams, validation))
    return Report(
        {
            "run": run,
            "text": text.name,
            "split": text.split,
            "n_tokens": text.n_tokens,
            "order": ngrams.order,
            "weights_from": weights_from,
            "seconds": round(time.monotonic() - started, 3),
        },
        rows=[
            _row(f"{ngrams.order}-gram", weights[0], nats[0], text),
            _row(run, weights[1], nats[1], text),
            _row("mixture", None, mixture_nats(nats, weights), text),
        ],
    )


def _nats_of_both(model: LanguageModel, ngrams: NgramModel, text: EncodedText) -> Float[np.ndarray, "2 tokens"]:
    return np.stack([ngrams.nats(text.tokens), score(model, text.tokens, ngrams.start_id)])


def _row(name: str, weight: float | None, nats: Float[np.ndarray, " tokens"], text: EncodedText) -> Row:
    total = float(nats.sum())
    return {
        "model": name,
        "weight": weight,
        "nats": total,
        "perplexity": perplexity(total, text.n_tokens),
        "bits_per_byte": bits_per(total, text.n_bytes),
    }
