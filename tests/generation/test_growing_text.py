"""A text that grows is what it is as a whole, and each of its tokens is read once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lstmlm.config.data import (
    BPETokenizerOptions,
    ByteTokenizerOptions,
    CharTokenizerOptions,
    FileTokenizerOptions,
    WordTokenizerOptions,
)
from lstmlm.config.model import ModelOptions
from lstmlm.corpus.tokenizers import TOKENIZERS, Tokenizer
from lstmlm.errors import DataError
from lstmlm.generation.growing_text import GrowingText
from lstmlm.models.language_model import LanguageModel, build_language_model

TEXT = "The cat sat on the mat. It was happy, wasn't it?\n\nThen  the dog\tcame ; 🍎 apples\nand more "

FOREIGN = Path(__file__).parent.parent / "corpus" / "tokenizers" / "foreign"

OPTIONS: list[Any] = [
    WordTokenizerOptions(name="word"),
    WordTokenizerOptions(name="word", split="punctuation"),
    CharTokenizerOptions(name="char"),
    ByteTokenizerOptions(name="byte"),
    BPETokenizerOptions(name="bpe", vocab_size=290),
    *(FileTokenizerOptions(path=str(FOREIGN / name)) for name in ("byte_level.json", "unigram.model")),
]


@pytest.fixture(
    params=OPTIONS,
    ids=lambda options: f"{options.name}-{getattr(options, 'split', '')}{Path(getattr(options, 'path', '')).name}",
)
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return TOKENIZERS[type(request.param)].train(request.param, [TEXT * 3])


class Counting:
    """A model that counts the steps it takes."""

    def __init__(self, vocab_size: int) -> None:
        options = ModelOptions.model_validate(
            {"backbone": {"name": "lstm", "n_layers": 1, "hidden_size": 8}, "embedding_size": 8}
        )
        self.model: LanguageModel = build_language_model(options, vocab_size, seed=1)
        self.n_steps = 0
        self.model.register_forward_pre_hook(self._count)

    def _count(self, _: Any, arguments: tuple[Any, ...]) -> None:
        self.n_steps += len(arguments[0])


def whole(model: LanguageModel, tokenizer: Tokenizer, text: str) -> GrowingText:
    found = GrowingText(model, tokenizer)
    found.feed(text)
    return found


def assert_same(one: GrowingText, other: GrowingText) -> None:
    assert (one.read.last_id, one.unread) == (other.read.last_id, other.unread)
    np.testing.assert_allclose(one.read.log_probabilities, other.read.log_probabilities, rtol=0, atol=1e-5)


@pytest.mark.parametrize("n_chars", [1, 2, 5, 17])
def test_parts_are_read_as_the_whole(tokenizer: Tokenizer, n_chars: int) -> None:
    model = Counting(tokenizer.vocab_size).model
    growing = GrowingText(model, tokenizer)
    for start in range(0, len(TEXT), n_chars):
        growing.feed(TEXT[start : start + n_chars])
        assert_same(growing, whole(model, tokenizer, TEXT[: start + n_chars]))


def test_the_whole_is_read_as_a_prompt(tokenizer: Tokenizer) -> None:
    model = Counting(tokenizer.vocab_size).model
    ids = torch.tensor([tokenizer.start_id, *tokenizer.encode_prompt(TEXT.rstrip(" "))])
    features, _ = model(ids[:, None], model.initial_state(1))
    wanted = model.output_layer.log_probabilities(features[-1])[0].detach()
    found = whole(model, tokenizer, TEXT)
    assert found.read.last_id == ids[-1]
    np.testing.assert_allclose(found.read.log_probabilities, wanted, rtol=0, atol=1e-5)


def test_another_word_costs_its_tokens_however_long_the_text_is(tokenizer: Tokenizer) -> None:
    counting = Counting(tokenizer.vocab_size)
    n_tokens = len(tokenizer.encode_prompt(" cat"))
    for n_words in (1, 10, 1000):
        growing = whole(counting.model, tokenizer, "The" + " cat" * n_words)
        counting.n_steps = 0
        growing.feed(" cat")
        assert counting.n_steps == n_tokens
        counting.n_steps = 0
        growing.feed("")
        growing.feed(" ")
        assert counting.n_steps == 0


def test_a_text_is_read_once(tokenizer: Tokenizer) -> None:
    counting = Counting(tokenizer.vocab_size)
    growing = GrowingText(counting.model, tokenizer)
    words = ["The", " cat", " sat", " on", " the", " mat"]
    for word in words:
        growing.feed(word)
    assert counting.n_steps == 1 + len(tokenizer.encode_prompt("".join(words)))


def test_half_a_character_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(DataError, match="not UTF-8"):
        whole(Counting(tokenizer.vocab_size).model, tokenizer, "The \udc80")


def test_a_copy_goes_on_by_itself(tokenizer: Tokenizer) -> None:
    counting = Counting(tokenizer.vocab_size)
    original = whole(counting.model, tokenizer, "The cat s")
    counting.n_steps = 0
    copied = original.copy()
    assert counting.n_steps == 0
    copied.feed("at on")
    original.feed("aw the")
    assert_same(copied, whole(counting.model, tokenizer, "The cat sat on"))
    assert_same(original, whole(counting.model, tokenizer, "The cat saw the"))
