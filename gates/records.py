"""What a proposal's handles stand for: the rows that `gate.read_facts` read through the conversation's grants, as facts. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from domain.clock import require_utc
from domain.conversation import HandleKind
from domain.mentions import Mention
from domain.money import EXPONENTS, Money
from domain.origin import Origin
from domain.proposal import ProposedArguments
from gates.clocks.business_days import count_business_days
from gates.clocks.reg_e import RegEFacts, start_clock
from gates.facts import AccountFacts, BeneficiaryFacts, CardFacts, CaseFacts, DisputeFacts, HoldFacts, TransactionFacts
from gates.origins import KnownRecord, find_handles
from gates.resolution import ResolvedIds

_ORIGINS = frozenset(origin.value for origin in Origin)
# Equal charges are looked for within a day; this stands where there is none.
_NO_TWIN_S = 86_401
Rows = Mapping[str, Any]
"""What `gate.read_facts` gives: rows by what they are about."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Hold the operator's message that a proposal was made from. Written by the edge, so the agents cannot claim it."""

    conversation_id: str
    message_id: str
    customer_id: str
    operator_id: str
    created_at: datetime
    message_matches: bool


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


def read_subjects(rows: Rows, arguments: ProposedArguments, turn: Turn, *, now: datetime) -> Subjects:
    """Say what every handle stands for. A record that is not there stays None."""
    wanted = find_handles(arguments)
    mentions = rows["mentions"] or []
    grants = [_Grant(row["handle"], HandleKind(row["kind"]), row["ref"], _read_origin(row["origin"])) for row in rows["grants"]]
    found: dict[HandleKind, _Found] = {}
    for grant in grants:
        row = rows.get(grant.kind.value)
        if row is not None and grant.kind in _READERS:
            found[grant.kind] = _READERS[grant.kind](row, grant, turn, now)
    if HandleKind.TRANSACTION in found:
        found[HandleKind.TRANSACTION] = _note_who_named_it(found[HandleKind.TRANSACTION], turn, mentions)
    base = next((found[kind] for kind in _MONEY_SOURCES if kind in found), None)
    named = next((grant for grant in grants if grant.kind is HandleKind.ACCOUNT), None)
    account_id = named.ref if named else base.account_id if base else None
    account = rows.get("account")
    known = [record.known for record in found.values()]
    is_own = account is not None and account["customer_id"] == turn.customer_id
    if named is not None and account is not None:
        known.append(_known(named, currency=account["currency"]))
    return Subjects(
        granted=len(grants) == len(wanted) and (is_own or HandleKind.ACCOUNT not in wanted.values()),
        ids=_collect_ids(found, base, account_id, turn),
        known=tuple(known),
        payee_tokens=found[HandleKind.BENEFICIARY].tokens if HandleKind.BENEFICIARY in found else (),
        account=None if account is None else AccountFacts(account["status"], account["currency"], account["ledger_version"]),
        **{kind.value: record.facts for kind, record in found.items()},
    )


def read_mentions(rows: Rows) -> tuple[Mention, ...]:
    """Return what people wrote in the conversation up to the turn, with whose words it was."""
    return tuple(Mention(kind, value, _read_origin(origin)) for _, kind, value, origin in rows["mentions"] or ())


def read_named(rows: Rows, handles: Collection[str]) -> tuple[KnownRecord, ...]:
    """Return the granted transactions among these handles, for amounts that follow from them."""
    return tuple(
        KnownRecord(
            handle=row["handle"],
            kind=HandleKind.TRANSACTION,
            ref=row["ref"],
            origin=_read_origin(row["origin"]),
            money=_money(row["currency"], row["amount_minor"]),
        )
        for row in rows["named"] or ()
        if row["handle"] in handles
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


def _read_transaction(row: Rows, grant: _Grant, turn: Turn, now: datetime) -> _Found:
    facts = TransactionFacts(
        kind=row["kind"],
        status=row["status"],
        currency=row["currency"],
        amount_minor=row["amount_minor"],
        remaining_minor=row["remaining_minor"],
        refund_count=row["refund_count"],
        age_days=(require_utc(now) - datetime.fromisoformat(row["occurred_at"])).days,
        is_duplicate=row["twin_gap_s"] is not None,
        duplicate_gap_s=_NO_TWIN_S if row["twin_gap_s"] is None else row["twin_gap_s"],
        owner_matches=row["customer_id"] == turn.customer_id,
        is_disputed=row["is_disputed"],
        named_by_staff=False,
    )
    return _Found(
        facts,
        _known(grant, money=_money(row["currency"], row["amount_minor"], row["remaining_minor"])),
        account_id=row["account_id"],
        merchant_id=row["merchant_id"],
    )


def _note_who_named_it(found: _Found, turn: Turn, mentions: Sequence[Sequence[str]]) -> _Found:
    """Say whether the operator wrote the handle, in his own words, in the very message that the proposal answers."""
    wanted = [turn.message_id, "handle", found.known.handle, Origin.STAFF.value]
    return replace(found, facts=replace(found.facts, named_by_staff=turn.message_matches and wanted in mentions))


def _read_beneficiary(row: Rows, grant: _Grant, turn: Turn, now: datetime) -> _Found:
    facts = BeneficiaryFacts(
        owner_matches=row["customer_id"] == turn.customer_id,
        currency=row["currency"],
        screening_state=row["screening_state"],
        is_verified=row["is_verified"],
        age_hours=int((require_utc(now) - datetime.fromisoformat(row["added_at"])).total_seconds()) // 3600,
        changed_30d_count=row["changed_30d_count"],
        paid_count=row["paid_count"],
        max_paid_minor=row["max_paid_minor"],
    )
    return _Found(facts, _known(grant, currency=row["currency"], token=row["token"]), tokens=(row["token"], row["name_token"]))


def _read_dispute(row: Rows, grant: _Grant, turn: Turn, now: datetime) -> _Found:
    """Read a dispute with its clock; days are counted in UTC."""
    opened_on, today = _day_of(row["opened_at"]), require_utc(now).date()
    clock = start_clock(
        RegEFacts(
            noticed_on=opened_on,
            # Banks' clocks differ: nobody complained before it happened.
            transferred_on=min(_day_of(row["occurred_at"]), opened_on),
            first_deposit_on=_day_of(row["account_opened_at"]),
            is_point_of_sale=row["kind"] == "card_payment",
        )
    )
    charge_minor, provisional_minor, writeoff_minor = row["charge_minor"], row["provisional_minor"], row["writeoff_minor"]
    facts = DisputeFacts(
        owner_matches=row["customer_id"] == turn.customer_id,
        state=row["state"],
        charge_minor=charge_minor,
        currency=row["currency"],
        age_days=(today - opened_on).days,
        age_business_days=count_business_days(opened_on, today),
        is_new_account=clock.is_new_account,
        provisional_minor=provisional_minor,
        writeoff_minor=writeoff_minor,
        provisional_due=clock.needs_provisional_credit(today),
        is_overdue=clock.is_overdue(today, is_credited=provisional_minor > 0),
    )
    amounts = (charge_minor, charge_minor - provisional_minor, provisional_minor, provisional_minor - writeoff_minor)
    return _Found(
        facts,
        _known(grant, money=_money(row["currency"], *amounts)),
        account_id=row["account_id"],
        transaction_id=row["transaction_id"],
        merchant_id=row["merchant_id"],
    )


def _read_hold(row: Rows, grant: _Grant, turn: Turn, _now: datetime) -> _Found:
    facts = HoldFacts(row["customer_id"] == turn.customer_id, row["state"], row["amount_minor"], row["currency"])
    known = _known(grant, money=_money(row["currency"], row["amount_minor"]))
    return _Found(facts, known, account_id=row["account_id"])


def _read_card(row: Rows, grant: _Grant, turn: Turn, _now: datetime) -> _Found:
    return _Found(CardFacts(row["customer_id"] == turn.customer_id, row["status"]), _known(grant))


def _read_case(row: Rows, grant: _Grant, _turn: Turn, _now: datetime) -> _Found:
    return _Found(CaseFacts(row["kind"], row["state"]), _known(grant))


_READERS: Mapping[HandleKind, Callable[[Rows, _Grant, Turn, datetime], _Found]] = {
    HandleKind.TRANSACTION: _read_transaction,
    HandleKind.BENEFICIARY: _read_beneficiary,
    HandleKind.DISPUTE: _read_dispute,
    HandleKind.HOLD: _read_hold,
    HandleKind.CARD: _read_card,
    HandleKind.CASE: _read_case,
}


def _known(grant: _Grant, *, money: tuple[Money, ...] = (), currency: str | None = None, token: str | None = None) -> KnownRecord:
    return KnownRecord(grant.handle, grant.kind, grant.ref, grant.origin, money, currency, token)


def _money(currency: str, *amounts_minor: int) -> tuple[Money, ...]:
    if currency not in EXPONENTS:
        return ()
    return tuple(Money(amount, currency) for amount in amounts_minor)


def _day_of(moment: str) -> date:
    return require_utc(datetime.fromisoformat(moment)).date()


def _read_origin(text: str) -> Origin:
    return Origin(text) if text in _ORIGINS else Origin.MODEL
