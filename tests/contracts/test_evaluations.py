"""What every evaluation must do: a report that is JSON, numbers that repeat, a model left as it was."""

import json
from typing import Any

import numpy as np
import pytest
import torch

from lstmlm.config.data import WordTokenizerOptions
from lstmlm.corpus.encoded_text import EncodedText
from lstmlm.corpus.tokenizers import train_tokenizer
from lstmlm.evaluation.perplexity import EVALUATIONS

TOKENIZER = train_tokenizer(WordTokenizerOptions(), ["a b c d e f g\n"])

every_evaluation = pytest.mark.parametrize("evaluate", EVALUATIONS.values(), ids=EVALUATIONS)


def model() -> Any:
    from lstmlm.config.model import ModelOptions
    from lstmlm.models.language_model import build_language_model

    options = {"backbone": {"name": "lstm", "hidden_size": 6}, "embedding_size": 6, "dropout": {"output": 0.5}}
    return build_language_model(ModelOptions.model_validate(options), 9, 1)


def text(n_words: int = 30) -> EncodedText:
    tokens = np.random.default_rng(0).integers(9, size=40).astype(np.int32)
    n_unk = int((tokens == TOKENIZER.unk_id).sum())
    return EncodedText("text.txt", None, tokens, n_words, np.array([40, 50]), np.array([40, 51]), n_unk, 0, "")


@every_evaluation
def test_reports_json_and_repeats(evaluate: Any) -> None:
    asked = model()
    first, second = (json.loads(evaluate(asked, text(), TOKENIZER, "runs/x").to_json()) for _ in range(2))
    assert {**first, "seconds": 0} == {**second, "seconds": 0}
    assert (first["run"], first["text"], first["n_tokens"]) == ("runs/x", "text.txt", 40)


@every_evaluation
def test_leaves_the_model_as_it_was(evaluate: Any) -> None:
    asked = model()
    before = {name: weight.clone() for name, weight in asked.state_dict().items()}
    evaluate(asked, text(), TOKENIZER, "runs/x")
    assert all(torch.equal(before[name], weight) for name, weight in asked.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in asked.parameters())


def test_a_text_without_words_has_no_perplexity_per_word() -> None:
    report = EVALUATIONS["perplexity"](model(), text(n_words=0), TOKENIZER, "runs/x")
    assert json.loads(report.to_json())["perplexity_per_word"] is None


def test_perplexity_by_hand() -> None:
    uniform = model()
    with torch.no_grad():
        uniform.embedding.weight.zero_()
    values = EVALUATIONS["perplexity"](uniform, text(), TOKENIZER, "runs/x").values
    assert values["perplexity"] == pytest.approx(9, rel=1e-6)
    assert values["nats"] == pytest.approx(40 * np.log(9), rel=1e-6)
    assert values["perplexity_per_word"] == pytest.approx(9 ** (40 / 30), rel=1e-6)
    assert values["bits_per_byte"] == pytest.approx(40 * np.log2(9) / 91, rel=1e-6)
