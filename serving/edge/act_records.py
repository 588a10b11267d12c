"""What an act is about, line by line, for kinds beside refunds: read from our records for this viewer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from domain.conversation import Grant, HandleKind
from domain.proposal import Action
from serving.edge.boundary import Place, Viewer
from serving.edge.records import RecordReader


@dataclass(frozen=True, slots=True)
class ActLine:
    """Hold one line: a label, and what our records say."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class ActSubject:
    """Hold what an act is about. `target` is what a button repeats: who gets the money, or what is changed."""

    target: str
    lines: tuple[ActLine, ...]


@dataclass(frozen=True, slots=True)
class ActPlace:
    """Hold where an act was proposed: its customer with his name, its conversation, and what that may name."""

    conversation_id: str
    message_id: str
    customer_id: str
    customer_name: str
    grants: Mapping[str, Grant]


def describe_subject(
    records: RecordReader, viewer: Viewer, place: ActPlace, arguments: Mapping[str, object], action: Action | None
) -> ActSubject:
    """Resolve the handles that the proposal names and describe each record. A handle that names nothing says so.

    `action` is there once the gate answered; what it holds of details and verdict was checked by it.
    """
    lines: list[ActLine] = []
    target = place.customer_name
    for argument, kind in _KINDS.items():
        if argument not in arguments:
            continue
        handle = arguments[argument]
        grant = place.grants.get(handle) if isinstance(handle, str) else None
        if grant is None or grant.kind is not kind or not grant.granted:
            lines.append(ActLine(_LABELS[argument], "not a record of this customer"))
            continue
        text = _describe(records, viewer, place, argument, grant.ref)
        lines.append(ActLine(_LABELS[argument], text))
        if argument in ("beneficiary", "card", "case"):
            target = text.partition(";")[0]
    if action is not None and action.details is not None:
        lines.append(ActLine("New details", _reveal_details(records, viewer, place, action.details)))
    if action is not None and action.verdict is not None:
        lines.append(ActLine("Verdict", action.verdict))
    return ActSubject(target=target, lines=tuple(lines))


_KINDS = {
    "account": HandleKind.ACCOUNT, "beneficiary": HandleKind.BENEFICIARY, "card": HandleKind.CARD, "dispute": HandleKind.DISPUTE,
    "hold": HandleKind.HOLD, "case": HandleKind.CASE,
}  # fmt: skip
_LABELS = {
    "account": "Account", "beneficiary": "Payee", "card": "Card", "dispute": "Dispute", "hold": "Hold", "case": "Case",
}  # fmt: skip


def _describe(records: RecordReader, viewer: Viewer, place: ActPlace, argument: str, ref: str) -> str:
    match argument:
        case "account":
            return records.account_tail(viewer, place.customer_id, ref) or ref
        case "beneficiary":
            return _describe_beneficiary(records, viewer, place, ref)
        case "card":
            card = records.find_card(viewer, customer_id=place.customer_id, card_id=ref)
            return ref if card is None else f"{card.scheme} •••• {card.last4}; {card.status}"
        case "dispute":
            dispute = records.find_dispute(viewer, customer_id=place.customer_id, dispute_id=ref)
            return ref if dispute is None else f"{ref}; {dispute.state}, of {dispute.amount}, {dispute.transaction_id}"
        case _:
            return ref


def _describe_beneficiary(records: RecordReader, viewer: Viewer, place: ActPlace, ref: str) -> str:
    payee = records.find_beneficiary(viewer, customer_id=place.customer_id, beneficiary_id=ref)
    if payee is None:
        return ref
    name = f"{payee.name or ref}, account {payee.tail}" if payee.tail else payee.name or ref
    return f"{name}; {payee.currency}, screening {payee.screening_state}, known since {payee.added_at:%d %b %Y}"


def _reveal_details(records: RecordReader, viewer: Viewer, place: ActPlace, token: str) -> str:
    where = Place(viewer.tenant_id, place.conversation_id, place.customer_id, place.message_id)
    return records.boundary.unmask(token, viewer=viewer, place=where, as_written=False)
