"""What the money process says when something is wrong: problem+json (RFC 9457), one status for each branch of the error tree."""

from __future__ import annotations

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from domain.errors import BrokenInvariant, Conflict, Forbidden, InvalidInput, NotFound, TellergateError, Unavailable
from storage.idempotency import KeyReused

_LOG = structlog.get_logger("money.problems")
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


def problem(status: int, code: str, title: str, detail: str) -> JSONResponse:
    """Write a problem body."""
    body = {"type": f"urn:tellergate:problem:{code}", "title": title, "status": status, "code": code, "detail": detail}
    headers = {"Retry-After": "1"} if status == 503 else None
    return JSONResponse(body, status_code=status, headers=headers, media_type="application/problem+json")


def problem_of(error: TellergateError) -> JSONResponse:
    """Write the problem that an error of the tree is."""
    for branch, status, title in STATUSES:
        if isinstance(error, branch):
            return problem(status, error.code, title, error.message)
    return problem(500, error.code, "Something broke on our side", error.message)


def install_problem_handlers(app: FastAPI) -> None:
    """Answer every error as a problem; nothing of a request's body goes into an answer or a log."""

    async def on_known(request: Request, error: Exception) -> Response:
        assert isinstance(error, TellergateError)
        response = problem_of(error)
        if response.status_code >= 500:
            _LOG.error("request_failed", code=error.code, path=request.url.path, status=response.status_code)
        return response

    async def on_validation(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        return problem(422, "invalid_request", "Not understood", faults)

    async def on_http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return problem(error.status_code, f"http_{error.status_code}", str(error.detail), str(error.detail))

    async def on_unknown(request: Request, error: Exception) -> Response:
        _LOG.error("request_crashed", path=request.url.path, error=type(error).__name__, exc_info=error)
        return problem(500, "internal_error", "Something broke on our side", "the fault is in our log; repeat it safely")

    app.add_exception_handler(TellergateError, on_known)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(Exception, on_unknown)
