"""From a download to the splits: whole and right, or not there at all."""

import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lstmlm import files
from lstmlm.corpus.named.dataset import FileDataset, Piece, PythonDocs, SplitFile
from lstmlm.corpus.named.download import Download
from lstmlm.corpus.named.preparation import get, verify
from lstmlm.errors import DataError

pytestmark = pytest.mark.loopback

TRAIN = "the cat sat\n\non a mat\n"
DIGEST = hashlib.sha256(TRAIN.encode()).hexdigest()


def got(dataset: Any) -> dict[str, str]:
    get(dataset, lambda _: None)
    return {split: "".join(text.blocks()) for split, text in dataset.texts().items()}


def refusal(dataset: Any) -> str:
    with pytest.raises(DataError) as caught:
        get(dataset, lambda _: None)
    return str(caught.value)


def test_the_members_of_an_archive_become_splits(plays: Callable[..., Any], cache: Path) -> None:
    assert got(plays()) == {"train": TRAIN, "valid": "a dög sat\n", "test": "the cat\n"}
    # Nothing else is left: neither the archive nor anything half done.
    assert sorted(path.name for path in cache.rglob("*")) == ["corpora", "plays", "test.txt", "train.txt", "valid.txt"]


def test_the_second_time_nothing_is_fetched(plays: Callable[..., Any], server: Any) -> None:
    dataset = plays()
    got(dataset)
    got(dataset)
    assert len(server.requests) == 1


def test_a_split_that_is_gone_or_cut_off_is_made_again(plays: Callable[..., Any], cache: Path) -> None:
    dataset = plays()
    whole = got(dataset)
    dataset.file("train").unlink()
    dataset.file("valid").write_text("a d", "utf-8")
    assert dataset.missing() == ["train", "valid"]
    assert got(dataset) == whole


def test_before_it_was_fetched(plays: Callable[..., Any]) -> None:
    with pytest.raises(DataError) as caught:
        plays().texts()
    assert str(caught.value) == "plays: is not on this machine. Fetch it: lstmlm data get plays"


def test_a_text_is_cut_at_bytes(plays: Callable[..., Any], server: Any) -> None:
    content = TRAIN.encode()
    splits = {"train": SplitFile(10, 10), "valid": SplitFile(5), "test": SplitFile(7, 7)}
    pieces = {"train": Piece(None, 0, 10), "valid": Piece(None, 10, 15), "test": Piece(None, 15)}
    whole = Download((server.serve("/plays.txt", content),), len(content), hashlib.sha256(content).hexdigest())
    dataset = plays(unit="char", splits=splits, download=whole, pieces=pieces)
    assert got(dataset) == {"train": TRAIN[:10], "valid": TRAIN[10:15], "test": TRAIN[15:]}


@pytest.mark.parametrize(
    ("expected", "problem"),
    [
        (SplitFile(9, 23), "has 22 bytes, but the train split of plays has 23."),
        (SplitFile(8), "has 9 tokens, but the train split of plays has 8."),
        (
            SplitFile(9, 22, "0" * 64),
            f"has {DIGEST} as SHA-256, but the train split of plays has {'0' * 64}.",
        ),
    ],
)
def test_a_split_that_is_not_what_it_has_to_be_gets_no_name(
    expected: SplitFile, problem: str, plays: Callable[..., Any]
) -> None:
    dataset = plays(splits={"train": expected}, pieces={"train": Piece("plays/train")})
    assert refusal(dataset) == (
        f"{dataset.file('train')}: {problem} Get the original file, which ends its lines as it was published."
    )
    assert list(dataset.place.iterdir()) == []


@pytest.mark.parametrize("member", ["none", "../plays/train"])
def test_a_member_that_the_archive_has_not(member: str, plays: Callable[..., Any]) -> None:
    dataset = plays(pieces={"train": Piece(member)})
    assert refusal(dataset).startswith(f"plays: the download is no zip file with {member} (")


def test_a_download_that_is_no_archive(plays: Callable[..., Any], server: Any) -> None:
    text = Download((server.serve("/x", b"text"),), 4, hashlib.sha256(b"text").hexdigest())
    assert refusal(plays(download=text)) == (
        "plays: the download is no zip file with plays/train (File is not a zip file)."
    )


def test_a_bomb_is_not_unpacked(plays: Callable[..., Any]) -> None:
    dataset = plays(splits={"train": SplitFile(1, 3)}, pieces={"train": Piece("plays/train", 0, 3)})
    assert got(dataset) == {"train": "the"}


def test_no_space(plays: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    class FullDisk:
        def __getattr__(self, name: str) -> Any:
            return getattr(os, name)

        def write(self, *_: Any) -> int:
            raise OSError(28, "No space left on device")

    dataset = plays()
    monkeypatch.setattr(files, "os", FullDisk())
    message = refusal(dataset)
    assert message == (
        f"{dataset.file('train')}: cannot be written (No space left on device). Free some space there. "
        f"LSTMLM_CACHE names another directory than {dataset.place.parent.parent}."
    )
    assert list(dataset.place.iterdir()) == []


def test_no_space_for_the_download(plays: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    class FullFile(io.BytesIO):
        def write(self, *_: Any) -> int:
            raise OSError(28, "No space left on device")

    dataset = plays()
    monkeypatch.setattr(files.tempfile, "TemporaryFile", lambda **_: FullFile())
    assert refusal(dataset) == (
        f"{dataset.place}: cannot be written (No space left on device). Free some space there. "
        f"LSTMLM_CACHE names another directory than {dataset.place.parent.parent}."
    )


def test_a_cache_that_cannot_be_written(plays: Callable[..., Any], cache: Path) -> None:
    cache.write_text("a file in its place", "utf-8")
    assert refusal(plays()).startswith(f"{cache / 'corpora' / 'plays'}: cannot be created (")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileDataset:
    monkeypatch.chdir(tmp_path)
    return FileDataset("treebank", "LDC", "word", {"train": SplitFile(9, 22, DIGEST)}, terms="It is licensed.")


def test_a_copy_of_the_users_own_is_verified(own: FileDataset) -> None:
    assert refusal(own) == (
        "treebank: train.txt not in data/treebank as published. It is licensed. "
        "Put your own copy there, below the working directory."
    )
    own.place.mkdir(parents=True)
    own.file("train").write_text(TRAIN, "utf-8")
    assert got(own) == {"train": TRAIN}
    own.file("train").write_text(TRAIN.replace("cat", "dog"), "utf-8")
    assert refusal(own).startswith("data/treebank/train.txt: has ")


def test_what_is_always_there() -> None:
    dataset = PythonDocs()
    get(dataset, lambda _: None)
    assert dataset.missing() == []


@pytest.mark.parametrize(("unit", "expected"), [("word", 9), ("char", 24), ("byte", 26)])
@pytest.mark.parametrize("block_bytes", [1, 2, 3, 100])
def test_tokens_are_counted_whatever_the_blocks(unit: Any, expected: int, block_bytes: int) -> None:
    content = "the  süß cat\n\n on mat \nx".encode()
    blocks = [content[start : start + block_bytes] for start in range(0, len(content), block_bytes)]
    verify(FileDataset("cats", "CC0", unit, {"train": SplitFile(expected)}), "train", blocks)
    with pytest.raises(DataError, match=f"has {expected} tokens, but the train split of cats has 1\\."):
        verify(FileDataset("cats", "CC0", unit, {"train": SplitFile(1)}), "train", blocks)


def test_a_fetched_corpus_is_kept_in_the_cache(cache: Path, plays: Callable[..., Any]) -> None:
    dataset: FileDataset = plays()
    assert dataset.file("test") == cache / "corpora" / "plays" / "test.txt"
