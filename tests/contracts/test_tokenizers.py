"""What every tokenizer in TOKENIZERS keeps to."""

import hashlib
from itertools import pairwise
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import tokenizers as library
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lstmlm.config.data import AnyTokenizerOptions, FileTokenizerOptions, TokenizerOptions, WordTokenizerOptions
from lstmlm.corpus.reading.white_space import cut_before_spaces
from lstmlm.corpus.tokenizers import TOKENIZERS, Tokenizer, load_tokenizer, train_tokenizer
from lstmlm.corpus.tokenizers.tokenizer import CORE_CHARS
from lstmlm.corpus.tokenizers.words import WordTokenizer

TEXT = "The cat sat on the mat.\n\"Don't,\" said the café's owner; 3.5 €\n\nthe end\n"

FILE = FileTokenizerOptions(
    path=str(Path(__file__).parents[1] / "corpus" / "tokenizers" / "foreign" / "byte_level.json")
)

each_options = pytest.mark.parametrize(
    "options",
    [
        *(options() for options in TOKENIZERS if options is not FileTokenizerOptions),
        WordTokenizerOptions(split="punctuation"),
        FILE,
    ],
    ids=lambda options: f"{options.name}-{getattr(options, 'split', '')}",
)


@pytest.fixture
def tokenizer(options: TokenizerOptions) -> Tokenizer:
    return train_tokenizer(options, [TEXT])


def test_the_table_has_every_option_class_and_no_other() -> None:
    union = get_args(AnyTokenizerOptions)[0]
    assert set(TOKENIZERS) == set(get_args(union))


@each_options
def test_ids_are_below_the_vocabulary_size_and_tokens_distinct(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode(TEXT)
    assert ids.dtype == np.int32
    assert 0 <= ids.min() <= ids.max() < tokenizer.vocab_size
    assert len({tokenizer.token(i) for i in range(tokenizer.vocab_size)}) == tokenizer.vocab_size


@each_options
def test_decode_is_the_inverse_of_encode(tokenizer: Tokenizer, options: TokenizerOptions) -> None:
    decoded = tokenizer.decode(tokenizer.encode(TEXT))
    if not isinstance(options, WordTokenizerOptions):
        assert decoded == TEXT
    elif options.split == "whitespace":
        assert decoded.split("\n") == [" ".join(line.split()) for line in TEXT.split("\n")]
    assert tokenizer.decode(tokenizer.encode(decoded)) == decoded
    np.testing.assert_array_equal(tokenizer.encode(decoded), tokenizer.encode(TEXT))


@each_options
def test_nothing_of_the_training_text_is_unknown(tokenizer: Tokenizer) -> None:
    assert tokenizer.unknown_pieces(TEXT) == []
    assert tokenizer.unk_id not in tokenizer.encode(TEXT)


@each_options
def test_blocks_of_whole_lines_encode_as_the_whole_text_does(tokenizer: Tokenizer) -> None:
    blocks = TEXT.splitlines(keepends=True)
    np.testing.assert_array_equal(np.concatenate([tokenizer.encode(block) for block in blocks]), tokenizer.encode(TEXT))


@each_options
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(alphabet="ae\u0301€<unk>🐈.' \n\u00a0\u2028\x1c", max_size=80),
    places=st.lists(st.integers(0, 80), max_size=6),
)
@example(text="a <unk>  e  a\n\n  a", places=[3, 5, 8, 9, 14])
@example(text="e\u0301 'ae<unk>\u2028 a", places=[1, 3, 9])
def test_blocks_cut_anywhere_encode_as_the_whole_text_does(tokenizer: Tokenizer, text: str, places: list[int]) -> None:
    blocks = [text[start:stop] for start, stop in pairwise([0, *sorted(places), len(text)])]
    stretches = list(tokenizer.encode_blocks(blocks))
    assert "".join(stretch for stretch, _ in stretches) == text
    ids = [np.zeros(0, dtype=np.int32), *(ids for _, ids in stretches)]
    np.testing.assert_array_equal(np.concatenate(ids), tokenizer.encode(text))


@each_options
def test_a_long_text_is_encoded_in_parts_on_all_cores(tokenizer: Tokenizer) -> None:
    text = TEXT * (4 * CORE_CHARS // len(TEXT)) + "the  cat " * CORE_CHARS
    expected = library.Tokenizer.from_str(tokenizer.to_json()).encode(text).ids
    ends = [tokenizer.start_id] if isinstance(tokenizer, WordTokenizer) else []
    assert tokenizer.encode(text).tolist() == [*expected, *ends]


@each_options
def test_the_start_is_the_end_of_a_line(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("\n").tolist() == [tokenizer.start_id]
    assert tokenizer.decode([tokenizer.start_id]) == "\n"


@each_options
@pytest.mark.parametrize(
    "line", ["The cat sat on the mat.", "“Don't,” said the café's ☃ owner; 3.5", "the", "<unk> 🐈"]
)
def test_words_together_are_their_line(tokenizer: Tokenizer, line: str) -> None:
    ids = tokenizer.encode_pieces(cut_before_spaces(line)[:-1])
    assert len(ids) == len(line.split())
    assert [token_id for word in ids for token_id in word] == tokenizer.encode_prompt(line)


@each_options
@pytest.mark.parametrize("text", ["The cat\nsat on the ca", "“caf", "the ☃"])
def test_an_unfinished_text_is_its_ids_and_what_is_not_read_yet(tokenizer: Tokenizer, text: str) -> None:
    ids, unread = tokenizer.encode_unfinished(text)
    assert text.endswith(unread)
    assert ids + tokenizer.encode_prompt(unread) == tokenizer.encode_prompt(text)
    if tokenizer.delimiter_ids:
        assert unread.removeprefix(" ") == text.rsplit(maxsplit=1)[-1]
    else:
        assert len(tokenizer.encode_prompt(unread)) == 1


@each_options
def test_contents_are_the_text(tokenizer: Tokenizer) -> None:
    line = TEXT.splitlines()[1]
    contents = [tokenizer.content(token_id) for token_id in tokenizer.encode_prompt(line)]
    assert b"".join(contents).decode() == (line if tokenizer.delimiter_ids else line.replace(" ", ""))


@each_options
def test_delimiters_are_white_space(tokenizer: Tokenizer, options: TokenizerOptions) -> None:
    if isinstance(options, WordTokenizerOptions):
        assert tokenizer.delimiter_ids == []
    else:
        assert {" ", "\n"} <= {tokenizer.decode([token_id]) for token_id in tokenizer.delimiter_ids}
        assert all(tokenizer.decode([token_id])[0].isspace() for token_id in tokenizer.delimiter_ids)


@each_options
def test_a_prompt_is_the_beginning_of_its_text(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode_prompt(TEXT) == tokenizer.encode(TEXT).tolist()
    prompt = tokenizer.encode_prompt("The cat sat")
    assert prompt == tokenizer.encode(TEXT)[: len(prompt)].tolist()


@each_options
def test_json_round_trip(tokenizer: Tokenizer, options: TokenizerOptions) -> None:
    restored = load_tokenizer(options, tokenizer.to_json())
    assert restored.to_json() == tokenizer.to_json()
    assert restored.digest == tokenizer.digest == hashlib.sha256(tokenizer.to_json().encode()).hexdigest()
    assert (restored.vocab_size, restored.start_id, restored.unk_id) == (
        tokenizer.vocab_size,
        tokenizer.start_id,
        tokenizer.unk_id,
    )
    np.testing.assert_array_equal(restored.encode(TEXT), tokenizer.encode(TEXT))


@each_options
@pytest.mark.parametrize("text", [TEXT, "an unseen Ω\n", ""])
def test_the_library_alone_reads_the_json_and_gives_the_same_ids(tokenizer: Tokenizer, text: str) -> None:
    plain = library.Tokenizer.from_str(tokenizer.to_json())
    assert plain.encode(text).ids == tokenizer.encode(text).tolist()
    assert plain.get_vocab_size() == tokenizer.vocab_size


@each_options
def test_training_twice_gives_the_same_tokenizer(tokenizer: Tokenizer, options: TokenizerOptions) -> None:
    blocks = TEXT.splitlines(keepends=True)
    assert train_tokenizer(options, blocks).to_json() == tokenizer.to_json()


@each_options
def test_a_joiner_restores_what_a_person_wrote(tokenizer: Tokenizer) -> None:
    joiner = tokenizer.joiner()
    pieces = [joiner.feed(int(i)) for i in tokenizer.encode(TEXT)]
    assert "".join(pieces) + joiner.flush() == TEXT


@each_options
def test_a_joiner_goes_on_from_its_prompt(tokenizer: Tokenizer) -> None:
    prompt = "The cat sat"
    joiner = tokenizer.joiner(prompt)
    ids = tokenizer.encode(TEXT)[len(tokenizer.encode_prompt(prompt)) :]
    assert prompt + "".join(joiner.feed(int(i)) for i in ids) + joiner.flush() == TEXT
