"""Propose an act oneself, without the agent. Everything after that is the way of every proposal."""

from __future__ import annotations

import secrets
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from domain.conversation import HandleKind
from domain.proposal import ActionKind
from serving.edge.access import PROPOSAL_ROLES, UsedServices, call_for
from serving.edge.api.conversations import IdempotencyKey
from serving.edge.api.schemas import ActionOut
from serving.edge.sessions import SignedIn
from serving.edge.staff_proposals import StaffArguments

router = APIRouter(tags=["conversations"])
Caller = Annotated[SignedIn, Depends(call_for(*PROPOSAL_ROLES))]


class StaffProposalBody(BaseModel):
    """What to do, with the arguments of its kind: handles of this conversation, an amount in minor units, the reason."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Annotated[ActionKind, Field(examples=["payment"])]
    arguments: StaffArguments


class HandleOut(BaseModel):
    """One short name and what it stands for."""

    handle: str
    kind: HandleKind
    ref: str


class HandleList(BaseModel):
    """What a conversation may name."""

    items: list[HandleOut]


@router.get("/conversations/{conversation_id}/handles", operation_id="listHandles")
def list_handles(conversation_id: str, caller: Caller, services: UsedServices) -> HandleList:
    """List what the caller's own conversation may name."""
    grants = services.staff_proposals.list_handles(caller, conversation_id)
    return HandleList(items=[HandleOut(handle=grant.handle, kind=grant.kind, ref=grant.ref) for grant in grants])


@router.post("/conversations/{conversation_id}/proposals", operation_id="proposeAct", status_code=201)
async def propose_act(
    conversation_id: str, body: StaffProposalBody, caller: Caller, services: UsedServices, key: IdempotencyKey = None
) -> ActionOut:
    """Propose an act in the caller's own conversation and have the gate decide it."""
    card = await services.staff_proposals.propose(
        caller,
        conversation_id=conversation_id,
        kind=body.kind,
        arguments=body.arguments,
        key=key or secrets.token_urlsafe(24),
    )
    return ActionOut.of(card)
