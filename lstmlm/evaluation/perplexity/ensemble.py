"""Ensembles: the probabilities that several models give a token, averaged (the arithmetic mean, not that of nats)."""

import time
from collections.abc import Mapping

import numpy as np

from lstmlm.corpus.encoded_text import EncodedText
from lstmlm.corpus.tokenizers import Tokenizer
from lstmlm.evaluation.fingerprint import fingerprint
from lstmlm.evaluation.interpolation import mixture_nats
from lstmlm.evaluation.report import Report, perplexity_rows
from lstmlm.models.language_model import LanguageModel
from lstmlm.scoring import score


def evaluate_ensemble(models: Mapping[str, LanguageModel], text: EncodedText, tokenizer: Tokenizer) -> Report:
    """Measure how well models of one tokenizer, named as in the report, predict a text: each alone, and together."""
    started = time.monotonic()
    nats = {name: score(model, text.tokens, tokenizer.start_id) for name, model in models.items()}
    nats["ensemble"] = mixture_nats(np.stack([*nats.values()]), np.full(len(models), 1 / len(models)))
    return Report(
        {
            "text": text.name,
            "split": text.split,
            "n_tokens": text.n_tokens,
            "n_models": len(models),
            "seconds": round(time.monotonic() - started, 3),
            **fingerprint(text, tokenizer, "document"),
        },
        perplexity_rows("model", nats),
    )
