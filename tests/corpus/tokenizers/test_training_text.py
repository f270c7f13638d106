"""What a tokenizer learns from: pieces that do not depend on blocks, an even sample, counts that are bounded."""

import logging
import random
from itertools import pairwise

import pytest

from lstmlm.config.data import BPETokenizerOptions, WordTokenizerOptions
from lstmlm.corpus.tokenizers import train_tokenizer, training_text
from lstmlm.corpus.tokenizers.training_text import pieces_of, sample

TEXT = "".join(f"{number} is a number\n" if number % 3 else f"{number}" * 40 for number in range(2000))


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_text, "PIECE_CHARS", 50)
    monkeypatch.setattr(training_text, "LONGEST_PIECE_CHARS", 90)


def cut_at_random(text: str, seed: int) -> list[str]:
    places = sorted(random.Random(seed).sample(range(1, len(text)), 300))
    return [text[start:stop] for start, stop in zip([0, *places], [*places, len(text)], strict=True)]


@pytest.mark.parametrize("seed", range(5))
def test_pieces_do_not_depend_on_blocks(seed: int) -> None:
    pieces = list(pieces_of([TEXT]))
    assert "".join(pieces) == TEXT
    assert max(map(len, pieces)) == 90
    assert list(pieces_of(cut_at_random(TEXT, seed))) == pieces
    assert list(pieces_of(TEXT)) == pieces


def test_pieces_end_between_words() -> None:
    pieces = list(pieces_of(["a bc def\n\ng  h" * 100]))
    assert all(before.endswith("\n") or (after[0] == " " and after[1] != " ") for before, after in pairwise(pieces))


def test_a_text_that_is_no_longer_is_its_own_sample() -> None:
    n_bytes = len(TEXT.encode())
    assert "".join(sample([TEXT], n_bytes)) == TEXT
    assert "".join(sample([TEXT], n_bytes - 1)) != TEXT
    assert sample([], 10) == []


@pytest.mark.parametrize("share", [1.5, 3, 10])
def test_a_sample_is_every_kth_piece_from_beginning_to_end(share: float) -> None:
    n_bytes = int(len(TEXT) / share)
    pieces, found = list(pieces_of([TEXT])), sample(cut_at_random(TEXT, 1), n_bytes)
    every = -(-len(pieces) // len(found))
    assert found == pieces[::every]
    assert every in (2, 4, 16)
    assert n_bytes / 2 - 1000 < sum(map(len, found)) <= n_bytes


def test_words_that_differ_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_text, "MAX_DISTINCT_BYTES", 3000)
    repeated, fresh = ["one and the same line of words\n"] * 4000, [f"{number:06}\n" for number in range(4000)]
    assert "".join(sample(repeated, 10**9)) == "".join(repeated)
    found = "".join(sample(fresh, 10**9)).split()
    assert 1500 <= len("".join(set(found))) <= 3000
    assert int(found[-1]) > 3500


def test_a_sample_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        sample([TEXT], len(TEXT) // 3)
    assert caplog.messages == ["the tokenizer is learnt from 0.0 MB, one part in 4 of the text"]


def test_bpe_learns_from_the_sample_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    options = BPETokenizerOptions()
    whole = train_tokenizer(options, [TEXT])
    monkeypatch.setattr(training_text, "MAX_DISTINCT_BYTES", 2000)
    sampled = train_tokenizer(options, [TEXT])
    assert sampled.vocab_size < whole.vocab_size
    assert sampled.to_json() == train_tokenizer(options, cut_at_random(TEXT, 2)).to_json()


def test_many_types_are_warned_of(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(training_text, "MAX_TYPES", 4)
    tokenizer = train_tokenizer(WordTokenizerOptions(), ["a a a b b c d e\n"])
    assert [tokenizer.token(i) for i in range(tokenizer.vocab_size)] == ["<unk>", "<eos>", "a", "b"]
    assert caplog.messages == [
        "data.tokenizer: the text has more than 4 types; rare ones were dropped 3 times while counting, so that "
        "types seen 1 times or less may be missing and counts be that much too low."
    ]
