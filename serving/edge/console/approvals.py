"""What waits for a person, and his verdict in two steps: read, then confirm with amount and payee in the button."""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Query
from fastapi.responses import RedirectResponse, Response
from starlette.status import HTTP_303_SEE_OTHER

from domain.errors import InvalidInput, TellergateError
from domain.roles import Role
from serving.edge.access import DECISION_ROLES, REVIEW_ROLES, UsedServices, form_for, page_for
from serving.edge.action_cards import ActionCard, why_blocked
from serving.edge.money_client import Verdict
from serving.edge.money_views import Pace, QueueItem, Story
from serving.edge.problems import status_of
from serving.edge.process_client import PartDown
from serving.edge.services import Services
from serving.edge.sessions import SignedIn

router = APIRouter()
Reviewer = Annotated[SignedIn, Depends(page_for(*REVIEW_ROLES))]
Reader = Annotated[SignedIn, Depends(page_for(*DECISION_ROLES))]
Approver = Annotated[SignedIn, Depends(form_for(Role.APPROVER))]
Asker = Annotated[SignedIn, Depends(form_for(*DECISION_ROLES))]


_MAX_ITEMS = 50
_MAX_PACE = 8


class ReasonMissing(InvalidInput):
    """Say that a refusal needs words."""

    code = "reason_missing"


@dataclass(frozen=True, slots=True)
class ShownItem:
    """Hold one line of the queue with the card of its riskiest member; only that one is read in full here."""

    item: QueueItem
    card: ActionCard


@router.get("/approvals")
async def show_approvals(signed_in: Reviewer, services: UsedServices) -> Response:
    """Show what waits: escalated first, then the riskiest; alike ones of one source as one item."""
    return await _show_queue(services, signed_in)


@router.post("/reviews/{review_id}/{act}")
async def change_claim(review_id: str, act: Literal["claim", "release"], signed_in: Approver, services: UsedServices) -> Response:
    """Take a review for 15 minutes, or give it back."""
    try:
        await services.deps.money.claim(signed_in.tenant_id, review_id, signed_in.token, act=act)
    except TellergateError as fault:
        return await _show_queue(services, signed_in, fault=fault)
    return RedirectResponse("/approvals", status_code=HTTP_303_SEE_OTHER)


async def _show_queue(services: Services, signed_in: SignedIn, *, fault: TellergateError | None = None) -> Response:
    queue: tuple[QueueItem, ...] = ()
    pace: tuple[Pace, ...] = ()
    shown: list[ShownItem] = []
    money_down = False
    money = services.deps.money
    try:
        queue = await money.list_queue(signed_in.tenant_id)
        pace = (await money.read_stats(signed_in.tenant_id)).pace[:_MAX_PACE]
        for item in queue[:_MAX_ITEMS]:
            view = await money.find_decision(signed_in.tenant_id, item.members[0].decision_id)
            card = await services.cards.build(signed_in, item.members[0].proposal_id, view=view, undecided="")
            shown.append(ShownItem(item, card))
    except PartDown:
        money_down = True
    return services.pages.page(
        "approvals.html",
        signed_in=signed_in,
        now=services.deps.clock.now(),
        shown=shown,
        more=len(queue) - len(shown),
        pace=pace,
        money_down=money_down,
        fault=fault,
        active="approvals",
        status=200 if fault is None else status_of(fault),
    )


@router.get("/proposals/{proposal_id}/card")
async def show_card(proposal_id: str, signed_in: Reader, services: UsedServices) -> Response:
    """Show a proposed act as it stands now."""
    return _card(services, signed_in, await services.transcript.read_card(signed_in, proposal_id))


@router.post("/proposals/{proposal_id}/decide")
async def decide(proposal_id: str, signed_in: Asker, services: UsedServices) -> Response:
    """Ask the gate again, after it could not be reached."""
    # When it is still down, the card says so in words of its own.
    with contextlib.suppress(PartDown):
        await services.deps.money.decide(signed_in.tenant_id, proposal_id)
    return _card(services, signed_in, await services.transcript.read_card(signed_in, proposal_id))


@router.get("/proposals/{proposal_id}/verdict")
async def show_verdict_form(
    proposal_id: str, signed_in: Reader, services: UsedServices, verdict: Annotated[Literal["approve", "refuse"], Query()]
) -> Response:
    """Show the second step. The form holds the digest of the action as it is read now, and a fresh key."""
    card = await services.transcript.read_card(signed_in, proposal_id)
    if card.blocked or card.view is None:
        return _card(services, signed_in, card, whole=True)
    return services.pages.page(
        "verdict_form.html",
        signed_in=signed_in,
        now=services.deps.clock.now(),
        card=card,
        verdict=verdict,
        key=secrets.token_urlsafe(24),
    )


@router.post("/proposals/{proposal_id}/verdict")
async def give_verdict(
    proposal_id: str,
    signed_in: Approver,
    services: UsedServices,
    verdict: Annotated[Literal["approve", "refuse"], Form()],
    review_id: Annotated[str, Form(max_length=64)],
    action_digest: Annotated[str, Form(pattern=r"^[0-9a-f]{64}$")],
    key: Annotated[str, Form(min_length=1, max_length=255)],
    reason: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    """Pass the verdict on. Whatever the answer is, the card shows how things stand afterwards."""
    fault: TellergateError | None = None
    try:
        if verdict == "refuse" and not reason.strip():
            raise ReasonMissing("say why you refuse, so that whoever proposed it can read it")
        await services.deps.money.give_verdict(
            signed_in.tenant_id,
            Verdict(
                review_id=review_id,
                verdict=verdict,
                session_token=signed_in.token,
                action_digest=action_digest,
                reason=reason.strip(),
                idempotency_key=key,
            ),
        )
    except TellergateError as error:
        fault = error
    return _card(services, signed_in, await services.transcript.read_card(signed_in, proposal_id), fault=fault)


@router.get("/decisions/{decision_id}")
async def show_decision(decision_id: str, signed_in: Reader, services: UsedServices) -> Response:
    """Show one decision in full: what it was decided from, by which policy, and what came of it."""
    view = await services.deps.money.find_decision(signed_in.tenant_id, decision_id)
    card = await services.cards.build(signed_in, view.decision.proposal_id, view=view, undecided="")
    story = await _tell_story(services, signed_in, view.decision.decision_id)
    return services.pages.page(
        "decision.html",
        signed_in=signed_in,
        now=services.deps.clock.now(),
        card=card,
        view=view,
        story=story,
        blocked=why_blocked(signed_in, view),
        active="approvals" if signed_in.has(*REVIEW_ROLES) else "customers",
    )


async def _tell_story(services: Services, signed_in: SignedIn, decision_id: str) -> Story:
    """Return the story; a decision that cannot be explained is shown all the same, and says so."""
    money = services.deps.money
    try:
        told = await money.ask("GET", f"/v1/decisions/{decision_id}/explanation", tenant_id=signed_in.tenant_id)
    except TellergateError as error:
        return Story(lines=(f"The story cannot be told now: {error.message}",), nearest=None)
    return money.read(Story, told)


def _card(
    services: Services, signed_in: SignedIn, card: ActionCard, *, fault: TellergateError | None = None, whole: bool = False
) -> Response:
    response = services.pages.page(
        "action_card_fragment.html",
        signed_in=signed_in,
        now=services.deps.clock.now(),
        card=card,
        fault=fault,
        status=200 if fault is None else status_of(fault),
    )
    if whole:
        response.headers["HX-Retarget"] = f"#card-{card.proposal_id}"
        response.headers["HX-Reswap"] = "outerHTML"
    return response
