"""A sample says what its model has read, and ends before the first stop text, of which nothing is let through."""

from itertools import product
from pathlib import Path

import pytest

from lstmlm.config.data import BPETokenizerOptions, FileTokenizerOptions
from lstmlm.config.model import LSTMOptions, ModelOptions
from lstmlm.corpus.tokenizers import Tokenizer, train_tokenizer
from lstmlm.generation.options import SamplingOptions
from lstmlm.generation.texts import Continuation, StopBefore, continue_prompt
from lstmlm.models.language_model import build_language_model

TEXT = "on the cat the hat the mat 東 本 来\n" * 20


@pytest.fixture(params=["bpe", "file"])
def tokenizer(request: pytest.FixtureRequest, tmp_path: Path) -> Tokenizer:
    learnt = train_tokenizer(BPETokenizerOptions(vocab_size=262), [TEXT])
    if request.param == "bpe":
        return learnt
    (tmp_path / "tokenizer.json").write_text(learnt.to_json(), "utf-8")
    return train_tokenizer(FileTokenizerOptions(path=str(tmp_path / "tokenizer.json")), [])


@pytest.mark.parametrize("prompt", ["the 東 ", "the 東  "])
def test_a_blank_at_the_end_of_a_prompt_belongs_to_the_first_token(tokenizer: Tokenizer, prompt: str) -> None:
    model = build_language_model(
        ModelOptions(backbone=LSTMOptions(hidden_size=8), embedding_size=8), tokenizer.vocab_size, seed=1
    )
    for options in (SamplingOptions(max_tokens=3), SamplingOptions(max_tokens=3, temperature=0, min_p=0.1)):
        *_, together = continue_prompt(model, tokenizer, prompt, options, range(9))
        assert [" " + sample.text for sample in together] == [tokenizer.decode(each.token_ids) for each in together]
        for sample in together:
            *_, [alone] = continue_prompt(model, tokenizer, prompt, options, [sample.seed])
            assert alone.token_ids == sample.token_ids


def test_a_blank_is_given_once_where_the_first_token_ends_within_a_character(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode_prompt(" 東")
    assert tokenizer.content(ids[0]).startswith(b" \xe6") and len(ids) > 1
    continuation = Continuation(tokenizer, "the 東 ")
    assert continuation.opening == "the 東" and ids[0] in (continuation.next_ids or [])
    assert "".join(map(continuation.feed, ids)) == "東"
    assert continuation.next_ids is None


def told(pieces: list[str], stops: list[str]) -> list[str]:
    end = StopBefore(stops)
    return [*(end.feed(piece) for piece in pieces), end.flush()]


@pytest.mark.parametrize(
    ("pieces", "stops", "expected"),
    [
        (["a", "b"], [], ["a", "b", ""]),
        (["a", "Q", ":", "b"], ["Q:"], ["a", "", "", "", ""]),
        (["a", "Q", "x", "b"], ["Q:"], ["a", "", "Qx", "b", ""]),
        (["a", "Q"], ["Q:"], ["a", "", "Q"]),
        (["one. two. three"], [". th", "."], ["one", ""]),
        (["a", "aab"], ["aab"], ["", "a", ""]),
    ],
)
def test_pieces(pieces: list[str], stops: list[str], expected: list[str]) -> None:
    assert told(pieces, stops) == expected


def test_all_short_texts_end_where_the_whole_text_says() -> None:
    stops = ["aba", "bb"]
    for letters in product("ab", repeat=6):
        text = "".join(letters)
        ends = [place for place in map(text.find, stops) if place >= 0]
        assert "".join(told(list(letters), stops)) == text[: min(ends, default=len(text))]
