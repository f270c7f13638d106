"""What files are: by their content and their names, and what is said of those that are no text."""

import shlex
import subprocess
from pathlib import Path, PurePath

import pytest

from lstmlm.corpus.reading.recognition import Kind, kind_of, refuse_one_value, refuse_what_is_no_text, replacement
from lstmlm.errors import DataError


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.txt", "The baker waits.\n", "text"),
        ("a.txt", "[Intro]\nla la\n", "text"),
        ("a.txt", "[1] a footnote\n", "text"),
        ("a.txt", "{\nint x;\n}\n", "text"),
        ("a.txt", "{}\n{}\n", "text"),
        ("a.txt", "The dog, word, sat.\nA cat.\n", "text"),
        ("a.txt", "baker\tboulanger\nsea\tmer\n", "text"),
        ("-", '{"text": "a"}\n{"text": "b"}\n', "jsonl"),
        ("a.txt.gz", '{"text": "a"}\n\n{"text": "b"}\n', "jsonl"),
        ("a.json", '{"text": "a"}\n{"text": "b"}\n', "jsonl"),
        ("a.NDJSON.gz", "broken\n", "jsonl"),
        ("a.jsonl", '{"text": "a"\n{"text": "b"}\n', "jsonl"),
        ("a.jsonl", '"a"\n"b"\n', "jsonl"),
        ("a.json", '[{"text": "a"}]', "json"),
        ("a.json", '["a", "b"]', "json"),
        ("-", '[{"text": "a"},\n{"text": "b"}]\n', "json"),
        ("a.json", '[\n{"text": "a"},\n{"te', "json"),
        ("a.json", '{\n"data": [\n{"text": "a"},\n{"te', "json"),
        ("a.json", '{\n"text": "a"\n}\n', "json"),
        # All of a line, or its beginning where it is longer than what is looked at.
        ("a.json", '[{"text": "a", "t": "a wo', "json"),
        ("-", '[{"text": "a"}, {"text": "a wo', "json"),
        ("-", '[{"text":"\\u30c6\\u30', "json"),
        ("-", '{"text": "a wo', "jsonl"),
        ("-", '{"id": 1, "text":', "jsonl"),
        ("a.txt", '["Ah,\nhe said.\n', "text"),
        ("a.txt", "{", "text"),
        ("a.txt", f"[{'1' * 5000}] is a large number\n", "text"),
        ("a.csv", "prose\n", "table"),
        ("a.TSV.gz", "word\nThe\n", "table"),
        ("-", "item,sentence,word\n1,1,The\n1,1,cat\n", "table"),
        ("a.txt", "Item;Word\n1;The\n", "table"),
    ],
)
def test_the_kind_of_a_text(name: str, content: str, kind: Kind) -> None:
    assert kind_of(Path(name), content) == kind


ZIP = b"PK\x03\x04" + bytes(26)


@pytest.mark.parametrize(
    ("content", "what", "command"),
    [
        (b"%PDF-1.7\n", "a PDF", "pdftotext 'my file.x' 'my file.txt'"),
        (b"{\\rtf1", "rich text (RTF)", "pandoc --wrap=none -t plain -o 'my file.txt' 'my file.x'"),
        (b"PAR1\x15\x04", "a parquet file", "python3 -c"),
        (b"SQLite format 3\0", "a database (SQLite)", None),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old office document (.doc, .xls)", None),
        (b"7z\xbc\xaf\x27\x1c", "an archive (7z)", "7z x 'my file.x'"),
        (b"name".ljust(257, b"\0") + b"ustar", "an archive (tar)", "tar -xf 'my file.x'"),
        (ZIP + b"[Content_Types].xml" + bytes(99) + b"word/document.xml", "an office document (.docx)", "pandoc"),
        (ZIP + b"[Content_Types].xml" + bytes(99) + b"xl/workbook.xml", "an office table (.xlsx)", "libreoffice"),
        (ZIP + b"mimetypeapplication/epub+zip", "a book (EPUB)", "pandoc"),
        (ZIP + b"mimetypeapplication/vnd.oasis.opendocument.text", "an office document", "pandoc"),
        (ZIP + b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet", "an office table", "libreoffice"),
        (ZIP + b"model/data.pkl", "a pickle of Python or PyTorch", None),
        (b"\x80\x04\x95", "a pickle of Python or PyTorch", None),
        (ZIP + b"texts/a.txt", "an archive (zip)", "unzip 'my file.x'"),
        (b"\x89HDF\r\n\x1a\n", "a file of numbers", None),
        (b"\x89PNG\r\n", "an image", None),
        (b"\xff\xd8\xff\xe0", "an image", None),
        (b"RIFF\x10\0\0\0WAVE", "sound or a picture", None),
    ],
)
def test_what_is_no_text_is_named(content: bytes, what: str, command: str | None) -> None:
    with pytest.raises(DataError) as caught:
        refuse_what_is_no_text("my file.x", content)
    message = str(caught.value)
    assert message.startswith(f"my file.x: is {what}, no text. ")
    if command is None:
        assert message.endswith("Name a text file.")
    else:
        advised = message.partition(" it: ")[2]
        assert advised.startswith(command)
        assert "my file.x" in shlex.split(advised)


@pytest.mark.parametrize("content", [b"PAR1 is a mark", b"GIF89", b"RIFF and raff", b"PK", b"MZ", b"ustar", b""])
def test_a_text_may_begin_with_a_mark(content: bytes) -> None:
    refuse_what_is_no_text("a.txt", content)
    assert kind_of(PurePath("a.txt"), content.decode()) == "text"


def test_json_over_several_lines_is_refused_with_the_command_that_makes_lines() -> None:
    for content, what, program in (
        ('[{"text": "a"}]', "a JSON array", "'.[]'"),
        ('{\n"n": 1, "data": [{"text": "a"}]}', "a JSON object over several lines", "'.[\"data\"][]'"),
        ('{\n"text": "a"}', "a JSON object over several lines", "."),
    ):
        with pytest.raises(DataError) as caught:
            refuse_one_value("a b.json.gz", content)
        assert str(caught.value) == (
            f"a b.json.gz: is {what}, but an object a line is read. "
            f"Make lines of it: gzip -dc 'a b.json.gz' | jq -c {program} > 'a b.jsonl'"
        )


@pytest.mark.parametrize("name", ["x.txt", "x.jsonl", "x.pdf", "x.csv"])
@pytest.mark.parametrize("beginning", [b"%PDF-1.7\n", b"{\\rtf1", b"PAR1\x15\x04"])
def test_no_command_writes_over_what_it_reads(name: str, beginning: bytes) -> None:
    with pytest.raises(DataError) as caught:
        refuse_what_is_no_text(name, beginning)
    assert str(caught.value).count(f"{name}") == 2  # in front, and what the command reads


def test_another_text_takes_the_place_of_a_file_that_is_kept(tmp_path: Path) -> None:
    """By two commands one after the other, too."""
    path = tmp_path / "novel.txt"
    path.write_text("a b\n", "utf-8")
    for letter, suffix in (("a", ".clean.txt"), ("b", ".lines.txt")):
        command = replacement(str(path), ["sed", f"s/{letter}/x/"], suffix, "utf-8")
        subprocess.run(["sh", "-c", command], check=True)
    found = {file.name: file.read_text("utf-8") for file in tmp_path.iterdir()}
    assert found == {
        "novel.txt": "x x\n",
        ".before.clean.novel.txt": "a b\n",
        ".before.lines.novel.txt": "x b\n",
    }


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_a_byte_order_mark_says_how_a_file_is_converted(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "novel.txt"
    path.write_bytes("\ufeffa b\n".encode(encoding))
    command = replacement(str(path), ["sed", "s/a/x/"], ".clean.txt", "utf-8")
    assert shlex.split(command)[:5] == ["iconv", "-f", encoding[:6], "-t", "utf-8"]


def test_a_compressed_file_is_unpacked_whatever_the_case_of_its_name() -> None:
    command = replacement("NOVEL.TXT.GZ", ["sed", "s/a/x/"], ".clean.txt", "utf-8")
    assert shlex.split(command)[:4] == ["gzip", "-dc", "NOVEL.TXT.GZ", "|"]


@pytest.mark.parametrize(("name", "encoding"), [("standard input", "utf-8"), ("a.txt", "latin-1")])
def test_what_has_another_encoding_or_no_place_stays(name: str, encoding: str) -> None:
    assert "mv" not in shlex.split(replacement(name, ["sed", "s/a/b/"], ".txt", encoding))
