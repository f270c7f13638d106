"""A network that is mixed with n-grams, as a whole run: tables in a file of its own that checkpoints vouch for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lstmlm import workflows
from lstmlm.checkpoint.run_directory import NGRAMS
from lstmlm.config.adaptation import AdaptationOptions
from lstmlm.errors import CheckpointError, ConfigError
from lstmlm.evaluation.adaptation.adaptation import Adaptation
from lstmlm.export.torch_weights import export_torch
from lstmlm.generation.growing_text import GrowingText
from lstmlm.generation.next_word import find_next_words
from lstmlm.generation.options import SamplingOptions
from lstmlm.models.ngram import NgramModel
from lstmlm.scoring import score

AddRun = Callable[[Any, Path], None]


@pytest.fixture
def run_dir(make_config: Any, add_run: AddRun, tmp_path: Path) -> Path:
    add_run(make_config(model__ngram_order=3), tmp_path / "run")
    return tmp_path / "run"


def test_everything_that_is_asked_of_a_run_is_asked_of_the_mixture(run_dir: Path) -> None:
    trained = workflows.load(run_dir)
    tokenizer, model = trained.tokenizer, trained.model
    text = trained.encode_split("valid")
    assert model.ngrams is not None
    ngrams = NgramModel.estimate(
        trained.encode_split("train").tokens, tokenizer.vocab_size, tokenizer.start_id, order=3
    )
    contexts = model.ngrams.contexts(torch.from_numpy(text.tokens[:-1].astype(np.int64))[:, None], *_start(trained))
    found = model.ngrams.probability(
        contexts, torch.from_numpy(text.tokens[1:].astype(np.int64))[:, None], left_out=False
    )
    np.testing.assert_allclose(-np.log(found[:, 0].numpy()), ngrams.nats(text.tokens)[1:], rtol=1e-5)

    # Next words are those of the scorer: read in one piece or in several, alone or in a text.
    prompt = text.tokens[:9].tolist()
    words = find_next_words(model, tokenizer, tokenizer.decode(prompt), 5).words
    growing = GrowingText(model, tokenizer)
    for token in prompt:
        growing.feed(f"{tokenizer.decode([token])} ")
    for word in words:
        [token] = tokenizer.encode_prompt(word.word) if word.word != "<eos>" else [tokenizer.start_id]
        [*_, nats] = score(model, np.array([*prompt, token]), tokenizer.start_id)
        assert word.probability == pytest.approx(np.exp(-nats), rel=1e-4)
        assert growing.read.log_probabilities[token].exp().item() == pytest.approx(word.probability, rel=1e-4)
    options = SamplingOptions(max_tokens=8)
    both = list(workflows.generate_texts(trained, "the", options, [1, 2]))
    alone = list(workflows.generate_texts(trained, "the", options, [2]))
    assert both[-1][1].text == alone[-1][0].text


def _start(trained: workflows.TrainedModel) -> list[Any]:
    """The state after the token that ends the line before the text."""
    model, start = trained.model, torch.tensor([[trained.tokenizer.start_id]])
    return [model(start, model.initial_state(1))[1][-1]]


def test_adapts_like_any_model(run_dir: Path) -> None:
    trained = workflows.load(run_dir)
    tokens = trained.encode_split("valid").tokens[:120]
    for methods in (["cache"], ["temperature"], ["dynamic"]):
        options = AdaptationOptions.model_validate({"dynamic": {"name": "sgd", "learning_rate": 0.1}})
        found = Adaptation(trained.model, trained.tokenizer, methods).scored(tokens, [5], options)
        np.testing.assert_allclose(found["static"].nats, score(trained.model, tokens, trained.tokenizer.start_id))
        for scored in found.values():
            assert np.exp(scored.log_probabilities).sum() == pytest.approx(1, abs=1e-5)
            assert -scored.log_probabilities[0, tokens[5]] == pytest.approx(scored.nats[5], abs=1e-4)


@pytest.mark.parametrize("damage", ["is damaged", "is missing"])
def test_damaged_ngrams_are_refused(run_dir: Path, make_config: Any, damage: str) -> None:
    path = run_dir / NGRAMS
    content = path.read_bytes()
    path.write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
    if damage == "is missing":
        path.unlink()
    for read in (workflows.load, lambda where: workflows.train(make_config(model__ngram_order=3), where, resume=True)):
        with pytest.raises(CheckpointError, match=f"^{path}: {damage}.*Restore it from a copy"):
            read(run_dir)


def test_an_order_beyond_the_text_is_refused_before_training(make_config: Any, tmp_path: Path) -> None:
    """A line makes n-grams of as many tokens as it has, `<eos>` among them, and the one before it."""
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("a b c a\nb a c b\n" * 40)
    config = make_config(data__corpus=str(corpus), data__batch_size=2, model__ngram_order=7)
    with pytest.raises(ConfigError, match=r"model.ngram_order: 7 is beyond .* n-grams of 6 tokens. Lower it"):
        workflows.train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    workflows.train(
        config.model_copy(update={"model": config.model.model_copy(update={"ngram_order": 6})}), tmp_path / "run"
    )


def test_no_layer_of_torch_holds_ngrams(run_dir: Path, tmp_path: Path) -> None:
    trained = workflows.load(run_dir)
    with pytest.raises(ConfigError, match=r"decoder: .*model.ngram_order is 3, .*lstmlm export huggingface DIR$"):
        export_torch(trained.run, trained.model, trained.tokenizer, tmp_path / "exported")
    assert not (tmp_path / "exported").exists()
