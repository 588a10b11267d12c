"""Where each argument of a proposal comes from: computed from grants, records and what people wrote. Pure.

A conversation and a document on standard input (`context.py`) go through this same function.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from domain.conversation import HandleKind
from domain.errors import InvalidInput
from domain.mentions import Mention
from domain.money import Money, parse_decimal
from domain.origin import Origin
from domain.proposal import ArgumentOrigin, ProposedArguments
from gates.fees import FeeRule

# Strongest first. What a mention says of itself can be nothing else.
_MENTION_ORIGINS = (Origin.STAFF, Origin.KYC_VERIFIED, Origin.CUSTOMER_TEXT, Origin.DOCUMENT, Origin.KNOWLEDGE_BASE)
_RECORD_ARGUMENTS = {
    "transaction": HandleKind.TRANSACTION,
    "account": HandleKind.ACCOUNT,
    "beneficiary": HandleKind.BENEFICIARY,
    "card": HandleKind.CARD,
    "dispute": HandleKind.DISPUTE,
    "hold": HandleKind.HOLD,
    "case": HandleKind.CASE,
}

_CHOSEN = frozenset({"beneficiary", "dispute", "card", "hold", "case"})


@dataclass(frozen=True, slots=True)
class KnownRecord:
    """Hold a record that a handle stands for, and where the handle came from.

    `money` is what our own records say of it, the whole amount first: a charge and what is left of it, a hold, a disputed charge.
    `token` stands for its regulated value, as a payee's account number does.
    """

    handle: str
    kind: HandleKind
    ref: str
    origin: Origin
    money: tuple[Money, ...] = ()
    currency: str | None = None
    token: str | None = None


@dataclass(frozen=True, slots=True)
class OriginContext:
    """Hold what origins are computed from.

    Numbers are derived from records that the proposal or staff named, and no others: with sixty grants in play nearly every
    number would be a sum or a difference of some two of them.
    """

    records: tuple[KnownRecord, ...] = ()
    mentions: tuple[Mention, ...] = ()
    fees: tuple[FeeRule, ...] = ()


def compute_origins(arguments: ProposedArguments, context: OriginContext) -> tuple[ArgumentOrigin, ...]:
    """Return the origin of each argument that was given. What is found nowhere is `model`; nobody can claim an origin.

    The strongest source wins: ledger, staff, derived, then what others wrote. Of a beneficiary, a dispute, a card, a hold and a
    case the origin is who chose it: that it stands in our records does not make it the right one.
    """
    targets = _find_targets(arguments, context)
    origins: list[ArgumentOrigin] = []
    for name, value in arguments.to_record().items():
        if name == "amount_minor":
            origins.append(_find_amount_origin(arguments, targets, context))
        elif name == "currency":
            known = any(value in _currencies(record) for record in targets.values())
            origins.append(ArgumentOrigin(argument=name, origin=Origin.LEDGER if known else Origin.MODEL))
        elif name in _CHOSEN:
            origins.append(ArgumentOrigin(argument=name, origin=_find_chooser(targets.get(name), context.mentions)))
        elif name == "details":
            origins.append(ArgumentOrigin(argument=name, origin=_strongest(_origins_of("token", value, context.mentions))))
        elif name in targets:
            origins.append(ArgumentOrigin(argument=name, origin=targets[name].origin))
        else:
            origins.append(ArgumentOrigin(argument=name, origin=Origin.MODEL))
    return tuple(origins)


def find_handles(arguments: ProposedArguments) -> dict[str, HandleKind]:
    """Return each handle that the arguments name, with the kind of record that it must stand for."""
    given = arguments.to_record()
    return {given[name]: kind for name, kind in _RECORD_ARGUMENTS.items() if name in given}


def find_named(mentions: Sequence[Mention]) -> frozenset[str]:
    """Return the handles that staff wrote in their own words."""
    return frozenset(mention.value for mention in mentions if mention.kind == "handle" and mention.origin is Origin.STAFF)


def _find_targets(arguments: ProposedArguments, context: OriginContext) -> dict[str, KnownRecord]:
    given = arguments.to_record()
    records = {(record.handle, record.kind): record for record in context.records}
    found = ((name, records.get((given[name], kind))) for name, kind in _RECORD_ARGUMENTS.items() if name in given)
    return {name: record for name, record in found if record is not None}


def _find_chooser(record: KnownRecord | None, mentions: Sequence[Mention]) -> Origin:
    if record is None:
        return Origin.MODEL
    written = _origins_of("handle", record.handle, mentions)
    if record.token is not None:
        written |= _origins_of("token", record.token, mentions)
    if record.origin is not Origin.KYC_VERIFIED:
        # A verified text about a payee that is not itself verified proves nothing of him.
        written -= {Origin.KYC_VERIFIED}
    return _strongest(written)


def _find_amount_origin(arguments: ProposedArguments, targets: dict[str, KnownRecord], context: OriginContext) -> ArgumentOrigin:
    if arguments.amount_minor is None or arguments.currency is None:
        return ArgumentOrigin(argument="amount_minor", origin=Origin.MODEL)
    amount = (arguments.amount_minor, arguments.currency)
    written = {mention.origin for mention in context.mentions if mention.kind == "amount" and _says(mention, *amount)}
    if any((money.amount_minor, money.currency) == amount for record in targets.values() for money in record.money):
        return ArgumentOrigin(argument="amount_minor", origin=Origin.LEDGER)
    if Origin.STAFF in written:
        return ArgumentOrigin(argument="amount_minor", origin=Origin.STAFF)
    derivation = _find_derivation(*amount, tuple(targets.values()), context)
    if derivation is not None:
        return ArgumentOrigin(argument="amount_minor", origin=Origin.DERIVED, derivation=derivation)
    return ArgumentOrigin(argument="amount_minor", origin=_strongest(written))


def _says(mention: Mention, amount_minor: int, currency: str) -> bool:
    """A bare number counts in the proposal's currency; a number in another currency is another amount."""
    code, _, number = mention.value.rpartition(" ")
    if code and code != currency:
        return False
    try:
        return parse_decimal(number, currency).amount_minor == amount_minor
    except InvalidInput:
        return False


def _find_derivation(amount_minor: int, currency: str, targets: Sequence[KnownRecord], context: OriginContext) -> str | None:
    """Name the rule that gives the amount from records of the act and records that staff named. None where no rule does."""
    named = find_named(context.mentions)
    known: dict[str, int] = {}
    for record in sorted([*targets, *(record for record in context.records if record.handle in named)], key=_place_of):
        if record.money and record.money[0].currency == currency:
            known[record.handle] = record.money[0].amount_minor
    return next(_derivations(amount_minor, currency, known, context.fees), None)


def _derivations(amount_minor: int, currency: str, known: dict[str, int], fees: Sequence[FeeRule]) -> Iterator[str]:
    for (first, first_minor), (second, second_minor) in combinations(known.items(), 2):
        if first_minor + second_minor == amount_minor:
            yield f"sum({first},{second})"
        if abs(first_minor - second_minor) == amount_minor:
            larger, smaller = (first, second) if first_minor > second_minor else (second, first)
            yield f"difference({larger},{smaller})"
    if len(known) > 2 and sum(known.values()) == amount_minor:
        yield f"sum({','.join(known)})"
    for fee in fees:
        for handle, whole_minor in known.items():
            if fee.share_of(whole_minor) == amount_minor:
                yield f"percentage({fee.name},{handle})"
        # A fixed fee stands by itself, but only where the act stands on a record of ours.
        if known and fee.amounts.get(currency) == amount_minor:
            yield f"fee({fee.name})"


def _currencies(record: KnownRecord) -> set[str]:
    return {money.currency for money in record.money} | ({record.currency} if record.currency else set())


def _origins_of(kind: str, value: str, mentions: Sequence[Mention]) -> set[Origin]:
    return {mention.origin for mention in mentions if mention.kind == kind and mention.value == value}


def _strongest(written: set[Origin]) -> Origin:
    return next((origin for origin in _MENTION_ORIGINS if origin in written), Origin.MODEL)


def _place_of(record: KnownRecord) -> tuple[str, int]:
    return record.handle[:1], int("".join(character for character in record.handle if character in "0123456789") or 0)
