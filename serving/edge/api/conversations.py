"""Ask something about a customer and get the answer, as it comes or whole."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from domain.errors import TellergateError
from serving.edge.access import CHAT_ROLES, PROPOSAL_ROLES, UsedServices, call_for
from serving.edge.action_cards import ActionCard
from serving.edge.api.schemas import (
    ActionOut,
    AnswerOut,
    ConversationOut,
    MessageBody,
    OpenConversationBody,
    SentenceOut,
    notice_of,
)
from serving.edge.boundary import Place
from serving.edge.services import Services
from serving.edge.sessions import SignedIn
from serving.edge.transcript import CardPending, ShownEvent, ShownSentence
from serving.edge.turn_events import TurnFinished

router = APIRouter(tags=["conversations"])
Caller = Annotated[SignedIn, Depends(call_for(*CHAT_ROLES))]
Opener = Annotated[SignedIn, Depends(call_for(*PROPOSAL_ROLES))]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="same key and body: same stored answer; other body: 422",
    ),
]
_RECEIPT_POLLS = 30
_RECEIPT_POLL_S = 0.1


@router.post("/conversations", operation_id="openConversation", status_code=201)
def open_conversation(
    body: OpenConversationBody, caller: Opener, services: UsedServices, key: IdempotencyKey = None
) -> ConversationOut:
    """Start a conversation about a customer."""
    conversation_id = services.conversations.open_conversation(
        caller, customer_id=body.customer_id, key=key or secrets.token_urlsafe(24)
    )
    return ConversationOut(conversation_id=conversation_id, customer_id=body.customer_id)


@router.post(
    "/conversations/{conversation_id}/messages",
    operation_id="sendMessage",
    response_model=AnswerOut,
    responses={
        200: {"content": {"application/x-ndjson": {}}, "description": "the answer: one event a line, or whole with wait=true"}
    },
)
async def send_message(
    conversation_id: str,
    body: MessageBody,
    caller: Caller,
    services: UsedServices,
    key: IdempotencyKey = None,
    wait: Annotated[
        Literal["true", "false"], Query(description="true: answer once, with the whole answer as one object")
    ] = "false",
) -> Any:
    """Send a message. Streams NDJSON events `accepted, sentence, proposal, decision, done`; `wait=true` returns one object."""
    if body.customer_id is not None:
        await run_in_threadpool(services.conversations.require_customer, caller, conversation_id, body.customer_id)
    taken = await services.conversations.send(
        caller, conversation_id=conversation_id, text=body.text, key=key or secrets.token_urlsafe(24)
    )
    if wait == "true":
        return await _collect(services, caller, taken.place)
    return StreamingResponse(_stream(services, caller, taken.place), media_type="application/x-ndjson")


@router.get("/messages/{message_id}/answer", operation_id="getAnswer")
async def get_answer(message_id: str, caller: Caller, services: UsedServices) -> AnswerOut:
    """Return the answer to a message; waits for it while it is being written."""
    place, _ = await run_in_threadpool(services.transcript.find_place, caller, message_id)
    return await _collect(services, caller, place)


async def _stream(services: Services, caller: SignedIn, place: Place) -> AsyncIterator[bytes]:
    accepted = {"type": "accepted", "message_id": place.message_id, "conversation_id": place.conversation_id}
    yield orjson.dumps(accepted) + b"\n"
    async for event in services.transcript.follow(caller, place):
        yield orjson.dumps(_line_of(event)) + b"\n"


def _line_of(event: ShownEvent) -> dict[str, Any]:
    match event:
        case ShownSentence():
            return {"type": "sentence", "sentence": SentenceOut.of(event).model_dump(mode="json")}
        case CardPending(proposal_id=proposal_id):
            return {"type": "proposal", "proposal_id": proposal_id}
        case ActionCard():
            return {"type": "decision", "action": ActionOut.of(event).model_dump(mode="json")}
        case TurnFinished():
            notice = notice_of(event)
            return {
                "type": "done",
                "state": event.state,
                "answer_id": event.answer_id,
                "model": event.model,
                "notice": None if notice is None else notice.model_dump(),
            }


async def _collect(services: Services, caller: SignedIn, place: Place) -> AnswerOut:
    sentences: list[SentenceOut] = []
    cards: dict[str, ActionCard] = {}
    ending = TurnFinished("interrupted", "", "none", "agents_failed")
    async for event in services.transcript.follow(caller, place):
        match event:
            case ShownSentence():
                sentences.append(SentenceOut.of(event))
            case ActionCard():
                cards[event.proposal_id] = event
            case TurnFinished():
                ending = event
            case CardPending():
                continue
    actions = [await _finish_action(services, caller, card) for card in cards.values()]
    last = actions[-1] if actions else None
    decided = last.decided if last else None
    return AnswerOut(
        message_id=place.message_id,
        conversation_id=place.conversation_id,
        customer_id=place.customer_id,
        state=ending.state,
        answer_id=ending.answer_id,
        model=ending.model,
        notice=notice_of(ending),
        sentences=sentences,
        citations=list({(one.kind, one.ref): one for sentence in sentences for one in sentence.citations}.values()),
        actions=actions,
        proposal=last.proposal if last else None,
        decision=decided.decision if decided else None,
        reasons=decided.reasons if decided else [],
        posting=decided.posting if decided else None,
        review=decided.review if decided else None,
        receipt=decided.receipt if decided else None,
    )


async def _finish_action(services: Services, caller: SignedIn, card: ActionCard) -> ActionOut:
    """Wait some moments for the receipt: the sequencer places a decision's records right after they are committed."""
    action = ActionOut.of(card)
    if action.decided is None:
        return action
    decision_id = action.decided.decision.decision_id
    for _ in range(_RECEIPT_POLLS):
        try:
            receipt = await services.exports.find_receipt(
                services.deps.money, tenant_id=caller.tenant_id, decision_id=decision_id
            )
        except TellergateError:
            break
        if receipt is not None:
            found = action.decided.receipt.model_copy(update={"state": "ready", "document": receipt.decode("utf-8")})
            return action.model_copy(update={"decided": action.decided.model_copy(update={"receipt": found})})
        await asyncio.sleep(_RECEIPT_POLL_S)
    return action
