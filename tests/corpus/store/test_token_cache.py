"""The cache: what was encoded once is not encoded again, and no trouble with it stops anything."""

import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lstmlm.cache import cache_directory
from lstmlm.config.data import (
    BPETokenizerOptions,
    CharTokenizerOptions,
    DataOptions,
    FileTokenizerOptions,
    TokenizerOptions,
)
from lstmlm.corpus import loading
from lstmlm.corpus.encoded_text import EncodedText
from lstmlm.corpus.loading import load_corpus, load_split
from lstmlm.corpus.reading import documents
from lstmlm.corpus.reading.text_files import read_blocks
from lstmlm.corpus.store import token_cache
from lstmlm.corpus.store.shards import HEADER_BYTES
from lstmlm.corpus.store.token_cache import KeptText
from lstmlm.corpus.store.token_store import LOCK
from lstmlm.corpus.tokenizers import Tokenizer, train_tokenizer
from lstmlm.files import locked, remove_directory

TEXT = "".join(f"line {i} of a text\n" for i in range(50))


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataOptions:
    """A corpus that is large enough to be kept."""
    monkeypatch.setenv("LSTMLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(loading, "SMALLEST_KEPT_BYTES", 1)
    (tmp_path / "corpus").mkdir()
    for split in ("train", "valid"):
        (tmp_path / "corpus" / f"{split}.txt").write_text(f"{split}\n" + TEXT, "utf-8")
    return DataOptions(corpus=str(tmp_path / "corpus"))


def read_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of the files that are read from now on."""
    read: list[str] = []

    def counted(path: Path, **others: Any) -> Any:
        read.append(path.name)
        return read_blocks(path, **others)

    monkeypatch.setattr(documents, "read_blocks", counted)
    return read


def test_the_second_time_nothing_is_read(corpus: DataOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_corpus(corpus)
    read = read_files(monkeypatch)
    again = load_corpus(corpus)
    assert read == []
    assert again.tokenizer.to_json() == first.tokenizer.to_json()
    assert again.provenance == first.provenance
    assert again.train.tokens.tolist() == first.train.tokens.tolist()
    assert (again.train.name, again.train.split) == (f"{corpus.corpus}/train.txt", "train")
    assert load_split(corpus, "valid", first.tokenizer).sha256 == first.provenance["valid"]["sha256"]
    assert read == []


def test_a_text_that_moved_is_read_but_not_encoded_again(corpus: DataOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    load_corpus(corpus)
    moved = Path(corpus.corpus).rename(Path(corpus.corpus).with_name("moved"))
    read = read_files(monkeypatch)
    monkeypatch.setattr(token_cache, "write_store", None)
    monkeypatch.setattr(token_cache, "train_tokenizer", None)
    assert load_corpus(DataOptions(corpus=str(moved))).train.n_lines == 51
    assert set(read) == {"train.txt", "valid.txt"}


def test_a_text_that_changed_is_encoded_again(corpus: DataOptions) -> None:
    load_corpus(corpus)
    (Path(corpus.corpus) / "train.txt").write_text("other words\n", "utf-8")
    assert load_corpus(corpus).train.n_words == 2


def test_a_text_that_changed_is_encoded_again_whatever_its_time(corpus: DataOptions) -> None:
    """Of the same size, with the time of before, as `cp -p` and archives set it."""
    load_corpus(corpus)
    file = Path(corpus.corpus) / "train.txt"
    before = file.stat()
    file.write_text(file.read_text("utf-8").replace("line", "word"), "utf-8")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert "word" in load_corpus(corpus).tokenizer.to_json()


def test_other_options_of_the_text_are_another_text(corpus: DataOptions) -> None:
    file = DataOptions(corpus=f"{corpus.corpus}/train.txt", holdout=0.1)
    less = file.model_copy(update={"holdout": 0.2})
    assert load_corpus(file).train.n_lines > load_corpus(less).train.n_lines


def test_a_tokenizer_file_that_changed_is_read_again(corpus: DataOptions, tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    options = corpus.model_copy(update={"tokenizer": FileTokenizerOptions(path=str(file))})
    for learnt in (BPETokenizerOptions(), CharTokenizerOptions()):
        expected = train_tokenizer(learnt, [TEXT])
        file.write_text(expected.to_json(), "utf-8")
        assert load_corpus(options).tokenizer.digest == expected.digest


def test_another_version_reads_and_learns_anew(corpus: DataOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    load_corpus(corpus)
    learnt: list[object] = []

    def train(options: TokenizerOptions, blocks: Iterator[str]) -> Tokenizer:
        learnt.append(options)
        return train_tokenizer(options, blocks)

    monkeypatch.setattr(token_cache, "train_tokenizer", train)
    read = read_files(monkeypatch)
    for module in (loading, token_cache):
        monkeypatch.setattr(module, "version", lambda name: f"another {name}")
    load_corpus(corpus)
    assert learnt == [corpus.tokenizer]
    assert set(read) == {"train.txt", "valid.txt"}


def test_another_layout_is_the_same_text(corpus: DataOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    load_corpus(corpus)
    read = read_files(monkeypatch)
    load_corpus(corpus.model_copy(update={"bptt": 7, "batch_size": 3, "partial_shuffle": True}))
    assert read == []


def test_a_small_text_leaves_nothing_behind(
    corpus: DataOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "SMALLEST_KEPT_BYTES", token_cache.SMALLEST_KEPT_BYTES)
    load_corpus(corpus)
    assert not (tmp_path / "cache").exists()


def test_what_is_damaged_is_made_again(corpus: DataOptions, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    expected = load_corpus(corpus)
    for shard in (tmp_path / "cache").glob("tokens/*/text-tokens-00000.shard"):
        shard.write_bytes(shard.read_bytes()[:-1])
    for tokenizer in (tmp_path / "cache").glob("tokenizers/*"):
        tokenizer.write_text("{", "utf-8")
    again = load_corpus(corpus)
    assert again.provenance == expected.provenance
    assert again.tokenizer.to_json() == expected.tokenizer.to_json()


def test_a_cache_that_cannot_be_made(
    corpus: DataOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way", "utf-8")
    monkeypatch.setenv("LSTMLM_CACHE", str(tmp_path / "file" / "cache"))
    assert load_corpus(corpus).train.n_lines == 51
    assert [record.message for record in caplog.records] == [
        f"Nothing is kept: {tmp_path}/file/cache: cannot be created (Not a directory). Choose another directory."
    ]


def test_a_cache_that_is_full(
    corpus: DataOptions, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write = os.write

    def full(descriptor: int, content: memoryview) -> int:
        if len(content) > HEADER_BYTES // 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, content)

    monkeypatch.setattr("os.write", full)
    assert load_corpus(corpus).train.n_lines == 51
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 2  # a line for each split
    for warning in warnings:
        assert warning.endswith(".shard: cannot be written (No space left on device). Free some space there.")
    assert list((cache_directory() / "tokens").iterdir()) == []


def test_a_cache_that_can_only_be_read_is_read(
    corpus: DataOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_corpus(corpus)
    (tmp_path / "mounted").symlink_to("cache")
    monkeypatch.setenv("LSTMLM_CACHE", str(tmp_path / "mounted"))
    opened = os.open

    def read_only(path: Any, flags: int, *options: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return opened(path, flags, *options)

    monkeypatch.setattr("os.open", read_only)
    read = read_files(monkeypatch)
    load_corpus(corpus)
    assert read == []


def keep(letter: str) -> EncodedText:
    """Encode a text of one letter with the cache, an hour after what was used before."""
    for store in (cache_directory() / "tokens").glob("*"):
        before = store.stat().st_mtime_ns - 3_600_000_000_000
        os.utime(store, ns=(before, before))
    tokenizer = train_tokenizer(CharTokenizerOptions(), ["abc\n"])
    return KeptText(letter, lambda: iter([letter]), letter).encode(CharTokenizerOptions(), tokenizer, None)


def kept() -> set[str]:
    """The letters whose texts are in the cache."""
    names = [store.name for store in (cache_directory() / "tokens").iterdir()]
    digests = {letter: hashlib.sha256(letter.encode()).hexdigest() for letter in "abc"}
    return {letter for letter, digest in digests.items() if any(name.startswith(digest[:32]) for name in names)}


def test_what_was_not_used_for_longest_goes(corpus: DataOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    for letter in "aba":
        keep(letter)
    stores = cache_directory() / "tokens"
    monkeypatch.setattr(token_cache, "MOST_KEPT_BYTES", sum(f.stat().st_size for f in stores.rglob("*") if f.is_file()))
    mapped = keep("b")
    assert kept() == {"a", "b"}
    keep("c")
    assert kept() == {"b", "c"}
    monkeypatch.setattr(token_cache, "MOST_KEPT_BYTES", 0)
    keep("a")
    assert kept() == {"a"}
    assert mapped.tokens.tolist() == keep("b").tokens.tolist()  # whoever uses it still has it


def test_what_was_interrupted_goes_like_the_rest(corpus: DataOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    stores = cache_directory() / "tokens"
    for name in ("encoding", "interrupted", f".removed.{'0' * 16}.partial"):
        (stores / name).mkdir(parents=True)
        (stores / name / LOCK).write_text("1", "utf-8")
    with locked(stores / "encoding" / LOCK):
        keep("a")
        assert {path.name for path in stores.iterdir()} > {"encoding", "interrupted"}
        assert len(list(stores.iterdir())) == 3
        monkeypatch.setattr(token_cache, "MOST_KEPT_BYTES", 0)
        keep("b")
        assert (len(list(stores.iterdir())), kept()) == (2, {"b"})
        assert (stores / "encoding").exists()


def test_another_process_may_remove_the_same(corpus: DataOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    def remove_twice(path: Path) -> None:
        remove_directory(path)
        remove_directory(path)

    monkeypatch.setattr(token_cache, "MOST_KEPT_BYTES", 0)
    monkeypatch.setattr(token_cache, "remove_directory", remove_twice)
    keep("a")
    assert keep("b").n_tokens == 1
    assert kept() == {"b"}
