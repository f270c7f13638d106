"""Documents: files and records of JSON lines, what ends each, and what is said of lines that hold no text."""

import gzip
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstmlm.config.data import EosPlace
from lstmlm.corpus.reading.documents import Piece, holds_records, join_documents, read_documents
from lstmlm.errors import DataError, ShortTextError


def pieces_of(documents: Sequence[Sequence[str]]) -> list[Piece]:
    return [piece for document in documents for piece in [*map(Piece, document), Piece("", ends_document=True)]]


def joined(documents: Sequence[Sequence[str]], eos: EosPlace) -> str:
    return "".join(join_documents(pieces_of(documents), eos))


@pytest.mark.parametrize(
    ("eos", "text"),
    [
        ("line", "a\nb\n\nc\nd\n"),
        ("line_and_document", "a\nb\n\n\nc\n\nd\n\n"),
        ("document", "a b \nc\nd\n"),
    ],
)
def test_what_ends_lines_and_documents(eos: EosPlace, text: str) -> None:
    assert joined([["a\n", "b\n\n"], ["c"], ["d\n"]], eos) == text


@given(documents=st.lists(st.lists(st.text(alphabet="a\n ", min_size=1), min_size=1)))
def test_the_pieces_of_a_document_do_not_matter(documents: list[list[str]]) -> None:
    for eos in ("line", "line_and_document", "document"):
        text = joined(documents, eos)
        assert text == joined([["".join(document)] for document in documents], eos)
        assert text.count("a") == "".join(map("".join, documents)).count("a")
    assert joined(documents, "document").count("\n") == len(documents)
    assert len(joined(documents, "line_and_document")) == len(joined(documents, "line")) + len(documents)


def test_many_small_documents_come_in_few_blocks() -> None:
    documents = [[f"document {number}"] for number in range(1000)]
    assert len(list(join_documents(pieces_of(documents), "line"))) == 1


def records(path: Path, *lines: object) -> Path:
    text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.JSONL", "a.json.gz", "a.ndjson", "a.jsonlines", "a.txt"])
def test_each_record_is_a_document(name: str, tmp_path: Path) -> None:
    path = records(tmp_path / name, {"text": "one\r\ntwo\rthree", "id": 1}, "", {"text": ""}, {"text": "vïer"})
    assert holds_records(path, "utf-8")
    assert list(read_documents({path: None}, "utf-8", ["text"])) == [
        Piece("one\ntwo\nthree", True),
        Piece("vïer", True),
    ]


def test_files_are_documents_beside_records(tmp_path: Path) -> None:
    plain = tmp_path / "b.txt"
    plain.write_text("one\ntwo\n", "utf-8")
    path = records(tmp_path / "a.jsonl", {"body": "three"}, {"body": "four"})
    pieces = read_documents({path: None, plain: None}, "utf-8", ["body"])
    assert "".join(join_documents(pieces, "line_and_document")) == "three\n\nfour\n\none\ntwo\n\n"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("no json", "is not JSON (Expecting value, column 1). Write one object a line."),
        ('["text"]', "is no object, got ['text']. Write one object a line."),
        (
            '{"Text": "a"}',
            "has no field 'text', got 'Text'. Did you mean 'Text'? Name the one that is its text in data.field, "
            "or rename it: jq -c '{text: (.Text)}' PATH.jsonl > PATH.new.jsonl",
        ),
        ("{}", "has no field 'text', got no field at all. Write one."),
        ('{"text": null}', "text: expected text, got null. Write some, or remove the line."),
        ('{"text": 3}', "text: expected text, got 3. Put it in quotes, or remove the line."),
        ('{"text": "a", "text": "b"}', "cannot be used ('text' occurs twice). Write plain text or numbers."),
        (
            '{"text": ["a"]}',
            "text: expected text, got ['a']. Fields within fields are not read. Take it out: "
            "jq -c '{text: (.text | join(\"\\n\"))}' PATH.jsonl > PATH.new.jsonl",
        ),
        (
            '{"full text": "a b", "id": "x", "tags": ["c"]}',
            "has no field 'text', got 'full text', 'id', 'tags'. Did you mean 'full text'? Name the one that is its "
            "text in data.field, or rename it: jq -c '{text: (.\"full text\")}' PATH.jsonl > PATH.new.jsonl",
        ),
        (
            '{"doc": {"title": "a", "body": "a b"}}',
            "has no field 'text', got 'doc'. Fields within fields are not read. Take it out: "
            "jq -c '{text: (.doc.body)}' PATH.jsonl > PATH.new.jsonl",
        ),
        (
            '{"a":' * 600 + '"x"' + "}" * 600,
            "has no field 'text', got 'a'. Write one.",
        ),
        (
            '{"turns": [{"who": "a", "says": "a b"}]}',
            "has no field 'text', got 'turns'. Fields within fields are not read. Take it out: "
            "jq -c '{text: (.turns[].says)}' PATH.jsonl > PATH.new.jsonl",
        ),
        (
            '{"text": "\\ud800"}',
            "cannot be used ('utf-8' codec can't encode character '\\ud800' in position 10: surrogates not allowed). "
            "Write plain text or numbers.",
        ),
    ],
)
def test_a_line_that_holds_no_text_is_named(line: str, problem: str, tmp_path: Path) -> None:
    path = records(tmp_path / "a.jsonl", {"text": "first"}, line)
    with pytest.raises(DataError) as caught:
        list(read_documents({path: None}, "utf-8", ["text"]))
    assert str(caught.value) == f"{path}:2: {problem}".replace("PATH", str(path.with_suffix("")))


def test_three_bad_records_are_shown_and_the_rest_is_counted(tmp_path: Path) -> None:
    path = records(tmp_path / "a.jsonl", *[{"text": "good"}, {"text": None}] * 5)
    with pytest.raises(DataError) as caught:
        list(read_documents({path: None}, "utf-8", ["text"]))
    lines = [f"{path}:{number}: text: expected text, got null. Write some, or remove the line." for number in (2, 4, 6)]
    assert str(caught.value) == "\n".join([*lines, "and 2 more of this kind."])


def test_all_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    for name, content in {"a": b"one\n", "b": b"", "c": b"two\n", "d": b"%PDF-1.7", "e": b""}.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        list(read_documents({tmp_path / name: None for name in "abcde"}, "utf-8", ["text"]))
    named = [line.split(":")[0] for line in str(caught.value).splitlines()]
    assert named == [str(tmp_path / name) for name in "bde"]
    assert type(caught.value) is ShortTextError  # as that of the first


def test_a_record_may_have_its_text_under_another_name(tmp_path: Path) -> None:
    path = records(tmp_path / "a.jsonl", {"text": "one"}, {"body": "two", "text": "not this"})
    assert [piece.text for piece in read_documents({path: None}, "utf-8", ["body", "text"])] == ["one", "two"]


def test_what_is_no_text_alone_is_refused_or_warned_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = "id,text\n1,first\n2,second\n"
    for name, content in {
        "a.csv": table,
        "a.txt": table,
        "b.txt": table,
        "a.srt": "1\n00:00:01,5 --> 00:00:02,5\nHi\n",
    }.items():
        (tmp_path / name).write_text(content, "utf-8")
    with pytest.raises(
        DataError, match=r"a\.csv: is a table, of which numbers and marks would be words too\. Make JSON"
    ):
        list(read_documents({tmp_path / "a.csv": None}, "utf-8", ["text"]))
    with caplog.at_level("WARNING", "lstmlm"):
        assert (
            len(list(read_documents(dict.fromkeys(map(tmp_path.joinpath, ["a.txt", "b.txt", "a.srt"])), "utf-8", [])))
            == 6
        )
    assert [message.split(":", maxsplit=1)[1][:30] for message in caplog.messages] == [
        " looks like a table, of which ",
        " looks like subtitles: their n",
    ]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "windows-1252", "latin_1", "mac_roman", "utf-16", "utf_16_le"]
)
def test_the_command_in_the_message_makes_records_of_a_table(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "my posts.csv"
    path.write_text('id;text\n1;"one ""two"""\n2;"a\nb, ü"\n', encoding)
    with pytest.raises(DataError) as caught:
        list(read_documents({path: None}, encoding, ["text"]))
    command = str(caught.value).partition("data.field: ")[2]
    subprocess.run(command.replace("python3", sys.executable, 1), shell=True, check=True)
    made = tmp_path / "my posts.jsonl"
    assert [piece.text for piece in read_documents({made: None}, "utf-8", ["text"])] == ['one "two"', "a\nb, ü"]


def test_the_command_makes_records_of_cells_of_any_length(tmp_path: Path) -> None:
    songs = ["so\n" * 250, "oh, " * 40_000]
    path = tmp_path / "songs.csv"
    path.write_text("who,text\n" + "".join(f'Ann,"{song}"\n' for song in songs), "utf-8")
    with pytest.raises(DataError) as caught:
        list(read_documents({path: None}, "utf-8", ["text"]))
    command = str(caught.value).partition("data.field: ")[2]
    subprocess.run(command.replace("python3", sys.executable, 1), shell=True, check=True)
    made = tmp_path / "songs.jsonl"
    assert [piece.text for piece in read_documents({made: None}, "utf-8", ["text"])] == songs


@pytest.mark.parametrize(
    ("declared", "encoding", "converted"),
    [("iso-8859-1", "windows-1252", "iconv -f cp1252 -t utf-8"), ("iso-8859-1", "utf-8", ""), ("utf-8", "utf-8", "")],
)
def test_the_command_reads_markup_as_it_was_read(
    declared: str, encoding: str, converted: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, text in {
        "a.xml": f'<?xml version="1.0" encoding="{declared}"?>\n<p>“é”</p>\n',
        "a.html": f'<!DOCTYPE html><html><meta charset="{declared}">\n<p>“é”</p>\n',
    }.items():
        (tmp_path / name).write_text(text, encoding)
        with caplog.at_level("WARNING", "lstmlm"):
            list(read_documents({tmp_path / name: None}, "utf-8", ["text"]))
        command = caplog.messages[-1].partition("Make a text of it: ")[2]
        assert command.startswith(converted or ("python", "pandoc"))
        if name == "a.xml":
            subprocess.run(command.replace("python3", sys.executable, 1), shell=True, check=True)
            assert (tmp_path / "a.txt").read_text("utf-8").split() == ["“é”"]


def test_records_without_any_text(tmp_path: Path) -> None:
    path = records(tmp_path / "a.jsonl", {"text": ""})
    with pytest.raises(DataError) as caught:
        list(read_documents({path: None}, "utf-8", ["text"]))
    assert str(caught.value) == f"{path}: holds no text. Put some into a record."


def test_records_that_have_splits_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = [{"text": split, "split": split} for split in ("train", "dev", "train", "a word")]
    path = records(tmp_path / "all.jsonl", *made)
    one = records(tmp_path / "train.jsonl", {"text": "a", "split": "train"}, {"text": "b", "split": ["train"]})
    with caplog.at_level("WARNING", "lstmlm"):
        list(read_documents({path: None, one: None}, "utf-8", ["text"]))
    assert caplog.messages == [
        f"{path}: is read as one text, though the 'split' of its records is dev or train. "
        "To have them as such, make a folder with train.jsonl, valid.jsonl and test.jsonl."
    ]


def test_the_command_for_a_table_says_what_the_first_row_is_taken_for(tmp_path: Path) -> None:
    path = tmp_path / "sentences.csv"
    path.write_text("".join(f"{n},a sentence\n" for n in range(5)), "utf-8")
    with pytest.raises(DataError, match=r"for which its first row has to name the columns, and name that of the text"):
        list(read_documents({path: None}, "utf-8", ["text"]))
