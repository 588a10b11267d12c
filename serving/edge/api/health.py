"""Is it alive, is it ready? Open to everyone who reaches the socket; names no data."""

from __future__ import annotations

from fastapi import APIRouter, Response

from serving.edge.access import UsedServices
from serving.edge.api.schemas import HealthOut

router = APIRouter(tags=["health"])


@router.get("/livez", operation_id="getLive")
async def get_live() -> dict[str, str]:
    """Say that the process answers."""
    return {"state": "alive"}


@router.get("/readyz", operation_id="getReady", responses={503: {"model": HealthOut}})
async def get_ready(response: Response, services: UsedServices) -> HealthOut:
    """Say which part is up. Without model, agents or money process the console still serves, and says so."""
    health = await services.health.read()
    response.status_code = 200 if health.ready else 503
    return HealthOut(ready=health.ready, parts=dict(health.parts))
