"""The conversation about a customer: the page, and answers as they are written."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from serving.edge.access import CHAT_ROLES, CUSTOMER_ROLES, UsedServices, form_for, page_for
from serving.edge.action_cards import ActionCard
from serving.edge.boundary import Place, Viewer
from serving.edge.message_store import UnknownConversation, list_conversations
from serving.edge.message_text import require_message
from serving.edge.services import Services
from serving.edge.sessions import SignedIn
from serving.edge.transcript import CardPending, ShownConversation, ShownEvent, ShownSentence
from serving.edge.turn_events import TurnFinished

router = APIRouter()
Reader = Annotated[SignedIn, Depends(page_for(*CUSTOMER_ROLES))]
Writer = Annotated[SignedIn, Depends(form_for(*CHAT_ROLES))]
SUGGESTIONS = (
    "Was this customer charged twice by the same merchant?",
    "Why was the latest payment declined?",
    "What does our refund policy say about duplicate charges?",
)


@router.get("/customers/{customer_id}")
async def show_chat(
    customer_id: str, signed_in: Reader, services: UsedServices, conversation: Annotated[str, Query(max_length=64)] = ""
) -> Response:
    """Show a customer beside a conversation: the one asked for, else the person's newest, else an empty one."""
    file = await run_in_threadpool(services.records.read_file, Viewer.of(signed_in), customer_id)
    known = await run_in_threadpool(_list, services, signed_in, customer_id)
    chosen = conversation or next((row["conversation_id"] for row in known if row["operator_id"] == signed_in.operator_id), "new")
    shown: ShownConversation | None = None
    if chosen != "new":
        shown = await services.transcript.read(signed_in, chosen)
        if shown.conversation.customer_id != customer_id:
            raise UnknownConversation("there is no such conversation about this customer")
    mine = shown is None or shown.conversation.operator_id == signed_in.operator_id
    return services.pages.page(
        "chat.html",
        signed_in=signed_in,
        now=services.deps.clock.now(),
        file=file,
        shown=shown,
        conversations=known,
        may_write=mine and signed_in.has(*CHAT_ROLES),
        suggestions=SUGGESTIONS,
        key=secrets.token_urlsafe(24),
        active="customers",
    )


@router.post("/customers/{customer_id}/messages")
async def send_message(
    customer_id: str,
    signed_in: Writer,
    services: UsedServices,
    text: Annotated[str, Form()] = "",
    conversation_id: Annotated[str, Form(max_length=64)] = "",
    key: Annotated[str, Form(min_length=1, max_length=255)] = "",
) -> Response:
    """Take a message in and stream its answer. The first message opens the conversation."""
    require_message(text)
    if not conversation_id:
        conversation_id = await run_in_threadpool(_open, services, signed_in, customer_id, key)
    taken = await services.conversations.send(signed_in, conversation_id=conversation_id, text=text, key=key)
    return StreamingResponse(_stream(services, signed_in, taken.place, from_start=True), media_type="text/event-stream")


@router.get("/messages/{message_id}/stream")
async def follow_message(message_id: str, signed_in: Reader, services: UsedServices) -> Response:
    """Follow an answer that was being written when the page was loaded."""
    place, _ = await run_in_threadpool(services.transcript.find_place, signed_in, message_id)
    return StreamingResponse(_stream(services, signed_in, place, from_start=False), media_type="text/event-stream")


def _open(services: Services, signed_in: SignedIn, customer_id: str, key: str) -> str:
    return services.conversations.open_conversation(signed_in, customer_id=customer_id, key=key)


def _list(services: Services, signed_in: SignedIn, customer_id: str) -> list[dict[str, Any]]:
    with services.deps.database.work(signed_in.tenant_id) as connection:
        return list_conversations(connection, tenant_id=signed_in.tenant_id, customer_id=customer_id)


async def _stream(services: Services, signed_in: SignedIn, place: Place, *, from_start: bool) -> AsyncIterator[str]:
    pages, now = services.pages, services.deps.clock.now()
    shared = {"place": place, "signed_in": signed_in, "now": now}
    if from_start:
        _, text = await run_in_threadpool(services.transcript.find_place, signed_in, place.message_id)
        yield as_event(pages.render("stream_start.html", text=text, key=secrets.token_urlsafe(24), created_at=now, **shared))
    drawn: set[str] = set()
    async for event in services.transcript.follow(signed_in, place):
        yield as_event(pages.render(_template_of(event), event=event, drawn=drawn, **shared))
        if isinstance(event, CardPending | ActionCard):
            drawn.add(event.proposal_id)


def _template_of(event: ShownEvent) -> str:
    match event:
        case ShownSentence():
            return "stream_sentence.html"
        case CardPending():
            return "stream_card_pending.html"
        case ActionCard():
            return "stream_card.html"
        case TurnFinished():
            return "stream_end.html"


def as_event(html: str) -> str:
    """Write one server-sent event."""
    return "".join(f"data: {line}\n" for line in html.splitlines() if line.strip()) + "\n"
