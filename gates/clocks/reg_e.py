"""The error resolution clock of Regulation E: from the facts of a dispute to its dates. A model never sets one.

Source: 12 CFR 1005.11(b) and (c), 12 CFR 1005.6(b). The institution may do better; it may not do worse.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from domain.errors import InvalidInput
from gates.clocks.business_days import BusinessDays, CalendarDays

# 1005.11(b)(1)(i): notice no later than 60 days after the statement that shows the error.
NOTICE: Final = CalendarDays(60)
# 1005.11(c)(3): an account is new for transfers within 30 days after its first deposit.
NEW_ACCOUNT: Final = CalendarDays(30)
# 1005.11(c)(1) and (c)(3)(i): decide, or credit provisionally and go on.
DECIDE, DECIDE_NEW_ACCOUNT = BusinessDays(10), BusinessDays(20)
# 1005.11(c)(2) and (c)(3)(ii).
INVESTIGATE, INVESTIGATE_LONG = CalendarDays(45), CalendarDays(90)
# 1005.11(c)(1): correct and report once it is decided. 1005.11(d)(2): items honoured after a provisional credit is taken back.
CORRECT, REPORT, HONOUR = BusinessDays(1), BusinessDays(3), BusinessDays(5)
# 1005.6(b)(1) and (2): what the consumer bears at most, in US cents, by how soon he told.
TELL_SOON: Final = BusinessDays(2)
LIABILITY_SOON_MINOR, LIABILITY_LATER_MINOR = 50_00, 500_00


class ImpossibleDispute(InvalidInput):
    """Say that a dispute's dates contradict each other."""

    code = "impossible_dispute"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegEFacts:
    """Hold what the clock depends on. Days are those of the institution's place; oral notice counts as notice.

    `statement_on`: when the statement that shows the transfer was sent, None if none was yet. `first_deposit_on`: of the account.
    Raises: ImpossibleDispute.
    """

    noticed_on: date
    transferred_on: date
    first_deposit_on: date
    statement_on: date | None = None
    is_point_of_sale: bool = False
    is_foreign: bool = False

    def __post_init__(self) -> None:
        if self.transferred_on > self.noticed_on:
            raise ImpossibleDispute(f"noticed on {self.noticed_on}, before the transfer of {self.transferred_on}")
        if self.statement_on is not None and self.statement_on < self.transferred_on:
            raise ImpossibleDispute(f"statement of {self.statement_on}, before the transfer of {self.transferred_on}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RegEClock:
    """Hold the dates of a dispute; each is the last day that is in time. `provisional_by` is also the day to decide by."""

    is_new_account: bool
    is_noticed_in_time: bool
    provisional_by: date
    investigate_by: date

    def needs_provisional_credit(self, today: date) -> bool:
        """Say whether the day to decide has come: from then on only a provisional credit buys more time."""
        return self.is_noticed_in_time and today >= self.provisional_by

    def is_overdue(self, today: date, *, is_credited: bool) -> bool:
        """Say whether an open dispute has missed a day: that of the credit when there is none, else that of the investigation."""
        return self.is_noticed_in_time and today > (self.investigate_by if is_credited else self.provisional_by)


def start_clock(facts: RegEFacts) -> RegEClock:
    """Return the dates of a dispute. Late notice sets no clock: the dates are told, nothing is due."""
    is_new = facts.transferred_on <= NEW_ACCOUNT.after(facts.first_deposit_on)
    is_long = is_new or facts.is_point_of_sale or facts.is_foreign
    return RegEClock(
        is_new_account=is_new,
        is_noticed_in_time=facts.statement_on is None or facts.noticed_on <= NOTICE.after(facts.statement_on),
        provisional_by=(DECIDE_NEW_ACCOUNT if is_new else DECIDE).after(facts.noticed_on),
        investigate_by=(INVESTIGATE_LONG if is_long else INVESTIGATE).after(facts.noticed_on),
    )


def correct_by(decided_on: date) -> date:
    """Return the last day to correct an error that was found on `decided_on`."""
    return CORRECT.after(decided_on)


def report_by(decided_on: date) -> date:
    """Return the last day to report the result of an investigation that ended on `decided_on`."""
    return REPORT.after(decided_on)


def honour_until(told_on: date) -> date:
    """Return until when items are honoured without charge after the customer was told that a provisional credit is taken back."""
    return HONOUR.after(told_on)


def find_liability_minor(*, learned_on: date, noticed_on: date, statement_on: date | None) -> int | None:
    """Return what the consumer bears at most of transfers with a lost or stolen device, in US cents; None is without limit.

    Without limit are only transfers after the 60th day past the statement that would have been prevented by notice in time.
    """
    if statement_on is not None and noticed_on > NOTICE.after(statement_on):
        return None
    return LIABILITY_SOON_MINOR if noticed_on <= TELL_SOON.after(learned_on) else LIABILITY_LATER_MINOR
