"""From a download to the splits of a corpus: each gets its name only when it is whole and what it has to be."""

import codecs
import hashlib
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from typing import cast

from lstmlm.cache import CACHE_MODE
from lstmlm.corpus.encoded_text import TextCounter
from lstmlm.corpus.named.dataset import Dataset, FileDataset, Piece
from lstmlm.corpus.named.download import Download, fetch
from lstmlm.corpus.reading.text_files import BLOCK_BYTES, raw_chunks
from lstmlm.errors import CheckpointError, DataError
from lstmlm.files import make_directory, nameless_file, write_blocks_atomically


def get(dataset: Dataset, progress: Callable[[int], None]) -> None:
    """Fetch a corpus if that is how one gets it, telling `progress` how many bytes have come, and verify every split.

    Raises:
        DataError: it cannot be fetched or written, is not what it has to be, or is the user's to put there.
    """
    if not isinstance(dataset, FileDataset):
        return
    if dataset.download is None:
        for split in dataset.texts():
            verify(dataset, split, raw_chunks(dataset.file(split)))
    elif dataset.missing():
        _fetch_and_prepare(dataset, dataset.download, progress)


def verify(dataset: FileDataset, split: str, blocks: Iterable[bytes]) -> None:
    """Compare a text with what a split has to be. Raises DataError if it has other bytes, tokens or another digest."""
    for _ in _verified(blocks, dataset, split):
        pass


def _fetch_and_prepare(dataset: FileDataset, download: Download, progress: Callable[[int], None]) -> None:
    try:
        make_directory(dataset.place, CACHE_MODE)
        with nameless_file(dataset.place) as file:
            fetch(download, file, progress)
            for split, piece in dataset.pieces.items():
                with _opened(file, piece, dataset.name) as content:
                    blocks = _bytes_of(content, piece)
                    write_blocks_atomically(dataset.file(split), _verified(blocks, dataset, split))
    except CheckpointError as error:
        cache = dataset.place.parent.parent
        raise DataError(f"{error} LSTMLM_CACHE names another directory than {cache}.") from error


@contextmanager
def _opened(file: BufferedIOBase, piece: Piece, name: str) -> Iterator[BufferedIOBase]:
    """The member of an archive, found by its name alone, or the file itself."""
    if piece.member is None:
        yield file
        return
    try:
        archive = zipfile.ZipFile(file)
        member = archive.open(piece.member)
    except (zipfile.BadZipFile, KeyError) as error:
        raise DataError(f"{name}: the download is no zip file with {piece.member} ({error}).") from None
    with archive, member:
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
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    digest, counter = hashlib.sha256(), TextCounter()
    n_bytes = n_lines = 0
    for block in blocks:
        digest.update(block)
        n_bytes += len(block)
        n_lines += block.count(b"\n")
        counter.count(decoder.decode(block))
        yield block
    n_tokens = {"word": counter.n_words + n_lines, "char": counter.n_chars, "byte": n_bytes}[dataset.unit]
    for what, found, wanted in (
        ("bytes", n_bytes, expected.n_bytes),
        ("tokens", n_tokens, expected.n_tokens),
        ("as SHA-256", digest.hexdigest(), expected.sha256),
    ):
        if wanted is not None and found != wanted:
            raise DataError(
                f"{dataset.file(split)}: has {found} {what}, but the {split} split of {dataset.name} has {wanted}. "
                "Get the original file, which ends its lines as it was published."
            )
