"""Ensembles: the probabilities that several models give a token, averaged (the arithmetic mean, not that of nats)."""

import time
from collections.abc import Mapping

import numpy as np

from lstmlm.corpus.encoded_text import EncodedText
from lstmlm.corpus.tokenizers import Tokenizer
from lstmlm.evaluation.fingerprint import fingerprint
from lstmlm.evaluation.perplexity.perplexity import ModelScorer
from lstmlm.evaluation.proof.checks import Reader, unproven
from lstmlm.evaluation.proof.scorer import Mixture
from lstmlm.evaluation.report import Report, perplexity_rows, require_names
from lstmlm.models.language_model import LanguageModel

ENSEMBLE = "ensemble"


def evaluate_ensemble(
    models: Mapping[str, LanguageModel], text: EncodedText, tokenizer: Tokenizer, read: Reader = unproven
) -> Report:
    """Measure how well models of one tokenizer, named as in the report, predict a text: each alone, and together.

    `read` may be a `Prover`.

    Raises:
        ConfigError: a model is called like the row of all together.
    """
    require_names([*models, ENSEMBLE])
    started = time.monotonic()
    members = [ModelScorer(model, tokenizer.start_id, name) for name, model in models.items()]
    found = read(Mixture(members, np.full(len(models), 1 / len(models)), ENSEMBLE), text.tokens)
    return Report(
        {
            "text": text.name,
            "split": text.split,
            "n_tokens": text.n_tokens,
            "n_models": len(models),
            "seconds": round(time.monotonic() - started, 3),
            **fingerprint(text, tokenizer, "document"),
        },
        perplexity_rows("model", {name: scored.nats for name, scored in found.items()}),
    )
