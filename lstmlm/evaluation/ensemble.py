"""Ensembles: the probabilities that several models give a token, averaged (the arithmetic mean, not that of nats)."""

import time
from collections.abc import Mapping

import numpy as np

from lstmlm.corpus.datasets import EncodedText
from lstmlm.evaluation.mixture import mixture_nats
from lstmlm.evaluation.report import Report, perplexity_rows
from lstmlm.models.language_model import LanguageModel
from lstmlm.scoring import score


def evaluate_ensemble(models: Mapping[str, LanguageModel], text: EncodedText, start_id: int) -> Report:
    """Measure how well models predict a text, each alone and all together.

    Args:
        models: By what the report calls them; all of one tokenizer.
        text: What to measure.
        start_id: What is read before the first token.
    """
    started = time.monotonic()
    nats = {name: score(model, text.tokens, start_id) for name, model in models.items()}
    nats["ensemble"] = mixture_nats(np.stack([*nats.values()]), np.full(len(models), 1 / len(models)))
    return Report(
        {
            "text": text.name,
            "split": text.split,
            "n_tokens": text.n_tokens,
            "n_models": len(models),
            "seconds": round(time.monotonic() - started, 3),
        },
        perplexity_rows("model", nats),
    )
