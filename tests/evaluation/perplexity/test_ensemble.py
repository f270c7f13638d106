"""Ensembles: the mean of probabilities, token by token."""

import numpy as np
import pytest

from lstmlm.config.data import WordTokenizerOptions
from lstmlm.config.model import ModelOptions
from lstmlm.corpus.encoded_text import EncodedText
from lstmlm.corpus.tokenizers import train_tokenizer
from lstmlm.errors import ConfigError
from lstmlm.evaluation.perplexity.ensemble import evaluate_ensemble
from lstmlm.models.language_model import LanguageModel, build_language_model
from lstmlm.scoring import score

TOKENIZER = train_tokenizer(WordTokenizerOptions(), ["a b c d e\n"])
TOKENS = np.arange(50, dtype=np.int32) % TOKENIZER.vocab_size
TEXT = EncodedText("text.txt", None, TOKENS, 30, np.array([90]), np.array([91]), 2, 0, "")


def model(seed: int) -> LanguageModel:
    return build_language_model(ModelOptions(), TOKENIZER.vocab_size, seed).double()


def test_probabilities_are_averaged() -> None:
    models = {name: model(seed) for seed, name in enumerate(("runs/a", "runs/b", "runs/c"))}
    report = evaluate_ensemble(models, TEXT, TOKENIZER)
    probabilities = [np.exp(-score(asked, TOKENS, TOKENIZER.start_id)) for asked in models.values()]
    wanted = -np.log(np.mean(probabilities, axis=0)).sum()
    assert [row["model"] for row in report.rows] == ["runs/a", "runs/b", "runs/c", "ensemble"]
    found = [row["nats"] for row in report.rows]
    np.testing.assert_allclose(found, [*(-np.log(p).sum() for p in probabilities), wanted], rtol=1e-12)
    assert (report.values["n_models"], report.values["n_tokens"]) == (3, 50)


def test_a_run_that_is_called_like_all_together_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        evaluate_ensemble({"a": model(1), "ensemble": model(2)}, TEXT, TOKENIZER)
    assert str(caught.value) == (
        "ensemble: is what another row of the table is called. Give the run or model another name."
    )


def test_a_model_beside_itself_is_itself() -> None:
    alone, again, together = evaluate_ensemble({"a": model(1), "b": model(1)}, TEXT, TOKENIZER).rows
    assert alone["nats"] == again["nats"]
    np.testing.assert_allclose(together["perplexity"], alone["perplexity"], rtol=1e-12)
