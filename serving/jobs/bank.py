"""The jobs process's routes for the bank: callbacks that the edge passes on, and how the relay stands."""

from __future__ import annotations

import base64
from typing import Annotated

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from serving.bank.callback import Callback
from serving.bank.desk import BankDesk


class CallbackIn(BaseModel):
    """Hold a callback as the edge received it, its body unread (base64)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tenant_id: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    message_id: Annotated[str, Field(max_length=200)]
    timestamp: Annotated[str, Field(max_length=20)]
    signatures: Annotated[str, Field(max_length=2000)]
    body_base64: Annotated[str, Field(max_length=12_000, repr=False)]


class CallbackOut(BaseModel):
    """Say what the acknowledgement did."""

    effect: str


class RelayOut(BaseModel):
    """Say how the bank is reached, and what fails now."""

    adapter: str
    faults: list[str]


def add_bank_routes(app: FastAPI, desk: BankDesk) -> None:
    """Add the routes to the jobs process's application."""

    @app.post("/v1/bank/callbacks")
    def post_callback(body: CallbackIn) -> CallbackOut:
        callback = Callback(
            message_id=body.message_id,
            timestamp=body.timestamp,
            signatures=body.signatures,
            body=base64.b64decode(body.body_base64),
        )
        return CallbackOut(effect=desk.take_callback(body.tenant_id, callback).value)

    @app.get("/v1/bank")
    def get_relay() -> RelayOut:
        return RelayOut(adapter=desk.adapter, faults=sorted(desk.faults))
