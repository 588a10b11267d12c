"""The receipt log: its head outside of the database, a new key. The money process checks who asks."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict

from domain.roles import Role
from serving.edge.access import UsedServices, call_for
from serving.edge.sessions import SignedIn

router = APIRouter(tags=["receipts"])
Keeper = Annotated[SignedIn, Depends(call_for(Role.ADMIN, Role.AUDITOR))]
Admin = Annotated[SignedIn, Depends(call_for(Role.ADMIN))]


class AnchoredOut(BaseModel):
    """Hold a head as it was written outside of the database. `note` is the whole signed note; `root` is hex."""

    model_config = ConfigDict(frozen=True)

    tree_size: int
    root: str
    note: str
    anchored_at: str


class RotatedOut(BaseModel):
    """Hold from which size of the log on the new key signs alone."""

    model_config = ConfigDict(frozen=True)

    retired_key_id: str
    key_id: str
    tree_size: int


@router.post("/log/anchor", operation_id="anchorLog")
async def anchor_log(caller: Keeper, services: UsedServices) -> AnchoredOut:
    """Write the log's head to the anchor file now. Idempotent while the log does not grow."""
    money = services.deps.money
    answer = await money.ask("POST", "/v1/log/anchor", tenant_id=caller.tenant_id, json={"session_token": caller.token})
    return money.read(AnchoredOut, answer)


@router.post("/log/rotate-key", operation_id="rotateLogKey")
async def rotate_log_key(caller: Admin, services: UsedServices) -> RotatedOut:
    """Sign with a new key from here on. What the old one signed still verifies."""
    money = services.deps.money
    answer = await money.ask("POST", "/v1/log/rotate-key", tenant_id=caller.tenant_id, json={"session_token": caller.token})
    return money.read(RotatedOut, answer)
