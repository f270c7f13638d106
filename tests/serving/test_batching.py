"""Texts that are written side by side: each is what it would be alone, and leaves when nobody wants it any more."""

import json
import socket
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

pytestmark = pytest.mark.loopback


def requests(n: int) -> list[dict[str, Any]]:
    """Requests of all models, of several lengths and options."""
    return [
        {
            "model": ("word", "char", "bpe")[k % 3],
            "prompt": ("the farmer", "", "a cat , a")[k % 2],
            "max_tokens": 5 + 7 * (k % 5),
            "temperature": (1, 0.5, 0)[k % 3],
            "top_k": (None, 5)[k % 2],
            "min_p": (None, 0.05, None)[k % 3],
            "repetition_penalty": (None, 1.3, None, None, None)[k % 5],
            "seed": k,
            "logprobs": 1,
        }
        for k in range(n)
    ]


@pytest.mark.parametrize("n_columns", [64, 3])
def test_a_text_does_not_depend_on_the_others_bit_for_bit(models: Any, serving: Any, n_columns: int) -> None:
    with serving(models, columns=n_columns) as server:
        alone = [server.choice(**body) for body in requests(40)]
        with ThreadPoolExecutor(20) as pool:
            together = list(pool.map(lambda body: server.choice(**body), requests(40)))
        assert together == alone
        assert server.get("/health") == {
            "status": "ok",
            "models": ["word", "char", "bpe"],
            "n_running": 0,
            "n_waiting": 0,
            "n_sessions": 0,
        }


def test_a_text_counts_as_running_until_its_last_token_is_told(models: Any) -> None:
    import torch

    from lstmlm.serving.completions import new_column
    from lstmlm.serving.engine import Batch, Piece
    from lstmlm.serving.prompts import TokenizedPrompt, read_prompt
    from lstmlm.serving.requests import CompletionRequest

    served = models.find("char")
    request = CompletionRequest(model="char", max_tokens=3)
    column = new_column(served, request, "", [], 1, lambda piece: None)
    batch = Batch(served.model.model, served.tokenizer.unk_id, 4)
    with torch.inference_mode():
        batch.begin([column], *read_prompt(served.model.model, TokenizedPrompt(served.tokenizer, "")))
        batch.step()
        assert batch.n_running == 1
        [(_, piece)] = batch.step()
    assert isinstance(piece, Piece)
    assert piece.finish_reason == "length"
    assert batch.n_running == 0


def test_a_step_that_fails_fails_its_texts_alone(models: Any, serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from lstmlm.serving.engine import Batch

    def failing(self: Batch) -> Any:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    with serving(models) as server:
        with monkeypatch.context() as patch:
            patch.setattr(Batch, "step", failing)
            answer = server.post_any("/v1/completions", {"model": "char", "max_tokens": 5})
        assert answer.status == 500
        assert server.get("/health")["n_running"] == 0
        assert server.choice(model="char", max_tokens=5)


def test_texts_that_were_begun_end_with_a_request_that_fails(models: Any) -> None:
    import asyncio

    from lstmlm.serving import completions
    from lstmlm.serving.requests import CompletionRequest, Limits

    begun: list[Any] = []

    class Overloaded:
        async def ask(self, question: Any) -> None:
            *_, columns = question.args
            begun.extend(columns)
            if len(begun) > 1:
                raise TimeoutError

    request = CompletionRequest(model="char", prompt=["a", "b"], max_tokens=3)
    with pytest.raises(TimeoutError):
        asyncio.run(completions.begin_completion(Overloaded(), models.find("char"), request, Limits()))  # type: ignore[arg-type]
    assert [column.is_cancelled for column in begun] == [True, True]


@contextmanager
def asking(server: Any, path: str, **body: Any) -> Iterator[socket.socket]:
    """Ask the model of characters, as a client that is gone at the end of a `with` block."""
    content = json.dumps({"model": "char", **body}).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(f"{head}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content)
        yield connection


def test_choices_share_the_tokens_of_their_prompt(models: Any) -> None:
    import torch

    from lstmlm.serving.completions import new_column
    from lstmlm.serving.requests import CompletionRequest

    def column(**options: Any) -> Any:
        request = CompletionRequest(model="char", **options)
        return new_column(models.find("char"), request, "", ids, 1, lambda piece: None)

    ids = list(range(20_000))
    tracemalloc.start()
    try:
        columns = [column() for _ in range(20)]
        assert tracemalloc.get_traced_memory()[0] < 20 * 8 * len(ids) / 4
    finally:
        tracemalloc.stop()
    for each, wanted in ((columns[0], []), (column(no_repeat_ngram_size=3), [*ids, 7])):
        each.take(7, -1.0, torch.zeros(8))
        assert each.text_ids == wanted


def test_the_engine_does_not_name_what_is_echoed(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a long prompt that takes seconds, in which the texts of others are written on."""
    from lstmlm.serving import completions
    from lstmlm.serving.engine import ENGINE

    threads: list[str] = []
    echo = completions.echo

    def watched(*args: Any, **options: Any) -> Any:
        threads.append(threading.current_thread().name)
        return echo(*args, **options)

    monkeypatch.setattr(completions, "echo", watched)
    body = {"model": "char", "prompt": ["the", "a"], "echo": True, "logprobs": 1, "max_tokens": 0}
    assert [choice["text"] for choice in server.post("/v1/completions", **body)["choices"]] == ["the", "a"]
    assert len(threads) == 2
    assert {ENGINE, threading.main_thread().name}.isdisjoint(threads)


@pytest.mark.parametrize("is_streamed", [False, True])
def test_nobody_writes_for_a_client_that_is_gone(server: Any, is_streamed: bool) -> None:
    with asking(server, "/v1/completions", max_tokens=60_000, stream=is_streamed):
        server.wait_until(lambda health: health["n_running"] > 0)
    server.wait_until(lambda health: health["n_running"] == 0)


def test_a_client_that_stops_reading_is_no_fault(
    models: Any, serving: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    from uvicorn.protocols.http.h11_impl import RequestResponseCycle

    send = RequestResponseCycle.send

    async def send_head_alone(cycle: RequestResponseCycle, message: Any) -> None:
        if message["type"] == "http.response.body":  # the buffers on the way are full
            await asyncio.Event().wait()
        await send(cycle, message)

    monkeypatch.setattr(RequestResponseCycle, "send", send_head_alone)
    body = {"max_tokens": 60_000, "stream": True}
    with serving(models, read_seconds=1) as server, asking(server, "/v1/completions", **body) as connection:
        assert b"".join(iter(lambda: connection.recv(4096), b"")).startswith(b"HTTP/1.1 200 ")
    assert caplog.messages == []


def test_stopping_while_a_text_is_streamed_is_no_fault(
    models: Any, serving: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with ExitStack() as client, serving(models, stop_seconds=0) as server:
        client.enter_context(asking(server, "/v1/completions", max_tokens=60_000, stream=True))
        server.wait_until(lambda health: health["n_running"] > 0)
    assert caplog.messages == []


def test_nothing_is_asked_for_a_client_that_is_gone(models: Any, serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from lstmlm.api.model import Model

    is_asked, may_answer, asked = threading.Event(), threading.Event(), list[str]()

    def asking_slowly(*_: object, **__: object) -> list[Any]:
        is_asked.set()
        may_answer.wait()
        return []

    monkeypatch.setattr(Model, "surprisal", asking_slowly)
    monkeypatch.setattr(Model, "next_words", lambda _, text, *__, **___: asked.append(text))
    with serving(models) as server, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(server.post, "/v1/surprisal", model="char", text="the")
        is_asked.wait()
        try:
            with asking(server, "/v1/next", text="the"):
                server.wait_until(lambda health: health["n_waiting"] > 0)
            server.wait_until(lambda health: health["n_waiting"] == 0)
        finally:
            may_answer.set()
        answer.result()
        server.post("/tokenize", prompt="the")
    assert asked == []


def test_it_stops_with_the_question_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    from lstmlm.serving import engine
    from lstmlm.serving.requests import Limits

    monkeypatch.setattr(engine, "STOP_SECONDS", 0.01)
    is_asked, may_answer, asked = threading.Event(), threading.Event(), list[str]()

    def answer_slowly() -> None:
        is_asked.set()
        may_answer.wait()

    async def ask_twice() -> engine.Engine:
        asking = engine.Engine(Limits())
        asking.start()
        questions = (answer_slowly, lambda: asked.append("second"))
        waiting = [asyncio.ensure_future(asking.ask(question)) for question in questions]
        await asyncio.to_thread(is_asked.wait)
        asking.stop()
        assert not any(answer.done() for answer in waiting)
        return asking

    asking = asyncio.run(ask_twice())
    assert asking._thread.is_alive()
    may_answer.set()
    asking._thread.join()
    assert asked == []


def test_a_model_without_probabilities_fails_its_own_request_alone(models: Any, serving: Any) -> None:
    import torch

    weight = models.find("bpe").model.model.output_layer.bias
    before = weight.detach().clone()
    with serving(models) as server:
        with torch.no_grad():
            weight.fill_(float("nan"))
        try:
            answer = server.post_any("/v1/completions", {"model": "bpe", "prompt": "the"})
        finally:
            with torch.no_grad():
                weight.copy_(before)
        assert answer.status == 400 and "its training diverged" in answer.json["error"]["message"]
        assert answer.json["error"]["param"] is None
        assert server.choice(model="char", max_tokens=3)
        assert server.choice(model="bpe", max_tokens=3)
