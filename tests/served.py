"""A server in a thread of the test's process, and how it is asked."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any, NamedTuple

TOKENIZERS: Mapping[str, Mapping[str, Any]] = {
    "word": {"name": "word"},
    "char": {"name": "char"},
    "bpe": {"name": "bpe", "vocab_size": 290},
}

OUTPUTS: Mapping[str, Mapping[str, Any]] = {
    "softmax": {"output": {"name": "softmax"}},
    "adaptive": {"output": {"name": "adaptive", "cutoffs": (6,)}},
    "mixture": {"output": {"name": "mixture", "n_experts": 2}},
    "n-grams": {"ngram_order": 4},
}


def model_options(cell: str, output: str = "softmax") -> dict[str, Any]:
    """Options of a small model."""
    return {
        "backbone": {"name": cell, "n_layers": 2, "hidden_size": 16},
        "embedding_size": 16,
        **OUTPUTS[output],
    }


class Answer(NamedTuple):
    """What a server has said."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def events(self) -> list[Any]:
        """Those of a stream, without the last, which ends it."""
        *events, done, rest = self.content.decode().split("\n\n")
        assert done == "data: [DONE]" and rest == ""
        return [json.loads(event.removeprefix("data: ")) for event in events]


class Server:
    """The address of a server."""

    def __init__(self, port: int, models: Any) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.models = models

    def send(self, method: str, path: str, content: bytes | None = None, headers: Mapping[str, str] = {}) -> Answer:
        """Send a request as it is."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, content, dict(headers))
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """Ask for JSON."""
        answer = self.send("GET", path)
        assert answer.status == 200, answer
        return answer.json

    def wait_until(self, holds: Callable[[Any], bool]) -> None:
        """Wait until it is so by what /health says, a minute at most."""
        deadline = time.monotonic() + 60
        while not holds(health := self.get("/health")):
            assert time.monotonic() < deadline, health
            time.sleep(0.01)

    def post(self, path: str, **body: Any) -> Any:
        """Ask a question, which is answered."""
        answer = self.post_any(path, body)
        assert answer.status in (200, 201), answer
        return answer.json

    def post_any(self, path: str, body: Any) -> Answer:
        """Ask a question, which may not be answered."""
        return self.send("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def stream(self, **body: Any) -> list[Any]:
        """Return the events of a completion."""
        answer = self.post_any("/v1/completions", {**body, "stream": True})
        assert answer.status == 200 and answer.headers["content-type"].startswith("text/event-stream"), answer
        return answer.events

    def choice(self, **body: Any) -> Any:
        """Return the one choice of a completion."""
        [choice] = self.post("/v1/completions", **body)["choices"]
        return choice


@contextmanager
def running(models: Any, **options: Any) -> Iterator[Server]:
    """Serve models until the block ends; `options` are limits, or those of `build_app`."""
    from lstmlm.serving.app import build_app
    from lstmlm.serving.requests import Limits
    from lstmlm.serving.server import LOOPBACK, uvicorn_server

    of_app = {name: options.pop(name) for name in ("api_key",) if name in options}
    limits = Limits(**options)
    server = uvicorn_server(build_app(models, limits, hosts=frozenset(LOOPBACK), **of_app), limits)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield Server(listener.getsockname()[1], models)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
