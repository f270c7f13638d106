"""The server: takes a port before anything is loaded, answers until a signal comes, and then ends what it has begun."""

import asyncio
import errno
import math
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from lstmlm.errors import ConfigError
from lstmlm.serving.app import build_app
from lstmlm.serving.errors import RequestError
from lstmlm.serving.models import ServedModels
from lstmlm.serving.requests import Limits

LOOPBACK = ("127.0.0.1", "::1", "localhost")

SWITCH_SECONDS = 0.0005
"""How long the loop may keep the engine from going on between two of its operations; Python's own is ten times that."""


def serve(
    runs: Sequence[Path],
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    api_key: str | None = None,
    tell: Callable[[str, Sequence[str]], None] | None = None,
) -> None:
    """Serve runs until a signal ends it; texts that are being written are finished.

    Args:
        runs: Run directories; the newest where there is none.
        host: Where to listen.
        port: Likewise; 0 is any that is free.
        api_key: What requests need to have, if anything.
        tell: Is called with the address and the names of the models once the server listens.

    Raises:
        ConfigError: the port cannot be had, the host is none of this machine, or the key is empty or not ASCII.
        CheckpointError: there is no such run, it has no checkpoint yet, or is damaged.
    """
    if api_key is not None and not api_key.strip():
        raise ConfigError("--api-key: is empty. Give one, or leave it out and let everybody ask.")
    if api_key is not None and not api_key.isascii():
        raise ConfigError(
            "--api-key: has characters that are not ASCII, which clients send in different ways. Use others."
        )
    limits = Limits()
    listener = _listener(host, port)
    with listener:
        models = ServedModels.load(runs)
        # Under any other address it is not known by which names people will ask.
        hosts = frozenset({*LOOPBACK, "[::1]"}) if host in LOOPBACK else None
        app = build_app(models, limits, api_key=api_key, hosts=hosts)
        shown = f"[{host}]" if ":" in host else host
        if tell is not None:
            tell(f"http://{shown}:{listener.getsockname()[1]}", list(models.by_name))
        with _sharing_the_processor():
            uvicorn_server(app, limits).run(sockets=[listener])


@contextmanager
def _sharing_the_processor() -> Iterator[None]:
    """Leave the loop a core of its own, and let it hand the interpreter back soon."""
    interval, n_threads = sys.getswitchinterval(), torch.get_num_threads()
    sys.setswitchinterval(SWITCH_SECONDS)
    torch.set_num_threads(max(1, n_threads - 1))
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        torch.set_num_threads(n_threads)


def uvicorn_server(app: Starlette, limits: Limits) -> uvicorn.Server:
    """Return what runs an application: it stops at a signal, once what has begun is ended."""
    config = uvicorn.Config(
        app,
        http=protocol_of(limits),
        ws="none",
        log_config=None,
        log_level="critical",  # what fails is told and logged by `Guard`; clients that leave and stopping are no faults
        access_log=False,
        server_header=False,
        timeout_keep_alive=math.ceil(limits.read_seconds),
        timeout_graceful_shutdown=math.ceil(limits.stop_seconds),
    )
    return uvicorn.Server(config)


def _listener(host: str, port: int) -> socket.socket:
    """Take the port. Raises ConfigError if it cannot be had, or the host is none of this machine."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(128)
        except BaseException:
            listener.close()
            raise
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        number = getattr(error, "errno", None)
        if isinstance(error, socket.gaierror | UnicodeError) or number in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            raise ConfigError(
                f"--host: {host} is no address of this machine ({reason}). Name one, or 0.0.0.0 for all."
            ) from None
        raise ConfigError(f"--port: {host}:{port} cannot be had ({reason}). Choose another, or 0 for any.") from None
    return listener


def protocol_of(limits: Limits) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol, which waits for the head of a request no longer than for its body."""

    class HastyProtocol(H11Protocol):
        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._wait()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._is_answering():
                self._be_patient()
            elif self._deadline is None:
                self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            self._be_patient()
            super().connection_lost(exc)

        def _is_answering(self) -> bool:
            cycle: Any = self.cycle
            return cycle is not None and not cycle.response_complete

        def _wait(self) -> None:
            self._deadline = self.loop.call_later(limits.read_seconds, self._give_up)

        def _be_patient(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

        def _give_up(self) -> None:
            self._deadline = None
            if self._is_answering():
                return
            error = RequestError("the request did not come in time. Send it faster.", status=408, code="timeout")
            body = bytes(error.response.body)
            head = f"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
            self.transport.write(f"{head}\r\nconnection: close\r\n\r\n".encode() + body)
            self.transport.close()

    return HastyProtocol
