"""Routes of the kill switch."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import FastAPI
from pydantic import Field

from gates.freezing import FreezeScope, freeze, list_freezes, thaw
from serving.money.bodies import ActingBody, TenantQuery
from serving.money.service import MoneyService
from storage.unit_of_work import unit_of_work


class FreezeBody(ActingBody):
    """Hold what to stop and why. `subject` is "" for the tenant."""

    scope: FreezeScope
    subject: Annotated[str, Field(max_length=64)] = ""
    reason: Annotated[str, Field(max_length=1000)]


def add_freeze_routes(app: FastAPI, service: MoneyService) -> None:
    """Add the routes."""

    @app.get("/v1/freezes")
    def get_freezes(tenant_id: TenantQuery, state: Literal["standing", "all"] = "all") -> dict[str, Any]:
        scope = service.scope(tenant_id)
        with unit_of_work(scope.pool, scope.context) as connection:
            return {"items": [asdict(one) for one in list_freezes(connection, standing_only=state == "standing")]}

    @app.post("/v1/freezes")
    def post_freeze(body: FreezeBody) -> dict[str, Any]:
        made = freeze(
            service.scope(body.tenant_id),
            body.session_token,
            over=body.scope,
            subject=body.subject,
            reason=body.reason,
            now=service.deps.clock.now(),
        )
        service.wake.set()
        return asdict(made)

    @app.post("/v1/freezes/{freeze_id}/thaw")
    def post_thaw(freeze_id: str, body: ActingBody) -> dict[str, Any]:
        ended = thaw(service.scope(body.tenant_id), body.session_token, freeze_id, now=service.deps.clock.now())
        service.wake.set()
        return asdict(ended)
