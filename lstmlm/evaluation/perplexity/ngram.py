"""An n-gram model, a run, and both together: the strongest cheap gain for a small model."""

import time

import numpy as np

from lstmlm.corpus.encoded_text import EncodedText
from lstmlm.corpus.tokenizers import Tokenizer
from lstmlm.evaluation.fingerprint import fingerprint
from lstmlm.evaluation.interpolation import mixture_weights
from lstmlm.evaluation.perplexity.perplexity import ModelScorer
from lstmlm.evaluation.proof.checks import Reader, unproven
from lstmlm.evaluation.proof.scorer import Mixture, NgramScorer, Scorer
from lstmlm.evaluation.report import Report, perplexity_rows, require_names
from lstmlm.models.arpa import ForeignNgrams
from lstmlm.models.language_model import LanguageModel
from lstmlm.models.ngram import NgramModel

MIXTURE = "mixture"


def evaluate_ngram_mixture(
    model: LanguageModel,
    ngrams: NgramModel | ForeignNgrams,
    text: EncodedText,
    validation: EncodedText,
    tokenizer: Tokenizer,
    run: str,
    read: Reader = unproven,
) -> Report:
    """Measure n-grams of the text that a run has learnt, its model, which the report calls `run`, and their mixture.

    The weights of the mixture are those that suit `validation`, another text than the one that is measured.
    `read` may be a `Prover`.

    Raises:
        ConfigError: the run is called like another row.
    """
    started = time.monotonic()
    of_ngrams = NgramScorer(ngrams, model.vocab_size, f"{ngrams.order}-gram")
    require_names([of_ngrams.name, run, MIXTURE])
    parts: list[Scorer] = [of_ngrams, ModelScorer(model, ngrams.start_id, run)]
    on_validation = [scored.nats for part in parts for scored in part(validation.tokens, ()).values()]
    weights = mixture_weights(np.stack(on_validation))
    by_name = {name: scored.nats for name, scored in read(Mixture(parts, weights, MIXTURE), text.tokens).items()}
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
            **fingerprint(text, tokenizer, "document"),
        },
        rows=[{**row, "weight": weight} for row, weight in rows],
    )
