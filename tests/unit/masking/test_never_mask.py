"""Facts that must survive: in all their writings, and no more than they."""

from __future__ import annotations

import pytest

from masking.never_mask import find_protected


def _is_kept(text: str, fact: str, *, merchants: tuple[str, ...] = ()) -> bool:
    start = text.index(fact)
    protected = find_protected(text, merchants)
    places = [*protected.certain, *protected.likely, *protected.alone]
    covered = {at for low, high in places for at in range(low, high)}
    return all(at in covered or not text[at].isalnum() for at in range(start, start + len(fact)))


@pytest.mark.parametrize(
    "amount",
    [
        "€4,468.00", "EUR 79,232", "1.234,56", "12'345.50 CHF", "4,500 naira", "3.5k USD", "R$ 12,00", "2 lakh rupees",
        "-2626.26",
        "₹1,00,000", "₦108,541.83", "0.99 USD", "USD 12,500", "56%", "5.14 %", "14:05:33", "TRY 152,887",
    ],
)  # fmt: skip
def test_an_amount_is_kept(amount: str) -> None:
    assert _is_kept(f"we saw {amount} there", amount)


@pytest.mark.parametrize(
    "fact",
    [
        "2024-05-06", "2024-05-06T10:11:12Z", "13.05.2025", "10-Sep-2024", "09JAN24", "21 March 2024", "May 1, 2026", "12/05",
        "BARCGB22XXX", "TXN-27285160", "case 9910618", "INV-2026-6329", "F2026/7067", "ERR_TIMEOUT",
        "HTTP 503", "error AC04", "v5.19.29",
        "ending in 4242", "•••• 4242", "48 hours", "txn_01jabcde", "report_2024-01-02.csv", "TRY",
    ],
)  # fmt: skip
def test_a_date_a_code_and_a_reference_are_kept(fact: str) -> None:
    assert _is_kept(f"we saw {fact} there", fact)


@pytest.mark.parametrize(
    "name",
    ["Netflix", "NETFLIX.COM", "Tesco Express", "IKEA Delft", "Shell Oil 5521", "Kaiser Engineering", "Foo Bar GmbH",
     "Sparkasse Köln",
     "Alder Credit Union", "Acme Sp. z o.o"],
)  # fmt: skip
def test_a_merchant_and_a_company_are_kept(name: str) -> None:
    assert _is_kept(f"we saw {name}, there", name)


def test_the_tenant_s_own_merchants_are_kept() -> None:
    assert not _is_kept("we saw Quorvex there", "Quorvex")
    assert _is_kept("we saw Quorvex there", "Quorvex", merchants=("Quorvex",))


@pytest.mark.parametrize(
    "value", ["4111 1111 1111 1111", "+44 7911 123456", "GB29 NWBK 6016 1331 9268 19", "Marta Kowalska", "88030512345"]
)
def test_a_value_is_no_fact(value: str) -> None:
    assert not _is_kept(f"we saw {value} there", value)


def test_a_shop_that_is_a_first_name_does_not_protect_a_person() -> None:
    protected = find_protected("I paid Zara Khan")
    assert protected.likely == ()
    assert [("I paid Zara Khan")[start:end] for start, end in protected.alone] == ["Zara"]
