"""`lstmlm prove URL`: an honest completions server passes; those that lie, stop or say too little are told apart."""

import json
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

VOCAB = 12

KNOWN = {"data": [{"id": "tiny", "vocab_size": VOCAB}]}

pytestmark = pytest.mark.loopback


def log_probabilities(before: list[int]) -> list[float]:
    weights = [1 + (token * 7 + before[-1] * 3 + len(before)) % 5 for token in range(VOCAB)]
    return [math.log(weight / sum(weights)) for weight in weights]


def honest(prompt: list[int]) -> list[float | None]:
    scored = [log_probabilities(prompt[:place])[prompt[place]] for place in range(1, len(prompt))]
    return [None, *scored, -1.0]


def exaggerates(prompt: list[int]) -> list[float | None]:
    return [None, *(score * 0.9 for score in honest(prompt)[1:] if score is not None)]


def looks_ahead(prompt: list[int]) -> list[float | None]:
    return [None, *(score + 0.01 * (prompt[-1] + 1) for score in honest(prompt)[1:] if score is not None)]


def forgets_one(prompt: list[int]) -> list[float | None]:
    return honest(prompt)[:-2] if len(prompt) > 30 else honest(prompt)


@contextmanager
def serving(score: Callable[[list[int]], Any], models: Any = KNOWN) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self, value: Any) -> None:
            body = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self.answer(models)

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert asked["echo"] and asked["max_tokens"] == 1
            found = [score(prompt) for prompt in asked["prompt"]]
            if isinstance(found[0], bytes):
                self.answer(found[0])
            elif found[0] is not None:  # else the connection breaks off
                self.answer(
                    {"choices": [{"index": i, "logprobs": {"token_logprobs": of}} for i, of in enumerate(found)]}
                )

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def prove(*arguments: str) -> Any:
    from typer.testing import CliRunner

    from lstmlm.cli import app

    return CliRunner().invoke(app, ["prove", *arguments])


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/completions"])
def test_an_honest_server_passes(suffix: str) -> None:
    with serving(honest) as url:
        result = prove(url + suffix, "--tokens", "40")
    assert (result.exit_code, result.stdout.count("✔")) == (0, 5), result.output


@pytest.mark.parametrize(
    ("cheat", "check"), [(exaggerates, "distribution"), (looks_ahead, "prefix"), (forgets_one, "count")]
)
def test_a_server_that_lies_or_leaves_out_a_token_fails(cheat: Any, check: str) -> None:
    with serving(cheat) as url:
        result = prove(url, "--tokens", "40", "--json")
    assert result.exit_code == 1
    assert check in json.loads(result.stdout)["proof_failed"].split()
    assert f"✘ {check}: " in result.stderr


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "does not answer, or stopped"),
        (b"<html>", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"{}", "without log-prob"),
        (b'{"choices": [{"index": Infinity}]}', "without log-prob"),
    ],
)
def test_a_server_that_stops_or_is_none_is_an_error(answer: bytes | None, said: str) -> None:
    with serving(lambda _: answer) as url:
        result = prove(url)
    assert result.exit_code == 3
    assert said in result.stderr and url in result.stderr and "Traceback" not in result.output


@pytest.mark.parametrize(
    "models",
    [
        {"data": [{"id": "tiny"}]},
        {"data": [{"id": "tiny", "vocab_size": "12"}]},
        {"object": "list", "data": None},
        {"data": ["tiny"]},
        ["tiny"],
        "tiny",
        None,
    ],
)
def test_who_does_not_say_its_vocabulary_is_asked_for_it(models: Any) -> None:
    with serving(honest, models) as url:
        result = prove(url)
        assert (result.exit_code, "--vocab-size N" in result.stderr) == (2, True)
        assert prove(url, "--vocab-size", str(VOCAB), "--tokens", "9").exit_code == 0


@pytest.mark.parametrize("url", ["http://[::1", "http://127.0.0.1:port", f"http://{'a' * 70}"])
def test_what_is_no_address_is_said(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    result = prove(url)
    assert (result.exit_code, result.stderr.startswith(f"{url}/v1/models: is no address (")) == (2, True), result.output


def test_options_of_servers_are_none_of_a_directory() -> None:
    assert prove("somewhere", "--vocab-size", "9").exit_code == 2
