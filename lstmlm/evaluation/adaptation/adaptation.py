"""Adaptation: what the text so far tells about the rest of it, method by method, beside the static figure.

The methods follow each other: dynamic evaluation changes the weights, the temperature the distribution that they give,
and the cache is mixed with it. Hyper-parameters are chosen in the same order, each method's given those before it, on
another text than the one that is measured.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lstmlm.config.adaptation import MOST, AdaptationOptions, AnyDynamicOptions, CacheOptions
from lstmlm.corpus.encoded_text import EncodedText
from lstmlm.corpus.tokenizers import Tokenizer
from lstmlm.errors import DivergenceError
from lstmlm.evaluation.adaptation.dynamic import score_dynamically
from lstmlm.evaluation.adaptation.neural_cache import cache_log_probabilities, cache_nats
from lstmlm.evaluation.adaptation.search import search
from lstmlm.evaluation.adaptation.temperature import normalizer, tempered_nats
from lstmlm.evaluation.fingerprint import fingerprint
from lstmlm.evaluation.interpolation import mixture_nats, mixture_weights
from lstmlm.evaluation.proof.checks import Reader, unproven
from lstmlm.evaluation.proof.scorer import (
    NgramScorer,
    Positions,
    Scored,
    Tokens,
    distributions,
    mixed,
    with_features,
    without_positions,
)
from lstmlm.evaluation.report import Report, Value, perplexity_rows
from lstmlm.metrics import perplexity
from lstmlm.models.language_model import LanguageModel
from lstmlm.models.ngram import NgramModel
from lstmlm.models.output_layers.output_layer import Features, OutputLayer, Targets
from lstmlm.scoring import score
from lstmlm.yaml.comparison import flat

TEMPERATURES = tuple(percent / 100 for percent in range(75, 130, 5))
"""What the temperature is chosen from."""

PREFIX_TOKENS = 10_000
"""A trial of dynamic evaluation is a pass over the text, so it is tuned on this much of its beginning."""

Nats = Float[np.ndarray, " tokens"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Reading:
    """What a model, static or learning, finds in a text."""

    tokens: Tokens
    nats: Nats
    tempered: Float[np.ndarray, "temperatures tokens"]
    """The nats at each temperature that was asked for."""
    features: Float[Tensor, "tokens hidden"]
    """From which each token was predicted."""
    log_probabilities: Float[np.ndarray, "positions vocab"]
    """Of the whole vocabulary at the positions that were asked for."""


@dataclass(frozen=True)
class Adaptation:
    """A trained model with the methods to use on it."""

    model: LanguageModel
    tokenizer: Tokenizer
    methods: Sequence[str]
    """Sections of `AdaptationOptions`, in their order."""
    gradient_rms: Sequence[Tensor] = ()
    """What `measure_gradient_rms` returned, for the RMS form of dynamic evaluation."""
    ngrams: NgramModel | None = None
    """What to mix with the rest, for `ngram`."""

    def scored(self, tokens: Tokens, positions: Positions, options: AdaptationOptions) -> dict[str, Scored]:
        """Score every token of a text: static, then with each method added to those before it; see `Scorer`."""
        found: dict[str, Scored] = {}
        if "dynamic" in self.methods:
            static = replace(self, methods=())
            found = static.scored(tokens, positions, options)
        reading = self._read(tokens, options.dynamic, [options.temperature], positions)
        now = Scored(reading.nats, reading.log_probabilities)
        found = found or {"static": now}
        for n_methods, method in enumerate(self.methods, start=1):
            if method == "temperature":
                now = Scored(reading.tempered[0], _tempered(now.log_probabilities, options.temperature))
            elif method == "cache":
                now = _mixed(now, _scored_by_cache(now, reading, positions, options.cache), options.cache.weight)
            elif self.ngrams is not None and method == "ngram":
                [of_ngrams] = NgramScorer(self.ngrams, self.model.vocab_size, method)(tokens, positions).values()
                now = _mixed(now, of_ngrams, options.ngram.weight)
            found[" + ".join(self.methods[:n_methods])] = now
        return found

    def report(
        self, text: EncodedText, options: AdaptationOptions, run: str, tuned_on: str | None, read: Reader = unproven
    ) -> Report:
        """Measure a text: a row for each step from the static figure to all methods together.

        `run` and `tuned_on` are what the report calls the model and the text that `options` were chosen on; None: they
        were given. `read` may be a `Prover`.

        Raises:
            DivergenceError: the model that learns unlearns everything.
        """
        started = time.monotonic()
        found = read(partial(self.scored, options=options), text.tokens)
        nats = {name: scored.nats for name, scored in found.items()}
        if "dynamic" in nats and not np.isfinite(nats["dynamic"]).all():
            rate = options.dynamic.learning_rate
            raise DivergenceError(f"dynamic.learning_rate: {rate:g} makes the loss {nats['dynamic'].sum()}. Lower it.")
        static = nats["static"].sum()
        rows = [
            {**row, "ratio_to_static": perplexity(of_tokens.sum() - static, text.n_tokens)}
            for row, of_tokens in zip(perplexity_rows("method", nats), nats.values(), strict=True)
        ]
        values: dict[str, Value] = {
            "run": run,
            "text": text.name,
            "split": text.split,
            "n_tokens": text.n_tokens,
            "tuned_on": tuned_on,
            **flat(options, include=set(self.methods)),
            "precision": str(self.model.embedding.weight.dtype).removeprefix("torch."),
            "seconds": round(time.monotonic() - started, 3),
            **fingerprint(text, self.tokenizer, "document"),
        }
        return Report(values, rows)

    def tuned(self, tokens: Tokens, options: AdaptationOptions) -> AdaptationOptions:
        """Return `options` with those hyper-parameters of the methods with which they predict a text best."""
        dynamic, temperature, cache, ngram = options.dynamic, options.temperature, options.cache, options.ngram
        if "dynamic" in self.methods:
            dynamic = self._tuned_dynamic(tokens[:PREFIX_TOKENS], dynamic)
        if set(self.methods) - {"dynamic"}:
            reading = self._read(tokens, dynamic, TEMPERATURES)
            nats = reading.nats
            if "temperature" in self.methods:
                best = int(reading.tempered.sum(axis=1).argmin())
                temperature, nats = TEMPERATURES[best], reading.tempered[best]
            if "cache" in self.methods:
                cache = _tuned_cache(nats, reading, cache)
                nats = _mixed_nats(nats, _cache_nats(nats, reading, cache), cache.weight)
            if self.ngrams is not None:
                weights = mixture_weights(np.stack([nats, self.ngrams.nats(tokens)]))
                ngram = ngram.model_copy(update={"weight": float(weights[1])})
        return AdaptationOptions(dynamic=dynamic, temperature=temperature, cache=cache, ngram=ngram)

    def _read(
        self, tokens: Tokens, dynamic: AnyDynamicOptions, temperatures: Sequence[float], positions: Positions = ()
    ) -> _Reading:
        """Read a text once; the temperatures count where they are among the methods."""
        asked = temperatures if "temperature" in self.methods else ()
        of_learner, n_read = [without_positions(self.model.vocab_size)], 0

        def measure(
            output_layer: OutputLayer, features: Features, targets: Targets
        ) -> Float[Tensor, "time batch measures"]:
            nats = output_layer.nats(features, targets).unsqueeze(-1)
            return torch.cat([nats, tempered_nats(output_layer, features, targets, asked)], dim=-1)

        def measure_in_order(
            output_layer: OutputLayer, features: Features, targets: Targets
        ) -> Float[Tensor, "time batch measures"]:
            nonlocal n_read
            here = [position - n_read for position in positions if 0 <= position - n_read < len(targets)]
            of_learner.append(distributions(output_layer, features[here, 0]))
            n_read += len(targets)
            return with_features(measure)(output_layer, features, targets)

        start_id = self.tokenizer.start_id
        if "dynamic" in self.methods:
            found = score_dynamically(
                self.model, tokens, start_id, dynamic, self.gradient_rms, measure=measure_in_order
            )
            log_probabilities = np.concatenate(of_learner)
        else:
            found = score(self.model, tokens, start_id, measure=with_features(measure))
            log_probabilities = distributions(self.model.output_layer, found[list(positions), 1 + len(asked) :])
        nats, features = np.split(found, [1 + len(asked)], axis=1)
        nats = nats.T.astype(np.float64)
        hidden = self.model.hidden_of(torch.from_numpy(features))
        return _Reading(tokens, nats[0], nats[1:], hidden, log_probabilities)

    def _tuned_dynamic(self, tokens: Tokens, options: AnyDynamicOptions) -> AnyDynamicOptions:
        def cost(values: Mapping[str, float]) -> float:
            tried = options.model_copy(update=values)
            nats = score_dynamically(self.model, tokens, self.tokenizer.start_id, tried, self.gradient_rms).sum()
            words = ", ".join(f"{name} {value:g}" for name, value in values.items())
            logger.info("%s: perplexity %.2f on %d tokens", words, perplexity(nats, len(tokens)), len(tokens))
            return float(nats)

        start = {"learning_rate": options.learning_rate, "decay": options.decay}
        return options.model_copy(update=search(cost, start, {"learning_rate": 2, "decay": 4}))


def _tuned_cache(nats: Nats, reading: _Reading, options: CacheOptions) -> CacheOptions:
    """Return the cache that helps most beside a model's `nats`. Nothing is read again for it."""

    def best_weight(values: Mapping[str, float]) -> tuple[CacheOptions, float]:
        tried = CacheOptions(size=min(max(1, round(values["size"])), MOST), theta=min(values["theta"], MOST))
        of_cache = _cache_nats(nats, reading, tried)
        weight = float(mixture_weights(np.stack([nats, of_cache]))[1])
        return tried.model_copy(update={"weight": weight}), float(_mixed_nats(nats, of_cache, weight).sum())

    start = {"size": options.size, "theta": options.theta}
    found = search(lambda values: best_weight(values)[1], start, {"size": 2, "theta": 1.5})
    return best_weight(found)[0]


def _cache_nats(nats: Nats, reading: _Reading, options: CacheOptions) -> Nats:
    tokens = torch.from_numpy(reading.tokens.astype(np.int64))
    of_cache = cache_nats(reading.features, tokens, options.size, options.theta)
    of_cache[0] = nats[0]  # nothing is in the cache yet: the model alone predicts
    return of_cache


def _scored_by_cache(scored: Scored, reading: _Reading, positions: Positions, options: CacheOptions) -> Scored:
    tokens, vocab_size = torch.from_numpy(reading.tokens.astype(np.int64)), scored.log_probabilities.shape[1]
    rows = [
        cache_log_probabilities(reading.features, tokens, options.size, options.theta, position, vocab_size)
        if position
        else scored.log_probabilities[index]
        for index, position in enumerate(positions)
    ]
    return Scored(_cache_nats(scored.nats, reading, options), np.reshape(rows, (-1, vocab_size)))


def _tempered(log_probabilities: Float[np.ndarray, "positions vocab"], temperature: float) -> np.ndarray:
    tempered: np.ndarray = log_probabilities / temperature
    tempered -= normalizer(torch.from_numpy(log_probabilities), temperature).numpy()[:, None]
    return tempered


def _mixed(scored: Scored, other: Scored, weight_of_other: float) -> Scored:
    return mixed([scored, other], np.array([1 - weight_of_other, weight_of_other]))


def _mixed_nats(nats: Nats, of_other: Nats, weight_of_other: float) -> Nats:
    return mixture_nats(np.stack([nats, of_other]), np.array([1 - weight_of_other, weight_of_other]))
