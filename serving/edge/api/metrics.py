"""`GET /metrics`: what masking did and how many leaks were stopped, for a monitoring system."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

from domain.roles import Role
from serving.edge.access import UsedServices, call_for
from serving.edge.sessions import SignedIn
from storage.leaks import count_leaks

router = APIRouter(tags=["metrics"])
Reader = Annotated[SignedIn, Depends(call_for(Role.AUDITOR, Role.ADMIN))]


@router.get("/metrics", include_in_schema=False)
def get_metrics(caller: Reader, services: UsedServices) -> Response:
    """Return the numbers in the Prometheus text format."""
    with services.deps.database.work(caller.tenant_id) as connection:
        incidents = count_leaks(connection)
    body = services.deps.metrics.render(tenant_id=caller.tenant_id, leak_incidents=incidents)
    return Response(body, media_type=CONTENT_TYPE_LATEST)
