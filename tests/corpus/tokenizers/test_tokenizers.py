"""Word, character and byte tokenizers: ids, vocabularies and what becomes of unknown pieces, worked out by hand."""

import numpy as np
import pytest

from lstmlm.config.data import (
    BPETokenizerOptions,
    ByteTokenizerOptions,
    CharTokenizerOptions,
    TokenizerOptions,
    UnigramTokenizerOptions,
    WordTokenizerOptions,
)
from lstmlm.corpus.tokenizers import Tokenizer, load_tokenizer, train_tokenizer
from lstmlm.corpus.tokenizers.tokenizer import warnings_of_unknown
from lstmlm.errors import ConfigError, DataError

ADDED = (
    '{"id": 9, "content": "x", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, '
    '"special": true}'
)
PUNCTUATION = WordTokenizerOptions(split="punctuation")


def tokens_of(tokenizer: Tokenizer) -> list[str]:
    return [tokenizer.token(i) for i in range(tokenizer.vocab_size)]


def pieces(tokenizer: Tokenizer, text: str) -> list[str]:
    return [tokenizer.token(i) for i in tokenizer.encode(text).tolist()]


class TestVocabulary:
    def test_words_by_falling_count_then_by_text(self) -> None:
        tokenizer = train_tokenizer(WordTokenizerOptions(), ["b a b\n", "c b a d\n"])
        assert tokens_of(tokenizer) == ["<unk>", "<eos>", "b", "a", "c", "d"]

    def test_max_vocab_counts_special_tokens_too(self) -> None:
        tokenizer = train_tokenizer(WordTokenizerOptions(max_vocab=4), ["b a b c b a d\n"])
        assert tokens_of(tokenizer) == ["<unk>", "<eos>", "b", "a"]
        assert pieces(tokenizer, "a b c d") == ["a", "b", "<unk>", "<unk>", "<eos>"]

    def test_min_count(self) -> None:
        tokenizer = train_tokenizer(WordTokenizerOptions(min_count=2), ["b a b c\n", "b a d\n"])
        assert tokens_of(tokenizer) == ["<unk>", "<eos>", "b", "a"]

    def test_unk_and_eos_in_the_text_are_the_special_tokens(self) -> None:
        tokenizer = train_tokenizer(WordTokenizerOptions(), ["the <unk> of <unk> <eos>\n"])
        assert tokens_of(tokenizer) == ["<unk>", "<eos>", "of", "the"]
        assert tokenizer.encode("the <unk>\n").tolist() == [3, tokenizer.unk_id, tokenizer.start_id]

    def test_characters_with_the_newline_even_where_there_is_none(self) -> None:
        tokenizer = train_tokenizer(CharTokenizerOptions(), ["abb"])
        assert tokens_of(tokenizer) == ["<unk>", "\n", "b", "a"]

    def test_characters_up_to_max_vocab(self) -> None:
        tokenizer = train_tokenizer(CharTokenizerOptions(max_vocab=3), ["abb\n"])
        assert tokenizer.encode("ab\n").tolist() == [0, 2, 1]

    @pytest.mark.parametrize(
        ("options", "beside"),
        [
            (WordTokenizerOptions(max_vocab=2), "<unk> and <eos>"),
            (CharTokenizerOptions(max_vocab=2), "<unk> and newline"),
        ],
    )
    def test_a_vocabulary_without_room(self, options: WordTokenizerOptions | CharTokenizerOptions, beside: str) -> None:
        with pytest.raises(ConfigError) as caught:
            train_tokenizer(options, ["a b\n"])
        assert str(caught.value) == f"data.tokenizer.max_vocab: 2 leaves no room beside {beside}. Make it 3 or more."

    def test_the_order_of_blocks_does_not_matter(self) -> None:
        blocks = ["b a b\n", "c b a d\n"]
        one, other = train_tokenizer(PUNCTUATION, blocks), train_tokenizer(PUNCTUATION, reversed(blocks))
        assert one.digest == other.digest


class TestWords:
    def test_every_line_ends_with_eos(self) -> None:
        tokenizer = train_tokenizer(WordTokenizerOptions(), ["a b\n"])
        assert pieces(tokenizer, "a\n\n b  a \n") == ["a", "<eos>", "<eos>", "b", "a", "<eos>"]
        assert pieces(tokenizer, "a\nb") == ["a", "<eos>", "b", "<eos>"]
        assert pieces(tokenizer, "") == []

    def test_a_prompt_does_not_end_its_last_line(self) -> None:
        tokenizer = train_tokenizer(WordTokenizerOptions(), ["a b\n"])
        assert [tokenizer.token(i) for i in tokenizer.encode_prompt("a\nb")] == ["a", "<eos>", "b"]
        assert [tokenizer.token(i) for i in tokenizer.encode_prompt("b\n")] == ["b", "<eos>"]
        assert tokenizer.encode_prompt("") == []

    def test_only_newlines_are_line_ends(self) -> None:
        tokenizer = train_tokenizer(WordTokenizerOptions(), ["a b\n"])
        assert pieces(tokenizer, "a\x0cb\u2028a\x85b\n") == ["a", "b", "a", "b", "<eos>"]

    def test_decode_is_the_text_with_single_spaces(self) -> None:
        tokenizer = train_tokenizer(WordTokenizerOptions(), ["a b\n"])
        assert tokenizer.decode(tokenizer.encode("\n a  b\n\n\nb a")) == "\na b\n\n\nb a\n"
        assert tokenizer.decode(tokenizer.encode_prompt("a b")) == "a b"

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("Don't stop.", "Don't|stop|."),
            ("os.path is a well-known name", "os.path|is|a|well-known|name"),
            ("Python 3.11, or __init__", "Python|3.11|,|or|__init__"),
            ('"So," he said...', '"|So|,|"|he|said|.|.|.'),
            ("(a/b) = 50%", "(|a|/|b|)|=|50|%"),
            ("rock 'n' roll", "rock|'|n|'|roll"),
            ("L’été à Orléans — déjà!", "L’été|à|Orléans|—|déjà|!"),
            ("ends- here-", "ends|-|here|-"),
            ("an <unk> word", "an|<unk>|word"),
            ("हिन्दी में", "हिन्दी|में"),
        ],
    )
    def test_split_at_punctuation(self, text: str, expected: str) -> None:
        tokenizer = train_tokenizer(PUNCTUATION, [text])
        assert "|".join(pieces(tokenizer, text)[:-1]) == expected

    def test_unknown_pieces_but_not_unk_itself(self) -> None:
        tokenizer = train_tokenizer(PUNCTUATION, ["the cat sat .\n"])
        assert tokenizer.unknown_pieces("the dog, the <unk> dog\nran.") == ["dog", ",", "dog", "ran"]

    @pytest.mark.parametrize(("options", "n_written"), [(WordTokenizerOptions(), 2), (PUNCTUATION, 3)])
    def test_unk_that_the_text_says(self, options: WordTokenizerOptions, n_written: int) -> None:
        tokenizer = train_tokenizer(options, ["the cat\n"])
        assert tokenizer.count_written_unk("the <unk> dog\n\n(<unk>\tcat <unk>\n") == n_written
        assert tokenizer.count_written_unk("the dog\n") == 0


class TestCharacters:
    def test_one_id_a_character(self) -> None:
        tokenizer = train_tokenizer(CharTokenizerOptions(), ["aab\n"])
        assert tokenizer.encode("ba\nü\U0001f600").tolist() == [3, 2, 1, 0, 0]
        assert tokenizer.unknown_pieces("bü\nü\U0001f600") == ["ü", "ü", "\U0001f600"]

    def test_nothing_is_added_to_the_text(self) -> None:
        tokenizer = train_tokenizer(CharTokenizerOptions(), [" ab\n\t\u2028"])
        text = " a  b\n\n\t a\u2028"
        assert tokenizer.decode(tokenizer.encode(text)) == text
        assert tokenizer.encode_prompt("a") == tokenizer.encode("a").tolist()

    def test_an_unk_that_is_spelled_out_is_five_characters(self) -> None:
        tokenizer = train_tokenizer(CharTokenizerOptions(), ["<unk>"])
        assert tokenizer.unk_id not in tokenizer.encode("<unk>")
        assert tokenizer.decode(tokenizer.encode("<unk>?")) == "<unk><unk>"
        assert tokenizer.count_written_unk("<unk>?") == 0


class TestBytes:
    def test_an_id_is_a_byte(self) -> None:
        tokenizer = train_tokenizer(ByteTokenizerOptions(), [])
        assert tokenizer.vocab_size == 256
        assert tokenizer.encode("A€\n").tolist() == [0x41, 0xE2, 0x82, 0xAC, 0x0A]
        assert tokenizer.start_id == 0x0A
        assert tokenizer.unk_id is None
        assert tokenizer.unknown_pieces("anything €") == []

    def test_bytes_that_are_no_text(self) -> None:
        tokenizer = train_tokenizer(ByteTokenizerOptions(), [])
        assert tokenizer.decode([0x41, 0xFF, 0x42]) == "A\ufffdB"

    def test_names_for_tables(self) -> None:
        tokenizer = train_tokenizer(ByteTokenizerOptions(), [])
        assert [tokenizer.token(i) for i in (0x41, 0x20, 0x0A, 0xE9)] == ["A", "0x20", "0x0A", "0xE9"]


def test_a_prompt_that_is_not_utf8() -> None:
    tokenizer = train_tokenizer(WordTokenizerOptions(), ["a\n"])
    for read in (tokenizer.encode_prompt, tokenizer.unknown_pieces):
        with pytest.raises(DataError) as caught:
            read("caf\udce9")
        assert str(caught.value) == r"prompt: not UTF-8, got 'caf\udce9'. Set the terminal's encoding to UTF-8."


def test_a_damaged_tokenizer() -> None:
    with pytest.raises(DataError, match=r"tokenizer.json: not a tokenizer \(.+\)\. Restore the file from its run\."):
        load_tokenizer(WordTokenizerOptions(), '{"model": ')


@pytest.mark.parametrize(
    ("options", "old", "new"),
    [
        (WordTokenizerOptions(), '"a": 2', '"a": 7'),
        (WordTokenizerOptions(), '"<eos>": 1', '"<end>": 1'),
        (WordTokenizerOptions(), "WhitespaceSplit", "Whitespace"),
        (WordTokenizerOptions(), '"String": "\\n"', '"Regex": "(a+)+$"'),
        (WordTokenizerOptions(), '"added_tokens": []', '"added_tokens": [' + ADDED + "]"),
        (CharTokenizerOptions(), '"\\n": 1', '"b": 1'),
        (ByteTokenizerOptions(), '"a": 97', '"日": 97'),
        (BPETokenizerOptions(), '"behavior": "Isolated"', '"behavior": "Removed"'),
        (UnigramTokenizerOptions(), '"unk_id": null', '"unk_id": 0'),
    ],
)
def test_a_tokenizer_file_that_asks_for_something_else(options: TokenizerOptions, old: str, new: str) -> None:
    text = train_tokenizer(options, ["a\n"]).to_json()
    assert text.count(old) == 1
    with pytest.raises(DataError, match=r"not that of the run's data\.tokenizer\. Restore the file from its run\.$"):
        load_tokenizer(options, text.replace(old, new))


def test_a_text_without_spaces_is_no_text_of_words() -> None:
    text = "x" * 3_000_000 + "\n"
    tokenizer = train_tokenizer(WordTokenizerOptions(), ["a\n"])
    with pytest.raises(DataError) as caught:
        tokenizer.encode(text)
    assert str(caught.value) == (
        "data.tokenizer: the text has over 1,048,576 characters without a space between. Choose name: char or byte."
    )


@pytest.mark.parametrize("options", [WordTokenizerOptions(), BPETokenizerOptions(), UnigramTokenizerOptions()])
def test_a_line_may_have_no_single_spaces(options: TokenizerOptions) -> None:
    tokenizer = train_tokenizer(options, ["ab c\n"])
    text = "ab  c   " * 300_000
    assert len(text) > 2 << 20
    n = len(tokenizer.encode("ab  c   " * 3 + "\n")) // 3
    assert len(tokenizer.encode(text + "\n")) == 300_000 * n + 1


@pytest.mark.parametrize("options", [WordTokenizerOptions(), BPETokenizerOptions(), UnigramTokenizerOptions()])
def test_a_line_of_any_length_is_encoded_in_parts(options: TokenizerOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a  b\tab a abc'd " * 50
    whole = train_tokenizer(options, [text])
    ids = whole.encode(text)
    monkeypatch.setattr("lstmlm.corpus.tokenizers.tokenizer.CORE_CHARS", 3)
    monkeypatch.setattr("lstmlm.corpus.tokenizers.training_text.PIECE_CHARS", 3)
    assert train_tokenizer(options, [text]).to_json() == whole.to_json()
    assert whole.encode(text).tolist() == ids.tolist()


def test_ids_are_an_array_of_four_bytes_each() -> None:
    ids = train_tokenizer(WordTokenizerOptions(), ["a\n"]).encode("a a\n")
    assert isinstance(ids, np.ndarray)
    assert ids.dtype == np.int32


class TestPartsOfWords:
    TEXT = "low lower lowest\nlow slow slower\n" * 20

    def test_pairs_are_joined_by_how_often_they_occur(self) -> None:
        tokenizer = train_tokenizer(BPETokenizerOptions(vocab_size=258), [self.TEXT])
        # Both of these pairs occur in every word; the first by its bytes is joined first.
        assert tokens_of(tokenizer)[256:] == ["lo", "low"]
        assert pieces(tokenizer, "low slow\n") == ["low", " ", "s", "low", "\n"]

    @pytest.mark.parametrize("options", [BPETokenizerOptions(vocab_size=290), UnigramTokenizerOptions(vocab_size=290)])
    def test_the_space_before_a_word_belongs_to_it_and_a_newline_to_nothing(self, options: TokenizerOptions) -> None:
        tokenizer = train_tokenizer(options, [self.TEXT])
        found = pieces(tokenizer, "low lower\nlow\n")
        assert "".join(found) == "low lower\nlow\n"
        assert all("\n" not in token or token == "\n" for token in tokens_of(tokenizer))
        assert all(" " not in token.removeprefix(" ").strip() for token in tokens_of(tokenizer))

    @pytest.mark.parametrize("options", [BPETokenizerOptions(vocab_size=300), UnigramTokenizerOptions(vocab_size=300)])
    def test_the_same_text_gives_the_same_vocabulary(self, options: TokenizerOptions) -> None:
        first, second = (train_tokenizer(options, [self.TEXT]) for _ in range(2))
        assert first.digest == second.digest

    def test_a_part_of_a_character_is_called_by_its_bytes(self) -> None:
        tokenizer = train_tokenizer(BPETokenizerOptions(), [self.TEXT])
        assert pieces(tokenizer, "é") == ["0xC3", "0xA9"]
        assert tokenizer.decode(tokenizer.encode("é 🐈\n")) == "é 🐈\n"


def test_what_is_unknown_for_its_form_is_told() -> None:
    hint = " Letters and their marks are apart here: a text that has them as one is in NFC."
    assert warnings_of_unknown([]) == []
    # Those that NFC makes others of have no marks apart.
    assert not any(hint in warning for warning in warnings_of_unknown(["\u2126", "\u0958"]))
    assert warnings_of_unknown(["müde"]) == ["the model does not know müde: read as <unk>."]
    assert warnings_of_unknown(["mu\u0308de"]) == [f"the model does not know mu\u0308de: read as <unk>.{hint}"]
