"""A server on this machine, and a corpus that it serves."""

import hashlib
import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers and body."""

SPLITS = {"train": "the cat sat\n\non a mat\n", "valid": "a dög sat\n", "test": "the cat\n"}


class Server:
    """Answers as it is told, and remembers what it was asked for."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.answers: dict[str, Answer] = {}
        self.requests: list[tuple[str, str]] = []

    def serve(self, path: str, body: bytes = b"", status: int = 200, **headers: str) -> str:
        headers = {"Content-Length": str(len(body))} | {name.replace("_", "-"): text for name, text in headers.items()}
        self.answers[path] = (status, headers, body)
        return self.address + path


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            mine.requests.append((self.path, self.headers["User-Agent"]))
            status, headers, body = mine.answers.get(self.path, (404, {"Content-Length": "0"}, b""))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        mine = Server(f"http://127.0.0.1:{running.server_port}")
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield mine
        running.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LSTMLM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def zipped(members: dict[str, str]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return content.getvalue()


@pytest.fixture
def plays(server: Server, cache: Path) -> Callable[..., Any]:
    """Return a function that makes a corpus called plays, whose archive is served at /plays.zip."""
    from lstmlm.corpus.named.dataset import FileDataset, Piece, SplitFile
    from lstmlm.corpus.named.download import Download

    def make(**changes: Any) -> FileDataset:
        archive = zipped({f"plays/{split}": text for split, text in SPLITS.items()})
        fields: dict[str, Any] = {
            "name": "plays",
            "licence": "CC0",
            "unit": "word",
            "splits": {"train": SplitFile(9), "valid": SplitFile(4, 11), "test": SplitFile(3, 8)},
            "download": Download(
                (server.serve("/plays.zip", archive),), len(archive), hashlib.sha256(archive).hexdigest()
            ),
            "pieces": {split: Piece(f"plays/{split}") for split in SPLITS},
        }
        return FileDataset(**fields | changes)

    return make
