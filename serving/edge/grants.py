"""What may a conversation name? Handles for the customer's own records, and for strangers' references that were typed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from domain.conversation import Grant, HandleKind
from domain.errors import InvalidInput
from domain.mentions import customer_spans
from domain.origin import Origin
from masking.tokens import find_tokens
from serving.edge.records import RECENT_TRANSACTIONS
from serving.edge.references import Replacement, TypedReference, find_references, replace_spans
from storage.named_queries import load_queries

_SQL = Path(__file__).parent / "sql"
_RECORDS = load_queries(_SQL / "records.sql")
_LETTERS = {
    HandleKind.TRANSACTION: "T",
    HandleKind.ACCOUNT: "A",
    HandleKind.CARD: "C",
    HandleKind.BENEFICIARY: "B",
    HandleKind.DISPUTE: "D",
    HandleKind.HOLD: "H",
    HandleKind.CASE: "K",
    HandleKind.OUTSIDE: "X",
}
_MAX_NEW_HANDLES = 20


class TooManyReferences(InvalidInput):
    """Say that one message names more records than a person would."""

    code = "too_many_references"


@dataclass(frozen=True, slots=True)
class ResolvedText:
    """Hold a text in which every typed reference became a handle, and the grants that this made."""

    text: str
    new_grants: tuple[Grant, ...]


def collect_grants(connection: Connection[Any], *, tenant_id: str, conversation_id: str, customer_id: str) -> tuple[Grant, ...]:
    """Give handles to the customer's accounts, cards, beneficiaries, newest transactions, disputes, open holds and open cases.

    T1 is the newest.
    """
    key = {"tenant_id": tenant_id, "customer_id": customer_id}
    sources = (
        (HandleKind.ACCOUNT, "list_accounts", "account_id"),
        (HandleKind.CARD, "list_cards", "card_id"),
        (HandleKind.BENEFICIARY, "list_beneficiaries", "beneficiary_id"),
        (HandleKind.TRANSACTION, "list_recent_transactions", "transaction_id"),
        (HandleKind.DISPUTE, "list_disputes", "dispute_id"),
        (HandleKind.HOLD, "list_open_holds", "hold_id"),
        (HandleKind.CASE, "list_open_cases", "case_id"),
    )
    grants: list[Grant] = []
    with connection.cursor(row_factory=dict_row) as cursor:
        for kind, query, column in sources:
            rows = cursor.execute(_RECORDS[query], {**key, "limit": RECENT_TRANSACTIONS}).fetchall()
            grants += [
                _grant(conversation_id, kind, number, row[column], Origin.LEDGER) for number, row in enumerate(rows, start=1)
            ]
    return tuple(grants)


def resolve_references(
    connection: Connection[Any], text: str, *, tenant_id: str, conversation_id: str, customer_id: str, grants: Sequence[Grant]
) -> ResolvedText:
    """Write a handle for each typed id and each `card ending 4242`.

    What is not the customer's gets an X handle that grants nothing; whether it exists elsewhere is not looked up.
    Raises: TooManyReferences.
    """
    quoted = tuple(customer_spans(text))
    known = {(grant.kind, grant.ref): grant.handle for grant in grants}
    last_digits = _cards_by_last_digits(connection, tenant_id=tenant_id, customer_id=customer_id)
    counts = Counter(grant.kind for grant in grants)
    made: list[Grant] = []
    replacements: list[Replacement] = []
    for reference in find_references(text):
        own = _find_own(connection, reference, tenant_id=tenant_id, customer_id=customer_id, known=known, cards=last_digits)
        if own is None and reference.last_digits:
            # Four digits that fit no card of his stay text; masking decides what they are.
            continue
        kind, ref = own or (HandleKind.OUTSIDE, reference.value)
        handle = known.get((kind, ref))
        if handle is None:
            counts[kind] += 1
            origin = Origin.LEDGER if own else _origin_at(reference.start, quoted)
            grant = _grant(conversation_id, kind, counts[kind], ref, origin)
            made.append(grant)
            known[kind, ref] = handle = grant.handle
            if len(made) > _MAX_NEW_HANDLES:
                raise TooManyReferences(f"the message names more than {_MAX_NEW_HANDLES} records: ask about fewer at a time")
        replacements.append(Replacement(reference.start, reference.end, handle))
    return ResolvedText(replace_spans(text, tuple(replacements)), tuple(made))


def list_record_tokens(connection: Connection[Any], *, tenant_id: str, conversation_id: str) -> tuple[str, ...]:
    """Return the tokens in what strangers wrote into the transactions that a conversation may name."""
    key = {"tenant_id": tenant_id, "conversation_id": conversation_id}
    texts = connection.execute(_RECORDS["list_texts_with_tokens"], key).fetchall()
    return tuple(sorted({match.token for (text,) in texts for match in find_tokens(text) if match.token is not None}))


def _find_own(
    connection: Connection[Any],
    reference: TypedReference,
    *,
    tenant_id: str,
    customer_id: str,
    known: Mapping[tuple[HandleKind, str], str],
    cards: Mapping[str, str],
) -> tuple[HandleKind, str] | None:
    if reference.last_digits:
        card_id = cards.get(reference.value) if reference.kind is HandleKind.CARD else None
        return None if card_id is None else (HandleKind.CARD, card_id)
    if (reference.kind, reference.value) in known:
        return reference.kind, reference.value
    if reference.kind is not HandleKind.TRANSACTION:
        return None
    row = connection.execute(
        _RECORDS["find_transaction_of_customer"],
        {"tenant_id": tenant_id, "customer_id": customer_id, "transaction_id": reference.value},
    ).fetchone()
    return None if row is None else (HandleKind.TRANSACTION, reference.value)


def _cards_by_last_digits(connection: Connection[Any], *, tenant_id: str, customer_id: str) -> Mapping[str, str]:
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_RECORDS["list_cards"], {"tenant_id": tenant_id, "customer_id": customer_id}).fetchall()
    counts = Counter(row["last4"] for row in rows)
    return {row["last4"]: row["card_id"] for row in rows if counts[row["last4"]] == 1}


def _grant(conversation_id: str, kind: HandleKind, number: int, ref: str, origin: Origin) -> Grant:
    return Grant(
        conversation_id=conversation_id,
        handle=f"{_LETTERS[kind]}{number}",
        kind=kind,
        ref=ref,
        origin=origin,
        granted=kind is not HandleKind.OUTSIDE,
    )


def _origin_at(position: int, quoted: Iterable[tuple[int, int]]) -> Origin:
    return Origin.CUSTOMER_TEXT if any(low <= position < high for low, high in quoted) else Origin.STAFF
