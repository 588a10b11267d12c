"""Routes of the receipt log: its public keys, its head outside of the database, a new key."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

from gates.receipts.tiles import EmptyLog
from serving.money.bodies import ActingBody
from serving.money.service import MoneyService


def add_receipt_routes(app: FastAPI, service: MoneyService) -> None:
    """Add the routes."""

    @app.get("/v1/public-key")
    def get_public_key() -> PlainTextResponse:
        return PlainTextResponse(service.log.read_verifier_keys())

    @app.post("/v1/log/anchor")
    def post_anchor(body: ActingBody) -> dict[str, Any]:
        now = service.deps.clock.now()
        service.log.require_keeper(body.tenant_id, body.session_token, now=now)
        service.log.sequence(body.tenant_id, now=now)
        head = service.log.anchor(body.tenant_id, now=now)
        if head is None:
            raise EmptyLog("the log holds no record yet, or this process keeps no anchors")
        return head.model_dump()

    @app.post("/v1/log/rotate-key")
    def post_rotate_key(body: ActingBody) -> dict[str, Any]:
        rotated = service.log.rotate(body.tenant_id, body.session_token, now=service.deps.clock.now())
        service.wake.set()
        return asdict(rotated)
