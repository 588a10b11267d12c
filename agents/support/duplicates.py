"""Which charges look like one charge taken twice? A rule, not a model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import pairwise

from agents.support.facts import DuplicatePair, TransactionFact

DUPLICATE_WINDOW = timedelta(hours=24)
CLOSE_WINDOW = timedelta(minutes=10)
_CHARGE_KINDS = frozenset({"card_payment", "direct_debit"})
_STANDING = frozenset({"posted"})


def find_duplicates(transactions: Iterable[TransactionFact]) -> tuple[DuplicatePair, ...]:
    """Pair posted charges of one account, merchant, kind, amount and currency that lie less than 24 hours apart.

    A charge that a merchant refund points to is made good already. Newest pair first; each repeat stands in one pair.
    """
    facts = list(transactions)
    made_good = {fact.related_handle for fact in facts if fact.kind == "merchant_refund" and fact.status != "declined"}
    groups: dict[tuple[str, str, str, int, str], list[TransactionFact]] = defaultdict(list)
    for fact in facts:
        if fact.kind in _CHARGE_KINDS and fact.status in _STANDING:
            groups[_key(fact)].append(fact)
    pairs = [pair for group in groups.values() for pair in _pair_up(group, made_good)]
    when = {fact.handle: fact.occurred_at for fact in facts}
    return tuple(sorted(pairs, key=lambda pair: (when[pair.repeat], pair.repeat), reverse=True))


def _key(fact: TransactionFact) -> tuple[str, str, str, int, str]:
    merchant = fact.merchant_id or fact.descriptor.casefold()
    return fact.account_id, merchant, fact.kind, fact.amount_minor, fact.currency


def _pair_up(group: Sequence[TransactionFact], made_good: set[str | None]) -> list[DuplicatePair]:
    ordered = sorted(group, key=lambda fact: (fact.occurred_at, fact.handle))
    pairs: list[DuplicatePair] = []
    for first, repeat in pairwise(ordered):
        gap = repeat.occurred_at - first.occurred_at
        if gap < DUPLICATE_WINDOW and repeat.handle not in made_good and first.handle not in made_good:
            pairs.append(DuplicatePair(first=first.handle, repeat=repeat.handle, is_close=gap <= CLOSE_WINDOW))
    return pairs
