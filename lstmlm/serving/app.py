"""The application: its paths, and who answers them."""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from lstmlm.errors import LstmlmError
from lstmlm.serving.completions import JSON, Completion, begin_completion, error_event
from lstmlm.serving.engine import Engine
from lstmlm.serving.errors import RequestError
from lstmlm.serving.guard import Guard, read_body
from lstmlm.serving.models import ServedModels
from lstmlm.serving.questions import Questions
from lstmlm.serving.requests import (
    CompletionRequest,
    DetokenizeRequest,
    FeedRequest,
    GatesRequest,
    Limits,
    NextRequest,
    SessionGenerateRequest,
    SessionNextRequest,
    SessionRequest,
    SurprisalRequest,
    TokenizeRequest,
    parsed,
)
from lstmlm.serving.sessions import Sessions

PAGE = Path(__file__).parent / "page"

Endpoint = Callable[[Request], Awaitable[Response]]

Answer = TypeVar("Answer")


def build_app(
    models: ServedModels, limits: Limits, *, api_key: str | None = None, hosts: frozenset[str] | None = None
) -> Starlette:
    """Return the application.

    Args:
        models: Who answers.
        limits: How much.
        api_key: What requests need to have, if anything.
        hosts: The names under which the server is asked, so that no page of another host does; None is any.
    """
    server = _Server(models, limits)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        server.engine.start()
        yield
        server.engine.stop()

    return Starlette(
        routes=server.routes(),
        lifespan=lifespan,
        middleware=[Middleware(Guard, limits, api_key, hosts)],
        exception_handlers={HTTPException: _unknown_path},
    )


class _Server:
    """What answers each path."""

    def __init__(self, models: ServedModels, limits: Limits) -> None:
        self.engine = Engine(limits)
        self._models = models
        self._limits = limits
        self._questions = Questions(self.engine, models, limits)
        self._sessions = Sessions(self.engine, models, limits)

    def routes(self) -> list[Route | Mount]:
        """Return the paths; what is none of them is a file of the page."""
        questions, sessions = self._questions, self._sessions
        one_session = "/v1/sessions/{session}"
        return [
            Route("/health", self.health),
            Route("/v1/models", self.list_models),
            Route("/v1/models/{model:path}", self.one_model),
            Route("/v1/completions", self.completions, methods=["POST"]),
            Route("/v1/next", self._asking(NextRequest, questions.next), methods=["POST"]),
            Route("/v1/surprisal", self._asking(SurprisalRequest, questions.surprisal), methods=["POST"]),
            Route("/v1/gates", self._asking(GatesRequest, questions.gates), methods=["POST"]),
            Route("/tokenize", self._asking(TokenizeRequest, questions.tokenize), methods=["POST"]),
            Route("/detokenize", self._asking(DetokenizeRequest, questions.detokenize), methods=["POST"]),
            Route("/tokenizer_info", self.tokenizer_info),
            Route("/v1/sessions", self._asking(SessionRequest, sessions.create, status=201), methods=["POST"]),
            Route(one_session, self.session, methods=["GET", "DELETE"]),
            Route(f"{one_session}/feed", self._asking(FeedRequest, sessions.feed), methods=["POST"]),
            Route(f"{one_session}/next", self._asking(SessionNextRequest, sessions.next), methods=["POST"]),
            Route(f"{one_session}/generate", self.generate, methods=["POST"]),
            Mount("/", StaticFiles(directory=PAGE, html=True, check_dir=False)),
        ]

    async def health(self, _: Request) -> Response:
        engine, names = self.engine, list(self._models.by_name)
        counts = {"n_running": engine.n_running, "n_waiting": engine.n_waiting, "n_sessions": len(self._sessions)}
        return JSONResponse({"status": "ok", "models": names, **counts})

    async def list_models(self, _: Request) -> Response:
        described = [served.describe() for served in self._models.by_name.values()]
        return JSONResponse({"object": "list", "data": described})

    async def one_model(self, request: Request) -> Response:
        return JSONResponse(self._models.find(request.path_params["model"]).describe())

    async def tokenizer_info(self, request: Request) -> Response:
        return JSONResponse(self._questions.tokenizer_info(request.query_params.get("model")))

    async def completions(self, request: Request) -> Response:
        body = parsed(CompletionRequest, await read_body(request, self._limits))
        served = self._models.find(body.model)
        completion = await _while_there(request, begin_completion(self.engine, served, body, self._limits))
        return await _answered(request, completion, is_streamed=body.stream)

    async def session(self, request: Request) -> Response:
        name, sessions = request.path_params["session"], self._sessions
        return JSONResponse(sessions.delete(name) if request.method == "DELETE" else sessions.describe(name))

    async def generate(self, request: Request) -> Response:
        body = parsed(SessionGenerateRequest, await read_body(request, self._limits))
        completion = await _while_there(request, self._sessions.generate(request.path_params["session"], body))
        return await _answered(request, completion, is_streamed=body.stream)

    def _asking(
        self, kind: type[BaseModel], question: Callable[..., Awaitable[dict[str, Any]]], status: int = 200
    ) -> Endpoint:
        """Return what asks a question with what the path names, and the body."""

        async def endpoint(request: Request) -> Response:
            body = parsed(kind, await read_body(request, self._limits))
            answer = await _while_there(request, question(*request.path_params.values(), body))
            return await asyncio.to_thread(_LongAnswer, answer, status)

        return endpoint


class _LongAnswer(JSONResponse):
    """An answer whose JSON may take seconds to write, in a thread of its own."""

    def render(self, content: Any) -> bytes:
        written = io.BytesIO()
        written.writelines(part.encode() for part in JSON.iterencode(content))
        return written.getvalue()


async def _while_there(request: Request, answering: Awaitable[Answer]) -> Answer:
    """Wait for an answer as long as its client does. Raises ClientDisconnect once that is gone."""
    answer, gone = asyncio.ensure_future(answering), asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise ClientDisconnect
        return answer.result()
    finally:
        answer.cancel()
        gone.cancel()


async def _answered(request: Request, completion: Completion, *, is_streamed: bool) -> Response:
    """Answer with a completion, whose texts nobody writes on once the client is gone."""
    if is_streamed:
        return StreamingResponse(
            _events(completion), media_type="text/event-stream", headers={"Cache-Control": "no-cache"}
        )
    try:
        return await asyncio.to_thread(_LongAnswer, await _while_there(request, completion.answer()))
    finally:
        completion.cancel()


async def _events(completion: Completion) -> AsyncIterator[str]:
    try:
        async for event in completion.stream():
            yield event
    except (LstmlmError, RequestError) as error:
        yield error_event(error)
    finally:
        completion.cancel()


async def _unknown_path(request: Request, error: Exception) -> Response:
    """Tell of what Starlette refuses: paths and methods that there are not.

    The page's files are below every path, so that which of the two it is has to be looked up.
    """
    assert isinstance(error, HTTPException)
    status, headers = error.status_code, error.headers
    if status in (404, 405):
        routes = [route for route in request.app.routes if isinstance(route, Route)]
        methods = {
            method for route in routes if route.path_regex.match(request.url.path) for method in route.methods or ()
        }
        status, headers = (405, {"Allow": ", ".join(sorted(methods))}) if methods else (404, None)
    code, advice = {
        404: ("not_found", "Nothing is at this path: docs/serving.md lists what there is."),
        405: ("method_not_allowed", "This path is asked with another method."),
    }.get(status, ("invalid_request", error.detail))
    return RequestError(advice, status=status, code=code, headers=headers).response
