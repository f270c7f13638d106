"""An n-gram model, a run, and both together: the strongest cheap gain for a small model."""

import time

import numpy as np
from jaxtyping import Float

from lstmlm.corpus.encoded_text import EncodedText
from lstmlm.evaluation.interpolation import mixture_nats, mixture_weights
from lstmlm.evaluation.report import Report, perplexity_rows
from lstmlm.models.arpa import ForeignNgrams
from lstmlm.models.language_model import LanguageModel
from lstmlm.models.ngram import NgramModel
from lstmlm.scoring import score


def evaluate_ngram_mixture(
    model: LanguageModel, ngrams: NgramModel | ForeignNgrams, text: EncodedText, validation: EncodedText, run: str
) -> Report:
    """Measure n-grams of the text that a run has learnt, its model, which the report calls `run`, and their mixture.

    The weights of the mixture are those that suit `validation`, another text than the one that is measured.
    """
    started = time.monotonic()
    weights = mixture_weights(_nats_of_both(model, ngrams, validation))
    nats = _nats_of_both(model, ngrams, text)
    by_name = {f"{ngrams.order}-gram": nats[0], run: nats[1], "mixture": mixture_nats(nats, weights)}
    rows = zip(perplexity_rows("model", by_name), [*weights.tolist(), None], strict=True)
    return Report(
        {
            "run": run,
            "text": text.name,
            "split": text.split,
            "n_tokens": text.n_tokens,
            "order": ngrams.order,
            "weights_from": validation.name,
            "seconds": round(time.monotonic() - started, 3),
        },
        rows=[{**row, "weight": weight} for row, weight in rows],
    )


def _nats_of_both(
    model: LanguageModel, ngrams: NgramModel | ForeignNgrams, text: EncodedText
) -> Float[np.ndarray, "2 tokens"]:
    return np.stack([ngrams.nats(text.tokens), score(model, text.tokens, ngrams.start_id)])
