"""The transfers that are asked for. The pgbench scripts in `bench/sql` compute the same ids, accounts and amounts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from domain.transfer import TransferCode, TransferKind, TransferRequest

Mode = Literal["random", "hot", "reject"]

ACCOUNTS = 1_000
CURRENCY = "USD"
HOT_ACCOUNT = "house:fees:USD"
OPENING_ACCOUNT = "house:opening:USD"
REJECT_EVERY = 100
"""In mode reject this one of so many asks for more than there is."""

FUNDS_MINOR = 10**12
"""What each account with a limit has: more than all readings together take."""

ACCOUNT_PREFIX = "customer:acc_01990000000070008000"
"""The ids of the bank's accounts are UUIDs; with twelve digits behind it this is as long."""

_PRIME = 2_147_483_647
_OVER_LIMIT_MINOR = 2 * FUNDS_MINOR


@dataclass(frozen=True, slots=True)
class Slice:
    """Hold which requests: numbers from 1 to `count` of each client, with ids of times from `base_ms` (epoch) on."""

    mode: Mode
    base_ms: int
    seed: int
    clients: int
    count: int

    @property
    def next_ms(self) -> int:
        """Return the first time that no id of this slice has."""
        return self.base_ms + self.count + 1


def account_code(number: int) -> str:
    """Return the code of a customer's account. Even ones have a limit."""
    return f"{ACCOUNT_PREFIX}{number:012d}"


def has_limit(number: int) -> bool:
    """Say whether the account may not be overdrawn."""
    return number % 2 == 0


def make_requests(part: Slice, *, at: datetime) -> Iterator[TransferRequest]:
    """Make the requests of a slice, the clients' first ones first."""
    for number in range(1, part.count + 1):
        for client in range(part.clients):
            yield _make_request(part, client, number, at)


def make_opening_balances(at_ms: int, *, at: datetime) -> list[TransferRequest]:
    """Make the transfers that fund the accounts with a limit."""
    return [
        TransferRequest(
            transfer_id=id_at(at_ms, number),
            kind=TransferKind.POSTED,
            debit=OPENING_ACCOUNT,
            credit=account_code(number),
            amount_minor=FUNDS_MINOR,
            currency=CURRENCY,
            code=TransferCode.OPENING_BALANCE,
            occurred_at=at,
        )
        for number in range(ACCOUNTS)
        if has_limit(number)
    ]


def id_at(at_ms: int, client: int) -> UUID:
    """Return a UUIDv7 of this time whose random bits are the client's number."""
    return UUID(int=(at_ms << 80) | (0x7 << 76) | (0b10 << 62) | client)


def _make_request(part: Slice, client: int, number: int, at: datetime) -> TransferRequest:
    x = (number * 1_103_515_245 + client * 747_796_405 + part.seed) % _PRIME
    y = (number * 22_695_477 + client * 134_775_813 + part.seed) % _PRIME
    first = (x * x % _PRIME) % ACCOUNTS
    second = (first + 1 + (y * y % _PRIME) % (ACCOUNTS - 1)) % ACCOUNTS
    amount_minor = 1 + x % 100_000
    if part.mode == "reject" and number % REJECT_EVERY == 0:
        first, amount_minor = first - first % 2, _OVER_LIMIT_MINOR
        second = first + 1 if second == first else second
    hot = part.mode == "hot"
    return TransferRequest(
        transfer_id=id_at(part.base_ms + number, client),
        kind=TransferKind.POSTED,
        debit=account_code(first),
        credit=HOT_ACCOUNT if hot else account_code(second),
        amount_minor=amount_minor,
        currency=CURRENCY,
        code=TransferCode.FEE if hot else TransferCode.PAYMENT,
        occurred_at=at,
    )
