"""Features: what was executed for a customer in the windows that rules read, and their rebuild from events."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict

from domain.roles import Role
from serving.edge.access import DECISION_ROLES, UsedServices, call_for
from serving.edge.sessions import SignedIn

router = APIRouter(tags=["features"])
Reader = Annotated[SignedIn, Depends(call_for(*DECISION_ROLES))]
Rebuilder = Annotated[SignedIn, Depends(call_for(Role.ADMIN))]


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WindowView(_View):
    """Hold one window that ends now: acts in every currency, their sum in one, in minor units."""

    window: str
    currency: str
    acts: int
    amount_minor: int


class FeaturesView(_View):
    """Hold a customer's features and how long one read took, over `reads` of them, in microseconds."""

    customer_id: str
    items: tuple[WindowView, ...]
    reads: int
    read_p50_us: int
    read_p95_us: int


class RebuiltView(_View):
    """Hold the hash over all features before and after they were built again from `acts` acts."""

    acts: int
    hash_before: str
    hash_after: str
    equal: bool


@router.get("/features/{customer_id}", operation_id="getFeatures")
async def get_features(
    customer_id: Annotated[str, Path(pattern=r"^[0-9A-Za-z_-]{1,64}$")], caller: Reader, services: UsedServices
) -> FeaturesView:
    """Return what was executed for a customer, as a decision at this moment would read it."""
    money = services.deps.money
    return money.read(FeaturesView, await money.ask("GET", f"/v1/features/{customer_id}", tenant_id=caller.tenant_id))


@router.post("/features/rebuild", operation_id="rebuildFeatures")
async def rebuild_features(caller: Rebuilder, services: UsedServices) -> RebuiltView:
    """Drop the workspace's features and build them again from its events. Unequal hashes say that they were wrong."""
    money = services.deps.money
    answer = await money.ask("POST", "/v1/features/rebuild", tenant_id=caller.tenant_id, json={"session_token": caller.token})
    return money.read(RebuiltView, answer)
