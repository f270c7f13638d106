"""A file from the web: every byte as known, or an error that says why and leaves nothing."""

import hashlib
import io
import logging
import socket
from typing import Any
from urllib.error import URLError

import pytest

from lstmlm import __version__
from lstmlm.corpus.named import download
from lstmlm.corpus.named.download import Download, fetch
from lstmlm.errors import DataError

pytestmark = pytest.mark.loopback

CONTENT = bytes(range(256)) * 3000


def known(*addresses: str, content: bytes = CONTENT) -> Download:
    return Download(addresses, len(content), hashlib.sha256(content).hexdigest())


def fetched(wanted: Download) -> bytes:
    file = io.BytesIO()
    fetch(wanted, file, lambda _: None)
    return file.getvalue()


def message(wanted: Download) -> str:
    with pytest.raises(DataError) as caught:
        fetched(wanted)
    return str(caught.value)


def test_progress_is_told_up_to_the_end(server: Any) -> None:
    told: list[int] = []
    file = io.BytesIO()
    fetch(known(server.serve("/file", CONTENT)), file, told.append)
    assert file.getvalue() == CONTENT
    assert told == sorted(told)
    assert told[-1] == len(CONTENT)
    assert server.requests == [("/file", f"lstmlm/{__version__}")]


def test_redirections_are_followed(server: Any) -> None:
    server.serve("/new", CONTENT)
    assert fetched(known(server.serve("/old", status=301, Location="/new"))) == CONTENT


def test_a_redirection_without_end(server: Any) -> None:
    address = server.serve("/loop", status=302, Location="/loop")
    assert message(known(address)).startswith(f"{address}: the server answers 302 The HTTP server returned a redirect")


def test_a_wrong_checksum(server: Any) -> None:
    address = server.serve("/file", CONTENT[::-1])
    assert message(known(address)) == (
        f"{address}: is not the file that is known by this name (SHA-256 {hashlib.sha256(CONTENT[::-1]).hexdigest()}, "
        f"expected {hashlib.sha256(CONTENT).hexdigest()}). Nothing was kept; try again, or from another network."
    )


def test_a_longer_file_is_not_read_to_its_end(server: Any) -> None:
    address = server.serve("/file", CONTENT + bytes(10 * download.BLOCK_BYTES))
    told: list[int] = []
    with pytest.raises(DataError, match="is not the file that is known by this name"):
        fetch(known(address), io.BytesIO(), told.append)
    assert told[-1] <= len(CONTENT) + download.BLOCK_BYTES


@pytest.mark.parametrize("length", [str(len(CONTENT)), "1000"])
def test_a_truncated_file(length: str, server: Any) -> None:
    address = server.serve("/file", CONTENT[:1000], Content_Length=length)
    assert message(known(address)) == f"{address}: ended after 1,000 of 768,000 bytes. Try again."


def test_a_file_that_is_not_there(server: Any) -> None:
    assert message(known(server.address + "/none")) == (
        f"{server.address}/none: the server answers 404 Not Found. Try again later."
    )


def test_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown_name(*_: object, **__: object) -> None:
        raise URLError(socket.gaierror(-2, "Name or service not known"))

    monkeypatch.setattr(download, "urlopen", unknown_name)
    assert message(known("https://corpora.example/file")) == (
        "https://corpora.example/file: cannot be reached (Name or service not known). "
        "Check the connection and try again."
    )


def test_a_server_that_stops_answering(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(io.BytesIO):
        def read(self, *_: object) -> bytes:
            raise TimeoutError("timed out")

    monkeypatch.setattr(download, "urlopen", lambda *_, **__: Silent())
    assert message(known("https://corpora.example/file")) == (
        "https://corpora.example/file: cannot be reached (timed out). Check the connection and try again."
    )


def test_copies_are_tried_in_turn(server: Any, caplog: pytest.LogCaptureFixture) -> None:
    wrong = server.serve("/wrong", CONTENT + b"more")
    right = server.serve("/right", CONTENT)
    assert fetched(known(wrong, f"{server.address}/none", right)) == CONTENT
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert caplog.messages[1] == (
        f"{server.address}/none: the server answers 404 Not Found. Try again later. Trying the next address."
    )
