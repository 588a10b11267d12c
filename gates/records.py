"""The records that a proposal's handles stand for, read through the conversation's grants and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from domain.clock import require_utc
from domain.conversation import HandleKind
from domain.ids import is_id, uuid_of
from domain.mentions import Mention
from domain.money import EXPONENTS, Money
from domain.origin import Origin
from domain.proposal import ProposedArguments
from gates.clocks.business_days import count_business_days
from gates.clocks.reg_e import RegEFacts, start_clock
from gates.facts import AccountFacts, BeneficiaryFacts, CardFacts, CaseFacts, DisputeFacts, HoldFacts, TransactionFacts
from gates.features import read_dispute_sums, read_payee_history
from gates.origins import KnownRecord, find_handles
from gates.resolution import ResolvedIds
from storage.named_queries import load_queries

QUERIES = load_queries(Path(__file__).parent / "sql" / "records.sql")
# Equal charges are looked for within a day; this stands where there is none.
_NO_TWIN_S = 86_401


@dataclass(frozen=True, slots=True)
class Turn:
    """Hold the operator's message that a proposal was made from. Written by the edge, so the agents cannot claim it."""

    conversation_id: str
    message_id: str
    customer_id: str
    operator_id: str
    created_at: datetime
    message_matches: bool
    last_message_id: str


@dataclass(frozen=True, slots=True)
class Subjects:
    """Hold what an act is about, as read: the ids, the facts of each record, and the records as origins are computed from.

    `granted` says that every handle stands in the conversation's grants as the kind that the act needs, and an account is the
    customer's own. `payee_tokens` stand for the payee's name and account number: who he is, whatever his id says.
    """

    granted: bool
    ids: ResolvedIds
    known: tuple[KnownRecord, ...] = ()
    payee_tokens: tuple[str, ...] = ()
    transaction: TransactionFacts | None = None
    account: AccountFacts | None = None
    beneficiary: BeneficiaryFacts | None = None
    dispute: DisputeFacts | None = None
    card: CardFacts | None = None
    hold: HoldFacts | None = None
    case: CaseFacts | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """Hold one record: its row as facts, and what it says for origins and ids."""

    facts: Any
    known: KnownRecord
    account_id: str | None = None
    transaction_id: str | None = None
    merchant_id: str | None = None
    tokens: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Grant:
    handle: str
    kind: HandleKind
    ref: str
    origin: Origin


def read_subjects(connection: Connection[Any], arguments: ProposedArguments, turn: Turn, *, now: datetime) -> Subjects:
    """Resolve every handle and read what it stands for, in the caller's transaction. A record that is not there stays None."""
    wanted = find_handles(arguments)
    grants = _find_grants(connection, turn, wanted)
    found: dict[HandleKind, _Found] = {}
    for grant in grants.values():
        record = _read_record(connection, grant, turn, arguments, now)
        if record is not None:
            found[grant.kind] = record
    base = next((found[kind] for kind in _MONEY_SOURCES if kind in found), None)
    named = next((grant for grant in grants.values() if grant.kind is HandleKind.ACCOUNT), None)
    account_id = named.ref if named else base.account_id if base else None
    hold = found.get(HandleKind.HOLD)
    currency = hold.facts.currency if hold else arguments.currency
    account = None if account_id is None else _one(connection, "find_account", {"account_id": account_id, "currency": currency})
    known = [record.known for record in found.values()]
    is_own = account is not None and account.pop("customer_id") == turn.customer_id
    if named is not None and account is not None:
        known.append(_known(named, currency=account["currency"]))
    return Subjects(
        granted=len(grants) == len(wanted) and (is_own or HandleKind.ACCOUNT not in wanted.values()),
        ids=_collect_ids(found, base, account_id, turn),
        known=tuple(known),
        payee_tokens=found[HandleKind.BENEFICIARY].tokens if HandleKind.BENEFICIARY in found else (),
        account=None if account is None else AccountFacts(**account),
        **{kind.value: record.facts for kind, record in found.items()},
    )


def read_mentions(connection: Connection[Any], turn: Turn) -> tuple[Mention, ...]:
    """Return what people wrote in the conversation up to the turn, with whose words it was."""
    rows = _all(connection, "list_mentions", {"conversation_id": turn.conversation_id, "until": turn.created_at})
    return tuple(Mention(row["kind"], row["value"], _read_origin(row["origin"])) for row in rows)


def read_named(connection: Connection[Any], turn: Turn, handles: Sequence[str]) -> tuple[KnownRecord, ...]:
    """Return the granted transactions among these handles, for amounts that follow from them."""
    if not handles:
        return ()
    rows = _all(connection, "list_named_transactions", {"conversation_id": turn.conversation_id, "handles": list(handles)})
    return tuple(
        KnownRecord(
            handle=row["handle"],
            kind=HandleKind.TRANSACTION,
            ref=row["ref"],
            origin=_read_origin(row["origin"]),
            money=_money(row["currency"], row["amount_minor"]),
        )
        for row in rows
    )


# Where the account of an act comes from when it is not named itself.
_MONEY_SOURCES = (HandleKind.TRANSACTION, HandleKind.DISPUTE, HandleKind.HOLD)
_SUBJECTS = (HandleKind.DISPUTE, HandleKind.HOLD, HandleKind.CARD, HandleKind.CASE)


def _collect_ids(found: Mapping[HandleKind, _Found], base: _Found | None, account_id: str | None, turn: Turn) -> ResolvedIds:
    transaction, beneficiary, hold = (
        found.get(kind) for kind in (HandleKind.TRANSACTION, HandleKind.BENEFICIARY, HandleKind.HOLD)
    )
    subject = next((found[kind] for kind in _SUBJECTS if kind in found), None)
    return ResolvedIds(
        customer_id=turn.customer_id,
        transaction_id=transaction.known.ref if transaction else base.transaction_id if base else None,
        account_id=account_id,
        merchant_id=base.merchant_id if base else None,
        beneficiary_id=beneficiary.known.ref if beneficiary else None,
        subject_id=subject.known.ref if subject else None,
        hold_minor=hold.facts.amount_minor if hold else None,
        hold_currency=hold.facts.currency if hold else None,
    )


def _find_grants(connection: Connection[Any], turn: Turn, wanted: Mapping[str, HandleKind]) -> dict[str, _Grant]:
    """Look the handles up in the conversation's grants. One that stands for another kind than the act needs is not granted."""
    if not wanted:
        return {}
    rows = _all(connection, "find_grants", {"conversation_id": turn.conversation_id, "handles": list(wanted)})
    return {
        row["handle"]: _Grant(row["handle"], wanted[row["handle"]], row["ref"], _read_origin(row["origin"]))
        for row in rows
        if row["granted"] and row["kind"] == wanted[row["handle"]].value
    }


def _read_record(
    connection: Connection[Any], grant: _Grant, turn: Turn, arguments: ProposedArguments, now: datetime
) -> _Found | None:
    match grant.kind:
        case HandleKind.TRANSACTION:
            return _read_transaction(connection, grant, turn, now)
        case HandleKind.BENEFICIARY:
            return _read_beneficiary(connection, grant, turn, arguments, now)
        case HandleKind.DISPUTE:
            return _read_dispute(connection, grant, turn, now)
        case HandleKind.CARD:
            row = _one(connection, "find_card", {"card_id": grant.ref})
            if row is None:
                return None
            return _Found(CardFacts(row["customer_id"] == turn.customer_id, row["status"]), _known(grant))
        case HandleKind.HOLD:
            return _read_hold(connection, grant, turn)
        case HandleKind.CASE:
            row = _one(connection, "find_case", {"case_id": grant.ref})
            return None if row is None else _Found(CaseFacts(row["kind"], row["state"]), _known(grant))
        case _:
            return None


def _read_transaction(connection: Connection[Any], grant: _Grant, turn: Turn, now: datetime) -> _Found | None:
    keys = {"transaction_id": grant.ref, "conversation_id": turn.conversation_id, "message_id": turn.message_id}
    row = _one(connection, "find_transaction", keys)
    if row is None:
        return None
    facts = TransactionFacts(
        kind=row["kind"],
        status=row["status"],
        currency=row["currency"],
        amount_minor=row["amount_minor"],
        remaining_minor=row["remaining_minor"],
        refund_count=row["refund_count"],
        age_days=(require_utc(now) - row["occurred_at"]).days,
        is_duplicate=row["twin_gap_s"] is not None,
        duplicate_gap_s=_NO_TWIN_S if row["twin_gap_s"] is None else row["twin_gap_s"],
        owner_matches=row["customer_id"] == turn.customer_id,
        is_disputed=row["is_disputed"],
        named_by_staff=row["named_by_staff"],
    )
    return _Found(
        facts,
        _known(grant, money=_money(row["currency"], row["amount_minor"], row["remaining_minor"])),
        account_id=row["account_id"],
        merchant_id=row["merchant_id"],
    )


def _read_beneficiary(
    connection: Connection[Any], grant: _Grant, turn: Turn, arguments: ProposedArguments, now: datetime
) -> _Found | None:
    row = _one(connection, "find_beneficiary", {"beneficiary_id": grant.ref})
    if row is None:
        return None
    history = read_payee_history(connection, grant.ref, currency=arguments.currency or row["currency"], now=now)
    facts = BeneficiaryFacts(
        owner_matches=row["customer_id"] == turn.customer_id,
        currency=row["currency"],
        screening_state=row["screening_state"],
        is_verified=row["is_verified"],
        age_hours=int((require_utc(now) - row["added_at"]).total_seconds()) // 3600,
        changed_30d_count=history.changed_30d_count,
        paid_count=history.paid_count,
        max_paid_minor=history.max_paid_minor,
    )
    return _Found(facts, _known(grant, currency=row["currency"], token=row["token"]), tokens=(row["token"], row["name_token"]))


def _read_dispute(connection: Connection[Any], grant: _Grant, turn: Turn, now: datetime) -> _Found | None:
    """Read a dispute with its clock; days are counted in UTC."""
    row = _one(connection, "find_dispute", {"dispute_id": grant.ref})
    if row is None:
        return None
    sums = read_dispute_sums(connection, grant.ref)
    opened_on, today = _day_of(row["opened_at"]), _day_of(now)
    clock = start_clock(
        RegEFacts(
            noticed_on=opened_on,
            # Banks' clocks differ: nobody complained before it happened.
            transferred_on=min(_day_of(row["occurred_at"]), opened_on),
            first_deposit_on=_day_of(row["account_opened_at"]),
            is_point_of_sale=row["kind"] == "card_payment",
        )
    )
    facts = DisputeFacts(
        owner_matches=row["customer_id"] == turn.customer_id,
        state=row["state"],
        charge_minor=row["charge_minor"],
        currency=row["currency"],
        age_days=(today - opened_on).days,
        age_business_days=count_business_days(opened_on, today),
        is_new_account=clock.is_new_account,
        provisional_minor=sums.provisional_minor,
        writeoff_minor=sums.writeoff_minor,
        provisional_due=clock.needs_provisional_credit(today),
        is_overdue=clock.is_overdue(today, is_credited=sums.provisional_minor > 0),
    )
    amounts = (
        row["charge_minor"],
        row["charge_minor"] - sums.provisional_minor,
        sums.provisional_minor,
        sums.provisional_minor - sums.writeoff_minor,
    )
    return _Found(
        facts,
        _known(grant, money=_money(row["currency"], *amounts)),
        account_id=row["account_id"],
        transaction_id=row["transaction_id"],
        merchant_id=row["merchant_id"],
    )


def _read_hold(connection: Connection[Any], grant: _Grant, turn: Turn) -> _Found | None:
    if not is_id(grant.ref, "tfr"):
        return None
    row = _one(connection, "find_hold", {"transfer_id": uuid_of(grant.ref)})
    if row is None:
        return None
    facts = HoldFacts(row["customer_id"] == turn.customer_id, row["state"], row["amount_minor"], row["currency"])
    known = _known(grant, money=_money(row["currency"], row["amount_minor"]))
    return _Found(facts, known, account_id=row["account_id"])


def _known(grant: _Grant, *, money: tuple[Money, ...] = (), currency: str | None = None, token: str | None = None) -> KnownRecord:
    return KnownRecord(grant.handle, grant.kind, grant.ref, grant.origin, money, currency, token)


def _money(currency: str, *amounts_minor: int) -> tuple[Money, ...]:
    if currency not in EXPONENTS:
        return ()
    return tuple(Money(amount, currency) for amount in amounts_minor)


def _day_of(moment: datetime) -> date:
    return require_utc(moment).date()


def _read_origin(text: str) -> Origin:
    return Origin(text) if text in set(Origin) else Origin.MODEL


def _one(connection: Connection[Any], name: str, parameters: Mapping[str, Any]) -> dict[str, Any] | None:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(QUERIES[name], parameters).fetchone()


def _all(connection: Connection[Any], name: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(QUERIES[name], parameters).fetchall()
