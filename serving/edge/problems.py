"""What goes out when something goes wrong: problem+json (RFC 9457) to programs, a page or a notice to people."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from domain.errors import BrokenInvariant, Conflict, Forbidden, InvalidInput, NotFound, TellergateError, Unavailable
from serving.edge.message_text import MessageTooLong
from serving.edge.pages import Pages
from serving.edge.request_limits import BodyTooLarge
from serving.edge.sessions import NotSignedIn, SignInRefused
from serving.edge.sign_in import TooManyTries

_LOG = structlog.get_logger("edge.problems")
# Most particular first: the first match gives the status.
STATUSES: tuple[tuple[type[TellergateError], int], ...] = (
    (NotSignedIn, 401),
    (SignInRefused, 401),
    (TooManyTries, 429),
    (MessageTooLong, 413),
    (BodyTooLarge, 413),
    (NotFound, 404),
    (Conflict, 409),
    (InvalidInput, 422),
    (Forbidden, 403),
    (Unavailable, 503),
    (BrokenInvariant, 500),
)
_TITLES = {
    401: "Sign in first",
    403: "Not permitted",
    404: "Not found",
    409: "Not now",
    413: "Too large",
    422: "Not understood",
    429: "Too many tries",
}


def status_of(error: TellergateError) -> int:
    """Return the HTTP status of an error of the tree."""
    return next((status for branch, status in STATUSES if isinstance(error, branch)), 500)


def title_of(status: int) -> str:
    """Return a short title for people."""
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return "A part is not running"
    return _TITLES.get(status) or (HTTPStatus(status).phrase if status < 500 else "Something broke on our side")


def install_problem_handlers(app: FastAPI, pages: Pages) -> None:
    """Answer every error in the form that the caller can read."""

    def answer(request: Request, status: int, code: str, detail: str, extra: dict[str, Any] | None = None) -> Response:
        if is_program(request):
            return problem(status, code, detail, extra)
        if status == HTTPStatus.UNAUTHORIZED and request.url.path != "/login":
            return _to_sign_in(request)
        return pages.show_problem(request, status=status, title=title_of(status), code=code, detail=detail)

    async def on_known(request: Request, error: Exception) -> Response:
        assert isinstance(error, TellergateError)
        status = status_of(error)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.SERVICE_UNAVAILABLE:
            _LOG.error("request_failed", code=error.code, path=request.url.path)
        response = answer(request, status, error.code, error.message)
        if isinstance(error, TooManyTries):
            response.headers["Retry-After"] = str(error.wait_s)
        elif isinstance(error, Unavailable):
            response.headers["Retry-After"] = "2"
        return response

    async def on_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        # The input itself stays out: it may hold personal data.
        faults = [{"field": ".".join(map(str, fault["loc"])), "message": fault["msg"]} for fault in error.errors()]
        detail = "; ".join(f"{fault['field']}: {fault['message']}" for fault in faults)
        return answer(request, 422, "invalid_request", detail, {"errors": faults})

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = BodyTooLarge.code if error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else f"http_{error.status_code}"
        response = answer(request, error.status_code, code, str(error.detail))
        response.headers.update(error.headers or {})
        return response

    async def on_unknown(request: Request, error: Exception) -> Response:
        _LOG.error("request_crashed", path=request.url.path, error=type(error).__name__, exc_info=error)
        detail = "this is our fault and it is written to the log; repeating what you did does not carry it out twice"
        return answer(request, 500, "internal_error", detail)

    app.add_exception_handler(TellergateError, on_known)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(Exception, on_unknown)


def problem(status: int, code: str, detail: str, extra: dict[str, Any] | None = None) -> JSONResponse:
    """Write a problem body."""
    body = {"type": f"urn:tellergate:problem:{code}", "title": title_of(status), "status": status, "code": code, "detail": detail}
    return JSONResponse({**body, **(extra or {})}, status_code=status, media_type="application/problem+json")


def is_program(request: Request) -> bool:
    """Say whether the caller reads JSON."""
    return request.url.path.startswith(("/api/", "/livez", "/readyz"))


def _to_sign_in(request: Request) -> Response:
    if request.headers.get("HX-Request") == "true":
        return Response(status_code=401, headers={"HX-Redirect": "/login?ended=1"})
    came_for = request.url.path if request.method == "GET" and request.url.path != "/" else ""
    return RedirectResponse(f"/login?ended=1&next={quote(came_for)}" if came_for else "/login", 303)
