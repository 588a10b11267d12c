from __future__ import annotations

import pytest

from domain.money import CurrencyMismatch, InvalidMoney, Money, allocate, parse_decimal, render_money


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [("12.90", "EUR", 1290), ("1290", "JPY", 1290), ("1.290", "KWD", 1290), ("0", "USD", 0), ("7", "EUR", 700)],
)
def test_decimals_become_minor_units_by_the_currencys_own_exponent(text: str, currency: str, minor: int) -> None:
    assert parse_decimal(text, currency) == Money(minor, currency)


@pytest.mark.parametrize("text", ["", "-1", "1.", ".5", "1e3", "1,00", "١٢", "1.234", "nan", " 1"])
def test_anything_but_plain_digits_is_refused(text: str) -> None:
    with pytest.raises(InvalidMoney):
        parse_decimal(text, "EUR")


@pytest.mark.parametrize("amount", [1.0, "1", True, None, 2**63])
def test_amounts_are_integers_of_64_bits(amount: object) -> None:
    with pytest.raises(InvalidMoney):
        Money(amount, "EUR")  # type: ignore[arg-type]


def test_unlisted_currencies_are_refused() -> None:
    with pytest.raises(InvalidMoney):
        Money(1, "XXX")


def test_two_currencies_never_add() -> None:
    with pytest.raises(CurrencyMismatch):
        Money(1, "EUR") + Money(1, "USD")


def test_people_read_the_currencys_decimals() -> None:
    assert [render_money(Money(1290, code)) for code in ("EUR", "JPY", "KWD")] == ["EUR 12.90", "JPY 1290", "KWD 1.290"]
    assert render_money(Money(-5, "USD")) == "USD -0.05"


def test_remainders_go_to_the_largest_fraction_first() -> None:
    assert [part.amount_minor for part in allocate(Money(100, "EUR"), (1, 1, 1))] == [34, 33, 33]


@pytest.mark.parametrize("weights", [(), (0, 0), (1, -1)])
def test_weights_that_mean_nothing_are_refused(weights: tuple[int, ...]) -> None:
    with pytest.raises(InvalidMoney):
        allocate(Money(1, "EUR"), weights)
