"""An n-gram model, a run, and both together: the strongest cheap gain for a small model."""

import time

import numpy as np
from jaxtyping import Float

from lstmlm.corpus.datasets import EncodedText
from lstmlm.evaluation.mixture import mixture_nats, mixture_weights
from lstmlm.evaluation.report import Report, Row
from lstmlm.metrics import bits_per, perplexity
from lstmlm.models.language_model import LanguageModel
from lstmlm.models.ngram import NgramModel
from lstmlm.scoring import score


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
