"""What cannot be answered is refused with a status from 400 to 499 and a reason; nobody else notices."""

import asyncio
import json
import socket
import threading
from typing import Any

import pytest

from lstmlm.corpus.reading.decoding import normalized
from lstmlm.serving.guard import Guard
from lstmlm.serving.requests import Limits

pytestmark = pytest.mark.loopback

JSON = {"Content-Type": "application/json"}
DEEP = b"[" * 5000
WRONG: dict[str, list[Any]] = {
    "prompt": [
        1,
        1.5,
        True,
        {},
        [],
        [[], 1],
        [1, "a"],
        [None],
        [[1], 2],
        [-1],
        [10**9],
        [10**30],
        [[-1]],
        [True],
        [[1.5]],
    ],
    "max_tokens": [-1, 1.5, "5", True, [], {}, 10**9, 10**30, -(10**30)],
    "temperature": [-0.1, "1", True, [], {}, -1e300],
    "top_p": [0, -1, 1.1, "1", True, [], {}],
    "top_k": [0, -1, 1.5, "3", True, []],
    "min_p": [-0.1, 1.1, "1", True, []],
    "typical_p": [0, 1.1, "1", True, []],
    "repetition_penalty": [0, -1, "1", True, []],
    "no_repeat_ngram_size": [0, 1.5, "2", True, []],
    "n": [0, -1, 1.5, "2", True, [], 1000, 10**30],
    "seed": [1.5, "1", True, [], 2**63, -(2**63) - 1],
    "stop": ["", [""], 1, True, {}, [1], [None], ["a"] * 17, "x" * 1001, [["a"]]],
    "logprobs": [-1, 21, 1.5, "1", True, []],
    "echo": [1, "true", [], 0],
    "stream": [1, "true", []],
    "stream_options": [1, "a", [], {"include_usage": 1}, {"usage": True}],
    "model": [1, True, [], {}, "gpt-4", "", "../word", "word/../char", "x" * 10_000, "\x00", "\x1b[2J"],
    "user": [1, [], {}],
    "best_of": [2, "1", 0],
    "suffix": ["a", 1],
    "logit_bias": [{"1": 5}, [], 1, {"1": "a"}],
    "frequency_penalty": [0.5, "0"],
    "presence_penalty": [-1, "0"],
    "messages": [[{"role": "user", "content": "hello"}]],
    "maxtokens": [5],
    "\x1b[31m": [1],
    "x" * 5000: [1],
}
OTHERS: list[tuple[str, Any]] = [
    ("/v1/next", {"text": 1}),
    ("/v1/next", {"text": "a", "k": 0}),
    ("/v1/next", {"text": "a", "k": 1001}),
    ("/v1/next", {"text": "a", "k": "5"}),
    ("/v1/next", {"text": "a", "complete": "yes"}),
    ("/v1/next", {"text": "a ", "complete": True}),
    ("/v1/next", {"text": "", "complete": True}),
    ("/v1/next", {"prompt": "a"}),
    ("/v1/surprisal", {}),
    ("/v1/surprisal", {"text": ""}),
    ("/v1/surprisal", {"text": 1}),
    ("/v1/surprisal", {"text": "a", "context": 0}),
    ("/v1/surprisal", {"text": "a", "context": "page"}),
    ("/v1/surprisal", {"text": "a", "first_word": "none"}),
    ("/v1/gates", {}),
    ("/v1/gates", {"text": ""}),
    ("/v1/gates", {"text": " "}),
    ("/v1/gates", {"text": "a", "layer": 0}),
    ("/v1/gates", {"text": "a", "layer": 3}),
    ("/v1/gates", {"text": "a", "layer": "1"}),
    ("/v1/gates", {"text": "a", "units": 1}),
    ("/tokenize", {}),
    ("/tokenize", {"prompt": ["a"]}),
    ("/tokenize", {"prompt": "a", "add_special_tokens": 1}),
    ("/detokenize", {}),
    ("/detokenize", {"tokens": "a"}),
    ("/detokenize", {"tokens": [-1]}),
    ("/detokenize", {"tokens": [10**9]}),
    ("/detokenize", {"tokens": [10**30]}),
    ("/v1/sessions", {"text": 1}),
    ("/v1/sessions", {"model": "gpt"}),
    ("/v1/sessions/none/feed", {"text": "a"}),
    ("/v1/sessions/none/next", {}),
    ("/v1/sessions/none/generate", {}),
    ("/v1/sessions/none/feed", {}),
    ("/v1/chat/completions", {"messages": []}),
    ("/v1/embeddings", {}),
    ("/v1/../../etc/passwd", {}),
]
BODIES: list[bytes] = [
    *(b"{", b"[", b"null", b"1", b'"text"', b"[]", b"true", b"{'prompt': 1}", b'{"prompt": "a",}', b'{"prompt"}'),
    *(b"\xff\xfe", b'{"prompt": "\xff"}', b'{"prompt": "\\ud800"}', b'{"prompt": "a" "b"}', b'{"a": NaN}', DEEP),
    *(b'{"prompt": ' + DEEP, b'{"temperature": NaN}', b'{"temperature": Infinity}', b'{"temperature": 1e999}'),
    *(
        b'{"prompt": "a\nb"}',
        b'{"prompt": "a\x00b"}',
        b"\x00",
        b"{}{}",
        b"prompt=a",
        b"<xml/>",
        b'{"n": 1' + b"0" * 5000 + b"}",
    ),
    b'{"prompt": "' + b"a" * (1 << 20) + b'"}',
    b'{"prompt": "' + b"the " * (1 << 18) + b'"}',
    b'{"prompt": [' + b"1," * 70_000 + b"1]}",
    b" " * (3 << 20),
]
RAW: list[tuple[str, str, dict[str, str]]] = [
    ("GET", "/v1/completions", {}),
    ("PUT", "/v1/completions", JSON),
    ("DELETE", "/v1/models", {}),
    ("POST", "/v1/models", JSON),
    ("POST", "/", JSON),
    ("GET", "/nothing", {}),
    ("GET", "/..%2f..%2fserver.py", {}),
    ("GET", "/%2e%2e/server.py", {}),
    ("GET", "//etc/passwd", {}),
    ("GET", "/\\..\\server.py", {}),
    ("GET", "/%00", {}),
    ("GET", "/" + "a" * 3000, {}),
    ("GET", "/v1/models/gpt", {}),
    ("GET", "/v1/models/..%2f..", {}),
    ("GET", "/v1/sessions/none", {}),
    ("DELETE", "/v1/sessions/none", {}),
    ("GET", "/tokenizer_info?model=gpt", {}),
    ("GET", "/v1/models", {"Host": "evil.example"}),
    ("GET", "/v1/models", {"Host": "127.0.0.1.evil.example"}),
    ("GET", "/v1/models", {"Host": ""}),
    ("GET", "/", {"Host": "evil.example:8000"}),
    ("OPTIONS", "/v1/completions", {"Origin": "http://evil.example"}),
    ("POST", "/v1/completions", {}),
    ("POST", "/v1/completions", {"Content-Type": "text/plain"}),
    ("POST", "/v1/completions", {"Content-Type": "application/x-www-form-urlencoded"}),
]


def kinds() -> list[tuple[str, str, bytes | None, dict[str, str]]]:
    fields = [("/v1/completions", {name: value}) for name, values in WRONG.items() for value in values]
    return [
        *(("POST", path, json.dumps(body).encode(), JSON) for path, body in [*fields, *OTHERS]),
        *(("POST", "/v1/completions", body, JSON) for body in BODIES),
        *((method, path, None if method == "GET" else b"{}", headers) for method, path, headers in RAW),
    ]


def test_there_are_200_kinds() -> None:
    assert len(kinds()) >= 200


def test_each_is_refused_with_a_reason_and_nobody_else_notices(server: Any) -> None:
    body = {"model": "char", "prompt": "the", "max_tokens": 40, "seed": 9}
    wanted = server.choice(**body)
    found: list[Any] = []
    is_over = threading.Event()

    def go_on_asking() -> None:
        while not is_over.is_set():
            found.append(server.choice(**body))

    other = threading.Thread(target=go_on_asking)
    other.start()
    try:
        for method, path, content, headers in kinds():
            shown = (method, path[:80], (content or b"")[:80], headers)
            answer = server.send(method, path, content, headers)
            assert 400 <= answer.status < 500, (shown, answer)
            error = answer.json["error"]
            assert error.keys() == {"message", "type", "param", "code"}, (shown, error)
            assert 10 < len(error["message"]) < 700 and error["message"].endswith((".", "KEY", "ID")), (shown, error)
            assert error["code"] and error["type"] != "server_error", (shown, error)
            assert "access-control-allow-origin" not in answer.headers, shown
    finally:
        is_over.set()
        other.join()
    assert found and all(choice == wanted for choice in found)
    # What a client has left is noticed when it is written to.
    server.wait_until(lambda health: health["n_running"] == 0)


@pytest.mark.parametrize(
    ("body", "message", "param", "code"),
    [
        ({"top_p": 3}, "top_p: Input should be less than or equal to 1, got 3.", "top_p", "invalid_value"),
        ({"top_pp": 3}, "top_pp: no field of this request. Did you mean 'top_p'?", "top_pp", "unknown_field"),
        ({"model": "cha"}, "model: 'cha' is not served. Did you mean 'char'?", "model", "model_not_found"),
        ({"prompt": [99999]}, "prompt: 99999 is no token. Ids are from 0 to", "prompt", "invalid_value"),
        (
            {"prompt": 1},
            "prompt: needs a text, the ids of its tokens, or a list of either, got 1.",
            "prompt",
            "invalid_value",
        ),
        ({"n": 500}, "n: 500 texts are asked for", "n", "too_large"),
        (
            {"max_tokens": 10**6},
            "max_tokens: 0 tokens are to be read and 1,000,000 written.",
            "max_tokens",
            "too_large",
        ),
        ({"max_tokens": int("9" * 4299), "n": 99}, "max_tokens: Input should be less", "max_tokens", "invalid_value"),
        ({"n": int("9" * 4299), "prompt": ["a"] * 20}, "n: Input should be less", "n", "invalid_value"),
        (
            {"prompt": "a " * 600, "n": 128, "echo": True, "logprobs": 1, "max_tokens": 0},
            "n: 600 tokens of prompts are to be told of 128 times.",
            "n",
            "too_large",
        ),
        (
            {"stream_options": {"include_obfuscation": True}},
            "stream_options.include_obfuscation: no field of stream_options. Did you mean 'include_usage'?",
            "stream_options.include_obfuscation",
            "unknown_field",
        ),
        ({"suffix": "a"}, "suffix: is not supported. Leave it out.", "suffix", "unsupported_value"),
        ({"logit_bias": {"1": 2}}, "logit_bias: is not supported.", "logit_bias", "unsupported_value"),
    ],
)
def test_the_reason_helps(server: Any, body: Any, message: str, param: str, code: str) -> None:
    error = server.post_any("/v1/completions", body).json["error"]
    assert error["message"].startswith(message)
    assert (error["param"], error["code"]) == (param, code)


@pytest.mark.parametrize(
    "prompt",
    ["\x00\x1b[2J\x7f\u202e", "zyzzyva " * 500, "a" * 60_000, "\ufeff\u200b", "🏳️‍🌈" * 100, "\r\n\r\n\t", "<eos> <unk>"],
)
@pytest.mark.parametrize("name", ["word", "char", "bpe"])
def test_strange_texts_are_answered(server: Any, name: str, prompt: str) -> None:
    choice = server.choice(model=name, prompt=prompt, max_tokens=3, echo=True, logprobs=1, seed=1)
    assert choice["text"].startswith(normalized(prompt))
    assert choice["logprobs"]["text_offset"] == sorted(choice["logprobs"]["text_offset"])


def ask_slowly(port: int, *parts: bytes) -> bytes:
    """Send parts and nothing more; return what the server says before it hangs up."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        for part in parts:
            connection.sendall(part)
        return b"".join(iter(lambda: connection.recv(4096), b""))


def test_slow_clients_are_told_and_left(models: Any, serving: Any) -> None:
    head = (
        b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n"
    )
    with serving(models, read_seconds=0.3) as server:
        for parts in ([], [b"POST /v1"], [head], [head + b"\r\n", b'{"prompt"']):
            said = ask_slowly(server.port, *parts)
            assert said.startswith(b"HTTP/1.1 408 ") and b'"code":"timeout"' in said, (parts, said)


def test_what_is_no_http_is_refused(server: Any) -> None:
    assert ask_slowly(server.port, b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert ask_slowly(server.port, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000).startswith(
        b"HTTP/1.1 4"
    )


@pytest.mark.parametrize("given", [None, "Bearer wrong", "Bearer ", "Basic c2VjcmV0", "secret", "Bearer sécret"])
def test_a_key_is_needed_where_there_is_one(models: Any, serving: Any, given: str | None) -> None:
    with serving(models, api_key="secret") as server:
        headers = {} if given is None else {"Authorization": given}
        answer = server.send("GET", "/v1/models", headers={k: v.encode() for k, v in headers.items()})
        assert (answer.status, answer.json["error"]["code"]) == (401, "invalid_api_key")
        assert server.send("GET", "/v1/models", headers={"Authorization": "Bearer secret"}).status == 200
        assert server.send("GET", "/health").status == 200


def test_blanks_at_the_end_of_a_key_do_not_matter(models: Any, serving: Any) -> None:
    with serving(models, api_key="secret ") as server:
        assert server.send("GET", "/v1/models", headers={"Authorization": "Bearer secret"}).status == 200


def test_a_busy_server_says_so(models: Any, serving: Any) -> None:
    with serving(models, requests=0) as server:
        answer = server.send("GET", "/v1/models")
        assert (answer.status, answer.headers["retry-after"]) == (429, "1")


def test_what_a_server_that_stops_gives_up_is_told_why() -> None:
    async def never(*_: Any) -> None:
        await asyncio.Event().wait()

    async def stop() -> list[Any]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/v1/next", "headers": []}
        answering = asyncio.ensure_future(Guard(never, Limits(), None, None)(scope, never, send))
        await asyncio.sleep(0)
        answering.cancel()
        await answering
        return sent

    head, body = asyncio.run(stop())
    assert (head["status"], json.loads(body["body"])["error"]["code"]) == (503, "stopping")


def test_an_answer_that_takes_too_long_is_given_up(models: Any, serving: Any) -> None:
    with serving(models, answer_seconds=0.2) as server:
        body = {"prompt": "the", "max_tokens": 60_000}
        answer = server.post_any("/v1/completions", body)
        assert (answer.status, answer.json["error"]["code"]) == (408, "timeout")
        streamed = server.post_any("/v1/completions", {**body, "stream": True}).content
        assert json.loads(streamed.split(b"data: ")[-1])["error"]["code"] == "timeout"
        server.wait_until(lambda health: health["n_running"] == 0)
