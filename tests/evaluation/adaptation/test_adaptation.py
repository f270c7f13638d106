"""Methods on top of each other: each row is what its name says, and tuning chooses what predicts best."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from lstmlm.config.adaptation import METHODS, AdaptationOptions, CacheOptions, RMSOptions, methods_in_order
from lstmlm.config.data import WordTokenizerOptions
from lstmlm.config.model import ModelOptions
from lstmlm.corpus.encoded_text import EncodedText
from lstmlm.corpus.tokenizers import train_tokenizer
from lstmlm.errors import ConfigError, DivergenceError
from lstmlm.evaluation.adaptation import adaptation
from lstmlm.evaluation.adaptation.adaptation import Adaptation
from lstmlm.evaluation.adaptation.dynamic import measure_gradient_rms, score_dynamically
from lstmlm.models.language_model import LanguageModel, build_language_model
from lstmlm.models.ngram import NgramModel
from lstmlm.scoring import score

TOKENIZER = train_tokenizer(WordTokenizerOptions(), ["a b c d e f g h i\n"])
VOCAB, START = TOKENIZER.vocab_size, TOKENIZER.start_id
OPTIONS = AdaptationOptions(
    dynamic=RMSOptions(learning_rate=0.01, window=4),
    temperature=0.8,
    cache=CacheOptions(size=20, theta=0.5, weight=0.3),
)


def model() -> LanguageModel:
    options = {"backbone": {"name": "lstm", "hidden_size": 8}, "embedding_size": 8}
    built = build_language_model(ModelOptions.model_validate(options), VOCAB, seed=1).double()
    with torch.no_grad():
        built.embedding.weight.mul_(10)
    return built


def tokens(n_tokens: int = 120) -> np.ndarray:
    """Return a text with a habit: a phrase that comes back between other tokens."""
    random = np.random.default_rng(0).integers(VOCAB, size=(n_tokens // 10, 10))
    random[:, :5] = [3, 1, 4, 1, 5]
    return random.flatten().astype(np.int32)


def text() -> EncodedText:
    return EncodedText("text.txt", None, tokens(), 30, np.array([90]), np.array([91]), 2, 0, "")


def adaptation_of(methods: Sequence[str], trained: LanguageModel | None = None) -> Adaptation:
    trained = trained or model()
    ngrams = NgramModel.estimate(tokens(), VOCAB, START, 3) if "ngram" in methods else None
    return Adaptation(trained, TOKENIZER, methods, measure_gradient_rms(trained, tokens(), START, 4), ngrams)


def nats_of(asked: Any, options: Any) -> Any:
    return {name: scored.nats for name, scored in asked.scored(tokens(), (), options).items()}


def test_each_row_adds_a_method_to_those_before_it() -> None:
    found = nats_of(adaptation_of(METHODS), OPTIONS)
    assert list(found) == ["static", *(" + ".join(METHODS[:n_methods]) for n_methods in range(1, 5))]
    assert len({float(nats.sum()) for nats in found.values()}) == 5


def test_static_and_dynamic_are_the_scorers_own() -> None:
    asked = adaptation_of(["dynamic"])
    found = nats_of(asked, OPTIONS)
    np.testing.assert_allclose(found["static"], score(asked.model, tokens(), START), rtol=0, atol=1e-12)
    wanted = score_dynamically(asked.model, tokens(), START, OPTIONS.dynamic, asked.gradient_rms)
    np.testing.assert_array_equal(found["dynamic"], wanted)


def test_temperature_alone_by_hand() -> None:
    asked = adaptation_of(["temperature"])
    features, _ = asked.model(torch.tensor([START, *tokens()[:-1].tolist()])[:, None], asked.model.initial_state(1))
    powers = asked.model.output_layer.log_probabilities(features).exp()[:, 0] ** (1 / 0.8)
    wanted = (powers / powers.sum(1, keepdim=True))[torch.arange(120), tokens().tolist()]
    np.testing.assert_allclose(np.exp(-nats_of(asked, OPTIONS)["temperature"]), wanted.detach(), rtol=1e-10)


def test_cache_alone_by_hand() -> None:
    asked = adaptation_of(["cache"])
    found = nats_of(asked, OPTIONS)
    features, _ = asked.model(torch.tensor([START, *tokens()[:-1].tolist()])[:, None], asked.model.initial_state(1))
    h, x = features[:, 0].detach(), tokens().tolist()
    for position in (1, 7, 60):
        past = range(max(0, position - 20), position)
        similar = np.exp([0.5 * float(h[position] @ h[i]) for i in past])
        of_cache = similar[[x[i] == x[position] for i in past]].sum() / similar.sum()
        of_model = np.exp(-found["static"][position])
        assert np.exp(-found["cache"][position]) == pytest.approx(0.7 * of_model + 0.3 * of_cache, rel=1e-10)


def test_ngrams_alone_by_hand() -> None:
    asked = adaptation_of(["ngram"])
    found = nats_of(asked, OPTIONS)
    assert asked.ngrams is not None
    wanted = 0.8 * np.exp(-found["static"]) + 0.2 * np.exp(-asked.ngrams.nats(tokens()))
    np.testing.assert_allclose(np.exp(-found["ngram"]), wanted, rtol=1e-10)


def test_before_the_cache_holds_anything_the_model_alone_predicts() -> None:
    found = nats_of(adaptation_of(["cache"]), OPTIONS)
    assert found["cache"][0] == found["static"][0]


def test_the_cache_reads_the_features_of_the_model_that_learns() -> None:
    static, dynamic = (nats_of(adaptation_of(methods), OPTIONS) for methods in (["cache"], ["dynamic", "cache"]))
    mixed, alone = np.exp(-dynamic["dynamic + cache"]), np.exp(-dynamic["dynamic"])
    of_cache = (mixed - 0.7 * alone) / 0.3
    of_static_cache = (np.exp(-static["cache"]) - 0.7 * np.exp(-static["static"])) / 0.3
    assert np.abs(of_cache - of_static_cache).max() > 1e-3


@pytest.mark.parametrize("method", METHODS)
def test_tuning_predicts_the_text_better_than_it_was(method: str) -> None:
    asked = adaptation_of([method])
    before, after = (nats_of(asked, options)[method].sum() for options in (OPTIONS, tuned(asked)))
    assert after < before * (1 - 1e-4)


def tuned(asked: Adaptation) -> AdaptationOptions:
    return asked.tuned(tokens(), OPTIONS)


def test_only_the_methods_in_use_are_tuned() -> None:
    found = tuned(adaptation_of(["cache"]))
    assert (found.dynamic, found.temperature) == (OPTIONS.dynamic, OPTIONS.temperature)
    assert found.cache != OPTIONS.cache


def test_tuned_values_are_such_as_can_be_given() -> None:
    found = tuned(adaptation_of(METHODS))
    assert AdaptationOptions.model_validate(found.model_dump()) == found
    assert found.dynamic.window == 4
    widest = OPTIONS.model_copy(update={"cache": CacheOptions(size=1_000_000, theta=1e6)})
    assert adaptation_of(["cache"]).tuned(tokens(), widest).cache.size <= 1_000_000


def test_the_temperature_is_the_best_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adaptation, "TEMPERATURES", (0.5, 1.0, 2.0))
    asked = adaptation_of(["temperature"])
    sums = {
        temperature: nats_of(asked, AdaptationOptions(temperature=temperature))["temperature"].sum()
        for temperature in (0.5, 1.0, 2.0)
    }
    assert tuned(asked).temperature == min(sums, key=sums.__getitem__)


def test_dynamic_evaluation_is_tuned_on_a_prefix(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(adaptation, "PREFIX_TOKENS", 30)
    with caplog.at_level("INFO", "lstmlm"):
        tuned(adaptation_of(["dynamic"]))
    assert caplog.messages[0].startswith("learning_rate 0.01, decay 0.001: perplexity ")
    assert all(message.endswith("on 30 tokens") for message in caplog.messages)


def test_the_report_says_what_was_measured_and_with_what() -> None:
    asked = adaptation_of(["dynamic", "cache"])
    report = asked.report(text(), OPTIONS, "runs/x", tuned_on="valid.txt")
    values = json.loads(report.to_json())
    assert (values["run"], values["text"], values["tuned_on"], values["n_tokens"]) == (
        *("runs/x", "text.txt", "valid.txt", 120),
    )
    assert (values["dynamic.name"], values["dynamic.learning_rate"], values["cache.size"]) == ("rms", 0.01, 20)
    assert "temperature" not in values
    static, *_, together = values["rows"]
    assert (static["method"], static["ratio_to_static"]) == ("static", 1)
    assert together["method"] == "dynamic + cache"
    assert together["perplexity"] == pytest.approx(np.exp(together["nats"] / 120), rel=1e-12)
    assert together["ratio_to_static"] == pytest.approx(together["perplexity"] / static["perplexity"], rel=1e-12)


def test_it_repeats_and_leaves_the_model_as_it_was() -> None:
    trained = model()
    before = {name: weight.clone() for name, weight in trained.state_dict().items()}
    first, second = (
        asked.report(text(), asked.tuned(tokens(), OPTIONS), "runs/x", None).rows
        for asked in (adaptation_of(METHODS, trained), adaptation_of(METHODS, trained))
    )
    assert first == second
    assert all(torch.equal(before[name], weight) for name, weight in trained.state_dict().items())
    assert all(weight.grad is None and weight.requires_grad for weight in trained.parameters())


def test_a_learning_rate_that_diverges_is_an_error() -> None:
    beyond_bounds = RMSOptions.model_construct(learning_rate=1e200, window=4)
    options: Any = AdaptationOptions(dynamic=beyond_bounds)
    with pytest.raises(DivergenceError) as error:
        adaptation_of(["dynamic"]).report(text(), options, "runs/x", None)
    assert str(error.value) == "dynamic.learning_rate: 1e+200 makes the loss nan. Lower it."


def test_methods_have_one_order() -> None:
    assert methods_in_order(["cache", "dynamic", "cache"]) == ["dynamic", "cache"]
    with pytest.raises(ConfigError) as error:
        methods_in_order(["dynamc"])
    assert str(error.value) == (
        "METHOD: unknown method 'dynamc'. Did you mean 'dynamic'? Choose one of: dynamic, temperature, cache, ngram."
    )
