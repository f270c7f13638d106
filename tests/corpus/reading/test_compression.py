"""Compressed files: each kind is read, and what is said of those that are damaged or misnamed."""

import bz2
import gzip
import lzma
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lstmlm.corpus.reading.compression import COMPRESSIONS, split_suffixes
from lstmlm.corpus.reading.text_files import read_blocks
from lstmlm.errors import DataError, MissingExtraError


def compress_zstd(content: bytes) -> bytes:
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    zstd = pytest.importorskip(name, reason="needs the zstd extra", exc_type=ImportError)
    compressed: bytes = zstd.compress(content)
    return compressed


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".bz2": bz2.compress,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".zst": compress_zstd,
}
TEXT = "".join(f"line {number}\n" for number in range(5000))

each_compression = pytest.mark.parametrize("suffix", COMPRESSIONS)


def refusal(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        list(read_blocks(path))
    return str(caught.value)


@each_compression
@pytest.mark.parametrize("block_bytes", [3000, 1 << 20])
def test_a_compressed_file(suffix: str, block_bytes: int, tmp_path: Path) -> None:
    path = tmp_path / f"text{suffix.upper()}"
    path.write_bytes(COMPRESS[suffix](b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode()))
    assert "".join(read_blocks(path, block_bytes)) == TEXT


@each_compression
def test_parts_that_were_compressed_one_by_one(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"text.txt{suffix}"
    path.write_bytes(COMPRESS[suffix](b"one\n") + COMPRESS[suffix](b"two\n"))
    assert "".join(read_blocks(path)) == "one\ntwo\n"


@pytest.mark.parametrize("suffix", [".bz2", ".xz"])
def test_between_parts_there_may_be_zeros_and_nothing_else(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"text.txt{suffix}"
    one, two = COMPRESS[suffix](b"one\n"), COMPRESS[suffix](b"two\n")
    for zeros in (bytes(4), bytes(1 << 21)):
        path.write_bytes(one + zeros + two + zeros)
        assert "".join(read_blocks(path)) == "one\ntwo\n"
    damaged = f"{path}: is damaged (not a whole {COMPRESSIONS[suffix].name} file). Compress it again."
    for content in (one + b"!" + two[1:], one + two[:-1], one + b"more"):
        assert refusal(path, content) == damaged


def test_zstd_with_a_window_of_any_width(tmp_path: Path) -> None:
    compress_zstd(b"")
    path = tmp_path / "text.zst"
    # A frame of one raw block, for which 2 GB were to be kept, if there were as many.
    path.write_bytes(b"\x28\xb5\x2f\xfd" + bytes([0, 21 << 3]) + (4 << 3 | 1).to_bytes(3, "little") + b"one\n")
    assert "".join(read_blocks(path)) == "one\n"


@each_compression
def test_a_file_that_ends_too_early_or_holds_what_it_should_not(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"text{suffix}"
    whole = COMPRESS[suffix](TEXT.encode())
    damaged = f"{path}: is damaged (not a whole {COMPRESSIONS[suffix].name} file). Compress it again."
    middle = len(whole) // 2
    for content in (whole[:-9], whole[:middle], whole[:middle] + bytes(40) + whole[middle + 40 :]):
        assert refusal(path, content) == damaged


@each_compression
def test_a_name_that_says_too_much(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"text{suffix}"
    assert refusal(path, b"not compressed\n") == (
        f"{path}: is not compressed ({COMPRESSIONS[suffix].name}), though its name ends in {suffix}. "
        "Rename or compress it."
    )
    assert refusal(path, b"") == f"{path}: is empty. Put text into it, a sentence or paragraph a line."


@each_compression
@pytest.mark.parametrize("name", ["text.txt", "text.gz", "text.xz"])
def test_a_name_that_does_not_say_how_it_is_compressed(suffix: str, name: str, tmp_path: Path) -> None:
    if name.endswith(suffix):
        return
    path = tmp_path / name
    assert refusal(path, COMPRESS[suffix](TEXT.encode())) == (
        f"{path}: is compressed ({COMPRESSIONS[suffix].name}), which its name does not say. "
        f"Let it end in {suffix}, or unpack it."
    )


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    path = tmp_path / "text.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd")
    monkeypatch.setattr("lstmlm.corpus.reading.compression.import_module", missing)
    with pytest.raises(MissingExtraError) as caught:
        list(read_blocks(path))
    assert str(caught.value) == "backports.zstd: is not installed. Install it: pip install 'lstmlm[zstd]'"


def test_an_error_of_the_disk_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(self: object, size: int) -> bytes:
        raise OSError(5, "Input/output error")

    path = tmp_path / "text.gz"
    path.write_bytes(gzip.compress(b"text"))
    monkeypatch.setattr(gzip.GzipFile, "read", failing)
    assert refusal(path, path.read_bytes()) == f"{path}: cannot be read (Input/output error). Check its permissions."


@pytest.mark.parametrize(
    ("name", "suffixes"),
    [
        ("a.txt", (".txt", "")),
        ("a.JSONL.Gz", (".jsonl", ".gz")),
        ("a.b.gz", (".b", ".gz")),
        ("a.gz", ("", ".gz")),
        ("a", ("", "")),
        ("train.txt.bak", (".bak", "")),
    ],
)
def test_what_names_say(name: str, suffixes: tuple[str, str]) -> None:
    assert split_suffixes(Path(name)) == suffixes
