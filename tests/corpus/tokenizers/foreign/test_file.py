"""Tokenizers of other tools: their ids, lines and words, and what a file may not ask for."""

import json
from pathlib import Path
from typing import Any

import pytest
import tokenizers as library
from tokenizers import decoders, models, normalizers, pre_tokenizers

from lstmlm.config.data import (
    BPETokenizerOptions,
    ByteTokenizerOptions,
    CharTokenizerOptions,
    FileTokenizerOptions,
    TokenizerOptions,
    UnigramTokenizerOptions,
    WordTokenizerOptions,
)
from lstmlm.corpus.reading.white_space import cut_before_spaces
from lstmlm.corpus.tokenizers import Tokenizer, load_tokenizer, read_tokenizer, train_tokenizer, training_text
from lstmlm.corpus.tokenizers.components import PATTERNS
from lstmlm.errors import DataError

FOREIGN = Path(__file__).parent
TEXT = "The cat sat on the mat.\n\nA naïve owl 🐈, isn't it?\n"
WORD_PIECES = ["[UNK]", "[CLS]", "[SEP]", "the", "cat", "sat", "##s", "on", ".", "mat"]


def read(path: Path) -> Tokenizer:
    return train_tokenizer(FileTokenizerOptions(path=str(path)), [])


def tokens_of(tokenizer: Tokenizer, text: str) -> list[str]:
    return [tokenizer.token(i) for i in tokenizer.encode(text).tolist()]


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    engine = library.Tokenizer(models.WordPiece({token: i for i, token in enumerate(WORD_PIECES)}, unk_token="[UNK]"))
    engine.normalizer = normalizers.BertNormalizer()
    engine.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    engine.decoder = decoders.WordPiece()
    engine.enable_truncation(4)
    engine.enable_padding(length=8)
    engine.save(str(tmp_path / "bert.json"))
    return tmp_path / "bert.json"


def test_a_file_that_is_too_long_is_refused(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    n_bytes = bert.stat().st_size
    monkeypatch.setattr("lstmlm.corpus.tokenizers.foreign.file.MOST_TOKENIZER_BYTES", n_bytes)
    read(bert)
    monkeypatch.setattr("lstmlm.corpus.tokenizers.foreign.file.MOST_TOKENIZER_BYTES", n_bytes - 1)
    with pytest.raises(DataError) as caught:
        read(bert)
    assert str(caught.value) == f"{bert}: has over {n_bytes - 1:,} bytes. Use another tokenizer."


@pytest.mark.parametrize("name", ["byte_level.json", "unigram.model", "bpe_bytes.model"])
@pytest.mark.parametrize(
    "pieces",
    [
        ["The", " cat", "", " sat", "\n"],
        ["The", " cat", "", " sat", " "],
        ["The", "", "", " cat"],
        ["", "", "\n"],
        [""],
    ],
)
def test_each_piece_has_ids_of_its_own(name: str, pieces: list[str]) -> None:
    """Also where there is nothing in one: the end of a sentence whose lines do not end in a token."""
    tokenizer = read(FOREIGN / name)
    found = tokenizer.encode_pieces(pieces)
    assert len(found) == len(pieces)
    assert [token for ids in found for token in ids] == tokenizer.encode_prompt("".join(pieces))
    assert all(bool(piece.strip()) <= bool(ids) for piece, ids in zip(pieces, found, strict=True))


class TestIds:
    @pytest.mark.parametrize(
        "options",
        [
            WordTokenizerOptions(),
            WordTokenizerOptions(split="punctuation"),
            CharTokenizerOptions(),
            ByteTokenizerOptions(),
            BPETokenizerOptions(),
            UnigramTokenizerOptions(),
        ],
    )
    def test_a_file_of_our_own_gives_the_same_ids(self, options: TokenizerOptions, tmp_path: Path) -> None:
        ours = train_tokenizer(options, [TEXT])
        (tmp_path / "tokenizer.json").write_text(ours.to_json(), encoding="utf-8")
        read_back = read(tmp_path / "tokenizer.json")
        assert read_back.digest == ours.digest
        assert (read_back.start_id, read_back.unk_id) == (ours.start_id, ours.unk_id)
        assert read_back.delimiter_ids == sorted(ours.delimiter_ids)
        for text in (TEXT, "the cat ☃", ""):
            assert read_back.encode(text).tolist() == ours.encode(text).tolist()
        assert read_back.unknown_pieces("The ☃ cat") == ours.unknown_pieces("The ☃ cat")

    @pytest.mark.parametrize("name", ["unigram", "bpe_bytes", "unigram_newline"])
    def test_those_of_sentencepiece(self, name: str) -> None:
        """As version 0.2.3 of its package gives them."""
        tokenizer = read(FOREIGN / f"{name}.model")
        recorded = json.loads((FOREIGN / "sentencepiece_ids.json").read_text(encoding="utf-8"))[name]
        for text, ids in recorded:
            assert tokenizer.encode_prompt(text) == ids
        assert tokenizer.token(tokenizer.start_id) == ("<0x0A>" if name == "unigram_newline" else "</s>")

    @pytest.mark.parametrize("name", ["bpe_bytes.model", "unigram_newline.model", "byte_level.json"])
    def test_a_text_is_restored(self, name: str) -> None:
        tokenizer = read(FOREIGN / name)
        assert tokenizer.decode(tokenizer.encode(TEXT)) == TEXT

    def test_the_run_needs_no_file(self) -> None:
        options = FileTokenizerOptions(path=str(FOREIGN / "unigram.model"))
        tokenizer = train_tokenizer(options, [])
        restored = load_tokenizer(FileTokenizerOptions(path="gone"), tokenizer.to_json())
        assert restored.digest == tokenizer.digest
        assert restored.encode(TEXT).tolist() == tokenizer.encode(TEXT).tolist()

    def test_nothing_is_added_cut_off_or_filled_up(self, bert: Path) -> None:
        tokenizer = read(bert)
        assert tokens_of(tokenizer, "The cats\n sat on the mat!") == [
            *("the", "cat", "##s", "[SEP]"),
            *("sat", "on", "the", "mat", "[UNK]", "[SEP]"),
        ]
        assert tokenizer.decode(tokenizer.encode("The  CATS sat.\n\non\n")) == "the cats sat.\n\non\n"
        assert tokenizer.unknown_pieces("the cat! owl\nwho?") == ["!", "owl", "who", "?"]

    def test_ids_with_gaps(self, tmp_path: Path) -> None:
        content = json.loads((FOREIGN / "byte_level.json").read_text(encoding="utf-8"))
        content["model"]["vocab"]["a"] = 400
        (tmp_path / "gaps.json").write_text(json.dumps(content), "utf-8")
        tokenizer = read(tmp_path / "gaps.json")
        assert tokenizer.vocab_size == 401
        assert tokenizer.token(399) == "<unused 399>"
        assert tokenizer.encode_prompt("a b") == [400, *tokenizer.encode_prompt(" b")]


class TestLines:
    @pytest.mark.parametrize("name", ["unigram.model", "bpe_bytes.model", "unigram_newline.model", "byte_level.json"])
    @pytest.mark.parametrize("text", [TEXT, "the cat sat on  the mat " * 20 + "and", "\n", ""])
    def test_a_line_in_parts_has_the_ids_of_the_line(
        self, name: str, text: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tokenizer = read(FOREIGN / name)
        whole = tokenizer.encode(text).tolist()
        monkeypatch.setattr(training_text, "PIECE_CHARS", 10)
        assert tokenizer.encode(text).tolist() == whole
        ended = [] if text.endswith("\n") or not text or name in ("byte_level.json", "unigram_newline.model") else [2]
        assert whole == tokenizer.encode_prompt(text) + ended

    def test_a_blank_line_is_a_line_end_of_its_own(self) -> None:
        tokenizer = read(FOREIGN / "byte_level.json")
        assert tokens_of(tokenizer, "a\n\n\nb") == ["a", "Ċ", "Ċ", "Ċ", "b"]
        assert tokenizer.encode_prompt("on\n")[-1] == tokenizer.start_id

    def test_no_token_that_might(self, tmp_path: Path) -> None:
        path = tmp_path / "few.json"
        library.Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a")).save(str(path))
        with pytest.raises(DataError) as caught:
            read(path)
        assert str(caught.value) == (
            f"{path}: has no token that ends a line, neither the newline nor one of "
            "</s>, <eos>, <sos/eos>, [EOS], [SEP], <|endoftext|>, <|end_of_text|>. "
            "Name one of its tokens that the text does not have: data.tokenizer.line_end."
        )


class TestWords:
    @pytest.mark.parametrize("name", ["unigram.model", "bpe_bytes.model", "unigram_newline.model", "byte_level.json"])
    def test_tokens_that_begin_with_a_space_begin_words(self, name: str) -> None:
        tokenizer, words = read(FOREIGN / name), ["The", "cat's", "market", "☃"]
        found = tokenizer.encode_pieces(cut_before_spaces(" ".join(words))[:-1])
        assert [token for word in found for token in word] == tokenizer.encode_prompt(" ".join(words))
        assert len(found) == 4
        assert all(word[0] in tokenizer.delimiter_ids for word in found[1:])
        assert not any(token in tokenizer.delimiter_ids for word in found for token in word[1:])

    @pytest.mark.parametrize("name", ["bpe_bytes.model", "unigram_newline.model", "byte_level.json"])
    @pytest.mark.parametrize("text", ["The naïve ca", "ca", "The 🐈"])
    def test_what_is_unread_is_what_its_tokens_are(self, name: str, text: str) -> None:
        tokenizer = read(FOREIGN / name)
        ids, unread = tokenizer.encode_unfinished(text)
        rest = tokenizer.encode_prompt(text)[len(ids) :]
        assert ids + rest == tokenizer.encode_prompt(text)
        assert b"".join(map(tokenizer.content, rest)).decode() == unread

    def test_word_pieces_that_go_on_with_no_word_begin_one(self, bert: Path) -> None:
        tokenizer, words = read(bert), ["the", " cats,", " sat"]
        assert [[tokenizer.token(i) for i in word] for word in tokenizer.encode_pieces(words)] == [
            *(["the"], ["cat", "##s", "[UNK]"], ["sat"])
        ]
        assert WORD_PIECES.index("##s") not in tokenizer.delimiter_ids
        assert len(tokenizer.delimiter_ids) == len(WORD_PIECES) - 1
        assert tokenizer.content(WORD_PIECES.index("##s")) == b"s"
        assert tokenizer.content(WORD_PIECES.index("cat")) == b" cat"

    def test_parts_without_a_mark_do_not_tell_where_words_end(self, tmp_path: Path) -> None:
        engine = library.Tokenizer(models.BPE({"a": 0, "b": 1, "</s>": 2}, []))
        engine.pre_tokenizer = pre_tokenizers.Whitespace()
        engine.save(str(tmp_path / "bare.json"))
        tokenizer = read(tmp_path / "bare.json")
        assert tokenizer.encode_pieces(["ab", " a"]) == [[0, 1], [0]]
        with pytest.raises(DataError) as caught:
            _ = tokenizer.delimiter_ids
        assert str(caught.value) == (
            "data.tokenizer: its tokens do not tell where words end, so there are no probabilities of words. "
            "Ask a model whose tokens have the spaces; eval perplexity, pairs and rescore work with this one."
        )

    def test_a_token_of_two_words(self, tmp_path: Path) -> None:
        engine = library.Tokenizer(models.Unigram([("<unk>", 0.0), ("</s>", 0.0), (" a", -1.0), (" b c", -1.0)], 0))
        engine.save(str(tmp_path / "two.json"))
        with pytest.raises(DataError) as caught:
            read(tmp_path / "two.json").encode_pieces(["a", " b", " c"])
        assert str(caught.value) == (
            "data.tokenizer: reads 3 words as 2: 'a b c'. "
            "Its tokens do not tell where words end; ask a model with another tokenizer."
        )


class TestJoining:
    @pytest.mark.parametrize("name", ["bpe_bytes.model", "unigram_newline.model", "byte_level.json"])
    @pytest.mark.parametrize("prompt", ["", "The cat", "The cat sat on the mat.\n"])
    def test_spaces_and_characters(self, name: str, prompt: str) -> None:
        tokenizer = read(FOREIGN / name)
        joiner = tokenizer.joiner(prompt)
        ids = tokenizer.encode(TEXT).tolist()[len(tokenizer.encode_prompt(prompt)) :]
        pieces = [joiner.feed(token) for token in ids]
        assert prompt + "".join(pieces) + joiner.flush() == TEXT
        assert "\ufffd" not in "".join(pieces)
        assert sum(map(bool, pieces)) > len(ids) // 2

    def test_a_character_that_stays_incomplete(self) -> None:
        tokenizer = read(FOREIGN / "byte_level.json")
        joiner = tokenizer.joiner()
        first, *_ = tokenizer.encode_prompt("🐈")
        assert [joiner.feed(first), joiner.flush(), joiner.flush()] == ["", "\ufffd", ""]

    def test_word_pieces(self, bert: Path) -> None:
        joiner = read(bert).joiner("the")
        assert "".join(joiner.feed(WORD_PIECES.index(token)) for token in ["cat", "##s", "sat", "[SEP]", "on"]) == (
            " cats sat\non"
        )


def with_changes(**sections: Any) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FOREIGN / "byte_level.json").read_text(encoding="utf-8"))
    for section, changes in sections.items():
        content[section] = (content[section] or {}) | changes
    return content


SPLIT = {"type": "Split", "behavior": "Isolated", "invert": False}
REPLACE = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
REFUSED = {
    "the regular expression '(a+)+$'. Only well-known ones are run. Cut the text so beforehand, with a space between "
    "tokens, for the tokenizer word.": with_changes(pre_tokenizer=SPLIT | {"pattern": {"Regex": "(a+)+$"}}),
    "normalizer 'Replace' of 'a' by 'aa'. It must not make a text longer.": with_changes(normalizer=REPLACE),
    "normalizer 'Replace' of nothing. It must have a pattern.": with_changes(
        normalizer=REPLACE | {"pattern": {"String": ""}, "content": ""}
    ),
    "17 times normalizer 'Replace'. Use a tokenizer that has it once.": with_changes(
        normalizer={"type": "Sequence", "normalizers": [REPLACE | {"content": "b"}] * 17}
    ),
    "2 times pre_tokenizer 'ByteLevel'. Use a tokenizer that has it once.": with_changes(
        pre_tokenizer={"type": "Sequence", "pretokenizers": [with_changes()["pre_tokenizer"]] * 2}
    ),
    "normalizer 'Prepend' of 'aaa'. It must be one character.": with_changes(
        normalizer={"type": "Prepend", "prepend": "aaa"}
    ),
    "dropout of merges. Ids must not be left to chance: set it to null.": with_changes(model={"dropout": 0.1}),
    "decoder 'CTC'. Known are: BPEDecoder, ByteFallback, ByteLevel, Fuse, Metaspace, Replace, Strip, WordPiece.": (
        with_changes(decoder={"type": "CTC", "pad_token": "a", "word_delimiter_token": "b", "cleanup": True})
    ),
}


@pytest.mark.parametrize(("message", "content"), REFUSED.items())
def test_what_a_file_may_not_ask_for(message: str, content: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "asks.json"
    path.write_text(json.dumps(content), "utf-8")
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(caught.value) == f"{path}: asks for {message}"
    with pytest.raises(DataError) as caught:  # as a run directory from elsewhere
        load_tokenizer(FileTokenizerOptions(path="gone"), json.dumps(content))
    assert str(caught.value) == f"tokenizer.json: asks for {message}"


@pytest.mark.parametrize("pattern", sorted(PATTERNS))
def test_known_patterns_take_time_in_proportion_to_the_text(pattern: str) -> None:
    split = pre_tokenizers.Split(library.Regex(pattern), behavior="isolated")
    for unit in ("a", " ", "A", "1", "'", "中", "\u0301", " a", "\t!", "a'", "-", "Aa"):
        # The square of this length would take a minute.
        assert split.pre_tokenize_str(unit * 10_000 + "x")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "not a tokenizer (EOF while parsing an object at line 1 column 1). Give another file."),
        (
            b"\x0a\xff",
            "is neither a tokenizer.json nor a SentencePiece model. Give another file.",
        ),
        (b"", "is neither a tokenizer.json nor a SentencePiece model. Give another file."),
        (b'{"sentencepiece": "abc"}', "is damaged (its sentencepiece is no base64). Give another file."),
        (b'{"sentencepiece": 5}', "is damaged (its sentencepiece is no base64). Give another file."),
    ],
)
def test_a_file_that_is_no_tokenizer(content: bytes, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(caught.value) == f"{path}: {problem}"


def test_a_file_that_is_nested_too_deep(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b'{"model":' * 100_000)
    with pytest.raises(DataError, match="not a tokenizer"):
        read(tmp_path / "x")


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    own = train_tokenizer(WordTokenizerOptions(), ["a b\n"])
    (tmp_path / "tokenizer.json").write_text(own.to_json(), "utf-8-sig")
    assert read(tmp_path / "tokenizer.json").encode_prompt("b a") == own.encode_prompt("b a")
    assert read_tokenizer(tmp_path)[1].digest == own.digest


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path / "x")
    assert str(caught.value) == f"{tmp_path}/x: no such file. Check the path."


def test_every_prefix_of_a_model_is_a_model_or_refused(tmp_path: Path) -> None:
    content, path = (FOREIGN / "unigram.model").read_bytes(), tmp_path / "x.model"
    lengths, refusals = range(1, len(content), 5), []
    for length in lengths:
        path.write_bytes(content[:length])
        try:
            tokenizer = read(path)
        except DataError as error:
            refusals.append(str(error))
        else:
            assert tokenizer.decode(tokenizer.encode("a b\n")).strip()
    assert len(refusals) > 0.9 * len(lengths)
    assert all(refusal.startswith(f"{path}: ") for refusal in refusals)
