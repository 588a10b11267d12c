"""The form by which a person proposes an act himself, and the card that comes of it."""

from __future__ import annotations

import secrets
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query
from fastapi.responses import Response
from pydantic import ValidationError

from domain.errors import InvalidInput
from domain.money import EXPONENTS, InvalidMoney, parse_decimal
from domain.proposal import ARGUMENTS_OF, ActionKind, ReasonCode
from serving.edge.access import PROPOSAL_ROLES, UsedServices, form_for, page_for
from serving.edge.sessions import SignedIn
from serving.edge.staff_proposals import HANDLE_KINDS, StaffArguments, WrongArguments

router = APIRouter()
Writer = Annotated[SignedIn, Depends(page_for(*PROPOSAL_ROLES))]
Sender = Annotated[SignedIn, Depends(form_for(*PROPOSAL_ROLES))]
Word = Annotated[str, Form(max_length=200)]
VERDICTS = ("clear", "review", "reject")


@router.get("/conversations/{conversation_id}/proposal")
def show_form(
    conversation_id: str, signed_in: Writer, services: UsedServices, kind: Annotated[ActionKind, Query()] = ActionKind.REFUND
) -> Response:
    """Show the form with the fields of one kind."""
    wanted = ARGUMENTS_OF.get(kind)
    if wanted is None:
        raise WrongArguments(f"nobody can propose {kind.value!r}")
    grants = services.staff_proposals.list_handles(signed_in, conversation_id)
    return services.pages.page(
        "proposal_form.html",
        signed_in=signed_in,
        now=services.deps.clock.now(),
        conversation_id=conversation_id,
        chosen=kind.value,
        kinds=[one.value for one in ARGUMENTS_OF],
        handles={name: [grant for grant in grants if grant.kind is of] for name, of in HANDLE_KINDS.items() if name in wanted},
        wanted=wanted,
        currencies=sorted(EXPONENTS),
        verdicts=VERDICTS,
        reasons=[one.value for one in ReasonCode],
        key=secrets.token_urlsafe(24),
    )


@router.post("/conversations/{conversation_id}/proposal")
async def send_proposal(
    conversation_id: str,
    signed_in: Sender,
    services: UsedServices,
    kind: Annotated[ActionKind, Form()],
    reason_code: Word,
    key: Annotated[str, Form(min_length=1, max_length=255)],
    handles: Annotated[list[str], Form(max_length=7)] = [],  # noqa: B006 - read only
    amount: Word = "",
    currency: Word = "",
    details: Word = "",
    verdict: Word = "",
) -> Response:
    """Propose and show the card. `handles` are `argument:handle`, as the form's lists give them."""
    given: dict[str, object] = dict(_split(one) for one in handles)
    if amount:
        given |= {"amount_minor": _read_amount(amount, currency), "currency": currency}
    given |= {name: value for name, value in (("details", details), ("verdict", verdict)) if value}
    try:
        arguments = StaffArguments.model_validate({**given, "reason_code": reason_code})
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        raise WrongArguments(f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}") from None
    card = await services.staff_proposals.propose(
        signed_in, conversation_id=conversation_id, kind=kind, arguments=arguments, key=key
    )
    return services.pages.page(
        "action_card_fragment.html", signed_in=signed_in, now=services.deps.clock.now(), card=card, fault=None
    )


def _split(given: str) -> tuple[str, str]:
    name, _, handle = given.partition(":")
    if name not in HANDLE_KINDS or not handle:
        raise InvalidInput("load the form again: a field of it names nothing", code="wrong_arguments")
    return name, handle


def _read_amount(amount: str, currency: str) -> int:
    try:
        return parse_decimal(amount, currency).amount_minor
    except InvalidMoney as error:
        raise WrongArguments(f"amount: {error}") from error
