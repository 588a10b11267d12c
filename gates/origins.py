"""Where each argument of a proposal comes from: computed from grants, records and what people wrote. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

from domain.errors import InvalidInput
from domain.money import Money, parse_decimal
from domain.origin import Origin
from domain.proposal import ArgumentOrigin, RefundArguments

_MENTION_ORIGINS = (Origin.STAFF, Origin.KYC_VERIFIED, Origin.CUSTOMER_TEXT, Origin.DOCUMENT, Origin.KNOWLEDGE_BASE)


@dataclass(frozen=True, slots=True)
class AmountMention:
    """Hold an amount that someone wrote: `12.90`, or `EUR 12.90` when its currency stood beside it."""

    value: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class KnownTransaction:
    """Hold a granted transaction that this conversation is about, with what is left of it to refund."""

    handle: str
    amount: Money
    remaining: Money | None = None


@dataclass(frozen=True, slots=True)
class OriginContext:
    """Hold what origins are computed from.

    `target` is the proposal's own transaction; `others` are granted transactions that people named in this conversation, and
    no more: with sixty grants in play nearly every number would be a sum or a difference of some two of them.
    """

    transaction_origin: Origin
    target: KnownTransaction | None
    others: tuple[KnownTransaction, ...] = ()
    mentions: tuple[AmountMention, ...] = ()


def compute_origins(arguments: RefundArguments, context: OriginContext) -> tuple[ArgumentOrigin, ...]:
    """Return the origin of each argument. What is found nowhere is `model`; nobody can claim an origin.

    The strongest source wins: ledger, staff, derived, then what others wrote.
    """
    target = context.target
    currency_known = target is not None and target.amount.currency == arguments.currency
    return (
        ArgumentOrigin(argument="transaction", origin=context.transaction_origin if target else Origin.MODEL),
        _find_amount_origin(arguments, context),
        ArgumentOrigin(argument="currency", origin=Origin.LEDGER if currency_known else Origin.MODEL),
        ArgumentOrigin(argument="reason_code", origin=Origin.MODEL),
    )


def _find_amount_origin(arguments: RefundArguments, context: OriginContext) -> ArgumentOrigin:
    amount_minor, currency = arguments.amount_minor, arguments.currency
    written = {mention.origin for mention in context.mentions if _says(mention, amount_minor, currency)}
    if context.target is not None and _is_on_record(context.target, amount_minor, currency):
        return ArgumentOrigin(argument="amount_minor", origin=Origin.LEDGER)
    if Origin.STAFF in written:
        return ArgumentOrigin(argument="amount_minor", origin=Origin.STAFF)
    derivation = _find_derivation(amount_minor, currency, context)
    if derivation is not None:
        return ArgumentOrigin(argument="amount_minor", origin=Origin.DERIVED, derivation=derivation)
    for origin in _MENTION_ORIGINS:
        if origin in written:
            return ArgumentOrigin(argument="amount_minor", origin=origin)
    return ArgumentOrigin(argument="amount_minor", origin=Origin.MODEL)


def _says(mention: AmountMention, amount_minor: int, currency: str) -> bool:
    """A bare number counts in the proposal's currency; a number in another currency is another amount."""
    code, _, number = mention.value.rpartition(" ")
    if code and code != currency:
        return False
    try:
        return parse_decimal(number, currency).amount_minor == amount_minor
    except InvalidInput:
        return False


def _is_on_record(target: KnownTransaction, amount_minor: int, currency: str) -> bool:
    known = [target.amount] if target.remaining is None else [target.amount, target.remaining]
    return any(money.currency == currency and money.amount_minor == amount_minor for money in known)


def _find_derivation(amount_minor: int, currency: str, context: OriginContext) -> str | None:
    """Name the rule that gives the amount: the sum or the difference of two transactions named in this conversation."""
    if context.target is None:
        return None
    known = {
        transaction.handle: transaction.amount.amount_minor
        for transaction in _in_order([context.target, *context.others])
        if transaction.amount.currency == currency
    }
    for (first, first_minor), (second, second_minor) in combinations(known.items(), 2):
        if first_minor + second_minor == amount_minor:
            return f"sum({first},{second})"
        if abs(first_minor - second_minor) == amount_minor:
            larger, smaller = (first, second) if first_minor > second_minor else (second, first)
            return f"difference({larger},{smaller})"
    return None


def _in_order(transactions: Iterable[KnownTransaction]) -> list[KnownTransaction]:
    return sorted(transactions, key=lambda transaction: (transaction.handle[:1], int(transaction.handle[1:] or 0)))
