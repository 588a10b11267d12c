"""Regulation E's dates: worked examples with weekends and holidays in them, each boundary from both sides."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from gates.clocks.reg_e import (
    ImpossibleDispute,
    RegEFacts,
    correct_by,
    find_liability_minor,
    honour_until,
    report_by,
    start_clock,
)

DAY = timedelta(days=1)


def facts(**changes: Any) -> RegEFacts:
    plain = {"noticed_on": date(2026, 11, 20), "transferred_on": date(2026, 11, 2), "first_deposit_on": date(2024, 1, 5)}
    return RegEFacts(**{**plain, **changes})


def test_ten_business_days_step_over_thanksgiving() -> None:
    clock = start_clock(facts())
    # Nov 23 24 25 27 30, Dec 1 2 3 4 7; the 26th is Thanksgiving.
    assert clock.provisional_by == date(2026, 12, 7)
    assert clock.investigate_by == date(2027, 1, 4)
    assert not clock.is_new_account


def test_a_new_account_has_twenty_and_ninety() -> None:
    clock = start_clock(facts(first_deposit_on=date(2026, 10, 3)))
    assert clock.is_new_account
    assert clock.provisional_by == date(2026, 12, 21)
    assert clock.investigate_by == date(2026, 11, 20) + timedelta(days=90)
    assert not start_clock(facts(first_deposit_on=date(2026, 10, 2))).is_new_account


@pytest.mark.parametrize("which", ["is_point_of_sale", "is_foreign"])
def test_point_of_sale_and_foreign_transfers_have_ninety_days_and_still_ten_to_credit(which: str) -> None:
    clock = start_clock(facts(**{which: True}))
    assert clock.investigate_by == date(2026, 11, 20) + timedelta(days=90)
    assert clock.provisional_by == date(2026, 12, 7)


def test_notice_is_in_time_up_to_the_sixtieth_day() -> None:
    statement_on = date(2026, 9, 21)
    earlier = {"transferred_on": date(2026, 9, 1), "statement_on": statement_on}
    assert start_clock(facts(noticed_on=date(2026, 11, 20), **earlier)).is_noticed_in_time
    late = start_clock(facts(noticed_on=date(2026, 11, 21), **earlier))
    assert not late.is_noticed_in_time
    assert not late.is_overdue(date(2027, 12, 1), is_credited=False)
    assert not late.needs_provisional_credit(date(2027, 12, 1))


def test_what_is_due_when() -> None:
    clock = start_clock(facts())
    assert not clock.needs_provisional_credit(clock.provisional_by - DAY)
    assert clock.needs_provisional_credit(clock.provisional_by)
    assert not clock.is_overdue(clock.provisional_by, is_credited=False)
    assert clock.is_overdue(clock.provisional_by + DAY, is_credited=False)
    assert not clock.is_overdue(clock.investigate_by, is_credited=True)
    assert clock.is_overdue(clock.investigate_by + DAY, is_credited=True)


def test_after_the_decision() -> None:
    wednesday = date(2026, 11, 25)
    assert correct_by(wednesday) == date(2026, 11, 27)
    assert report_by(wednesday) == date(2026, 12, 1)
    assert honour_until(wednesday) == date(2026, 12, 3)


@pytest.mark.parametrize(
    ("noticed_on", "statement_on", "cap_minor"),
    [
        (date(2026, 11, 24), None, 50_00),
        (date(2026, 11, 25), None, 500_00),
        (date(2026, 11, 25), date(2026, 9, 26), 500_00),
        (date(2026, 11, 25), date(2026, 9, 25), None),
        (date(2026, 11, 24), date(2026, 9, 25), 50_00),
    ],
)
def test_what_the_consumer_bears(noticed_on: date, statement_on: date | None, cap_minor: int | None) -> None:
    # Learned on a Friday: the second business day is Tuesday the 24th.
    assert find_liability_minor(learned_on=date(2026, 11, 20), noticed_on=noticed_on, statement_on=statement_on) == cap_minor


@pytest.mark.parametrize("wrong", [{"transferred_on": date(2026, 11, 21)}, {"statement_on": date(2026, 11, 1)}])
def test_dates_that_contradict_each_other_are_refused(wrong: dict[str, date]) -> None:
    with pytest.raises(ImpossibleDispute):
        facts(**wrong)
