"""Wishes: what a walk may ask for next, drawn from a seed; sensible for the most part, odd now and then."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from hypothesis import strategies as st

from domain.transfer import MAX_AMOUNT_MINOR, Balancing, TransferKind
from tests.property.ledger.slow_books import Flags, Key

ACCOUNTS: dict[Key, Flags] = {
    ("house:bank:main", "EUR"): Flags(rolled_up=True),
    ("house:fees:card", "EUR"): Flags(rolled_up=True),
    ("customer:alice", "EUR"): Flags(),
    ("customer:bob", "EUR"): Flags(),
    ("escrow:purse", "EUR"): Flags(debits_within_credits=True),
    ("customer:loan", "EUR"): Flags(credits_within_debits=True),
    ("customer:alice", "USD"): Flags(),
    ("escrow:purse", "USD"): Flags(debits_within_credits=True),
}
_CODES = (*dict.fromkeys(code for code, _ in ACCOUNTS), "customer:nobody")
_ODD_AMOUNTS = (0, -1, 5000, MAX_AMOUNT_MINOR, MAX_AMOUNT_MINOR - 60, MAX_AMOUNT_MINOR + 1)
_KINDS = (
    TransferKind.POSTED,
    TransferKind.POSTED,
    TransferKind.PENDING,
    TransferKind.PENDING,
    TransferKind.POST,
    TransferKind.VOID,
    TransferKind.REVERSE,
)


@dataclass(frozen=True)
class Wish:
    """One request to be: what stands in it depends on those before it only through `about`."""

    kind: TransferKind
    amount_minor: int
    debit: str
    credit: str
    currency: str
    about: int
    """Counts back to the request that it repeats, answers or reverses."""
    fits: bool
    """Take accounts and amount from what it answers."""
    lives_for_s: int | None
    balancing: Balancing | None
    linked: bool
    repeats: bool
    changed: bool
    allowed: bool
    odd: int


def make_wish(source: Random) -> Wish:
    """Draw a wish: sensible for the most part, or walks would get nowhere; each part of it odd now and then."""

    def is_rare(times: int) -> bool:
        return source.randrange(times) == 0

    sides = source.sample(_CODES[:-1], 2) if not is_rare(12) else source.choices(_CODES, k=2)
    amount_minor = source.choice(_ODD_AMOUNTS) if is_rare(14) else source.randint(1, 120)
    return Wish(
        kind=source.choice(_KINDS),
        amount_minor=amount_minor,
        debit=sides[0],
        credit=sides[1],
        currency=source.choice(["USD", "JPY"]) if is_rare(10) else "EUR",
        about=source.randrange(8),
        fits=not is_rare(8),
        lives_for_s=source.choice([None, None, 30, 3600, 3600, 7200, 0]),
        balancing=source.choice(list(Balancing)) if is_rare(5) else None,
        linked=is_rare(6),
        repeats=is_rare(7),
        changed=is_rare(3),
        allowed=not is_rare(14),
        odd=source.randint(1, 40),
    )


def make_wishes(count: int) -> st.SearchStrategy[list[Wish]]:
    """Draw up to so many. From seeds: hypothesis prefers small values, of which most walks would end at once."""
    seeds = st.integers(0, 2**32 - 1)
    return st.lists(seeds.map(lambda seed: make_wish(Random(seed))), min_size=1, max_size=count)


def fund(credit: str, amount_minor: int) -> Wish:
    """Wish for money from the bank: walks without any are short of things to do."""
    return Wish(
        TransferKind.POSTED, amount_minor, "house:bank:main", credit, "EUR", 1, fits=False, lives_for_s=None, balancing=None,
        linked=False, repeats=False, changed=False, allowed=True, odd=1,
    )  # fmt: skip
