"""Where each argument comes from, by table: argument by source."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.conversation import HandleKind
from domain.mentions import Mention, MentionKind
from domain.money import Money
from domain.origin import TRUSTED_ORIGINS, Origin
from domain.proposal import ProposedArguments, ReasonCode
from gates.fees import FeeRule
from gates.origins import KnownRecord, OriginContext, compute_origins

TOKEN, OTHER_TOKEN = "<IBAN_7f3a9k2m-q4>", "<IBAN_00000000-00>"
CHARGE = KnownRecord(
    "T1", HandleKind.TRANSACTION, "txn_1", Origin.LEDGER, (Money(5000, "EUR"), Money(3000, "EUR"))
)  # fmt: skip
SECOND = KnownRecord("T2", HandleKind.TRANSACTION, "txn_2", Origin.LEDGER, (Money(4200, "EUR"),))
THIRD = KnownRecord("T3", HandleKind.TRANSACTION, "txn_3", Origin.LEDGER, (Money(4999, "USD"),))
FOURTH = KnownRecord("T10", HandleKind.TRANSACTION, "txn_4", Origin.LEDGER, (Money(700, "EUR"),))
PAYEE = KnownRecord("B1", HandleKind.BENEFICIARY, "ben_1", Origin.LEDGER, currency="EUR", token=TOKEN)
ACCOUNT = KnownRecord("A1", HandleKind.ACCOUNT, "acc_1", Origin.LEDGER, currency="EUR")
NAMED = tuple(Mention("handle", handle, Origin.STAFF) for handle in ("T2", "T3"))
UNTRUSTED = (Origin.CUSTOMER_TEXT, Origin.DOCUMENT, Origin.KNOWLEDGE_BASE, Origin.MODEL)


def _amounts(*written: tuple[str, Origin]) -> tuple[Mention, ...]:
    return tuple(Mention("amount", value, origin) for value, origin in written)


def _ask(amount_minor: int, currency: str = "EUR") -> ProposedArguments:
    return ProposedArguments(transaction="T1", amount_minor=amount_minor, currency=currency, reason_code=ReasonCode.OTHER)


def _pay(amount_minor: int = 1290) -> ProposedArguments:
    return ProposedArguments(
        account="A1", beneficiary="B1", amount_minor=amount_minor, currency="EUR", reason_code=ReasonCode.BILL
    )


def _origin_of(argument: str, arguments: ProposedArguments, context: OriginContext) -> tuple[Origin, str | None]:
    found = {origin.argument: origin for origin in compute_origins(arguments, context)}[argument]
    return found.origin, found.derivation


# Amounts ----------------------------------------------------------------------------------------------------------------------


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
        (777, "EUR", (("7.77", Origin.STAFF),), (Origin.STAFF, None)),
        (777, "EUR", (("EUR 7.77", Origin.CUSTOMER_TEXT),), (Origin.CUSTOMER_TEXT, None)),
        (777, "EUR", (("7.77", Origin.DOCUMENT), ("7.77", Origin.STAFF)), (Origin.STAFF, None)),
        (777, "EUR", (("7.77", Origin.KNOWLEDGE_BASE),), (Origin.KNOWLEDGE_BASE, None)),
        (777, "EUR", (("USD 7.77", Origin.STAFF),), (Origin.MODEL, None)),
        (777, "EUR", (("7.770", Origin.STAFF),), (Origin.MODEL, None)),
        (777, "EUR", (("7,77", Origin.STAFF),), (Origin.MODEL, None)),
        (777, "EUR", (("-7.77", Origin.STAFF),), (Origin.MODEL, None)),
        (777, "EUR", (("", Origin.STAFF), (" ", Origin.STAFF)), (Origin.MODEL, None)),
        (777, "EUR", (("7.77", Origin.MODEL),), (Origin.MODEL, None)),
        (777, "EUR", (("7.77", Origin.LEDGER),), (Origin.MODEL, None)),
        (777, "EUR", (("7.77", Origin.DERIVED),), (Origin.MODEL, None)),
        (800, "EUR", (("8.00", Origin.CUSTOMER_TEXT),), (Origin.DERIVED, "difference(T1,T2)")),
        (5000, "EUR", (("50.00", Origin.CUSTOMER_TEXT),), (Origin.LEDGER, None)),
        (1290, "JPY", (("1290", Origin.STAFF),), (Origin.STAFF, None)),
        (1290, "KWD", (("KWD 1.290", Origin.STAFF),), (Origin.STAFF, None)),
    ],
)
def test_amounts(
    amount_minor: int, currency: str, mentions: tuple[tuple[str, Origin], ...], expected: tuple[Origin, str | None]
) -> None:
    context = OriginContext((CHARGE, SECOND, THIRD), NAMED + _amounts(*mentions))
    assert _origin_of("amount_minor", _ask(amount_minor, currency), context) == expected


@pytest.mark.parametrize(
    ("amount_minor", "fees", "expected"),
    [
        (9900, (), (Origin.DERIVED, "sum(T1,T2,T10)")),
        (4300, (), (Origin.DERIVED, "difference(T1,T10)")),
        (125, (FeeRule("late", basis_points=250),), (Origin.DERIVED, "percentage(late,T1)")),
        (105, (FeeRule("late", basis_points=250),), (Origin.DERIVED, "percentage(late,T2)")),
        (126, (FeeRule("late", basis_points=250),), (Origin.MODEL, None)),
        (1500, (FeeRule("dunning", amounts={"EUR": 1500}),), (Origin.DERIVED, "fee(dunning)")),
        (1500, (FeeRule("dunning", amounts={"USD": 1500}),), (Origin.MODEL, None)),
    ],
)
def test_amounts_by_a_named_rule(amount_minor: int, fees: tuple[FeeRule, ...], expected: tuple[Origin, str | None]) -> None:
    named = tuple(Mention("handle", handle, Origin.STAFF) for handle in ("T2", "T10"))
    assert _origin_of("amount_minor", _ask(amount_minor), OriginContext((CHARGE, SECOND, FOURTH), named, fees)) == expected


def test_a_fee_alone_is_no_reason_to_pay() -> None:
    context = OriginContext((ACCOUNT, PAYEE), (), (FeeRule("dunning", amounts={"EUR": 1290}),))
    assert _origin_of("amount_minor", _pay(), context) == (Origin.MODEL, None)


@pytest.mark.parametrize("origin", UNTRUSTED)
def test_nothing_is_derived_from_a_record_that_staff_did_not_name(origin: Origin) -> None:
    context = OriginContext((CHARGE, SECOND), (Mention("handle", "T2", origin),))
    assert _origin_of("amount_minor", _ask(800), context) == (Origin.MODEL, None)


@pytest.mark.parametrize(("basis_points", "whole", "share"), [(250, 5000, 125), (1, 5000, 1), (1, 4999, 0), (3333, 100, 33)])
def test_a_share_is_rounded_half_up(basis_points: int, whole: int, share: int) -> None:
    assert FeeRule("x", basis_points=basis_points).share_of(whole) == share


@given(
    amount_minor=st.integers(min_value=1, max_value=10**9),
    texts=st.lists(st.tuples(st.text(max_size=12), st.sampled_from(UNTRUSTED))),
)
def test_words_of_others_never_become_a_trusted_amount(amount_minor: int, texts: list[tuple[str, Origin]]) -> None:
    origin, _ = _origin_of("amount_minor", _ask(amount_minor), OriginContext((CHARGE,), _amounts(*texts)))
    assert origin not in TRUSTED_ORIGINS or amount_minor in (5000, 3000)


# Records ----------------------------------------------------------------------------------------------------------------------

_OF_THE_GRANT = {"transaction": HandleKind.TRANSACTION, "account": HandleKind.ACCOUNT}
_CHOSEN = {
    "beneficiary": HandleKind.BENEFICIARY, "card": HandleKind.CARD, "dispute": HandleKind.DISPUTE, "hold": HandleKind.HOLD,
    "case": HandleKind.CASE,
}  # fmt: skip
_WRITTEN = (Origin.STAFF, Origin.CUSTOMER_TEXT, Origin.DOCUMENT, Origin.KNOWLEDGE_BASE)


@pytest.mark.parametrize("argument", _OF_THE_GRANT)
@pytest.mark.parametrize("origin", [Origin.LEDGER, Origin.STAFF, Origin.CUSTOMER_TEXT, Origin.DOCUMENT])
def test_a_record_has_the_origin_of_its_grant(argument: str, origin: Origin) -> None:
    arguments = ProposedArguments.model_validate({argument: "Z1", "reason_code": "other"})
    record = KnownRecord("Z1", _OF_THE_GRANT[argument], "ref", origin)
    assert _origin_of(argument, arguments, OriginContext((record,))) == (origin, None)
    stranger = KnownRecord("Z1", HandleKind.OUTSIDE, "ref", origin)
    assert _origin_of(argument, arguments, OriginContext((stranger,))) == (Origin.MODEL, None)
    assert _origin_of(argument, arguments, OriginContext()) == (Origin.MODEL, None)


@pytest.mark.parametrize("argument", _CHOSEN)
@pytest.mark.parametrize("origin", _WRITTEN)
def test_what_is_acted_on_has_the_origin_of_who_chose_it(argument: str, origin: Origin) -> None:
    arguments = ProposedArguments.model_validate({argument: "Z1", "reason_code": "other"})
    record = KnownRecord("Z1", _CHOSEN[argument], "ref", Origin.LEDGER)
    said = (Mention("handle", "Z1", origin), Mention("handle", "Z2", Origin.STAFF))
    assert _origin_of(argument, arguments, OriginContext((record,), said)) == (origin, None)
    assert _origin_of(argument, arguments, OriginContext((record,))) == (Origin.MODEL, None)
    assert _origin_of(argument, arguments, OriginContext((), said)) == (Origin.MODEL, None)


def test_without_a_record_nothing_is_from_the_ledger() -> None:
    found = {item.argument: item.origin for item in compute_origins(_ask(5000), OriginContext((SECOND,), NAMED))}
    assert found == dict.fromkeys(("transaction", "amount_minor", "currency", "reason_code"), Origin.MODEL)


# Destinations -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value"), [("handle", "B1"), ("token", TOKEN)]
)  # fmt: skip
@pytest.mark.parametrize(
    ("origins", "expected"),
    [
        ((), Origin.MODEL),
        ((Origin.STAFF,), Origin.STAFF),
        ((Origin.CUSTOMER_TEXT,), Origin.CUSTOMER_TEXT),
        ((Origin.DOCUMENT,), Origin.DOCUMENT),
        ((Origin.KNOWLEDGE_BASE,), Origin.KNOWLEDGE_BASE),
        ((Origin.DOCUMENT, Origin.CUSTOMER_TEXT), Origin.CUSTOMER_TEXT),
        ((Origin.DOCUMENT, Origin.STAFF), Origin.STAFF),
        ((Origin.LEDGER,), Origin.MODEL),
        ((Origin.DERIVED,), Origin.MODEL),
        # A verified text about a payee that is not verified proves nothing of him.
        ((Origin.KYC_VERIFIED,), Origin.MODEL),
    ],
)
def test_a_beneficiary_s_origin_is_who_chose_it(
    kind: MentionKind, value: str, origins: tuple[Origin, ...], expected: Origin
) -> None:
    context = OriginContext((ACCOUNT, PAYEE), tuple(Mention(kind, value, origin) for origin in origins))
    assert _origin_of("beneficiary", _pay(), context) == (expected, None)


def test_a_verified_payee_in_a_verified_text_is_verified() -> None:
    verified = KnownRecord("B1", HandleKind.BENEFICIARY, "ben_1", Origin.KYC_VERIFIED)
    said = Mention("handle", "B1", Origin.KYC_VERIFIED)
    assert _origin_of("beneficiary", _pay(), OriginContext((verified,), (said,))) == (Origin.KYC_VERIFIED, None)
    assert _origin_of("beneficiary", _pay(), OriginContext((verified,))) == (Origin.MODEL, None)


def test_another_payee_s_name_is_not_this_one_s() -> None:
    said = (Mention("handle", "B2", Origin.STAFF), Mention("token", OTHER_TOKEN, Origin.STAFF))
    assert _origin_of("beneficiary", _pay(), OriginContext((ACCOUNT, PAYEE), said)) == (Origin.MODEL, None)


@pytest.mark.parametrize(
    "origin", [Origin.STAFF, Origin.CUSTOMER_TEXT, Origin.DOCUMENT, Origin.KNOWLEDGE_BASE, Origin.KYC_VERIFIED]
)
def test_details_come_from_whoever_wrote_the_token(origin: Origin) -> None:
    arguments = ProposedArguments(beneficiary="B1", details=TOKEN, reason_code=ReasonCode.CUSTOMER_REQUEST)
    assert _origin_of("details", arguments, OriginContext((PAYEE,), (Mention("token", TOKEN, origin),))) == (origin, None)
    assert _origin_of("details", arguments, OriginContext((PAYEE,), (Mention("token", OTHER_TOKEN, origin),))) == (
        Origin.MODEL,
        None,
    )


@given(
    mentions=st.lists(
        st.builds(
            Mention, st.sampled_from(["handle", "token"]), st.sampled_from(["B1", TOKEN, "T1", "x"]), st.sampled_from(UNTRUSTED)
        )
    )
)
def test_words_of_others_never_become_a_trusted_destination(mentions: list[Mention]) -> None:
    context = OriginContext((ACCOUNT, PAYEE), tuple(mentions))
    assert _origin_of("beneficiary", _pay(), context)[0] not in TRUSTED_ORIGINS
    change = ProposedArguments(beneficiary="B1", details=TOKEN, reason_code=ReasonCode.OTHER)
    assert _origin_of("details", change, context)[0] not in TRUSTED_ORIGINS


def test_a_verdict_and_a_reason_are_the_model_s() -> None:
    arguments = ProposedArguments(verdict="clear", reason_code=ReasonCode.KYC)
    assert {item.argument: item.origin for item in compute_origins(arguments, OriginContext())} == {
        "verdict": Origin.MODEL, "reason_code": Origin.MODEL,
    }  # fmt: skip
