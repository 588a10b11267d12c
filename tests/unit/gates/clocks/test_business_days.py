"""The Federal Reserve's holidays: published schedules as vectors, and the rules that periods keep."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.clocks.business_days import (
    BusinessDays,
    CalendarDays,
    NegativeDays,
    count_business_days,
    is_business_day,
    list_holidays,
)

# Source: the Federal Reserve Banks' published holiday schedules.
SCHEDULE = {
    2023: "01-02 01-16 02-20 05-29 06-19 07-04 09-04 10-09 11-11 11-23 12-25",
    2024: "01-01 01-15 02-19 05-27 06-19 07-04 09-02 10-14 11-11 11-28 12-25",
    2025: "01-01 01-20 02-17 05-26 06-19 07-04 09-01 10-13 11-11 11-27 12-25",
    2026: "01-01 01-19 02-16 05-25 06-19 07-04 09-07 10-12 11-11 11-26 12-25",
    2027: "01-01 01-18 02-15 05-31 06-19 07-05 09-06 10-11 11-11 11-25 12-25",
}
days = st.dates(date(1990, 1, 1), date(2090, 12, 31))


@pytest.mark.parametrize("year", SCHEDULE)
def test_holidays_are_those_of_the_schedule(year: int) -> None:
    assert {day.strftime("%m-%d") for day in list_holidays(year)} == set(SCHEDULE[year].split())


@pytest.mark.parametrize(
    ("day", "is_open"),
    [
        (date(2026, 7, 3), True),  # the 4th is a Saturday: the Friday before is no holiday of theirs
        (date(2027, 7, 5), False),  # the 4th is a Sunday
        (date(2022, 1, 3), True),  # the 1st was a Saturday
        (date(2023, 1, 2), False),
        (date(2020, 6, 19), True),  # before Juneteenth was one
        (date(2026, 11, 22), False),  # a Sunday
    ],
)
def test_single_days(day: date, is_open: bool) -> None:
    assert is_business_day(day) is is_open


@given(days, st.integers(1, 60))
def test_a_period_ends_on_its_last_business_day(start: date, count: int) -> None:
    end = BusinessDays(count).after(start)
    assert is_business_day(end)
    assert count_business_days(start, end) == count
    assert count_business_days(start, end - timedelta(days=1)) == count - 1


@given(days, st.integers(0, 60))
def test_calendar_days_are_plain(start: date, count: int) -> None:
    assert CalendarDays(count).after(start) - start == timedelta(days=count)


def test_no_days_end_where_they_begin() -> None:
    saturday = date(2026, 11, 21)
    assert BusinessDays(0).after(saturday) == saturday
    assert count_business_days(saturday, saturday - timedelta(days=3)) == 0


@pytest.mark.parametrize("kind", [BusinessDays, CalendarDays])
def test_fewer_than_none_is_refused(kind: type[BusinessDays] | type[CalendarDays]) -> None:
    with pytest.raises(NegativeDays):
        kind(-1)
