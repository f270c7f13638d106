"""Encodings: what is declared is believed, what is told is exact, and the rest is guessed for a message only."""

import codecs
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from machine import needs_iconv

from lstmlm.corpus.reading.decoding import decoded
from lstmlm.errors import DataError

TEXTS = [
    tuple(line.split("\t"))
    for line in (Path(__file__).parent / "foreign_texts.tsv").read_text(encoding="utf-8").splitlines()
]
"""Two texts of some hundred characters in each of twenty encodings, in which programs of their countries wrote them."""


def read(content: bytes, encoding: str = "utf-8", name: str = "a.txt") -> str:
    return "".join(decoded(name, [content[:700], content[700:]] if len(content) > 700 else [content], encoding))


def refusal(content: bytes, encoding: str = "utf-8", name: str = "a.txt") -> str:
    with pytest.raises(DataError) as caught:
        read(content, encoding, name)
    return str(caught.value)


def test_of_forty_texts_nearly_all_are_guessed_and_no_command_loses_a_character() -> None:
    assert (len(TEXTS), len({encoding for encoding, _ in TEXTS})) == (40, 20)
    n_right = 0
    for encoding, text in TEXTS:
        message = refusal(text.encode(encoding))
        guess = re.search(r"It may be ([\w-]+), which reads", message)
        assert " -c" not in message
        assert guess
        assert message.endswith(f": iconv -f {guess[1]} -t utf-8 a.txt > a.utf8.txt")
        # Where the guess is wrong, the way back is open.
        read_so = text.encode(encoding).decode(guess[1])
        assert read_so.encode(guess[1]) == text.encode(encoding)
        n_right += read_so == text
    assert n_right >= 36


@pytest.mark.parametrize(("encoding", "text"), TEXTS)
def test_an_encoding_that_is_given_is_read_exactly(encoding: str, text: str) -> None:
    assert read(f"{text}\r\n{text}".encode(encoding), encoding) == f"{text}\n{text}"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32", "utf-32-be"])
def test_a_byte_order_mark_is_believed(encoding: str, caplog: pytest.LogCaptureFixture) -> None:
    mark = "\ufeff".encode(encoding) if encoding.endswith("be") else b""
    with caplog.at_level("INFO", "lstmlm"):
        assert [read(mark + "tëxt\r\n".encode(encoding), name=f"{encoding}.txt") for _ in range(2)] == ["tëxt\n"] * 2
    assert caplog.messages == [f"{encoding}.txt: is read as {encoding[:6]}, as its byte-order mark says."]


@pytest.mark.parametrize(
    ("declaration", "encoding", "text"),
    [
        ('<?xml version="1.0" encoding="gb2312"?>', "gb18030", "系统工具"),
        ("<?xml version='1.0' encoding='windows-1251'?>", "windows-1251", "Привет"),
        ('<!DOCTYPE html><html><head><meta charset="shift_jis">', "cp932", "こんにちは"),
        ('<html><meta http-equiv="Content-Type" content="text/html; charset=iso-8859-1">', "windows-1252", "“é”"),
        # What is UTF-8 has been converted, and its declaration left as it was.
        ('<?xml version="1.0" encoding="gb2312"?>', "utf-8", "系统工具"),
        ('<?xml version="1.0" encoding="utf-8"?>', "utf-8", "Привет"),
        ('In HTML one writes <meta charset="latin1">: ', "utf-8", "é"),
    ],
)
def test_a_declaration_is_believed(declaration: str, encoding: str, text: str) -> None:
    assert read(f"{declaration}\n{text}\n".encode(encoding)) == f"{declaration}\n{text}\n"


def test_a_declaration_of_what_is_no_encoding_of_texts_is_none() -> None:
    for name in ("hex", "punycode", "no-such-one"):
        text = f'<?xml version="1.0" encoding="{name}"?>\n'
        assert read(text.encode()) == text


@pytest.mark.parametrize(
    ("content", "place", "advice"),
    [
        (
            "日本語\n".encode() * 50 + "日".encode()[:2],
            500,
            "ends within a character: get the whole file, or remove its last 2 bytes.",
        ),
        (
            "naïve\n".encode() + b"caf\xc3",
            10,
            "ends within a character: get the whole file, or remove its last 1 byte.",
        ),
        (b"a " + "日".encode()[:2], 2, "ends within a character: get the whole file, or remove its last 2 bytes."),
        (b"a caf\xe9", 5, "may be "),
    ],
)
def test_a_file_that_is_cut_off_within_a_character(content: bytes, place: int, advice: str) -> None:
    assert f"at offset {place}, line " in refusal(content)
    assert f"). It {advice}" in refusal(content)


def test_a_mixed_file_is_mended_where_it_is_broken() -> None:
    mixed = "naïve\ncafé\n".encode() + b"a caf\xe9\n" + "naïve\n".encode() * 9
    assert refusal(mixed) == (
        "a.txt: not UTF-8 (byte 0xE9 at offset 18, line 3). Other characters are UTF-8, so that two encodings are "
        "mixed: mend line 3."
    )


@pytest.mark.parametrize(
    ("before", "line"),
    [(b"plain\r\nalso\rplain\n\n", 5), (b"plain\r", 2), (b"", 1), (b"x\n" * 9999, 10000)],
)
def test_where_it_is_not_utf8(before: bytes, line: int) -> None:
    message = refusal(before + b"a caf\xe9 in latin1\nmore\n")
    assert message.startswith(f"a.txt: not UTF-8 (byte 0xE9 at offset {len(before) + 5}, line {line}). It may be ")


@pytest.mark.parametrize("encoding", ["utf-16le", "utf-16be"])
def test_utf16_without_a_mark(encoding: str) -> None:
    assert refusal("a text of short words\n".encode(encoding), name="my text.txt.gz") == (
        "my text.txt.gz: not UTF-8 (over a third of its bytes are NUL). It may be "
        f"{encoding}, which reads 'a text of short words'. If that is right, give data.encoding or --encoding "
        f"{encoding}, or, where other files are UTF-8, convert it: "
        f"gzip -dc 'my text.txt.gz' | iconv -f {encoding} -t utf-8 > 'my text.utf8.txt'"
    )


def test_what_cannot_be_told_is_not_converted() -> None:
    noise = bytes(range(128, 256)) * 4 + bytes(range(32)) * 4
    message = refusal(noise, name="my noise")
    assert message.endswith("Ask the program that wrote it, or, which guesses too: file -zi 'my noise'")


def test_what_is_not_in_the_encoding_that_was_given() -> None:
    assert refusal(b"ab\n\x81\x20", "windows-1252").startswith(
        "a.txt: not WINDOWS-1252 (byte 0x81 at offset 3, line 2). "
    )
    assert refusal("some text\n".encode("utf-16be"), "utf-16").startswith(
        "a.txt: not UTF-16 (UTF-16 stream does not start with BOM). It may be utf-16be, which reads 'some text'. "
    )
    assert refusal("é".encode()[:1]).startswith("a.txt: not UTF-8 (byte 0xC3 at offset 0, line 1). ")


@needs_iconv
def test_the_command_can_be_pasted(tmp_path: Path) -> None:
    encoding, text = TEXTS[0]
    path = tmp_path / "my text.txt"
    path.write_bytes(text.encode(encoding))
    command = refusal(path.read_bytes(), name=str(path)).partition("convert it: ")[2]
    assert shlex.split(command)[:4] == ["iconv", "-f", "windows-1252", "-t"]
    subprocess.run(command, shell=True, check=True)
    assert (tmp_path / "my text.utf8.txt").read_text(encoding="utf-8") == text


def test_all_of_the_guesses_are_names_that_python_knows() -> None:
    from lstmlm.corpus.reading import decoding

    names = [*decoding._OF_ONE_BYTE, *decoding._OF_MORE_BYTES, *decoding._WIDE, *decoding._IN_FACT.values()]
    assert all(map(codecs.lookup, names))
