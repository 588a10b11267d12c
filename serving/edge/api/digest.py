"""The daily digest of what was paid."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from serving.edge.access import REVIEW_ROLES, UsedServices, call_for
from serving.edge.money_views import DigestView
from serving.edge.sessions import SignedIn

router = APIRouter(tags=["digest"])
Reader = Annotated[SignedIn, Depends(call_for(*REVIEW_ROLES))]


@router.get("/digest", operation_id="getDigest")
async def get_digest(
    caller: Reader, services: UsedServices, day: Annotated[date | None, Query(description="in UTC; today without it")] = None
) -> DigestView:
    """Return what was executed on a day, by kind and currency."""
    money = services.deps.money
    params = {} if day is None else {"day": day.isoformat()}
    return money.read(DigestView, await money.ask("GET", "/v1/digest", tenant_id=caller.tenant_id, params=params))
