"""Stores: what is written is what is encoded in memory, whatever interrupts it, and what is wrong is said at once."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from lstmlm.config.data import (
    BPETokenizerOptions,
    ByteTokenizerOptions,
    FileTokenizerOptions,
    TokenizerOptions,
    WordTokenizerOptions,
)
from lstmlm.corpus.encoded_text import EncodedText, TextEncoder, encode_text
from lstmlm.corpus.store import shards, token_store
from lstmlm.corpus.store.shards import HEADER_BYTES, StoreError
from lstmlm.corpus.store.token_store import TokenStore, is_store, write_store
from lstmlm.corpus.tokenizers import Tokenizer, train_tokenizer
from lstmlm.errors import RunInUseError
from lstmlm.files import locked

TEXT = "".join(f"line {i} says <unk> and süß €{i * i}\n" for i in range(40)) + "\n\nan open end"
WORDS = WordTokenizerOptions(max_vocab=30)
REMEDY = "Restore it from a copy, or remove the folder and encode the text again with lstmlm data encode."

each_tokenizer = pytest.mark.parametrize(
    "options", [WORDS, BPETokenizerOptions(vocab_size=270), ByteTokenizerOptions()], ids=lambda options: options.name
)


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    # A shard must be whole pages of memory, however small its numbers.
    monkeypatch.setattr(shards, "SHARD_ITEMS", 1 << 16)


def reader(text: str, block_chars: int = 50_000) -> Callable[[], Iterator[str]]:
    return lambda: (text[i : i + block_chars] for i in range(0, len(text), block_chars))


def word_tokenizer() -> Tokenizer:
    return train_tokenizer(WORDS, [TEXT])


def store(path: Path, text: str = TEXT) -> TokenStore:
    return write_store(path, WORDS, word_tokenizer(), {"train": reader(text)})


def assert_same(found: EncodedText, expected: EncodedText, vocab_size: int) -> None:
    for name in ("tokens", "line_chars", "line_bytes"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    for name in ("n_words", "n_chars", "n_bytes", "n_lines", "n_unk", "n_oov", "sha256"):
        assert getattr(found, name) == getattr(expected, name), name
    np.testing.assert_array_equal(found.count_tokens(vocab_size), expected.count_tokens(vocab_size))


@each_tokenizer
@pytest.mark.parametrize("n_copies", [1, 700], ids=["one shard", "several shards"])
def test_a_stored_text_is_the_encoded_text(options: TokenizerOptions, n_copies: int, tmp_path: Path) -> None:
    text = TEXT * n_copies
    tokenizer = train_tokenizer(options, [TEXT])
    written = write_store(tmp_path / "store", options, tokenizer, {"train": reader(text), "valid": reader(TEXT)})
    opened = TokenStore.open(tmp_path / "store")
    opened.verify()
    assert opened.index == written.index
    assert opened.load_tokenizer().to_json() == tokenizer.to_json()
    for name, expected in (("train", text), ("valid", TEXT)):
        found = opened.text(name, split=name)
        assert (found.name, found.split) == (f"{tmp_path}/store ({name})", name)
        assert found.tokens.dtype == (np.uint8 if tokenizer.vocab_size <= 256 else np.uint16)
        assert_same(found, encode_text(name, [expected], tokenizer, name), tokenizer.vocab_size)


def test_a_mapped_array_cannot_be_written(tmp_path: Path) -> None:
    tokens = store(tmp_path / "store").text("train").tokens
    with pytest.raises(ValueError, match="read-only"):
        tokens[0] = 1


class StopError(Exception):
    pass


@each_tokenizer
def test_an_interrupted_encoding_goes_on(
    options: TokenizerOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, path = TEXT * 700, tmp_path / "store"
    tokenizer = train_tokenizer(options, [TEXT])

    def stop_in_the_third_shard(name: str, encoder: TextEncoder) -> None:
        if encoder.n_tokens > 2.5 * shards.SHARD_ITEMS:
            raise StopError

    with pytest.raises(StopError):
        write_store(path, options, tokenizer, {"train": reader(text)}, stop_in_the_third_shard)
    with pytest.raises(StoreError) as caught:
        TokenStore.open(path)
    assert str(caught.value) == (
        f"{path}: is not finished. Run the lstmlm data encode that began it once more: it goes on."
    )

    kept = (path / "train-tokens-00001.shard").stat().st_ino
    n_encoded = []
    encode_blocks = type(tokenizer).encode_blocks

    def counted(self: Tokenizer, blocks: Iterator[str], **place: bool) -> Iterator[tuple[str, np.ndarray]]:
        for stretch, ids in encode_blocks(self, blocks, **place):
            n_encoded.append(len(ids))
            yield stretch, ids

    monkeypatch.setattr(type(tokenizer), "encode_blocks", counted)
    # Blocks cut elsewhere than before make no difference.
    again = write_store(path, options, tokenizer, {"train": reader(text, 33_333)})
    monkeypatch.undo()
    assert (path / "train-tokens-00001.shard").stat().st_ino == kept
    expected = encode_text("train", [text], tokenizer, "train")
    assert sum(n_encoded) < expected.n_tokens - shards.HEADER_BYTES
    assert_same(again.text("train"), expected, tokenizer.vocab_size)


@pytest.mark.parametrize("end", ["", "\n"], ids=["open", "ended"])
@pytest.mark.parametrize("model", ["unigram.model", "bpe_bytes.model"])
def test_an_encoding_goes_on_within_a_line(model: str, end: str, tmp_path: Path) -> None:
    options = FileTokenizerOptions(path=str(Path(__file__).parents[1] / "tokenizers" / "foreign" / model))
    tokenizer = train_tokenizer(options, [])
    text, path = TEXT.replace("\n", " ") * 200 + end, tmp_path / "store"

    def stop(name: str, encoder: TextEncoder) -> None:
        if encoder.n_tokens > 1.5 * shards.SHARD_ITEMS:
            raise StopError

    with pytest.raises(StopError):
        write_store(path, options, tokenizer, {"train": reader(text)}, stop)
    again = write_store(path, options, tokenizer, {"train": reader(text)})
    assert_same(again.text("train"), encode_text("train", [text], tokenizer, "train"), tokenizer.vocab_size)


def test_what_an_interruption_left_of_another_text_is_not_used(tmp_path: Path) -> None:
    path, tokenizer = tmp_path / "store", word_tokenizer()

    def stop(name: str, encoder: TextEncoder) -> None:
        if encoder.n_tokens > 1.5 * shards.SHARD_ITEMS:
            raise StopError

    with pytest.raises(StopError):
        write_store(path, WORDS, tokenizer, {"train": reader(TEXT * 700)}, stop)
    other = "another text\n" + TEXT * 700
    again = write_store(path, WORDS, tokenizer, {"train": reader(other)})
    assert_same(again.text("train"), encode_text("train", [other], tokenizer, "train"), tokenizer.vocab_size)


class TestTrouble:
    def test_no_store(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError) as caught:
            TokenStore.open(tmp_path)
        assert str(caught.value) == f"{tmp_path}/index.json: is missing. Restore it from a copy."

    def test_a_store_that_is_cut_off(self, tmp_path: Path) -> None:
        opened = store(tmp_path)
        path = tmp_path / "train-tokens-00000.shard"
        size = path.stat().st_size
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(StoreError) as caught:
            opened.text("train")
        assert str(caught.value) == f"{path}: is damaged ({size - 1} bytes, its header says {size}). {REMEDY}"

    def test_a_shard_that_is_missing(self, tmp_path: Path) -> None:
        opened = store(tmp_path)
        path = tmp_path / "train-line_chars-00000.shard"
        path.unlink()
        with pytest.raises(StoreError) as caught:
            opened.text("train")
        assert str(caught.value) == f"{path}: is missing. {REMEDY}"

    def test_a_number_that_changed(self, tmp_path: Path) -> None:
        opened = store(tmp_path)
        path = tmp_path / "train-tokens-00000.shard"
        content = bytearray(path.read_bytes())
        content[HEADER_BYTES + 5] ^= 1
        path.write_bytes(content)
        with pytest.raises(StoreError) as caught:
            opened.text("train")
        assert str(caught.value) == f"{path}: is damaged (block 0 differs from its checksum). {REMEDY}"

    def test_a_large_store_is_read_when_it_is_used(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        opened = store(tmp_path)
        monkeypatch.setattr(token_store, "MOST_VERIFIED_BYTES", 0)
        path = tmp_path / "train-tokens-00000.shard"
        content = bytearray(path.read_bytes())
        content[HEADER_BYTES + 5] ^= 1
        path.write_bytes(content)
        opened.text("train")
        with pytest.raises(StoreError, match="block 0 differs from its checksum"):
            opened.verify()

    def test_a_shard_of_another_store(self, tmp_path: Path) -> None:
        opened = store(tmp_path / "one")
        store(tmp_path / "other", "other words\n" + TEXT)
        path = tmp_path / "one" / "train-tokens-00000.shard"
        path.write_bytes((tmp_path / "other" / path.name).read_bytes())
        with pytest.raises(StoreError) as caught:
            opened.text("train")
        assert str(caught.value) == f"{path}: is of another store or was changed. {REMEDY}"
        with pytest.raises(StoreError, match="is of another store"):
            opened.verify()

    def test_another_version(self, tmp_path: Path) -> None:
        opened = store(tmp_path)
        path = tmp_path / "train-tokens-00000.shard"
        path.write_bytes(path.read_bytes().replace(b"lstmlm shard 1\n", b"lstmlm shard 9\n"))
        with pytest.raises(StoreError) as caught:
            opened.text("train")
        assert str(caught.value) == (
            f"{path}: is of version 9 of the format, but this lstmlm reads 1. "
            "Encode the text again with lstmlm data encode."
        )

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"{", "Invalid JSON: EOF while parsing an object at line 1 column 1"),
            (
                b'{"version": 2, "tokenizer": {"name": "byte"}, "tokenizer_sha256": "", "texts": {}}',
                "Input should be 1",
            ),
        ],
    )
    def test_an_index_that_is_none(self, content: bytes, reason: str, tmp_path: Path) -> None:
        store(tmp_path)
        (tmp_path / "index.json").write_bytes(content)
        with pytest.raises(StoreError) as caught:
            TokenStore.open(tmp_path)
        assert str(caught.value).startswith(f"{tmp_path}/index.json: is damaged (")
        assert reason in str(caught.value)

    def test_a_tokenizer_that_changed(self, tmp_path: Path) -> None:
        opened = store(tmp_path)
        other = train_tokenizer(WORDS, ["other words\n"])
        (tmp_path / "tokenizer.json").write_text(other.to_json(), "utf-8")
        with pytest.raises(StoreError) as caught:
            opened.load_tokenizer()
        assert str(caught.value) == (
            f"{tmp_path}/tokenizer.json: is damaged (its SHA-256 differs from index.json). {REMEDY}"
        )

    def test_a_folder_that_is_taken(self, tmp_path: Path) -> None:
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "notes.txt").write_text("keep this", "utf-8")
        with pytest.raises(StoreError) as caught:
            store(tmp_path / "mine")
        assert str(caught.value) == (
            f"{tmp_path}/mine: holds other files. Choose a folder that is empty or does not exist."
        )
        store(tmp_path / "store")
        with pytest.raises(StoreError) as caught:
            store(tmp_path / "store")
        assert str(caught.value) == f"{tmp_path}/store: already holds a store. Choose another folder, or remove it."

    def test_a_corpus_with_a_tokenizer_beside_it_is_no_store(self, tmp_path: Path) -> None:
        (tmp_path / "train.txt").write_text(TEXT, "utf-8")
        (tmp_path / "tokenizer.json").write_text(word_tokenizer().to_json(), "utf-8")
        assert not is_store(tmp_path)

    def test_an_encoding_that_goes_on_elsewhere(self, tmp_path: Path) -> None:
        with locked(tmp_path / "store.lock"), pytest.raises(RunInUseError) as caught:
            store(tmp_path)
        assert str(caught.value) == (
            f"{tmp_path}: is in use by process {os.getpid()}. Wait until that has ended, or choose another directory."
        )

    def test_a_line_that_is_too_long_to_count(self, tmp_path: Path) -> None:
        writer = shards.ShardWriter(tmp_path, "lengths", "<u4", "")
        with pytest.raises(StoreError) as caught:
            writer.append(np.array([1 << 32]))
        assert str(caught.value) == (
            f"{tmp_path}/lengths-00000.shard: {1 << 32} is too large. Put line ends into the text."
        )
