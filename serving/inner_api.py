"""What the inner processes' sockets have in common: who may speak, how long a body may be, and how an error is said.

Each of them (agents, money, jobs) listens on a Unix socket for holders of its token and answers problem+json (RFC 9457).
"""

from __future__ import annotations

import hmac

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from domain.errors import BrokenInvariant, Conflict, Forbidden, InvalidInput, NotFound, TellergateError, Unavailable
from storage.idempotency import KeyReused

_LOG = structlog.get_logger("inner_api")
_HEALTH_PATH = "/healthz"
# Most particular first: the first match gives the status.
STATUSES: tuple[tuple[type[TellergateError], int, str], ...] = (
    (KeyReused, 422, "Key used before"),
    (NotFound, 404, "Not found"),
    (Conflict, 409, "Not in this state"),
    (InvalidInput, 422, "Not understood"),
    (Forbidden, 403, "Not permitted"),
    (Unavailable, 503, "Nothing was changed, try again"),
    (BrokenInvariant, 500, "Our records contradict themselves"),
)


class ProcessDoor:
    """Let in who holds the process token and says how long the body is; plain ASGI, so that a stream passes untouched."""

    def __init__(self, app: ASGIApp, *, process_token: str, max_body_bytes: int) -> None:
        self._app = app
        self._expected = f"Bearer {process_token}".encode()
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it with a refusal."""
        refusal = self._refuse(scope) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refuse(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        given = headers.get("authorization", "").encode()
        if scope["path"] != _HEALTH_PATH and not hmac.compare_digest(given, self._expected):
            return write_problem(403, "wrong_process_token", "Not permitted", "this socket is for processes that hold its token")
        length = headers.get("content-length", "")
        if scope["method"] == "POST" and not (length.isascii() and length.isdigit() and int(length) <= self._max_body_bytes):
            return write_problem(
                413, "body_too_large", "Too large", f"send a Content-Length of at most {self._max_body_bytes} bytes"
            )
        return None


def open_inner_door(app: FastAPI, *, process_token: str, max_body_bytes: int) -> None:
    """Put the door in front of an application and let it answer every error as a problem."""
    app.add_middleware(ProcessDoor, process_token=process_token, max_body_bytes=max_body_bytes)
    app.add_exception_handler(TellergateError, _on_known)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_unknown)


def write_problem(status: int, code: str, title: str, detail: str) -> JSONResponse:
    """Write a problem body."""
    body = {"type": f"urn:tellergate:problem:{code}", "title": title, "status": status, "code": code, "detail": detail}
    headers = {"Retry-After": "1"} if status == 503 else None
    return JSONResponse(body, status_code=status, headers=headers, media_type="application/problem+json")


def _problem_of(error: TellergateError) -> JSONResponse:
    for branch, status, title in STATUSES:
        if isinstance(error, branch):
            return write_problem(status, error.code, title, error.message)
    return write_problem(500, error.code, "Something broke on our side", error.message)


async def _on_known(request: Request, error: Exception) -> Response:
    assert isinstance(error, TellergateError)
    response = _problem_of(error)
    if response.status_code >= 500:
        _LOG.error("request_failed", code=error.code, path=request.url.path, status=response.status_code)
    return response


async def _on_validation(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    # Names and messages only: the input itself may hold a credential or personal data.
    faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
    return write_problem(422, "invalid_request", "Not understood", faults)


async def _on_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return write_problem(error.status_code, f"http_{error.status_code}", str(error.detail), str(error.detail))


async def _on_unknown(request: Request, error: Exception) -> Response:
    _LOG.error("request_crashed", path=request.url.path, error=type(error).__name__, exc_info=error)
    return write_problem(500, "internal_error", "Something broke on our side", "the fault is in our log; repeat it safely")
