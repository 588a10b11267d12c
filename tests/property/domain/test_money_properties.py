from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from domain.money import EXPONENTS, MAX_AMOUNT_MINOR, Money, allocate, parse_decimal, render_money

_currencies = st.sampled_from(sorted(EXPONENTS))
_amounts = st.integers(min_value=-MAX_AMOUNT_MINOR, max_value=MAX_AMOUNT_MINOR)
_weights = st.lists(st.integers(min_value=0, max_value=10**6), min_size=1, max_size=20).filter(lambda weights: sum(weights) > 0)


@given(_amounts, _currencies, _weights)
def test_the_parts_sum_to_the_whole(amount_minor: int, currency: str, weights: list[int]) -> None:
    parts = allocate(Money(amount_minor, currency), weights)
    assert sum(part.amount_minor for part in parts) == amount_minor
    assert all(part.amount_minor * amount_minor >= 0 for part in parts)


@given(_amounts, _currencies, _weights)
def test_no_part_is_more_than_one_unit_from_its_share(amount_minor: int, currency: str, weights: list[int]) -> None:
    total = sum(weights)
    for part, weight in zip(allocate(Money(amount_minor, currency), weights), weights, strict=True):
        assert abs(part.amount_minor * total - amount_minor * weight) < total


@given(st.integers(min_value=0, max_value=MAX_AMOUNT_MINOR), _currencies)
def test_what_is_rendered_reads_back(amount_minor: int, currency: str) -> None:
    money = Money(amount_minor, currency)
    code, _, digits = render_money(money).partition(" ")
    assert parse_decimal(digits, code) == money
