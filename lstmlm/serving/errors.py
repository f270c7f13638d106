"""What is wrong with a request, in the shape in which OpenAI's clients expect to be told."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse

from lstmlm.errors import LstmlmError

TYPES = {
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "server_error",
}
"""OpenAI's names of kinds of errors; all others are `invalid_request_error`."""


class RequestError(Exception):
    """A request that is not answered; `status` is that of HTTP, `code` and `param` are for programs."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str = "invalid_value",
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.param = param
        self.headers = headers

    @property
    def body(self) -> dict[str, Any]:
        """What the client is sent."""
        kind = TYPES.get(self.status, "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    @property
    def response(self) -> JSONResponse:
        """The answer that says so."""
        return JSONResponse(self.body, self.status, self.headers)


def too_large(message: str, param: str | None = None) -> RequestError:
    """Return the error of a request that asks for more than there may be."""
    return RequestError(message, status=413, code="too_large", param=param)


def busy(message: str, code: str = "too_many_requests") -> RequestError:
    """Return the error of a server that has enough to do."""
    return RequestError(message, status=429, code=code, headers={"Retry-After": "1"})


def told_of(error: Exception) -> RequestError:
    """Say what went wrong; of a fault of ours no more than that."""
    if isinstance(error, RequestError):
        return error
    if isinstance(error, LstmlmError):
        name = str(error).partition(":")[0]
        return RequestError(str(error), param=name if name.isidentifier() else None)
    if isinstance(error, TimeoutError):
        return RequestError("the answer took too long. Ask for less.", status=408, code="timeout")
    return RequestError("the server made a mistake; its log says which.", status=500, code="internal_error")
