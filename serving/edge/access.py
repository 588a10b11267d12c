"""Who may call a route: sessions from a cookie or a bearer token, forged requests kept out, roles per screen."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from domain.errors import Forbidden
from domain.roles import Role
from serving.edge.services import Services, services_of
from serving.edge.sessions import NotSignedIn, SignedIn, find_session
from serving.edge.viewing import conditions_of

SESSION_COOKIE = "tg_session"
CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

CHAT_ROLES = (Role.SUPPORT, Role.INVESTIGATOR)
PROPOSAL_ROLES = (Role.SUPPORT, Role.INVESTIGATOR, Role.ONBOARDING)
"""Who may open a conversation and propose in it himself. What he may have carried out is the gate's business."""
CUSTOMER_ROLES = (Role.SUPPORT, Role.INVESTIGATOR, Role.APPROVER)
DECISION_ROLES = (Role.SUPPORT, Role.INVESTIGATOR, Role.APPROVER, Role.AUDITOR, Role.ADMIN)
REVIEW_ROLES = (Role.APPROVER, Role.AUDITOR, Role.ADMIN)


class MissingRole(Forbidden):
    """Say that none of the person's roles opens this."""

    code = "missing_role"


class ForgedRequest(Forbidden):
    """Say that a changing request did not come from our own page."""

    code = "forged_request"


UsedServices = Annotated[Services, Depends(services_of)]


def read_session(request: Request, services: UsedServices) -> SignedIn:
    """Return who calls a page. Raises: NotSignedIn."""
    token = request.cookies.get(SESSION_COOKIE)
    if not token:
        raise NotSignedIn("sign in first")
    signed_in = _find(request, services, token)
    # A page that says no still shows who is signed in, and the way out.
    request.state.signed_in = signed_in
    return signed_in


def read_caller(request: Request, services: UsedServices) -> SignedIn:
    """Return who calls the API: a bearer token, or the console's own cookie with its CSRF token on changes."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return _find(request, services, token.strip())
    signed_in = read_session(request, services)
    if request.method not in _SAFE_METHODS:
        require_csrf(signed_in, request.headers.get(CSRF_HEADER, ""))
    return signed_in


async def read_form_session(request: Request, services: UsedServices) -> SignedIn:
    """Return who sent a form of ours, with its CSRF token checked. Raises: NotSignedIn, ForgedRequest."""
    signed_in = await run_in_threadpool(read_session, request, services)
    form = await request.form()
    require_csrf(signed_in, request.headers.get(CSRF_HEADER) or str(form.get(CSRF_FIELD, "")))
    return signed_in


def _find(request: Request, services: Services, token: str) -> SignedIn:
    signed_in = find_session(services.deps.database, token, services.deps.clock.now())
    return replace(signed_in, meets=conditions_of(request, services.deps.options.viewing))


def require_csrf(signed_in: SignedIn, given: str) -> None:
    """Compare in constant time. Raises: ForgedRequest."""
    if not secrets.compare_digest(given.encode(), signed_in.csrf_token.encode()):
        raise ForgedRequest("this request did not come from the console's own page: load the page again, then repeat it")


def require_roles(signed_in: SignedIn, roles: tuple[Role, ...]) -> SignedIn:
    """Return the person if he has one of the roles. Raises: MissingRole."""
    if not signed_in.has(*roles):
        wanted = " or ".join(role.value for role in roles)
        raise MissingRole(f"this needs the role {wanted}, which you do not have: ask an administrator")
    return signed_in


def page_for(*roles: Role) -> Callable[..., SignedIn]:
    """Make a dependency: a page that these roles may open."""

    def check(signed_in: Annotated[SignedIn, Depends(read_session)]) -> SignedIn:
        return require_roles(signed_in, roles)

    return check


def form_for(*roles: Role) -> Callable[..., SignedIn]:
    """Make a dependency: a form that these roles may send."""

    def check(signed_in: Annotated[SignedIn, Depends(read_form_session)]) -> SignedIn:
        return require_roles(signed_in, roles)

    return check


def call_for(*roles: Role) -> Callable[..., SignedIn]:
    """Make a dependency: an API call that these roles may make."""

    def check(signed_in: Annotated[SignedIn, Depends(read_caller)]) -> SignedIn:
        return require_roles(signed_in, roles)

    return check
