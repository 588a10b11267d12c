"""Which transaction does a message mean? By handle, amount, merchant and date, in this order of weight."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agents.support.facts import DuplicatePair, FactSheet, TransactionFact
from agents.support.money_text import WrittenAmount, find_amounts
from domain.money import Money

_HANDLE = re.compile(r"(?<![\w-])([TX][0-9]{1,4})(?![\w-])")
_DATE = re.compile(r"(?<!\d)(\d{4}-\d{2}-\d{2})(?!\d)")
_NAME_WORD = re.compile(r"\w{4,}")
# Words of merchant names that say nothing about which merchant.
_COMMON = frozenset(
    {"card", "payment", "shop", "store", "market", "online", "bank", "fees", "charge", "refund", "customer", "transfer", "twice"}
)
_DECLINE_TALK = re.compile(r"declin|reject|refus|fail|blocked|through|not accepted|n[o']?t work", re.IGNORECASE)
_DOUBLE_TALK = re.compile(r"twice|double|duplicat|two times|again|2x|same", re.IGNORECASE)
_CHARGES = frozenset({"card_payment", "direct_debit", "fee", "transfer_out", "cash_withdrawal"})


@dataclass(frozen=True, slots=True)
class Target:
    """Hold what a message points to. `is_named`: it names something of this customer's, so it is not a general question."""

    handle: str | None
    candidates: tuple[str, ...]
    amounts: tuple[Money, ...]
    is_named: bool


def find_target(text: str, facts: FactSheet) -> Target:
    """Find the one transaction that a message means, or the candidates that are equally good."""
    named = tuple(dict.fromkeys(handle for handle in _HANDLE.findall(text) if facts.find(handle) or handle in facts.outside))
    written = tuple(find_amounts(text))
    narrowed, is_narrowed = _narrow(text, written, facts)
    pool = tuple(fact.handle for fact in narrowed)
    if named:
        # Handles win over everything else: the edge made them from what was typed.
        chosen = _pick_repeat(named, text, facts) if len(named) > 1 else named
    elif is_narrowed:
        chosen = _pick_repeat(pool, text, facts) if len(pool) > 1 else pool
    else:
        chosen = _only_repeat(text, facts)
    handle = chosen[0] if len(chosen) == 1 else None
    return Target(
        handle=handle,
        candidates=() if handle else (chosen or ()),
        amounts=_amounts_in(written, handle, facts),
        is_named=bool(named or is_narrowed),
    )


def _narrow(text: str, written: tuple[WrittenAmount, ...], facts: FactSheet) -> tuple[list[TransactionFact], bool]:
    """Keep what agrees with the amounts, dates and merchant words of the text; a filter that leaves nothing is dropped."""
    wants_declined = bool(_DECLINE_TALK.search(text))
    pool = [fact for fact in facts.transactions if fact.kind in _CHARGES and (fact.status == "declined") == wants_declined]
    is_narrowed = False
    words = {word.casefold() for word in _NAME_WORD.findall(text)} - _COMMON
    dates = set(_DATE.findall(text))
    for keep in (
        _best_named(words, pool),
        [fact for fact in pool if any(amount.minor_in(fact.currency) == fact.amount_minor for amount in written)],
        [fact for fact in pool if fact.occurred_at.date().isoformat() in dates],
    ):
        both = [fact for fact in pool if fact in keep]
        if both:
            pool, is_narrowed = both, True
    return pool if is_narrowed else [], is_narrowed


def _best_named(words: set[str], pool: Sequence[TransactionFact]) -> list[TransactionFact]:
    """Keep the charges whose names share most words with the text: a town that many share weighs less than a name."""
    shared = {fact.handle: len(words & _name_words(fact)) for fact in pool}
    most = max(shared.values(), default=0)
    return [fact for fact in pool if most and shared[fact.handle] == most]


def _name_words(fact: TransactionFact) -> set[str]:
    return {word.casefold() for word in _NAME_WORD.findall(f"{fact.merchant_name or ''} {fact.descriptor}")} - _COMMON


def _pick_repeat(handles: Iterable[str], text: str, facts: FactSheet) -> tuple[str, ...]:
    """Of the two charges of one pair the second is meant; so is the one repeat among others in talk of a double charge."""
    among = tuple(handles)
    is_pair = any(set(among) == {pair.first, pair.repeat} for pair in facts.duplicates)
    repeats = _repeats(pair for pair in facts.duplicates if pair.repeat in among)
    return repeats if len(repeats) == 1 and (is_pair or _DOUBLE_TALK.search(text)) else among


def _only_repeat(text: str, facts: FactSheet) -> tuple[str, ...]:
    """With nothing named, talk of a double charge means the one there is."""
    return _repeats(facts.duplicates) if _DOUBLE_TALK.search(text) else ()


def _repeats(pairs: Iterable[DuplicatePair]) -> tuple[str, ...]:
    """Return the second charges of the pairs; of those within minutes alone, if there are such."""
    found = tuple(pairs)
    return tuple(pair.repeat for pair in found if pair.is_close) or tuple(pair.repeat for pair in found)


def _amounts_in(written: tuple[WrittenAmount, ...], handle: str | None, facts: FactSheet) -> tuple[Money, ...]:
    fact = facts.find(handle) if handle else None
    currencies = [fact.currency] if fact else list(dict.fromkeys(account.currency for account in facts.accounts))
    found: dict[tuple[int, str], Money] = {}
    for amount in written:
        # A currency that the text names stays, also when it is not the charge's: the gate says what that means.
        for currency in [amount.currency] if amount.currency else currencies[:1]:
            minor = amount.minor_in(currency)
            if minor is not None and minor > 0:
                found[minor, currency] = Money(minor, currency)
    return tuple(found.values())
