"""The corpora that are known by name, compared with copies of them where there are any."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lstmlm.config.data import ByteTokenizerOptions, DataOptions
from lstmlm.corpus.loading import load_corpus
from lstmlm.corpus.named import DATASETS
from lstmlm.corpus.named.dataset import Dataset, FileDataset, Piece
from lstmlm.corpus.named.preparation import verify
from lstmlm.corpus.reading.splits import Text
from lstmlm.corpus.reading.text_files import raw_chunks
from lstmlm.errors import DataError

FETCHED = [dataset for dataset in DATASETS.values() if isinstance(dataset, FileDataset) and dataset.download]
CUT = [dataset for dataset in FETCHED if len({piece.member for piece in dataset.pieces.values()}) == 1]
each_fetched = pytest.mark.parametrize("dataset", FETCHED, ids=lambda dataset: dataset.name)
each_cut = pytest.mark.parametrize("dataset", CUT, ids=lambda dataset: dataset.name)


def test_their_names() -> None:
    assert set(DATASETS) == {
        *("python-docs", "tinyshakespeare", "ptb", "wikitext-2", "wikitext-103", "text8", "enwik8"),
    }
    assert all(dataset.name == name for name, dataset in DATASETS.items())
    assert {dataset.name for dataset in CUT} == {"tinyshakespeare", "text8", "enwik8"}


@each_fetched
def test_what_is_fetched_is_known_to_the_byte(dataset: FileDataset) -> None:
    assert dataset.download is not None
    assert all(address.startswith("https://") for address in dataset.download.addresses)
    digests = [dataset.download.sha256, *(split.sha256 for split in dataset.splits.values() if split.sha256)]
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests)
    assert len(set(digests)) == len(digests)
    assert list(dataset.pieces) == list(dataset.splits) == ["train", "valid", "test"]


@each_cut
def test_a_text_that_is_cut_is_cut_without_gaps(dataset: FileDataset) -> None:
    pieces = list(dataset.pieces.values())
    assert (pieces[0].start, pieces[-1].stop) == (0, Piece().stop)  # to the end
    assert [piece.start for piece in pieces[1:]] == [piece.stop for piece in pieces[:-1]]


@pytest.mark.parametrize("name", ["ptb", "wikitext-2"])
@pytest.mark.parametrize("split", ["train", "valid"])
def test_splits_are_those_that_people_have(name: str, split: str, corpus_path: Callable[[str], Path]) -> None:
    dataset = DATASETS[name]
    assert isinstance(dataset, FileDataset)
    verify(dataset, split, raw_chunks(corpus_path(f"{name}/{split}.txt")))


def test_tinyshakespeare_is_the_file_that_people_have(corpus_path: Callable[[str], Path]) -> None:
    path = corpus_path("tinyshakespeare/input.txt")
    dataset = DATASETS["tinyshakespeare"]
    assert isinstance(dataset, FileDataset)
    assert dataset.download is not None
    content = path.read_bytes()
    assert len(content) == dataset.download.n_bytes
    assert hashlib.sha256(content).hexdigest() == dataset.download.sha256
    for split, piece in dataset.pieces.items():
        verify(dataset, split, [content[piece.start : piece.stop]])


def test_tinyshakespeare_is_cut_where_holdout_cuts(corpus_path: Callable[[str], Path]) -> None:
    path = corpus_path("tinyshakespeare/input.txt")
    corpus = load_corpus(DataOptions(corpus=str(path), tokenizer=ByteTokenizerOptions()))
    dataset = DATASETS["tinyshakespeare"]
    assert isinstance(dataset, FileDataset)
    for text in (corpus.train, corpus.valid, corpus.test):
        assert text is not None
        assert text.sha256 == dataset.splits[str(text.split)].sha256


def test_a_configuration_that_names_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LSTMLM_CACHE", str(tmp_path))
    with pytest.raises(DataError) as caught:
        load_corpus(DataOptions(corpus="wikitext-2"))
    assert str(caught.value) == "wikitext-2: is not on this machine. Fetch it: lstmlm data get wikitext-2"


def test_one_that_is_there_is_read_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    class Greeting(Dataset):
        name, licence, place, how_to_get = "greeting", "CC0", None, "nothing"

        def missing(self) -> list[str]:
            return []

        def texts(self) -> dict[str, Text]:
            return {"train": Text("greeting (train)", lambda: iter(["hello world\n"]))}

        def provenance(self) -> dict[str, str]:
            return {"author": "us"}

    monkeypatch.setitem(DATASETS, "greeting", Greeting())  # type: ignore[arg-type]
    corpus = load_corpus(DataOptions(corpus="greeting"))
    assert (corpus.train.name, corpus.train.n_tokens) == ("greeting (train)", 3)
    assert corpus.provenance["author"] == "us"
