"""One pass over a text: its counts are those of the whole text, wherever it is cut."""

import hashlib
from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstmlm.config.data import CharTokenizerOptions, WordTokenizerOptions
from lstmlm.corpus.encoded_text import EncodedText, TextEncoder, encode_text
from lstmlm.corpus.tokenizers import train_tokenizer
from lstmlm.errors import DataError

CHARS = train_tokenizer(CharTokenizerOptions(), ["a é€🐈\n"])
WORDS = train_tokenizer(WordTokenizerOptions(), ["a b <unk>\n"])

texts = st.text(alphabet="aé€🐈<unk> \n\u00a0", min_size=1, max_size=60)
places = st.lists(st.integers(0, 60), max_size=5)


def cut(text: str, at: list[int]) -> Iterator[str]:
    return (text[start:stop] for start, stop in pairwise([0, *sorted(at), len(text)]))


@given(text=texts, at=places)
def test_counts_do_not_depend_on_blocks(text: str, at: list[int]) -> None:
    encoded = encode_text("a text", cut(text, at), CHARS, "valid")
    lines = text.removesuffix("\n").split("\n") if text != "\n" else [""]
    lengths = [line + "\n" for line in lines[:-1]] + [lines[-1] + "\n" * text.endswith("\n")]
    assert encoded.line_chars.tolist() == [len(line) for line in lengths]
    assert encoded.line_bytes.tolist() == [len(line.encode()) for line in lengths]
    assert (encoded.n_words, encoded.n_lines) == (len(text.split()), len(lines))
    assert (encoded.n_chars, encoded.n_bytes) == (len(text), len(text.encode()))
    assert encoded.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert (encoded.name, encoded.split) == ("a text", "valid")


@given(text=st.text(alphabet="ab<unk> \n", min_size=1, max_size=60), at=places)
def test_an_unknown_word_is_told_from_a_written_unk(text: str, at: list[int]) -> None:
    encoded = encode_text("a text", cut(text, at), WORDS, None)
    words = text.split()
    assert encoded.n_unk == sum(word not in ("a", "b", "<eos>") for word in words)
    assert encoded.n_oov == encoded.n_unk - words.count("<unk>")


def test_positions_are_those_of_the_text_so_far() -> None:
    encoder = TextEncoder(CHARS)
    seen = [(encoder.n_chars, encoder.n_bytes, encoder.n_tokens) for _ in encoder.encode(iter(["aé", "€\n", "a"]))]
    assert seen == [(2, 3, 2), (4, 7, 4), (5, 8, 5), (5, 8, 5)]


def test_what_goes_wrong_while_reading_ahead_is_raised_in_its_place() -> None:
    def blocks() -> Iterator[str]:
        yield "a\n"
        raise DataError("no more")

    stretches = TextEncoder(CHARS).encode(blocks())
    assert len(next(stretches).tokens) == 2
    with pytest.raises(DataError, match="no more"):
        next(stretches)


def test_counts_of_tokens_that_are_known_are_not_counted_again() -> None:
    tokens = np.array([1, 1, 3], dtype=np.uint8)
    lengths = np.array([3])
    text = EncodedText("a", None, tokens, 3, lengths, lengths, 0, 0, "", np.array([7]))
    assert text.count_tokens(5).tolist() == [7]
    counted = EncodedText("a", None, tokens, 3, lengths, lengths, 0, 0, "")
    assert counted.count_tokens(5).tolist() == [0, 2, 0, 1, 0]


spaced = st.text(alphabet="ab, \n\t\u00a0\u3000\x1c", min_size=1, max_size=12) | st.just("a <eos> b\n")


@given(text=spaced, at=places, split=st.sampled_from(["whitespace", "punctuation"]))
def test_words_say_all_of_a_text_where_decoding_gives_it_back(
    text: str, at: list[int], split: Literal["whitespace", "punctuation"]
) -> None:
    known = train_tokenizer(WordTokenizerOptions(split=split), [text])
    encoded = encode_text("a text", cut(text, at), known, None)
    whole = text if text.endswith("\n") else text + "\n"
    assert encoded.restores_text == (known.decode(encoded.tokens) == whole)
