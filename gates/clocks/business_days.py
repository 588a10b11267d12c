"""Business days and calendar days as types of their own, and the Federal Reserve's holidays by rule.

Source: 12 CFR 1005.2(d) for what a business day is; the Federal Reserve Banks' holiday schedule for the days. A holiday on a
Sunday is kept on the Monday after it, one on a Saturday not on another day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

from domain.errors import InvalidInput

_MONDAY, _THURSDAY, _SATURDAY, _SUNDAY = 0, 3, 5, 6
_JUNETEENTH_FIRST_YEAR = 2021
_DAY: Final = timedelta(days=1)


class NegativeDays(InvalidInput):
    """Say that a period has fewer than no days."""

    code = "negative_days"


@dataclass(frozen=True, slots=True)
class BusinessDays:
    """Hold a number of business days. Raises: NegativeDays."""

    count: int

    def __post_init__(self) -> None:
        if self.count < 0:
            raise NegativeDays(f"business days: {self.count}")

    def after(self, start: date) -> date:
        """Return the day on which the period ends. The day of `start` itself does not count."""
        day, left = start, self.count
        while left:
            day += _DAY
            left -= is_business_day(day)
        return day


@dataclass(frozen=True, slots=True)
class CalendarDays:
    """Hold a number of calendar days. Raises: NegativeDays."""

    count: int

    def __post_init__(self) -> None:
        if self.count < 0:
            raise NegativeDays(f"calendar days: {self.count}")

    def after(self, start: date) -> date:
        """Return the day on which the period ends. The day of `start` itself does not count."""
        return start + timedelta(days=self.count)


def is_business_day(day: date) -> bool:
    """Say whether the Federal Reserve Banks are open."""
    return day.weekday() < _SATURDAY and day not in list_holidays(day.year)


def count_business_days(start: date, end: date) -> int:
    """Count the business days after `start` up to and with `end`; 0 when `end` is not later."""
    return sum(is_business_day(start + timedelta(days=number)) for number in range(1, (end - start).days + 1))


@lru_cache(maxsize=64)
def list_holidays(year: int) -> frozenset[date]:
    """Return the days of a year on which the Federal Reserve Banks are closed, beside weekends."""
    fixed = [date(year, 1, 1), date(year, 7, 4), date(year, 11, 11), date(year, 12, 25)]
    if year >= _JUNETEENTH_FIRST_YEAR:
        fixed.append(date(year, 6, 19))
    moving = [
        _nth(year, 1, _MONDAY, 3),
        _nth(year, 2, _MONDAY, 3),
        _nth(year, 6, _MONDAY, 1) - timedelta(days=7),
        _nth(year, 9, _MONDAY, 1),
        _nth(year, 10, _MONDAY, 2),
        _nth(year, 11, _THURSDAY, 4),
    ]
    # The first Monday of June is 7 days after the last one of May. A Saturday stays where it is, and is no business day anyway.
    return frozenset([*(day + _DAY if day.weekday() == _SUNDAY else day for day in fixed), *moving])


def _nth(year: int, month: int, weekday: int, number: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (number - 1))
