"""The kill switch: stop every execution of the workspace, of a kind of act, or of an operator."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from domain.ids import require_id
from domain.roles import Role
from serving.edge.access import UsedServices, call_for
from serving.edge.money_views import Freezes, FreezeView
from serving.edge.sessions import SignedIn

router = APIRouter(tags=["freezes"])
Freezer = Annotated[SignedIn, Depends(call_for(Role.APPROVER, Role.INVESTIGATOR, Role.ADMIN))]
Thawer = Annotated[SignedIn, Depends(call_for(Role.ADMIN))]
Reader = Annotated[SignedIn, Depends(call_for(*Role))]


class FreezeBody(BaseModel):
    """What to stop and why. `subject` names the kind or the operator; it is empty for the whole workspace."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scope: Literal["tenant", "kind", "operator"]
    subject: Annotated[str, Field(max_length=64)] = ""
    reason: Annotated[str, Field(min_length=1, max_length=1000)]


@router.get("/freezes", operation_id="listFreezes")
async def list_freezes(
    caller: Reader, services: UsedServices, state: Annotated[Literal["standing", "all"], Query()] = "all"
) -> Freezes:
    """List freezes, those that stand first."""
    money = services.deps.money
    return money.read(Freezes, await money.ask("GET", "/v1/freezes", tenant_id=caller.tenant_id, params={"state": state}))


@router.post("/freezes", operation_id="freeze", status_code=201)
async def post_freeze(body: FreezeBody, caller: Freezer, services: UsedServices) -> FreezeView:
    """Stop every execution over this scope at once, approved acts too. What is frozen already returns its freeze."""
    money = services.deps.money
    answer = await money.ask(
        "POST", "/v1/freezes", tenant_id=caller.tenant_id, json={**body.model_dump(), "session_token": caller.token}
    )
    return money.read(FreezeView, answer)


@router.post("/freezes/{freeze_id}/thaw", operation_id="thaw")
async def post_thaw(freeze_id: str, caller: Thawer, services: UsedServices) -> FreezeView:
    """End one freeze; whoever made it cannot. What it stopped is not executed by this."""
    money = services.deps.money
    path = f"/v1/freezes/{require_id(freeze_id, 'frz')}/thaw"
    return money.read(FreezeView, await money.ask("POST", path, tenant_id=caller.tenant_id, json={"session_token": caller.token}))
