"""Policies: which bundles there are, which is in force, and the acts of the people who change that."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from domain.ids import require_id
from domain.roles import Role
from serving.edge.access import UsedServices, call_for
from serving.edge.api.policy_views import PolicyChange, PolicyList, PolicyView, RegisteredPolicy, RolledBack
from serving.edge.sessions import SignedIn

router = APIRouter(tags=["policies"])
Editor = Annotated[SignedIn, Depends(call_for(Role.ADMIN))]
Reader = Annotated[SignedIn, Depends(call_for(Role.ADMIN, Role.AUDITOR))]
# An address, the beginning of one, or `active`; nothing else goes into a path of ours.
_Address = Annotated[str, Field(pattern=r"^([0-9a-f]{12,64}|active)$")]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RegisterBody(_Body):
    """A whole bundle: `manifest` is its bundle.json, `files` the text of each other file by its name."""

    manifest: dict[str, Any]
    files: dict[str, str]


class ActivateBody(_Body):
    """What a registered bundle is to become. A canary has a percent of all acts; `reason` is needed above the drift set."""

    target: Literal["shadow", "canary", "champion"] = "champion"
    percent: Annotated[int, Field(ge=1, le=99)] | None = None
    reason: Annotated[str, Field(max_length=2000)] = ""


class ReasonBody(_Body):
    """Why what stood before is put back."""

    reason: Annotated[str, Field(min_length=1, max_length=2000)]


@router.get("/policies", operation_id="listPolicies")
async def list_policies(caller: Reader, services: UsedServices) -> PolicyList:
    """List registered bundles with their aliases, and the changes that people asked for, the latest first."""
    money = services.deps.money
    return money.read(PolicyList, await money.ask("GET", "/v1/policies", tenant_id=caller.tenant_id))


@router.get("/policies/{sha256}", operation_id="getPolicy")
async def get_policy(sha256: _Address, caller: Reader, services: UsedServices) -> PolicyView:
    """Return a bundle with its rules, its files and what its shadow said; `active` is the one in force."""
    money = services.deps.money
    return money.read(PolicyView, await money.ask("GET", f"/v1/policies/{sha256}", tenant_id=caller.tenant_id))


@router.post("/policies", operation_id="registerPolicy", status_code=201)
async def post_policy(body: RegisterBody, caller: Editor, services: UsedServices) -> RegisteredPolicy:
    """Register a bundle as a candidate. A bundle that does not load is refused; the same content again is the same version."""
    payload = {"session_token": caller.token, "content": {"manifest": body.manifest, "files": body.files}}
    money = services.deps.money
    return money.read(RegisteredPolicy, await money.ask("POST", "/v1/policies", tenant_id=caller.tenant_id, json=payload))


@router.post("/policies/{sha256}/activate", operation_id="activatePolicy", status_code=202)
async def post_activate(sha256: _Address, body: ActivateBody, caller: Editor, services: UsedServices) -> PolicyChange:
    """Ask for a bundle to be put in force. A shadow starts at once; everything else waits for a second administrator."""
    payload = {"session_token": caller.token, **body.model_dump()}
    money, path = services.deps.money, f"/v1/policies/{sha256}/activate"
    return money.read(PolicyChange, await money.ask("POST", path, tenant_id=caller.tenant_id, json=payload))


@router.post("/policy-changes/{change_id}/approve", operation_id="approvePolicyChange")
async def post_approve(change_id: str, caller: Editor, services: UsedServices) -> PolicyChange:
    """Agree to a change as a second administrator: it takes effect at once."""
    return await _answer(services, caller, change_id, "approve")


@router.post("/policy-changes/{change_id}/refuse", operation_id="refusePolicyChange")
async def post_refuse(change_id: str, caller: Editor, services: UsedServices) -> PolicyChange:
    """Refuse a change, or take back one's own."""
    return await _answer(services, caller, change_id, "refuse")


@router.post("/policy-rollback", operation_id="rollBackPolicy")
async def post_roll_back(body: ReasonBody, caller: Editor, services: UsedServices) -> RolledBack:
    """Put the bundle that stood directly before back in force. One administrator is enough."""
    payload = {"session_token": caller.token, "reason": body.reason}
    money = services.deps.money
    return money.read(RolledBack, await money.ask("POST", "/v1/policy-rollback", tenant_id=caller.tenant_id, json=payload))


async def _answer(services: UsedServices, caller: SignedIn, change_id: str, verdict: str) -> PolicyChange:
    path = f"/v1/policy-changes/{require_id(change_id, 'chg')}/{verdict}"
    money = services.deps.money
    return money.read(
        PolicyChange, await money.ask("POST", path, tenant_id=caller.tenant_id, json={"session_token": caller.token})
    )
