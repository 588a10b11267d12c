"""The bank's side: what was sent to it and what it said, and the door for its callbacks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool

from domain.errors import InvalidInput, TellergateError
from domain.ids import require_id, uuid_of
from domain.roles import Role
from serving.edge.access import UsedServices, call_for
from serving.edge.bank_client import BankClient
from serving.edge.request_limits import BodyTooLarge
from serving.edge.services import Services
from serving.edge.sessions import SignedIn
from storage.outbox import (
    Acknowledgement,
    Instruction,
    InstructionState,
    UnsettledState,
    count_unsettled,
    find_instruction,
    list_acknowledgements,
    list_instructions,
)

router = APIRouter(tags=["bank"])
Reader = Annotated[SignedIn, Depends(call_for(Role.APPROVER, Role.AUDITOR, Role.ADMIN))]
_MAX_CALLBACK_BYTES = 8 * 1024
_HeaderText = Annotated[str, Header(max_length=2000)]


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InstructionRow(_Wire):
    """One instruction to the bank as it stands."""

    instruction_id: str
    kind: str
    reference: str
    transfer_id: str | None
    amount_minor: int | None
    currency: str | None
    state: InstructionState
    attempts: int
    failure: str | None
    bank_reference: str | None
    created_at: datetime
    changed_at: datetime
    next_attempt_at: datetime | None


class AcknowledgementOut(_Wire):
    """One thing that the bank said, and what it did."""

    status: str
    reason_code: str | None
    bank_reference: str | None
    amount_minor: int | None
    currency: str | None
    acknowledged_at: datetime | None
    received_at: datetime
    channel: str
    effect: str


class InstructionDetail(InstructionRow):
    """One instruction with all that the bank said of it."""

    acknowledgements: list[AcknowledgementOut]


class InstructionPage(_Wire):
    """One page, oldest first; ask again with `after` = `next_after` for more, until it is null."""

    items: list[InstructionRow]
    next_after: str | None


class StateOut(_Wire):
    """How many instructions stand in a state."""

    state: UnsettledState
    count: int
    oldest_created_at: datetime


class BankStatus(_Wire):
    """How things stand with the bank. `relay` is `down` when the jobs process does not answer; nothing is lost by that."""

    relay: Literal["up", "impaired", "down"]
    adapter: str | None
    faults: list[str]
    states: list[StateOut]


class CallbackTaken(_Wire):
    """What an acknowledgement did: sent, confirmed, failed, contradiction, or none when it was late or repeated."""

    effect: str


@router.get("/bank/status", operation_id="getBankStatus")
async def get_bank_status(caller: Reader, services: UsedServices) -> BankStatus:
    """Say how the bank is reached and how many instructions are not settled."""

    def count() -> list[StateOut]:
        with services.deps.database.work(caller.tenant_id) as connection:
            counts = count_unsettled(connection)
        return [StateOut(state=one.state, count=one.count, oldest_created_at=one.oldest_created_at) for one in counts]

    states = await run_in_threadpool(count)
    try:
        relay = await _bank_of(services).read_relay()
    except TellergateError:
        return BankStatus(relay="down", adapter=None, faults=[], states=states)
    faults = [str(code) for code in relay.get("faults", ())]
    return BankStatus(relay="impaired" if faults else "up", adapter=str(relay.get("adapter")), faults=faults, states=states)


@router.get("/bank/instructions", operation_id="listBankInstructions")
def list_bank_instructions(
    caller: Reader,
    services: UsedServices,
    state: UnsettledState = "failed",
    after: Annotated[str | None, Query(max_length=40, description="`next_after` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> InstructionPage:
    """List instructions that are not settled."""
    with services.deps.database.work(caller.tenant_id) as connection:
        place = None
        if after is not None:
            before = find_instruction(connection, uuid_of(require_id(after, "ins")))
            place = (before.created_at, before.instruction_id)
        found = list_instructions(connection, state=state, after=place, limit=limit)
    rows = [InstructionRow(**_columns(one)) for one in found]
    return InstructionPage(items=rows, next_after=rows[-1].instruction_id if len(rows) == limit else None)


@router.get("/bank/instructions/{instruction_id}", operation_id="getBankInstruction")
def get_bank_instruction(instruction_id: str, caller: Reader, services: UsedServices) -> InstructionDetail:
    """Return one instruction with all that the bank said of it."""
    wanted = uuid_of(require_id(instruction_id, "ins"))
    with services.deps.database.work(caller.tenant_id) as connection:
        found, acknowledgements = find_instruction(connection, wanted), list_acknowledgements(connection, wanted)
    return InstructionDetail(**_columns(found), acknowledgements=[_acknowledgement_of(one) for one in acknowledgements])


@router.post(
    "/bank/{tenant_id}/acknowledgements",
    operation_id="acknowledgeInstruction",
    openapi_extra={"requestBody": {"content": {"application/json": {}}, "required": True}},
)
async def acknowledge_instruction(
    request: Request,
    services: UsedServices,
    tenant_id: Annotated[str, Path(pattern=r"^[a-z0-9-]{1,40}$")],
    webhook_id: _HeaderText,
    webhook_timestamp: _HeaderText,
    webhook_signature: _HeaderText,
) -> CallbackTaken:
    """Take an acknowledgement that the bank pushes, signed as Standard Webhooks says. Repeated and late ones do no harm."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_CALLBACK_BYTES:
            raise BodyTooLarge(f"an acknowledgement holds at most {_MAX_CALLBACK_BYTES:,} bytes")
    effect = await _bank_of(services).pass_callback(
        tenant_id=tenant_id,
        message_id=webhook_id,
        timestamp=webhook_timestamp,
        signatures=webhook_signature,
        body=bytes(body),
    )
    return CallbackTaken(effect=effect)


class BankNotConnected(InvalidInput):
    """Say that this edge was started without a way to the jobs process."""

    code = "bank_not_connected"


def _bank_of(services: Services) -> BankClient:
    if services.deps.bank is None:
        raise BankNotConnected("this edge was started without a way to the process that speaks to the bank")
    return services.deps.bank


def _columns(one: Instruction) -> dict[str, object]:
    text, amount = (one.payload.get(name) for name in ("transfer_id", "amount_minor"))
    currency = one.payload.get("currency")
    same = ("kind", "reference", "state", "attempts", "failure", "bank_reference", "created_at", "changed_at", "next_attempt_at")
    return {
        "instruction_id": _outside(one.instruction_id),
        "transfer_id": text if isinstance(text, str) else None,
        "amount_minor": amount if isinstance(amount, int) else None,
        "currency": currency if isinstance(currency, str) else None,
        **{name: getattr(one, name) for name in same},
    }


def _acknowledgement_of(one: Acknowledgement) -> AcknowledgementOut:
    return AcknowledgementOut(**{name: getattr(one, name) for name in AcknowledgementOut.model_fields})


def _outside(instruction_id: UUID) -> str:
    return f"ins_{instruction_id.hex}"
