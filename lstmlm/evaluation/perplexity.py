"""Perplexity of a text: every token scored once, in order, with carried state, the first from the zero state."""

import time

from lstmlm.corpus.datasets import EncodedText
from lstmlm.evaluation.report import Report
from lstmlm.metrics import bits_per, perplexity
from lstmlm.models.language_model import LanguageModel
from lstmlm.scoring import score


def evaluate_perplexity(model: LanguageModel, text: EncodedText, start_id: int, run: str) -> Report:
    """Score `text` and report its likelihood per token, word, character and byte.

    Perplexities per token are comparable only between models that cut the text into the same tokens; bits per
    character and byte are comparable always, as long as nothing is unknown.

    Args:
        model: The model to ask.
        text: The text, with its counts of words, characters and bytes.
        start_id: What is read before the first token.
        run: What the report calls the model.
    """
    started = time.monotonic()
    nats = float(score(model, text.tokens, start_id).sum())
    n_tokens = len(text.tokens)
    return Report(
        {
            "run": run,
            "text": text.name,
            "split": text.split,
            "n_tokens": n_tokens,
            "n_words": text.n_words,
            "n_chars": text.n_chars,
            "n_bytes": text.n_bytes,
            "n_unk": text.n_unk,
            "nats": nats,
            "perplexity": perplexity(nats, n_tokens),
            "perplexity_per_word": perplexity(nats, text.n_words),
            "bits_per_token": bits_per(nats, n_tokens),
            "bits_per_word": bits_per(nats, text.n_words),
            "bits_per_char": bits_per(nats, text.n_chars),
            "bits_per_byte": bits_per(nats, text.n_bytes),
            "precision": str(next(model.parameters()).dtype).removeprefix("torch."),
            "seconds": round(time.monotonic() - started, 3),
        },
    )
