"""Perplexity of a text: every token scored once, in order, the first from the zero state."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lstmlm.config.data import EosPlace
from lstmlm.corpus.encoded_text import EncodedText
from lstmlm.corpus.tokenizers import Tokenizer
from lstmlm.distributed import ALONE, World
from lstmlm.evaluation.bootstrap import ratio_interval, what_is_resampled
from lstmlm.evaluation.fingerprint import Context, fingerprint
from lstmlm.evaluation.proof.checks import Reader, unproven
from lstmlm.evaluation.proof.scorer import Positions, Scored, Tokens, distributions, with_features, without_positions
from lstmlm.evaluation.report import Report
from lstmlm.metrics import bits_per, perplexity
from lstmlm.models.language_model import LanguageModel
from lstmlm.scoring import Measure, nats_of, score, score_each


def evaluate_perplexity(
    model: LanguageModel,
    text: EncodedText,
    tokenizer: Tokenizer,
    run: str,
    context: Context = "document",
    world: World = ALONE,
    read: Reader = unproven,
    eos: EosPlace = "line",
) -> Report:
    """Score `text` and report its likelihood per token, word, character and byte.

    Perplexities per token are comparable only where the fingerprints are the same, bits per character and byte of one
    text always; of these there are none where the tokens do not say all of it (`EncodedText.unsaid`). `run` is what the
    report calls the model, `context` what each token is predicted from. The processes of a world share the work, but
    lines by themselves are read by each. `perplexity_low` and `perplexity_high` are the limits of the perplexity, had
    other lines been drawn, or where only these have an end, as `eos` says, documents. `read` may be a `Prover`.
    """
    started = time.monotonic()
    scorer = ModelScorer(model, tokenizer.start_id, run, context, world)
    of_tokens = read(scorer, text.tokens)[run].nats
    known = of_tokens[text.tokens != tokenizer.unk_id]
    nats, nats_without_unk = float(of_tokens.sum()), float(known.sum())
    n_tokens, n_tokens_without_unk = text.n_tokens, len(known)
    lines = text.split_lines(of_tokens, tokenizer.start_id)
    low, high = ratio_interval(np.array([line.sum() for line in lines]), np.array(list(map(len, lines))))
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
            "bits_per_char": None if text.unsaid else bits_per(nats, text.n_chars),
            "bits_per_byte": None if text.unsaid else bits_per(nats, text.n_bytes),
            "precision": str(next(model.parameters()).dtype).removeprefix("torch."),
            "seconds": round(time.monotonic() - started, 3),
            "n_oov": text.n_oov,
            "unsaid": text.unsaid,
            "n_tokens_without_unk": n_tokens_without_unk,
            "nats_without_unk": nats_without_unk,
            "perplexity_without_unk": perplexity(nats_without_unk, n_tokens_without_unk),
            "perplexity_low": perplexity(max(low, 0.0), 1),
            "perplexity_high": perplexity(high, 1),
            "resampled": what_is_resampled(eos),
            "n_resampled": len(lines),
            **fingerprint(text, tokenizer, context),
        },
        nats=of_tokens,
    )


@dataclass(frozen=True)
class ModelScorer:
    """A model whose weights stay as they are; `name` is what its figure is called."""

    model: LanguageModel
    start_id: int
    name: str
    context: Context = "document"
    world: World = ALONE

    def __call__(self, tokens: Tokens, positions: Positions) -> Mapping[str, Scored]:
        """Score every token; see `Scorer`. The features of all are in memory where positions are asked for."""
        if not len(positions):
            return {self.name: Scored(self._score(tokens, nats_of), without_positions(self.model.vocab_size))}
        # Not `nats_of`, whose float64 would double what the features take.
        found = self._score(tokens, with_features(lambda layer, features, targets: layer.nats(features, targets)))
        at_positions = distributions(self.model.output_layer, found[positions, 1:])
        return {self.name: Scored(found[:, 0].astype(np.float64), at_positions)}

    def _score(self, tokens: Tokens, measure: Measure) -> np.ndarray:
        if self.context == "document":
            return score(self.model, tokens, self.start_id, measure=measure, world=self.world)
        ends = np.flatnonzero(tokens == self.start_id) + 1
        lines = [line.tolist() for line in np.split(tokens, ends[ends < len(tokens)])]
        return np.concatenate(score_each(self.model, lines, self.start_id, measure=measure))
