"""Sign in, sign out, and where a person lands."""

from __future__ import annotations

import re
import secrets
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from serving.edge.access import CUSTOMER_ROLES, REVIEW_ROLES, SESSION_COOKIE, UsedServices, read_form_session, read_session
from serving.edge.services import Services
from serving.edge.sessions import Credentials, SignedIn, SignInRefused, revoke_session
from serving.edge.sign_in import TooManyTries

router = APIRouter()
_ENTRY_COOKIE = "tg_entry"
_LOCAL_PATH = re.compile(r"/(?:customers|approvals|decisions|operations)(?:/[A-Za-z0-9_-]{1,80})?")


@router.get("/")
def show_home(signed_in: Annotated[SignedIn, Depends(read_session)]) -> Response:
    """Send a person to the screen of his work."""
    return RedirectResponse(home_of(signed_in), 303)


@router.get("/login")
def show_login(
    services: UsedServices, ended: Annotated[Literal["", "1"], Query()] = "", next_path: Annotated[str, Query(alias="next")] = ""
) -> Response:
    """Show the form."""
    note = "Your session has ended. Sign in again." if ended else ""
    return _form(services, next_path=next_path, note=note)


@router.post("/login")
def sign_in(
    request: Request,
    services: UsedServices,
    username: Annotated[str, Form(max_length=100)] = "",
    password: Annotated[str, Form(max_length=256)] = "",
    tenant_id: Annotated[str, Form(max_length=40)] = "",
    entry: Annotated[str, Form(max_length=100)] = "",
    next_path: Annotated[str, Form(max_length=200, alias="next")] = "",
) -> Response:
    """Check name and password; the entry token shows that the form was ours."""
    if not entry or not secrets.compare_digest(entry.encode(), request.cookies.get(_ENTRY_COOKIE, "").encode()):
        return _form(services, next_path=next_path, problem="The page was too old. Try again.", status=403, username=username)
    credentials = Credentials(tenant_id or services.deps.options.default_tenant_id, username.strip(), password)
    try:
        signed_in = services.desk.sign_in(credentials, kind="console", source=request.client.host if request.client else "socket")
    except SignInRefused:
        problem = "Workspace, name or password is not right."
        return _form(services, next_path=next_path, problem=problem, status=401, username=username, tenant_id=tenant_id)
    except TooManyTries as error:
        problem = f"{error.message.capitalize()}."
        refusal = _form(services, next_path=next_path, problem=problem, status=429, username=username, tenant_id=tenant_id)
        refusal.headers["Retry-After"] = str(error.wait_s)
        return refusal
    target = next_path if _LOCAL_PATH.fullmatch(next_path) else home_of(signed_in)
    response = RedirectResponse(target, 303)
    options = services.deps.options
    response.set_cookie(
        SESSION_COOKIE,
        signed_in.token,
        max_age=int(options.session_lifetime.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=options.cookie_secure,
        path="/",
    )
    response.delete_cookie(_ENTRY_COOKIE, path="/login")
    return response


@router.post("/logout")
def sign_out(signed_in: Annotated[SignedIn, Depends(read_form_session)], services: UsedServices) -> Response:
    """End the session here and in the database."""
    revoke_session(services.deps.database, signed_in, services.deps.clock.now())
    response = RedirectResponse("/login", 303)
    response.delete_cookie(SESSION_COOKIE, path="/")
    return response


def home_of(signed_in: SignedIn) -> str:
    """Return the first screen of a person's roles."""
    if signed_in.has(*CUSTOMER_ROLES) and not (signed_in.has(*REVIEW_ROLES) and len(signed_in.roles) == 1):
        return "/customers"
    return "/approvals"


def _form(
    services: Services,
    *,
    next_path: str,
    note: str = "",
    problem: str = "",
    status: int = 200,
    username: str = "",
    tenant_id: str = "",
) -> HTMLResponse:
    entry = secrets.token_urlsafe(32)
    response = services.pages.page(
        "login.html",
        signed_in=None,
        now=services.deps.clock.now(),
        status=status,
        entry=entry,
        note=note,
        problem=problem,
        next_path=next_path,
        username=username,
        tenant_id=tenant_id or services.deps.options.default_tenant_id,
    )
    response.set_cookie(
        _ENTRY_COOKIE,
        entry,
        max_age=3600,
        httponly=True,
        samesite="strict",
        secure=services.deps.options.cookie_secure,
        path="/login",
    )
    return response
