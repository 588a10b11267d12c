"""The rules one by one, in their precedence, and what is left for a person."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from ledger.reconciliation.matching import Line, Movement, Result, match_lines
from ledger.reconciliation.rules import RULES, BreakKind, Rule

DAY = date(2026, 3, 2)


def line(number: int, amount: int, *keys: str, currency: str = "EUR", after: int = 0) -> Line:
    return Line(f"stl_{number}", amount, currency, DAY + timedelta(days=after), tuple(sorted(keys)))


def movement(name: str, amount: int, *keys: str, currency: str = "EUR") -> Movement:
    return Movement(name, amount, currency, DAY, frozenset({name, *keys}))


def run(lines: list[Line], movements: list[Movement], **changes: Any) -> Result:
    given: dict[str, Any] = {"batches": {}, "barred": frozenset(), "rules": RULES}
    return match_lines(lines, movements, **(given | changes))


def matched(result: Result) -> dict[str, tuple[Rule, tuple[str, ...]]]:
    return {match.line_id: (match.rule, match.transfer_ids) for match in result.matches}


def left(result: Result) -> dict[str, BreakKind]:
    return {item.line_id: item.kind for item in result.breaks}


def test_a_named_transfer_of_the_same_money_is_the_one() -> None:
    result = run([line(1, -500, "tfr_a"), line(2, -500)], [movement("tfr_a", -500), movement("tfr_b", -500)])
    assert matched(result) == {
        "stl_1": (Rule.EXACT_REFERENCE, ("tfr_a",)),
        "stl_2": (Rule.AMOUNT_AND_DATE, ("tfr_b",)),
    }


@pytest.mark.parametrize(
    ("amount", "currency", "kind"),
    [(-501, "EUR", None), (500, "EUR", "amount_differs"), (-400, "EUR", "amount_differs"), (-500, "GBP", "amount_differs")],
)
def test_a_named_transfer_of_other_money(amount: int, currency: str, kind: str | None) -> None:
    result = run([line(1, amount, "tfr_a", currency=currency)], [movement("tfr_a", -500), movement("tfr_b", amount)])
    if kind is None:
        assert matched(result) == {"stl_1": (Rule.REFERENCE_WITH_FEE, ("tfr_a",))}
        assert result.matches[0].difference_minor == -1
    else:
        assert left(result) == {"stl_1": kind}
        expected = None if currency == "GBP" else amount + 500
        assert result.breaks[0].difference_minor == expected


@pytest.mark.parametrize(
    ("transfer", "booked", "fits"),
    [
        (-100_000, -102_000, True),
        (-100_000, -102_001, False),
        (-100_000, -99_999, False),
        (100_000, 98_000, True),
        (100_000, 100_001, False),
        (1_000_000, 997_000, True),
        (1_000_000, 996_999, False),
        (10, -10, False),
    ],
)
def test_a_fee_costs_us_and_has_two_limits(transfer: int, booked: int, fits: bool) -> None:
    result = run([line(1, booked, "tfr_a")], [movement("tfr_a", transfer)])
    assert (left(result) == {}) is fits


def test_a_batch_is_one_line() -> None:
    movements = [movement("tfr_a", -300), movement("tfr_b", -200), movement("tfr_c", -500)]
    result = run([line(1, -500, "batch")], movements, batches={"batch": frozenset({"tfr_a", "tfr_b"})})
    assert matched(result) == {"stl_1": (Rule.BATCH_SUM, ("tfr_a", "tfr_b"))}
    named = run([line(1, -500, "tfr_a", "tfr_b")], movements)
    assert matched(named) == {"stl_1": (Rule.BATCH_SUM, ("tfr_a", "tfr_b"))}


def test_a_batch_that_is_not_whole_is_not_guessed() -> None:
    movements = [movement("tfr_a", -300), movement("tfr_b", -200)]
    foreign = run([line(1, -500, "batch")], movements, batches={"batch": frozenset({"tfr_a", "tfr_b", "txn_9"})})
    short = run([line(1, -499, "batch")], movements, batches={"batch": frozenset({"tfr_a", "tfr_b"})})
    assert left(foreign) == left(short) == {"stl_1": BreakKind.AMOUNT_DIFFERS}
    assert short.breaks[0].difference_minor == 1


def test_a_transfer_that_one_line_has_is_not_left_for_another_rule() -> None:
    result = run([line(1, -500, "tfr_a"), line(2, -501, "tfr_a")], [movement("tfr_a", -500)])
    assert matched(result) == {"stl_1": (Rule.EXACT_REFERENCE, ("tfr_a",))}
    assert left(result) == {"stl_2": BreakKind.MISSING_IN_LEDGER}
    batch = run(
        [line(1, -300, "tfr_a"), line(2, -500, "batch")],
        [movement("tfr_a", -300), movement("tfr_b", -200)],
        batches={"batch": frozenset({"tfr_a", "tfr_b"})},
    )
    assert left(batch) == {"stl_2": BreakKind.AMOUNT_DIFFERS}


def test_two_candidates_are_never_guessed() -> None:
    two_transfers = run([line(1, -500)], [movement("tfr_a", -500), movement("tfr_b", -500)])
    two_lines = run([line(1, -500), line(2, -500)], [movement("tfr_a", -500)])
    two_names = run([line(1, -500, "tfr_a"), line(2, -500, "tfr_a")], [movement("tfr_a", -500)])
    chain = run([line(1, -500, "dec_1")], [movement("tfr_a", -500, "dec_1"), movement("tfr_b", -500, "dec_1")])
    assert left(two_transfers) == left(chain) == {"stl_1": BreakKind.AMBIGUOUS}
    assert left(two_lines) == left(two_names) == {"stl_1": BreakKind.AMBIGUOUS, "stl_2": BreakKind.AMBIGUOUS}
    assert two_transfers.breaks[0].transfer_ids == ("tfr_a", "tfr_b")


def test_what_stands_in_a_dispute_is_not_given_to_another_rule() -> None:
    lines = [line(1, -500, "tfr_a"), line(2, -500, "tfr_a"), line(3, -500)]
    result = run(lines, [movement("tfr_a", -500)])
    assert left(result)["stl_3"] is BreakKind.MISSING_IN_LEDGER


@pytest.mark.parametrize(("days", "fits"), [(3, True), (4, False), (-3, True), (-4, False)])
def test_amount_alone_needs_near_days(days: int, fits: bool) -> None:
    result = run([line(1, -500, after=days)], [movement("tfr_a", -500)])
    assert bool(result.matches) is fits
    assert left(result) == ({} if fits else {"stl_1": BreakKind.MISSING_IN_LEDGER})


def test_a_line_that_names_an_unknown_id_of_ours_is_not_matched_by_amount() -> None:
    assert left(run([line(1, -500, "tfr_gone")], [movement("tfr_a", -500)])) == {"stl_1": BreakKind.MISSING_IN_LEDGER}
    stranger = run([line(1, -500, "uuid:77")], [movement("tfr_a", -500)])
    assert matched(stranger) == {"stl_1": (Rule.AMOUNT_AND_DATE, ("tfr_a",))}


def test_what_another_line_names_is_not_matched_by_amount() -> None:
    result = run([line(1, -900, "tfr_a"), line(2, -500)], [movement("tfr_a", -500)])
    assert left(result) == {"stl_1": BreakKind.AMOUNT_DIFFERS, "stl_2": BreakKind.MISSING_IN_LEDGER}


def test_a_pair_that_a_person_took_apart_stays_apart() -> None:
    barred = frozenset({("stl_1", "tfr_a"), ("stl_2", "tfr_b")})
    result = run([line(1, -500, "tfr_a"), line(2, -700)], [movement("tfr_a", -500), movement("tfr_b", -700)], barred=barred)
    assert not result.matches
    assert left(result) == {"stl_1": BreakKind.MISSING_IN_LEDGER, "stl_2": BreakKind.MISSING_IN_LEDGER}


def test_nothing_gives_nothing() -> None:
    assert run([], [movement("tfr_a", 1)]) == Result((), ())
