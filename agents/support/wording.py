"""How one fact is said. Every amount, date and handle stands in one form, so that checks can find it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import Any

from agents.support.claims import Claim, show_name
from agents.support.facts import EarlierDecision, FactSheet, TransactionFact
from domain.conversation import Citation
from domain.money import EXPONENTS, Money, render_money

_KINDS = MappingProxyType(
    {
        "card_payment": "card payment", "direct_debit": "direct debit", "transfer_in": "incoming transfer",
        "transfer_out": "outgoing transfer", "cash_withdrawal": "cash withdrawal", "fee": "fee", "payout": "payout",
        "merchant_refund": "merchant refund", "salary": "salary payment",
    }
)  # fmt: skip
_FROM_KINDS = frozenset({"transfer_in", "payout", "merchant_refund", "salary"})
_OUTCOMES = MappingProxyType({"allow": "allowed", "review": "sent to review", "hold": "put on hold", "deny": "denied"})


def say_day(moment: datetime | date) -> str:
    """Write a day as ISO 8601."""
    return moment.date().isoformat() if isinstance(moment, datetime) else moment.isoformat()


def _say_minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def say_kind(fact: TransactionFact) -> str:
    """Name the kind of a transaction."""
    return _KINDS.get(fact.kind, "transaction")


def say_party(fact: TransactionFact) -> str:
    """Write `at Nordwind Books` or `from …`."""
    return f"{'from' if fact.kind in _FROM_KINDS else 'at'} {show_name(fact.counterparty)}"


def cite(fact: TransactionFact) -> Citation:
    """Point to a transaction's record."""
    title = f"{fact.handle}: {say_kind(fact)}, {render_money(fact.money)}, {say_day(fact.occurred_at)}"
    return Citation(kind="record", ref=fact.handle, title=title)


def describe(fact: TransactionFact) -> Claim:
    """Say what a transaction is and how it stands."""
    text = f"{fact.handle} is a {say_kind(fact)} of {render_money(fact.money)} {say_party(fact)} on {say_day(fact.occurred_at)}"
    return Claim(text=f"{text}, {fact.status}.", citations=(cite(fact),))


def describe_pair(first: TransactionFact, repeat: TransactionFact) -> Claim:
    """Say that one charge repeats another."""
    text = (
        f"{repeat.handle} of {_say_minute(repeat.occurred_at)} repeats {first.handle} of {_say_minute(first.occurred_at)}: "
        f"two {say_kind(repeat)}s of {render_money(repeat.money)} {say_party(repeat)}."
    )
    return Claim(text=text, citations=(cite(repeat), cite(first)))


def describe_decline(fact: TransactionFact) -> Claim:
    """Say why a payment was declined, from the step of its trace that failed."""
    reason = _say_failure(fact) or f"decline code {_plain_code(fact.decline_code)}"
    text = f"{fact.handle}, a {say_kind(fact)} of {render_money(fact.money)} {say_party(fact)} on {say_day(fact.occurred_at)}"
    return Claim(text=f"{text}, was declined: {reason}.", citations=(cite(fact),))


def describe_payout(fact: TransactionFact) -> Claim:
    """Say where a payout stands: the day our own record names, and no other."""
    head = f"{fact.handle} is a payout of {render_money(fact.money)} {say_party(fact)} started on {say_day(fact.occurred_at)}"
    if fact.status == "posted":
        return Claim(text=f"{head}, and it is posted.", citations=(cite(fact),))
    day = (
        f", with {say_day(fact.settles_on)} as its settlement day on record"
        if fact.settles_on
        else ", with no settlement day on record"
    )
    return Claim(text=f"{head}, and it is {fact.status}{day}.", citations=(cite(fact),))


def describe_fee(fact: TransactionFact, facts: FactSheet) -> Claim:
    """Say what a fee is, and what caused it when the record says so."""
    cause = facts.find(fact.related_handle) if fact.related_handle else None
    head = f"{fact.handle} is a fee of {render_money(fact.money)} on {say_day(fact.occurred_at)}"
    text = f"{head}, booked as {show_name(fact.descriptor)}"
    if cause is None:
        return Claim(text=f"{text}.", citations=(cite(fact),))
    return Claim(text=f"{text}, for {cause.handle} of {render_money(cause.money)}.", citations=(cite(fact), cite(cause)))


def describe_earlier(decision: EarlierDecision) -> Claim:
    """Say what the gate answered before, and whether it was executed. The receipt is the proof, not this sentence."""
    amount = render_money(Money(decision.amount_minor, decision.currency)) if decision.currency in EXPONENTS else "an amount"
    executed = "and it was executed" if decision.executed else "and nothing was executed"
    outcome = _OUTCOMES.get(decision.outcome, "answered")
    text = f"An earlier refund of {amount} for {decision.handle} was {outcome} on {say_day(decision.decided_at)}, {executed}."
    citation = Citation(
        kind="decision", ref=decision.decision_id, title=f"Decision of {say_day(decision.decided_at)}: {decision.outcome}"
    )
    return Claim(text=text, citations=(citation,))


def _plain_code(code: str | None) -> str:
    return (code or "unknown").replace("_", " ")


def _say_failure(fact: TransactionFact) -> str | None:
    failed = _failed_step(fact.decline_trace)
    if failed is None or fact.decline_code is None:
        return None
    writer = _FAILURES.get(fact.decline_code)
    try:
        return writer(failed, fact) if writer else None
    except (KeyError, TypeError, ValueError):
        # A trace of another shape than ours: the code alone is still true.
        return None


def _failed_step(trace: Any) -> Mapping[str, Any] | None:
    steps = trace if isinstance(trace, list) else []
    for step in steps:
        if isinstance(step, dict) and step.get("result") == "fail":
            detail = step.get("detail")
            return detail if isinstance(detail, dict) else {}
    return None


def _money(detail: Mapping[str, Any], key: str, fact: TransactionFact) -> str:
    return render_money(Money(detail[key], fact.currency))


_FAILURES: Mapping[str, Callable[[Mapping[str, Any], TransactionFact], str]] = MappingProxyType(
    {
        "insufficient_funds": lambda d, f: f"the balance did not cover it, {_money(d, 'available_minor', f)} was available",
        "limit_exceeded": lambda d, f: (
            f"it would have passed the daily card limit of {_money(d, 'limit_minor', f)}, "
            f"of which {_money(d, 'used_minor', f)} was used"
        ),
        "card_blocked": lambda _, __: "the card was blocked",
        "card_expired": lambda d, _: f"the card had expired on {date.fromisoformat(d['expired_on']).isoformat()}",
        "merchant_category_blocked": lambda _, __: "this kind of merchant is blocked for the card",
        "too_many_attempts": lambda d, _: f"there were {int(d['attempts'])} attempts within {int(d['window_minutes'])} minutes",
        "incorrect_pin": lambda d, _: f"the PIN was wrong, with {int(d['tries_left'])} tries left",
        "three_ds_failed": lambda _, __: "the confirmation by 3-D Secure failed",
        "suspected_fraud": lambda _, __: "a fraud rule stopped it",
        "issuer_unavailable": lambda _, __: "the card system did not answer in time",
    }
)
