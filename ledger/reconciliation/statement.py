"""What was read from a statement file: entries, balances, bad lines. Nothing of it is stored as it stands here."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from domain.errors import InvalidInput
from domain.money import InvalidMoney, parse_decimal

StatementFormat = Literal["csv", "camt053"]
MAX_FILE_BYTES = 32 * 1024 * 1024
MAX_ENTRIES = 200_000
_MAX_AMOUNT_MINOR = 10**15
_MAX_SUM_MINOR = 2**53 - 1
_FIRST_YEAR, _LAST_YEAR = 2000, 2199


class UnreadableStatement(InvalidInput):
    """Say why a whole file can't be read; nothing of it was imported."""

    code = "unreadable_statement"


class BadLine(InvalidInput):
    """Say why one line goes into quarantine. The message never repeats a value."""

    code = "bad_line"


@dataclass(frozen=True, slots=True)
class StatementEntry:
    """Hold one booked entry as the bank sees it: a credit is positive. `line_number` is where it begins in the file.

    `reference_keys` are ids of ours and digests of other references, sorted; see `references.py`.
    """

    line_number: int
    amount_minor: int
    currency: str
    booked_on: date
    entry_reference: str | None = None
    reference_keys: tuple[str, ...] = ()

    def content_sha256(self) -> str:
        """Return what is equal for an entry that another file repeats: its reference, money, day and what it names."""
        parts = (self.entry_reference or "", str(self.amount_minor), self.currency, self.booked_on.isoformat())
        return hashlib.sha256("\n".join((*parts, *self.reference_keys)).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class QuarantinedLine:
    """Hold why one line was left out."""

    line_number: int
    reason_code: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReadStatement:
    """Hold one account's statement for the days `first_day` up to and without `end_day`.

    `account` is what the bank calls the account, None where the file does not say. Balances are the bank's: positive is ours.
    `not_booked` counts entries that are only announced.
    """

    account: str | None
    currency: str
    first_day: date
    end_day: date
    opening_minor: int | None
    closing_minor: int | None
    entries: tuple[StatementEntry, ...]
    quarantined: tuple[QuarantinedLine, ...]
    not_booked: int = 0

    @property
    def entries_minor(self) -> int:
        """Return the sum of the entries."""
        return sum(entry.amount_minor for entry in self.entries)

    @property
    def imbalance_minor(self) -> int:
        """Return closing less opening less entries; 0 where the file gives no two balances."""
        if self.opening_minor is None or self.closing_minor is None:
            return 0
        return self.closing_minor - self.opening_minor - self.entries_minor


def parse_amount(text: str, currency: str, *, decimal_comma: bool = False) -> int:
    """Read a positive decimal as minor units, exactly. Raises: BadLine."""
    if "," in text and not decimal_comma:
        raise BadLine("the amount has a comma: declare the decimal comma, or write a point", code="decimal_comma")
    if "." in text and decimal_comma:
        raise BadLine("the amount has a point and the decimal comma was declared", code="decimal_point")
    try:
        amount_minor = parse_decimal(text.replace(",", ".") if decimal_comma else text, currency).amount_minor
    except InvalidMoney as error:
        raise BadLine(f"amount: {error.message}", code="bad_amount") from error
    if amount_minor == 0:
        raise BadLine("the amount is zero", code="zero_amount")
    if amount_minor > _MAX_AMOUNT_MINOR:
        raise BadLine("the amount is larger than any that can be right", code="amount_too_large")
    return amount_minor


def parse_day(text: str) -> date:
    """Read a day such as 2026-01-31. Raises: BadLine."""
    try:
        day = date.fromisoformat(text) if len(text) == 10 and text.isascii() else None
    except ValueError:
        day = None
    if day is None or not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        raise BadLine("expected a day such as 2026-01-31", code="bad_date")
    return day


def span_days(days: Sequence[date], quarantined: Sequence[QuarantinedLine]) -> tuple[date, date]:
    """Return the first day and the day after the last one. Raises: UnreadableStatement where no line gave a day."""
    if days:
        return min(days), day_after(max(days))
    if quarantined:
        first = quarantined[0]
        raise UnreadableStatement(
            f"no line of the statement is good; the first, line {first.line_number}: {first.reason}", code="no_good_line"
        )
    raise UnreadableStatement("the statement has no entry, no balance and no period", code="no_statement")


def require_usable(statements: Sequence[ReadStatement]) -> None:
    """Refuse a statement in which no line is good, or whose sums do not fit. Raises: UnreadableStatement."""
    for statement in statements:
        if statement.quarantined and not statement.entries:
            span_days((), statement.quarantined)
        sums = (statement.entries_minor, statement.opening_minor or 0, statement.closing_minor or 0)
        if max(map(abs, sums)) > _MAX_SUM_MINOR:
            raise UnreadableStatement("the sums of the statement are larger than any that can be right")


def day_after(day: date) -> date:
    """Return the next day."""
    return day + timedelta(days=1)
