"""From a download to the splits of a corpus: each gets its name only when it is whole and what it has to be."""

import codecs
import hashlib
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import cast

from lstmlm.corpus.named.dataset import Dataset, FetchedDataset, FileDataset, Piece, Unit
from lstmlm.corpus.named.download import fetch
from lstmlm.corpus.reading.text_files import BLOCK_BYTES, raw_chunks
from lstmlm.errors import CheckpointError, DataError
from lstmlm.files import make_directory, nameless_file, write_blocks_atomically


def get(dataset: Dataset, progress: Callable[[int], None]) -> None:
    """Make a corpus ready to be read: fetch it if that is how one gets it, and verify every split.

    Args:
        dataset: The corpus.
        progress: Is told how many bytes of the download have come.

    Raises:
        DataError: it cannot be fetched or written, is not what it has to be, or is the user's to put there.
    """
    if isinstance(dataset, FetchedDataset):
        if dataset.missing():
            _fetch_and_prepare(dataset, progress)
    elif isinstance(dataset, FileDataset):
        for split in dataset.texts():
            verify(dataset, split, raw_chunks(dataset.file(split)))


def verify(dataset: FileDataset, split: str, blocks: Iterable[bytes]) -> None:
    """Compare a text with what a split of a corpus has to be.

    Raises:
        DataError: it has other bytes, tokens or another digest.
    """
    for _ in _verified(blocks, dataset, split):
        pass


def _fetch_and_prepare(dataset: FetchedDataset, progress: Callable[[int], None]) -> None:
    with _written_to(dataset.place):
        make_directory(dataset.place)
        with nameless_file(dataset.place) as file:
            fetch(dataset.download, file, progress)
            for split, piece in dataset.pieces.items():
                with _opened(file, piece, dataset.name) as content:
                    blocks = _bytes_of(content, piece)
                    write_blocks_atomically(dataset.file(split), _verified(blocks, dataset, split))


@contextmanager
def _written_to(place: Path) -> Iterator[None]:
    """A cache that cannot be written is trouble with data, not with a run."""
    try:
        yield
    except CheckpointError as error:
        raise DataError(f"{error} LSTMLM_CACHE names another directory than {place.parent.parent}.") from error


@contextmanager
def _opened(file: BufferedIOBase, piece: Piece, name: str) -> Iterator[BufferedIOBase]:
    """The member of an archive, found by its name alone, or the file itself."""
    if piece.member is None:
        yield file
        return
    with ExitStack() as opened:
        try:
            archive = opened.enter_context(zipfile.ZipFile(file))
            member = opened.enter_context(archive.open(piece.member))
        except (zipfile.BadZipFile, KeyError) as error:
            raise DataError(f"{name}: the download is no zip file with {piece.member} ({error}).") from None
        yield cast(BufferedIOBase, member)


def _bytes_of(content: BufferedIOBase, piece: Piece) -> Iterator[bytes]:
    content.seek(piece.start)
    n_left = piece.stop - piece.start
    while n_left > 0 and (block := content.read(min(BLOCK_BYTES, n_left))):
        yield block
        n_left -= len(block)


def _verified(blocks: Iterable[bytes], dataset: FileDataset, split: str) -> Iterator[bytes]:
    """The same blocks; an error in place of the end if they are not those of the split.

    A file that is written from them therefore gets its name only if it is what it has to be.
    """
    expected = dataset.splits[split]
    digest = hashlib.sha256()
    counter = _TokenCounter(dataset.unit)
    n_bytes = 0
    for block in blocks:
        digest.update(block)
        counter.read(block)
        n_bytes += len(block)
        yield block
    for what, found, wanted in (
        ("bytes", n_bytes, expected.n_bytes),
        ("tokens", counter.n_tokens, expected.n_tokens),
        ("as SHA-256", digest.hexdigest(), expected.sha256),
    ):
        if wanted is not None and found != wanted:
            raise DataError(
                f"{dataset.file(split)}: has {found} {what}, but the {split} split of {dataset.name} has {wanted}. "
                "Get the original file, which ends its lines as it was published."
            )


class _TokenCounter:
    """Counts the tokens of a text of which only blocks are in memory."""

    def __init__(self, unit: Unit) -> None:
        self.n_tokens = 0
        self._unit = unit
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._is_within_word = False

    def read(self, block: bytes) -> None:
        if self._unit == "byte":
            self.n_tokens += len(block)
            return
        text = self._decoder.decode(block)
        if self._unit == "char":
            self.n_tokens += len(text)
        elif text:
            goes_on = self._is_within_word and not text[0].isspace()
            self.n_tokens += len(text.split()) - goes_on + text.count("\n")
            self._is_within_word = not text[-1].isspace()
