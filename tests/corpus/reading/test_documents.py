"""Documents: files and records of JSON lines, what ends each, and what is said of lines that hold no text."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstmlm.config.data import EosPlace
from lstmlm.corpus.reading.documents import Piece, holds_records, join_documents, read_documents
from lstmlm.errors import DataError


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


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.JSONL", "a.json.gz"])
def test_each_record_is_a_document(name: str, tmp_path: Path) -> None:
    path = records(tmp_path / name, {"text": "one\r\ntwo\rthree", "id": 1}, "", {"text": ""}, {"text": "vïer"})
    assert holds_records(path)
    assert list(read_documents({path: None}, "text")) == [Piece("one\ntwo\nthree", True), Piece("vïer", True)]


def test_files_are_documents_beside_records(tmp_path: Path) -> None:
    plain = tmp_path / "b.txt"
    plain.write_text("one\ntwo\n")
    path = records(tmp_path / "a.jsonl", {"body": "three"}, {"body": "four"})
    pieces = read_documents({path: None, plain: None}, "body")
    assert "".join(join_documents(pieces, "line_and_document")) == "three\n\nfour\n\none\ntwo\n\n"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("no json", "is not JSON (Expecting value, column 1). Write one object a line."),
        ('["text"]', "is no object, got ['text']. Write one object a line."),
        ('{"Text": "a"}', "has no field 'text', got 'Text'. Did you mean 'Text'? Name it in data.field."),
        ("{}", "has no field 'text', got no field at all. Name it in data.field."),
        ('{"text": null}', "text: expected text, got None. Put it in quotes, or remove the line."),
        ('{"text": ["a"]}', "text: expected text, got ['a']. Put it in quotes, or remove the line."),
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
        list(read_documents({path: None}, "text"))
    assert str(caught.value) == f"{path}:2: {problem}"


def test_records_without_any_text(tmp_path: Path) -> None:
    path = records(tmp_path / "a.jsonl", {"text": ""})
    with pytest.raises(DataError) as caught:
        list(read_documents({path: None}, "text"))
    assert str(caught.value) == f"{path}: holds no text. Put some into a record."
