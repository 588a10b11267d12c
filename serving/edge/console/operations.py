"""The page of those who run the bank: the kill switch, what is in force and who changes it, and what was paid today."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Form
from fastapi.responses import RedirectResponse, Response
from starlette.status import HTTP_303_SEE_OTHER

from domain.errors import InvalidInput, TellergateError
from domain.proposal import ActionKind
from domain.roles import Role
from serving.edge.access import UsedServices, form_for, page_for
from serving.edge.money_views import DigestView, Freezes, FreezeView, Registry
from serving.edge.problems import status_of
from serving.edge.process_client import PartDown
from serving.edge.services import Services
from serving.edge.sessions import SignedIn

router = APIRouter()
OPERATIONS_ROLES = (Role.APPROVER, Role.INVESTIGATOR, Role.AUDITOR, Role.ADMIN)
Reader = Annotated[SignedIn, Depends(page_for(*OPERATIONS_ROLES))]
Freezer = Annotated[SignedIn, Depends(form_for(Role.APPROVER, Role.INVESTIGATOR, Role.ADMIN))]
Admin = Annotated[SignedIn, Depends(form_for(Role.ADMIN))]
_PATH = "/operations"
_KINDS = tuple(kind.value for kind in ActionKind if kind is not ActionKind.UNLISTED)


@router.get(_PATH)
async def show_operations(signed_in: Reader, services: UsedServices) -> Response:
    """Show freezes, the registry and today's digest."""
    return await _page(services, signed_in)


@router.post("/operations/freezes")
async def post_freeze(
    signed_in: Freezer,
    services: UsedServices,
    scope: Annotated[Literal["tenant", "kind", "operator"], Form()],
    kind: Annotated[str, Form(max_length=64)] = "",
    operator: Annotated[str, Form(max_length=64)] = "",
    reason: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    """Stop every execution over a scope."""
    subject = {"tenant": "", "kind": kind.strip(), "operator": operator.strip()}[scope]
    body = {"scope": scope, "subject": subject, "reason": reason}
    return await _act(services, signed_in, "/v1/freezes", body)


@router.post("/operations/freezes/{freeze_id}/thaw")
async def post_thaw(freeze_id: str, signed_in: Admin, services: UsedServices) -> Response:
    """End one freeze."""
    return await _act(services, signed_in, f"/v1/freezes/{freeze_id}/thaw", {})


@router.post("/operations/policy-changes/{change_id}/{verdict}")
async def post_change(
    change_id: str, verdict: Literal["approve", "refuse"], signed_in: Admin, services: UsedServices
) -> Response:
    """Approve or refuse what another administrator wants of a policy, a model or a file."""
    return await _act(services, signed_in, f"/v1/policy-changes/{change_id}/{verdict}", {})


async def _act(services: Services, signed_in: SignedIn, path: str, body: dict[str, Any]) -> Response:
    try:
        if path == "/v1/freezes" and not body["reason"].strip():
            raise InvalidInput("say why, so that whoever ends it can judge", code="reason_missing")
        await services.deps.money.ask(
            "POST", path, tenant_id=signed_in.tenant_id, json={**body, "session_token": signed_in.token}
        )
    except TellergateError as fault:
        return await _page(services, signed_in, fault=fault)
    return RedirectResponse(_PATH, status_code=HTTP_303_SEE_OTHER)


async def _page(services: Services, signed_in: SignedIn, *, fault: TellergateError | None = None) -> Response:
    money, tenant_id = services.deps.money, signed_in.tenant_id
    freezes: tuple[FreezeView, ...] = ()
    registry = Registry(names=())
    digest: DigestView | None = None
    try:
        freezes = money.read(Freezes, await money.ask("GET", "/v1/freezes", tenant_id=tenant_id)).items
        registry = money.read(Registry, await money.ask("GET", "/v1/registry", tenant_id=tenant_id))
        digest = money.read(DigestView, await money.ask("GET", "/v1/digest", tenant_id=tenant_id))
    except PartDown as down:
        fault = fault or down
    return services.pages.page(
        "operations.html",
        signed_in=signed_in,
        now=services.deps.clock.now(),
        freezes=freezes,
        registry=registry,
        digest=digest,
        kinds=_KINDS,
        fault=fault,
        active="operations",
        status=200 if fault is None else status_of(fault),
    )
