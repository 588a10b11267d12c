"""Where an amount comes from, by table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money import Money
from domain.origin import TRUSTED_ORIGINS, Origin
from domain.proposal import ReasonCode, RefundArguments
from gates.origins import AmountMention, KnownTransaction, OriginContext, compute_origins

TARGET = KnownTransaction("T1", Money(5000, "EUR"), Money(3000, "EUR"))
OTHERS = (KnownTransaction("T2", Money(4200, "EUR")), KnownTransaction("T3", Money(4999, "USD")))


def _ask(amount_minor: int, currency: str = "EUR") -> RefundArguments:
    return RefundArguments(transaction="T1", amount_minor=amount_minor, currency=currency, reason_code=ReasonCode.OTHER)


def _amount(arguments: RefundArguments, context: OriginContext) -> tuple[Origin, str | None]:
    found = {origin.argument: origin for origin in compute_origins(arguments, context)}["amount_minor"]
    return found.origin, found.derivation


@pytest.mark.parametrize(
    ("amount_minor", "currency", "mentions", "expected"),
    [
        (5000, "EUR", (), (Origin.LEDGER, None)),
        (3000, "EUR", (), (Origin.LEDGER, None)),
        (5000, "USD", (), (Origin.MODEL, None)),
        (4200, "EUR", (), (Origin.MODEL, None)),
        (800, "EUR", (), (Origin.DERIVED, "difference(T1,T2)")),
        (9200, "EUR", (), (Origin.DERIVED, "sum(T1,T2)")),
        (1, "EUR", (), (Origin.MODEL, None)),
        (777, "EUR", (AmountMention("7.77", Origin.STAFF),), (Origin.STAFF, None)),
        (777, "EUR", (AmountMention("EUR 7.77", Origin.CUSTOMER_TEXT),), (Origin.CUSTOMER_TEXT, None)),
        (777, "EUR", (AmountMention("7.77", Origin.DOCUMENT), AmountMention("7.77", Origin.STAFF)), (Origin.STAFF, None)),
        (777, "EUR", (AmountMention("7.77", Origin.KNOWLEDGE_BASE),), (Origin.KNOWLEDGE_BASE, None)),
        (777, "EUR", (AmountMention("USD 7.77", Origin.STAFF),), (Origin.MODEL, None)),
        (777, "EUR", (AmountMention("7.770", Origin.STAFF),), (Origin.MODEL, None)),
        (777, "EUR", (AmountMention("7,77", Origin.STAFF),), (Origin.MODEL, None)),
        (777, "EUR", (AmountMention("-7.77", Origin.STAFF),), (Origin.MODEL, None)),
        (777, "EUR", (AmountMention("", Origin.STAFF), AmountMention(" ", Origin.STAFF)), (Origin.MODEL, None)),
        (777, "EUR", (AmountMention("7.77", Origin.MODEL),), (Origin.MODEL, None)),
        (800, "EUR", (AmountMention("8.00", Origin.CUSTOMER_TEXT),), (Origin.DERIVED, "difference(T1,T2)")),
        (5000, "EUR", (AmountMention("50.00", Origin.CUSTOMER_TEXT),), (Origin.LEDGER, None)),
        (1290, "JPY", (AmountMention("1290", Origin.STAFF),), (Origin.STAFF, None)),
        (1290, "KWD", (AmountMention("KWD 1.290", Origin.STAFF),), (Origin.STAFF, None)),
    ],
)
def test_amounts(
    amount_minor: int, currency: str, mentions: tuple[AmountMention, ...], expected: tuple[Origin, str | None]
) -> None:
    context = OriginContext(Origin.LEDGER, TARGET, OTHERS, mentions)
    assert _amount(_ask(amount_minor, currency), context) == expected


def test_without_a_transaction_nothing_is_from_the_ledger() -> None:
    found = {item.argument: item.origin for item in compute_origins(_ask(5000), OriginContext(Origin.LEDGER, None, OTHERS))}
    assert found == dict.fromkeys(("transaction", "amount_minor", "currency", "reason_code"), Origin.MODEL)


@given(
    amount_minor=st.integers(min_value=1, max_value=10**9),
    texts=st.lists(st.tuples(st.text(max_size=12), st.sampled_from([Origin.CUSTOMER_TEXT, Origin.DOCUMENT, Origin.MODEL]))),
)
def test_words_of_others_never_become_trusted(amount_minor: int, texts: list[tuple[str, Origin]]) -> None:
    context = OriginContext(Origin.LEDGER, TARGET, (), tuple(AmountMention(value, origin) for value, origin in texts))
    origin, _ = _amount(_ask(amount_minor), context)
    assert origin not in TRUSTED_ORIGINS or amount_minor in (5000, 3000)
