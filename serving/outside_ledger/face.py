"""The port served over HTTP, for holders of a token: our ledger can be somebody's outside ledger, and is tested as one."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import FastAPI, Query
from pydantic import BaseModel, ConfigDict

from domain.errors import NotFound
from domain.transfer_input import parse_transfer_requests
from ledger.outside.port import MAX_LINES, OutsideLedger
from ledger.port import AccountNotFound
from serving.inner_api import open_inner_door
from serving.outside_ledger.wire import render_balance, render_lines, render_results, render_transfer

_MAX_BODY_BYTES = 8 * 1024 * 1024
_Text = Annotated[str, Query(max_length=200)]


class TransferNotFound(NotFound):
    """Say that no transfer of this id was accepted."""

    code = "transfer_not_found"


class AccountIn(BaseModel):
    """Hold what to open. Its shape is the ledger's to judge."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    code: str
    currency: str
    debits_must_not_exceed_credits: bool = False
    credits_must_not_exceed_debits: bool = False


class TransfersIn(BaseModel):
    """Hold requests as `domain.transfer_input` reads them; it names the one that is malformed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    requests: list[dict[str, Any]]


def create_outside_ledger_app(ledger: OutsideLedger, *, token: str) -> FastAPI:
    """Make the application. Errors are problem+json; a refused transfer is a result with its code, in a 200."""
    app = FastAPI(title="Tellergate ledger", openapi_url=None, docs_url=None, redoc_url=None)
    open_inner_door(app, process_token=token, max_body_bytes=_MAX_BODY_BYTES)

    @app.post("/v1/accounts")
    def post_account(body: AccountIn) -> dict[str, str]:
        ledger.open_account(
            body.code,
            body.currency,
            debits_must_not_exceed_credits=body.debits_must_not_exceed_credits,
            credits_must_not_exceed_debits=body.credits_must_not_exceed_debits,
        )
        return {"state": "open"}

    @app.post("/v1/transfers")
    def post_transfers(body: TransfersIn) -> dict[str, Any]:
        return {"results": render_results(ledger.apply(parse_transfer_requests(body.requests)))}

    @app.get("/v1/balances")
    def get_balance(code: _Text, currency: _Text) -> dict[str, Any]:
        found = ledger.find_balance(code, currency)
        if found is None:
            raise AccountNotFound(f"there is no account {code} in {currency}")
        return render_balance(found)

    @app.get("/v1/transfers/{transfer_id}")
    def get_transfer(transfer_id: UUID) -> dict[str, Any]:
        found = ledger.find_transfer(transfer_id)
        if found is None:
            raise TransferNotFound("no transfer of this id was accepted")
        return render_transfer(found)

    @app.get("/v1/entries")
    def get_entries(
        code: _Text,
        currency: _Text,
        after: Annotated[int | None, Query(ge=0, le=2**53 - 1)] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_LINES)] = 100,
    ) -> dict[str, Any]:
        return {"lines": render_lines(ledger.list_entries(code, currency, after=after, limit=limit))}

    return app
