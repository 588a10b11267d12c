"""What chips and links open: a record, a passage, a receipt, the state of the parts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import PlainTextResponse, Response

from domain.conversation import Grant, HandleKind
from domain.errors import NotFound
from domain.ids import require_id
from domain.receipt import Receipt
from serving.edge.access import CUSTOMER_ROLES, DECISION_ROLES, REVIEW_ROLES, UsedServices, page_for, read_session
from serving.edge.boundary import Viewer
from serving.edge.message_store import find_conversation, list_grants
from serving.edge.passages import read_passage
from serving.edge.process_client import PartDown
from serving.edge.services import Services
from serving.edge.sessions import SignedIn

router = APIRouter()
Reader = Annotated[SignedIn, Depends(page_for(*CUSTOMER_ROLES))]
DecisionReader = Annotated[SignedIn, Depends(page_for(*DECISION_ROLES))]
Anyone = Annotated[SignedIn, Depends(read_session)]


@router.get("/conversations/{conversation_id}/handles/{handle}")
def show_handle(conversation_id: str, handle: str, signed_in: Reader, services: UsedServices) -> Response:
    """Show the record that a handle stands for, or that it stands for nothing here."""
    customer_id, grant = _find_grant(services, signed_in, conversation_id, handle)
    viewer = Viewer.of(signed_in)
    record: object = None
    if grant is not None and grant.kind is HandleKind.TRANSACTION:
        record = services.records.read_transaction(viewer, customer_id=customer_id, transaction_id=grant.ref)
    elif grant is not None and grant.kind in {HandleKind.ACCOUNT, HandleKind.CARD}:
        file = services.records.read_file(viewer, customer_id)
        record = next((account for account in file.accounts if account.account_id == grant.ref), None) or next(
            (card for card in file.cards if card.card_id == grant.ref), None
        )
    return services.pages.page(
        "sheet_record.html", signed_in=signed_in, now=services.deps.clock.now(), handle=handle, grant=grant, record=record
    )


@router.get("/customers/{customer_id}/transactions/{transaction_id}")
def show_transaction(
    customer_id: str,
    transaction_id: str,
    signed_in: Reader,
    services: UsedServices,
    handle: Annotated[str, Query(pattern=r"^(T[0-9]{1,4})?$")] = "",
) -> Response:
    """Show one transaction of a customer."""
    record = services.records.read_transaction(Viewer.of(signed_in), customer_id=customer_id, transaction_id=transaction_id)
    return services.pages.page(
        "sheet_record.html", signed_in=signed_in, now=services.deps.clock.now(), handle=handle, grant=None, record=record
    )


@router.get("/passages/{article_id}/{ordinal}")
def show_passage(article_id: str, ordinal: str, signed_in: DecisionReader, services: UsedServices) -> Response:
    """Show the passage behind a citation."""
    passage = read_passage(services.deps.database, Viewer.of(signed_in), f"{article_id}#{ordinal}")
    return services.pages.page("sheet_passage.html", signed_in=signed_in, now=services.deps.clock.now(), passage=passage)


@router.get("/decisions/{decision_id}/receipt")
async def show_receipt(decision_id: str, signed_in: DecisionReader, services: UsedServices) -> Response:
    """Show the receipt and how to verify it without us."""
    receipt = await services.exports.find_receipt(services.deps.money, tenant_id=signed_in.tenant_id, decision_id=decision_id)
    return services.pages.page(
        "sheet_receipt.html",
        signed_in=signed_in,
        now=services.deps.clock.now(),
        receipt=None if receipt is None else Receipt.model_validate_json(receipt),
        decision_id=decision_id,
    )


@router.get("/receipts/public-key")
async def download_key(services: UsedServices, signed_in: Anyone) -> Response:  # noqa: ARG001 - signed in, whoever
    """Give the public key that receipts verify with."""
    key = await services.deps.money.read_public_key()
    return PlainTextResponse(key + "\n", headers={"Content-Disposition": 'attachment; filename="receipts.pub"'})


@router.get("/receipts/{decision_id}.json")
async def download_receipt(decision_id: str, signed_in: DecisionReader, services: UsedServices) -> Response:
    """Give the receipt as a file."""
    receipt = await services.exports.find_receipt(services.deps.money, tenant_id=signed_in.tenant_id, decision_id=decision_id)
    if receipt is None:
        raise NotFound("the receipt is not placed in the log yet: try again in a second", code="receipt_pending")
    # The bytes as they are: a verifier accepts the canonical form only.
    name = f"receipt_{require_id(decision_id, 'dec')}.json"
    return Response(receipt, media_type="application/json", headers={"Content-Disposition": f'attachment; filename="{name}"'})


@router.get("/health-strip")
async def show_health(request: Request, signed_in: Anyone, services: UsedServices) -> Response:  # noqa: ARG001 - only for htmx
    """Show which part is down, and how many reviews wait."""
    health = await services.health.read()
    waiting: int | None = None
    if signed_in.has(*REVIEW_ROLES):
        try:
            waiting = len(await services.deps.money.list_queue(signed_in.tenant_id))
        except PartDown:
            waiting = None
    return services.pages.page(
        "health_strip.html", signed_in=signed_in, now=services.deps.clock.now(), health=health, waiting=waiting
    )


def _find_grant(services: Services, signed_in: SignedIn, conversation_id: str, handle: str) -> tuple[str, Grant | None]:
    with services.deps.database.work(signed_in.tenant_id) as connection:
        conversation = find_conversation(connection, tenant_id=signed_in.tenant_id, conversation_id=conversation_id)
        grants = list_grants(connection, tenant_id=signed_in.tenant_id, conversation_id=conversation_id)
    return conversation.customer_id, next((grant for grant in grants if grant.handle == handle), None)
