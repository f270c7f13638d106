"""Small tokenizers of every kind: the ids of their own libraries, and nothing called whole that is not."""

import json
import random
from base64 import b64encode
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import tokenizers as library
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

from lstmlm.config.data import FileTokenizerOptions
from lstmlm.corpus.encoded_text import encode_text
from lstmlm.corpus.tokenizers import Tokenizer, load_tokenizer, read_tokenizer, train_tokenizer
from lstmlm.errors import DataError

SENTENCES = [
    *("The cat sat on the mat.", "A naïve owl isn't here, is it?", "the baker's cats wait  for bread"),
    *("In winter the doctor goes to the harbour.", "two red apples and a bag of flour", "xyz 0123456789"),
] * 4
LITERALS = [
    "</s>",
    " <unk> ",
    "<0x0A>",
    "[SEP]",
    "[UNK]",
    "  ",
    "Tất cả",
    "ｶﾞｯﾂﾎﾟｰｽﾞ",
    "\u1112\u1161\u11ab",
    "▁",
    "Ａ\u0301",
]
RANGES = [
    (0, 32),
    (0xA0, 0x3000),
    (0x300, 0x370),
    (0x3040, 0x3100),
    (0xFF00, 0xFFEF),
    (0x1100, 0x1200),
    (0x10000, 0x20000),
]


def random_line(draw: random.Random) -> str:
    characters = [chr(draw.randrange(*draw.choice([(32, 127)] * 7 + RANGES))) for _ in range(draw.randrange(25))]
    line = "".join(characters) + draw.choice(["", "", *SENTENCES[:6], *LITERALS])
    return line.replace("\n", " ")


LINES = [random_line(random.Random(number)) for number in range(3000)]
N_RESTORED = 60
"""Lines of which it is asked, one by one, whether they are restored."""

BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
SPECIAL = ["<unk>", "</s>"]


def trained(model: models.Model, trainer: type, **options: Any) -> Callable[..., str]:
    def to_json(**parts: Any) -> str:
        engine = library.Tokenizer(model)
        for name, part in parts.items():
            setattr(engine, name, part)
        engine.train_from_iterator(SENTENCES, trainer(show_progress=False, **options))
        return engine.to_str()

    return to_json


def bpe(**options: Any) -> Callable[..., str]:
    special = {"special_tokens": ["</s>"] if options == {} else SPECIAL}
    return trained(models.BPE(**options), trainers.BpeTrainer, vocab_size=120, **special)


def word_piece() -> Callable[..., str]:
    special = ["[UNK]", "[SEP]"]
    return trained(
        models.WordPiece(unk_token="[UNK]"), trainers.WordPieceTrainer, vocab_size=120, special_tokens=special
    )


def word_level() -> Callable[..., str]:
    return trained(models.WordLevel(unk_token="<unk>"), trainers.WordLevelTrainer, special_tokens=SPECIAL)


def unigram() -> Callable[..., str]:
    return trained(models.Unigram(), trainers.UnigramTrainer, vocab_size=80, special_tokens=SPECIAL, unk_token="<unk>")


def byte_level(alphabet: list[str]) -> Callable[..., str]:
    return trained(models.BPE(), trainers.BpeTrainer, vocab_size=300, initial_alphabet=alphabet)


bytes_of = pre_tokenizers.ByteLevel(add_prefix_space=False)
metaspace = pre_tokenizers.Metaspace()
KINDS: dict[str, Callable[[], str]] = {
    "ByteLevel": lambda: byte_level(BYTES)(pre_tokenizer=bytes_of, decoder=decoders.ByteLevel()),
    "ByteLevel without decoder": lambda: byte_level(BYTES)(pre_tokenizer=bytes_of),
    "ByteLevel that lacks bytes": lambda: byte_level(["Ċ"])(pre_tokenizer=bytes_of),
    "Metaspace": lambda: bpe(unk_token="<unk>")(pre_tokenizer=metaspace, decoder=decoders.Metaspace()),
    "Metaspace without decoder": lambda: bpe(unk_token="<unk>")(pre_tokenizer=metaspace),
    "Metaspace of another character": lambda: bpe(unk_token="<unk>")(
        pre_tokenizer=pre_tokenizers.Metaspace("\u2800"), decoder=decoders.BPEDecoder()
    ),
    "BPE without unknown token": lambda: bpe()(pre_tokenizer=metaspace, decoder=decoders.Metaspace()),
    "unigram": lambda: unigram()(pre_tokenizer=metaspace, normalizer=normalizers.NFKC()),
    "BERT": lambda: word_piece()(
        normalizer=normalizers.BertNormalizer(), pre_tokenizer=pre_tokenizers.BertPreTokenizer()
    ),
    "WordPiece": lambda: word_piece()(pre_tokenizer=pre_tokenizers.WhitespaceSplit()),
    "words": lambda: word_level()(pre_tokenizer=pre_tokenizers.Whitespace()),
    "words between spaces": lambda: word_level()(pre_tokenizer=pre_tokenizers.CharDelimiterSplit(" ")),
    "characters": lambda: word_level()(pre_tokenizer=pre_tokenizers.Split("", "isolated")),
}
MODELS: dict[str, dict[str, Any]] = {
    f"{kind} {rule}{' of bytes' if falls_back else ''}": {
        "model_type": kind,
        "normalization_rule_name": rule,
        "byte_fallback": falls_back,
    }
    for kind, rule, falls_back in [
        *(("unigram", rule, falls) for rule in ("identity", "nmt_nfkc", "nmt_nfkc_cf") for falls in (False, True)),
        *(("bpe", rule, falls) for rule in ("identity", "nmt_nfkc", "nmt_nfkc_cf") for falls in (False, True)),
        *((kind, rule, False) for rule in ("identity", "nmt_nfkc") for kind in ("char", "word")),
    ]
} | {
    "symbols of the user": {"model_type": "bpe", "user_defined_symbols": ["<sep>", "at", "ｶﾞ"]},
    "spaces at the end": {"treat_whitespace_as_suffix": True},
    "all spaces": {"remove_extra_whitespaces": False, "add_dummy_prefix": False},
    "an end of its own": {"model_type": "bpe", "eos_piece": "<|E|>"},
}


@cache
def learnt(kind: str) -> str | bytes:
    """The file of a kind, learnt once."""
    return KINDS[kind]() if kind in KINDS else sentencepiece_model(**MODELS[kind])


def sentencepiece_model(**options: Any) -> bytes:
    written = BytesIO()
    sizes = {"vocab_size": 330 if options.get("byte_fallback") else 70, "hard_vocab_limit": False}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES), model_writer=written, minloglevel=3, **sizes, **options
    )
    return written.getvalue()


def read(content: str | bytes, folder: Path, line_end: str | None = None) -> Tokenizer:
    path = folder / "brought"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return train_tokenizer(FileTokenizerOptions(path=str(path), line_end=line_end), [])


def require_what_the_library_does(tokenizer: Tokenizer, expected: list[list[int]]) -> None:
    restored = load_tokenizer(FileTokenizerOptions(path="gone"), tokenizer.to_json())
    lines = tokenizer.encode_prompt("\n".join([*LINES, ""]))
    assert lines == [token for ids in expected for token in (*ids, tokenizer.start_id)]
    whole = []
    for line in [*LINES[:N_RESTORED], "The cat sat on the"]:
        text = encode_text("", [f"{line}\n"], restored, None)
        assert text.unsaid or restored.decode(text.tokens) == f"{line}\n", ascii(line)
        whole.append(text.unsaid is None)
    assert sum(whole) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_the_library(kind: str, tmp_path: Path) -> None:
    content = learnt(kind)
    encodings = library.Tokenizer.from_str(str(content)).encode_batch(LINES, add_special_tokens=False)
    require_what_the_library_does(read(content, tmp_path), [encoding.ids for encoding in encodings])


@pytest.mark.parametrize("kind", MODELS)
def test_models_of_sentencepiece(kind: str, tmp_path: Path) -> None:
    model = learnt(kind)
    expected = sentencepiece.SentencePieceProcessor(model_proto=model).encode(LINES)
    require_what_the_library_does(read(model, tmp_path), expected)


@pytest.mark.parametrize(
    ("kind", "decoded"),
    [
        *[(kind, "The cat, the baker's") for kind in KINDS if "yte" in kind or "Meta" in kind],
        ("BERT", "the cat, the baker ' s"),
        ("WordPiece", "The cat, the baker's"),
        ("characters", "The cat, the baker's"),
        ("words", "The cat , the baker ' s"),
    ],
)
def test_a_missing_decoder_is_inferred(kind: str, decoded: str, tmp_path: Path) -> None:
    tokenizer = read(learnt(kind), tmp_path)
    assert tokenizer.decode(tokenizer.encode_prompt("The cat, the baker's")) == decoded


@pytest.mark.parametrize("kind", [*KINDS, "unigram nmt_nfkc", "word identity", "spaces at the end"])
def test_words_have_the_tokens_of_their_line(kind: str, tmp_path: Path) -> None:
    tokenizer = read(learnt(kind), tmp_path)
    words = ["The", " cat", " sat,", " on", " xyz"]
    if kind == "spaces at the end":
        with pytest.raises(DataError, match="do not tell where words end"):
            _ = tokenizer.delimiter_ids
    found = tokenizer.encode_pieces(words)
    assert [token for word in found for token in word] == tokenizer.encode_prompt("".join(words))
    assert tokenizer.decode(found[1]).strip() == "cat" or tokenizer.unk_id in found[1]


class TestUnknown:
    def test_characters_without_a_token(self, tmp_path: Path) -> None:
        with_unknown = read(learnt("Metaspace"), tmp_path)
        without = read(learnt("BPE without unknown token"), tmp_path)
        text = "the ☃ cat Ω☃\nthe cat\n"
        assert without.dropped(text) == without.unknown_pieces(text) == ["☃", "Ω", "☃"]
        assert with_unknown.dropped(text) == []
        for tokenizer in (with_unknown, without):
            encoded = encode_text("", [text], tokenizer, None)
            assert (encoded.n_unk, encoded.n_oov) == (3, 3)
            assert encoded.unsaid == "3 tokens are <unk>, or none at all, in place of what the text says"
            assert encoded.unknown_pieces == ("☃", "Ω")

    def test_bytes_without_a_token(self, tmp_path: Path) -> None:
        tokenizer = read(learnt("ByteLevel that lacks bytes"), tmp_path)
        assert tokenizer.dropped("the Ω cat ï") == ["Ω"]

    def test_what_a_normaliser_drops(self, tmp_path: Path) -> None:
        bert = read(learnt("BERT"), tmp_path)
        assert bert.dropped("the\u200bcat e\u0301") == ["\u200b", "\u0301"]
        assert encode_text("", ["The cat\n"], bert, None).n_oov == 0
        assert encode_text("", ["The cat\n"], bert, None).unsaid == (
            "its tokens do not give the text back (white space, case, or a word read as a token that ends lines)"
        )

    @pytest.mark.parametrize("kind", ["words", "WordPiece", "Metaspace"])
    def test_an_unknown_token_that_there_is_not(self, kind: str, tmp_path: Path) -> None:
        content = json.loads(learnt(kind))
        content["model"]["unk_token"] = "[?]"
        with pytest.raises(DataError) as caught:
            read(json.dumps(content), tmp_path)
        assert str(caught.value) == (
            f"{tmp_path}/brought: names '[?]' as its unknown token, but has none in its vocabulary. "
            "Add it there, or use another tokenizer."
        )

    def test_unigrams_without_an_unknown_token(self, tmp_path: Path) -> None:
        content = json.loads(learnt("unigram"))
        content["model"]["unk_id"] = None
        with pytest.raises(DataError, match=r"brought: has no unknown token, so that nothing can be cut"):
            read(json.dumps(content), tmp_path)


class TestNormalisation:
    """By longest match, as SentencePiece has it, and not character by character as the other library."""

    @pytest.mark.parametrize(
        ("text", "normalised"),
        [
            ("Ta\u0302\u0301t ca\u0309", "Tất cả"),
            ("ｶﾞｯﾂﾎﾟｰｽﾞ", "ガッツポーズ"),
            ("\u1112\u1161\u11ab", "한"),
            ("Ａ\u0301", "Á"),
        ],
    )
    def test_of_sentencepiece(self, text: str, normalised: str, tmp_path: Path) -> None:
        tokenizer = read(learnt("unigram nmt_nfkc of bytes"), tmp_path)
        assert tokenizer.decode(tokenizer.encode_prompt(text)) == normalised

    @pytest.mark.parametrize(
        "charsmap",
        [b"", b"\0\0\0\0a\0", b"\0\4\0\0" + b"\0\0\xff\x7f" * 256 + b"a\0", b"\0\4\0\0" + bytes(1024) + b"a"],
    )
    def test_a_damaged_map_is_refused(self, charsmap: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        content = json.loads(learnt("unigram"))
        content["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": b64encode(charsmap).decode()}
        with pytest.raises(DataError) as caught:
            read(json.dumps(content), tmp_path)
        assert str(caught.value) == (
            f"{tmp_path}/brought: its map of characters (precompiled_charsmap) is damaged. Get the file once more."
        )
        (tmp_path / "tokenizer.json").write_text(json.dumps(content), "utf-8")  # which is tried as one of ours, too
        with pytest.raises(DataError, match="is damaged"):
            read_tokenizer(tmp_path)
        assert capfd.readouterr().err == ""

    def test_a_sound_map_is_taken(self, tmp_path: Path) -> None:
        model = learnt("bpe nmt_nfkc")
        start = model.index(b"nmt_nfkc", model.index(b"nmt_nfkc") + 1) if model.count(b"nmt_nfkc") > 1 else 0
        length, place, shift = 0, model.index(b"nmt_nfkc", start) + len("nmt_nfkc") + 1, 0
        while True:  # a length in 7 bits a byte
            length |= (model[place] & 0x7F) << shift
            place, shift = place + 1, shift + 7
            if model[place - 1] < 0x80:
                break
        content = json.loads(learnt("unigram"))
        charsmap = b64encode(model[place : place + length]).decode()
        content["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": charsmap}
        tokenizer = read(json.dumps(content), tmp_path)
        assert tokenizer.encode_prompt("ｔｈｅ") == tokenizer.encode_prompt("the")


class TestLineEnds:
    def test_that_of_a_model(self, tmp_path: Path) -> None:
        tokenizer = read(learnt("an end of its own"), tmp_path)
        assert tokenizer.token(tokenizer.start_id) == "<|E|>"

    def test_one_that_the_user_names(self, tmp_path: Path) -> None:
        content = str(learnt("Metaspace")).replace("</s>", "</s|own>")
        with pytest.raises(
            DataError, match=r"Name one of its tokens that the text does not have: data.tokenizer.line_end"
        ):
            read(content, tmp_path)
        with pytest.raises(DataError) as caught:
            read(content, tmp_path, line_end="</s>")
        assert str(caught.value) == (
            f"{tmp_path}/brought: has no token '</s>'. Name another in data.tokenizer.line_end."
        )
        tokenizer = read(content, tmp_path, line_end="</s|own>")
        assert tokenizer.token(tokenizer.start_id) == "</s|own>"
        again = load_tokenizer(FileTokenizerOptions(path="gone"), tokenizer.to_json())
        assert (again.start_id, again.digest) == (tokenizer.start_id, tokenizer.digest)
        assert tokenizer.decode(tokenizer.encode("the cat\n\nthe\n")) == "the cat\n\nthe\n"
        (tmp_path / "run.json").write_text(tokenizer.to_json(), encoding="utf-8")
        options = FileTokenizerOptions(path=str(tmp_path / "run.json"))
        assert train_tokenizer(options, []).digest == tokenizer.digest

    def test_another_one_of_a_model(self, tmp_path: Path) -> None:
        tokenizer = read(sentencepiece_model(model_type="char"), tmp_path, line_end="<s>")
        assert tokenizer.token(tokenizer.start_id) == "<s>"


def test_literals_of_a_model_are_text(tmp_path: Path) -> None:
    tokenizer = read(learnt("unigram identity of bytes"), tmp_path)
    text = "a </s> <s> <unk> <0x0A>\n"
    encoded = encode_text("", [text], tokenizer, None)
    assert (encoded.n_unk, encoded.unsaid) == (0, None)
    assert tokenizer.decode(encoded.tokens) == text
