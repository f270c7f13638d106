"""What every request passes: who asks and under which name, how much, how slowly, and what went wrong."""

import asyncio
import hmac
import logging

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lstmlm.serving.errors import RequestError, busy, told_of, too_large
from lstmlm.serving.requests import Limits

DRAINED_BODIES = 16
"""Of a body that is too large, so many times the limit is read away: a client that still sends hears no answer."""

PROTECTED = ("/v1/", "/tokenize", "/detokenize")
"""Beginnings of the paths that need a key; the page and `/health` need none."""

POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""The page loads nothing from elsewhere, and is shown in no other page."""

logger = logging.getLogger(__name__)


class Guard:
    """Lets requests in, and tells what is wrong with those that cannot be answered."""

    def __init__(self, app: ASGIApp, limits: Limits, api_key: str | None, hosts: frozenset[str] | None) -> None:
        self._app = app
        self._limits = limits
        # Headers have no blanks at their ends.
        self._api_key = None if api_key is None else api_key.strip()
        self._hosts = hosts
        self._n_requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_started = False

        async def send_in_time(message: Message) -> None:
            nonlocal is_started
            if message["type"] == "http.response.start":
                is_started = True
                headers = MutableHeaders(scope=message)
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Content-Security-Policy"] = POLICY
            async with asyncio.timeout(self._limits.read_seconds):
                await send(message)

        try:
            await self._admitted(scope, receive, send_in_time)
        except ClientDisconnect:
            return
        except asyncio.CancelledError:  # it takes longer than a server that stops waits
            if is_started:
                raise
            error = RequestError("the server is stopping. Ask again when it is back.", status=503, code="stopping")
            await error.response(scope, receive, send_in_time)
        except Exception as error:
            told = told_of(error)
            if told.status >= 500:
                logger.exception("%s %s", scope["method"], scope["path"])
            if is_started:
                raise
            await told.response(scope, receive, send_in_time)

    async def _admitted(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._require_host(scope)
        self._require_key(scope)
        if self._n_requests >= self._limits.requests and scope["path"] != "/health":
            raise busy(f"{self._limits.requests:,} requests are being answered. Ask again in a second.")
        self._n_requests += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._n_requests -= 1

    def _require_host(self, scope: Scope) -> None:
        """Refuse the name of another host that leads here: a page of that host would have sent the request."""
        given = Headers(scope=scope).get("host", "")
        name = given.rpartition(":")[0] if not given.endswith("]") and ":" in given else given
        if self._hosts is not None and name.lower() not in self._hosts:
            known = ", ".join(sorted(self._hosts))
            raise RequestError(f"Host: {given[:80]!r} is not this server. Ask one of: {known}.", code="invalid_host")

    def _require_key(self, scope: Scope) -> None:
        if self._api_key is None or not scope["path"].startswith(PROTECTED):
            return
        kind, _, given = Headers(scope=scope).get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._api_key.encode()):
            raise RequestError(
                "Authorization: is not the key of this server. Send it: Authorization: Bearer KEY",
                status=401,
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )


async def read_body(request: Request, limits: Limits) -> bytes:
    """Read the body of a request. Raises RequestError if it is no JSON by its kind, too large or too slow."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    content, n_bytes = bytearray(), 0
    try:
        async with asyncio.timeout(limits.read_seconds):
            async for part in request.stream():
                n_bytes += len(part)
                if n_bytes <= limits.body_bytes:
                    content += part
                elif n_bytes > DRAINED_BODIES * limits.body_bytes:
                    break
    except TimeoutError:
        raise RequestError(
            f"body: did not come in {limits.read_seconds:g} seconds. Send it faster.", status=408, code="timeout"
        ) from None
    if n_bytes > limits.body_bytes:
        message = f"body: is larger than {limits.body_bytes:,} bytes. Send less at a time."
        raise too_large(message)
    if kind != "application/json":
        raise RequestError(
            f"Content-Type: needs application/json, got {kind[:80]!r}.", status=415, code="unsupported_media_type"
        )
    return bytes(content)
