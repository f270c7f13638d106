"""Text files: encodings, line ends and blocks, and what is said of files that are not text."""

import gzip
import os
import re
import tracemalloc
from io import BytesIO, TextIOWrapper
from itertools import pairwise
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstmlm.corpus.reading.text_files import (
    BLOCK_BYTES,
    STANDARD_INPUT,
    Line,
    Version,
    cut_between_words,
    files_in,
    in_blocks,
    read_blocks,
    read_file,
    read_lines,
    read_prompt,
)
from lstmlm.errors import DataError, MissingTextError


def written(folder: Path, content: bytes) -> Path:
    path = folder / "train.txt"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"a\nb\n", "a\nb\n"),
        (b"a\nb", "a\nb"),
        (b"a\r\nb\r\n", "a\nb\n"),
        (b"a\rb\r", "a\nb\n"),
        (b"a\r\r\nb", "a\n\nb"),
        (b"\xef\xbb\xbfa\n", "a\n"),
        ("a\ufeffb\n".encode(), "a\ufeffb\n"),
        (b"\n", "\n"),
        (b"\r\n", "\n"),
        ("a\u2028b\x85c\x0cd\x0be\x1cf\n".encode(), "a\u2028b\x85c\x0cd\x0be\x1cf\n"),
    ],
)
@pytest.mark.parametrize("block_bytes", [1, 2, 3, 1 << 20])
def test_only_line_feeds_end_lines_and_a_first_byte_order_mark_is_dropped(
    content: bytes, text: str, block_bytes: int, tmp_path: Path
) -> None:
    assert "".join(read_blocks(written(tmp_path, content), block_bytes)) == text


@settings(deadline=None)  # the clock is not what is tested
@given(text=st.text(alphabet="aé€\U0001f600 \r\n\u2028", min_size=1), block_bytes=st.integers(1, 12))
def test_the_size_of_blocks_does_not_change_the_text(
    text: str, block_bytes: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = written(tmp_path_factory.mktemp("blocks"), text.encode())
    blocks = list(read_blocks(path, block_bytes))
    assert "".join(blocks) == text.replace("\r\n", "\n").replace("\r", "\n")
    assert all(0 < len(block) <= block_bytes for block in blocks)


def test_blocks_end_with_lines_or_else_words_or_else_anywhere(tmp_path: Path) -> None:
    path = written(tmp_path, b"one\ntwo\na line  is long\tfour\nindivisible\n")
    blocks = ["one\ntwo\n", "a line", "  is", " long", "\tfour\n", "indivisi", "ble\n"]
    assert list(read_blocks(path, 8)) == blocks


@given(
    pieces=st.lists(st.text(alphabet="ab \t\n", max_size=20), max_size=9),
    block_chars=st.integers(1, 12),
)
def test_pieces_of_any_length_make_the_blocks_of_their_text(pieces: list[str], block_chars: int) -> None:
    text = "".join(pieces)
    blocks = list(in_blocks(pieces, block_chars))
    assert blocks == list(in_blocks([text] if text else [], block_chars))
    assert "".join(blocks) == text
    assert all(0 < len(block) <= block_chars for block in blocks)
    for block, following in pairwise(blocks):
        if not block.endswith("\n"):
            assert "\n" not in block
            if not (following[0] in " \t" and block[-1] not in " \t"):
                assert not re.search(r"[^ \t][ \t]", block)
                assert len(block) == block_chars


def test_one_long_line_takes_the_memory_of_many(tmp_path: Path) -> None:
    peaks = {}
    for name, end in (("line", b" "), ("lines", b"\n"), ("word", b"d")):
        path = written(tmp_path, (b"words" + end) * 2_000_000)
        tracemalloc.start()
        assert sum(map(len, read_blocks(path))) == 12_000_000
        peaks[name] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert max(peaks.values()) < 8 * BLOCK_BYTES


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"])
def test_an_empty_file(content: bytes, tmp_path: Path) -> None:
    path = written(tmp_path, content)
    with pytest.raises(DataError) as caught:
        list(read_blocks(path))
    assert str(caught.value) == f"{path}: is empty. Put text into it, a sentence or paragraph a line."


@pytest.mark.parametrize("name", ["none.txt", "a sentence in place of a name " * 10])
def test_a_missing_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    for read in (read_blocks, lambda path: next(map(read_blocks, files_in([path])))):
        with pytest.raises(MissingTextError) as caught:
            list(read(path))
        assert str(caught.value) == f"{path}: no such file. Check the path, relative to the working directory."


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        list(read_blocks(tmp_path))
    assert str(caught.value) == f"{tmp_path}: is a folder, not a text file. Name a file in it."


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "loop.txt"
    path.symlink_to(path)
    with pytest.raises(DataError, match=r"loop.txt: cannot be read \(.+\)\. Check its permissions\."):
        list(read_blocks(path))


def test_files_and_the_files_of_folders(tmp_path: Path) -> None:
    (tmp_path / "below" / ".hidden").mkdir(parents=True)
    for name in ("b.tsv", "a.csv.gz", "below/c.csv", "README.md", ".d.csv", "below/.hidden/e.csv"):
        (tmp_path / name).write_text("something", "utf-8")
    (tmp_path / "empty.csv").touch()
    named = tmp_path / "README.md"
    tables = [tmp_path / name for name in ("a.csv.gz", "b.tsv", "below/c.csv")]
    assert list(files_in([named, tmp_path], (".csv", ".tsv"))) == [named, *tables]
    assert list(files_in([tmp_path])) == [named, *tables]
    with pytest.raises(DataError) as caught:
        list(files_in([tmp_path], (".json", ".jsonl")))
    assert str(caught.value) == f"{tmp_path}: holds no .json, .jsonl file. Name a file, or another folder."


def test_files_of_a_folder_that_are_left_out_are_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("notes.txt", "a.md", "b.md", "c.html"):
        (tmp_path / name).write_text("text", "utf-8")
    with caplog.at_level("WARNING", "lstmlm"):
        assert [list(files_in([tmp_path], (".txt",))) for _ in range(2)] == [[tmp_path / "notes.txt"]] * 2
    assert caplog.messages == [
        f"{tmp_path}: read are 1 of 4 files, not 2 that end in .md. To read all of them: '{tmp_path}/**/*'"
    ]


def test_linked_folders_of_a_folder_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("here", "elsewhere"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text("text", "utf-8")
    (tmp_path / "here" / "more").symlink_to("../elsewhere")
    (tmp_path / "here" / "2024").mkdir()
    (tmp_path / "here" / "latest").symlink_to("2024")  # is read where it is
    here = tmp_path / "here"
    with caplog.at_level("WARNING", "lstmlm"):
        assert list(files_in([here], (".txt",))) == [here / "a.txt"]
    told = f"{here}: links to folders are not followed: {here}/more. Copy what is there into it to read that too."
    assert caplog.messages == [told]


def test_a_whole_file_knows_its_kind_lines_and_rows(tmp_path: Path) -> None:
    path = tmp_path / "words.tsv.gz"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbfitem\tword\r\n1\tThe\r\n"))
    file = read_file(path)
    assert (file.kind, file.name, file.content) == ("table", str(path), "item\tword\n1\tThe\n")
    assert [line.text for line in file.lines()] == ["item\tword", "1\tThe"]
    assert [(row.number, row.cells) for row in file.rows()] == [(1, ["item", "word"]), (2, ["1", "The"])]


def test_lines_are_numbered_from_one(tmp_path: Path) -> None:
    path = written(tmp_path, "a\u2028b\r\n\nc".encode())
    lines = list(read_lines(path))
    assert lines == [Line(path, 1, "a\u2028b"), Line(path, 2, ""), Line(path, 3, "c")]
    assert str(lines[1].error("is blank.")) == f"{path}:2: is blank."


def test_a_pipe_can_be_read_again_and_is_no_corpus(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(DataError) as caught:
        Version.of(path)
    assert str(caught.value) == f"{path}: is a pipe, but a corpus is read more than once. Save it as a file."
    writer = Thread(target=path.write_bytes, args=[b"a line\n"])
    writer.start()
    assert [list(read_blocks(path, 7)) for _ in range(2)] == [["a line\n"]] * 2
    writer.join()


def input_of(content: bytes) -> TextIOWrapper:
    return TextIOWrapper(BytesIO(content))


def test_standard_input_can_be_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", input_of(b"\xef\xbb\xbfone\r\ntwo\n"))
    assert [list(read_blocks(STANDARD_INPUT, 4)) for _ in range(2)] == [["one\n", "two\n"]] * 2
    assert read_prompt() == "one\ntwo"
    monkeypatch.setattr("sys.stdin", input_of(b"three\n\n"))
    assert read_prompt() == "three\n"
    line = next(read_lines(STANDARD_INPUT))
    assert str(line.error("is odd.")) == "standard input:1: is odd."


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty. Put text into it, a sentence or paragraph a line."),
        (b"PAR1\x15\x04", "is a parquet file, no text. Name a text file."),
        (
            gzip.compress(b"text", mtime=0),
            "is compressed (gzip), which its name does not say. Let it end in .gz, or unpack it.",
        ),
    ],
)
def test_standard_input_that_is_no_text(content: bytes, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", input_of(content))
    with pytest.raises(DataError) as caught:
        list(read_blocks(STANDARD_INPUT))
    assert str(caught.value) == f"standard input: {problem}"


def test_a_standard_input_that_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(DataError) as caught:
        list(read_blocks(STANDARD_INPUT))
    assert str(caught.value) == "standard input: is closed. Pipe a text into the command."


def test_a_terminal_is_told_what_is_awaited(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    terminal = input_of(b"typed\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    with caplog.at_level("INFO", "lstmlm"):
        assert read_prompt() == "typed"
    assert caplog.messages == [
        "reading a text from the terminal: end it with Ctrl-D (on Windows Ctrl-Z) on a line of its own"
    ]


def test_a_device_need_not_end() -> None:
    for read in (lambda path: list(read_blocks(path)), Version.of):
        with pytest.raises(DataError) as caught:
            read(Path("/dev/zero"))
        assert str(caught.value) == "/dev/zero: is a device, which need not end. Name a text file."


def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, b"one\ntwo\n" * 1000)
    blocks = read_blocks(path, 4)
    next(blocks)
    with path.open("ab") as file:
        file.write(b"three\n")
    with pytest.raises(DataError) as caught:
        list(blocks)
    changed = f"{path}: changed while it was read. Run the command again when nothing writes to it."
    assert str(caught.value) == changed
    before = Version.of(path)
    assert len(list(read_blocks(path, version=before))) == 1
    path.write_bytes(b"another text\n")
    with pytest.raises(DataError) as caught:
        list(read_blocks(path, version=before))
    assert str(caught.value) == changed


def test_what_is_below_a_file_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a\n", "utf-8")
    with pytest.raises(MissingTextError, match=r"a\.txt/b\.txt: no such file\. Check the path"):
        list(read_blocks(tmp_path / "a.txt" / "b.txt"))


@given(text=st.text(alphabet="ab \n\t\u2028", max_size=40), part_chars=st.integers(1, 8))
def test_long_texts_are_cut_between_words(text: str, part_chars: int) -> None:
    parts = list(cut_between_words(text, part_chars))
    assert "".join(parts) == text
    assert all(len(part) >= part_chars for part in parts[:-1])
    for before, after in pairwise(parts):
        assert before[-1] == "\n" or (not before[-1].isspace() and after[0] == " " and not after[1].isspace())
    assert sum(len(part.split()) for part in parts) == len(text.split())
