"""Bad input: a named code, or an error that says which field of which request; and nothing is written."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.errors import InvalidInput
from domain.transfer import MAX_AMOUNT_MINOR, SYSTEM_CODES, Balancing, ResultCode, TransferKind
from tests.conformance.ledger.scene import (
    ALICE,
    NOW,
    Scene,
    codes_of,
    make_hold,
    make_post,
    make_request,
    make_reversal,
    make_void,
)


@pytest.mark.parametrize(
    ("amount_minor", "code"),
    [
        (0, ResultCode.AMOUNT_NOT_POSITIVE),
        (-1, ResultCode.AMOUNT_NOT_POSITIVE),
        (-(2**63), ResultCode.AMOUNT_NOT_POSITIVE),
        (-(2**63) - 1, ResultCode.AMOUNT_NOT_POSITIVE),
        (MAX_AMOUNT_MINOR + 1, ResultCode.AMOUNT_OUT_OF_RANGE),
        (2**63 - 1, ResultCode.AMOUNT_OUT_OF_RANGE),
        (2**63, ResultCode.AMOUNT_OUT_OF_RANGE),
        (2**200, ResultCode.AMOUNT_OUT_OF_RANGE),
    ],
)
def test_an_integer_that_is_no_amount_has_a_code(scene: Scene, amount_minor: int, code: ResultCode) -> None:
    before = scene.picture()
    good = make_request()
    scene.allow(good)
    results = scene.ask(make_request(amount_minor=amount_minor), make_hold(amount_minor=amount_minor))
    assert codes_of(results) == [code, code]
    assert scene.picture() == before
    assert codes_of(scene.ask(make_request(amount_minor=amount_minor), good)) == [code, ResultCode.ACCEPTED]


@pytest.mark.parametrize("amount", [1.0, 1.5, float("nan"), float("inf"), "100", b"1", None, True, [1]], ids=repr)
def test_what_is_no_integer_is_an_error(scene: Scene, amount: Any) -> None:
    good, bad = make_request(), make_request(amount_minor=amount)
    scene.allow(good)
    before = scene.picture()
    with pytest.raises(InvalidInput, match=r"requests\[1\]\.amount_minor"):
        scene.ask(good, bad)
    with pytest.raises(InvalidInput, match=r"requests\[0\]\.amount_minor"):
        scene.allow(bad)
    assert scene.picture() == before
    assert codes_of(scene.ask(good)) == [ResultCode.ACCEPTED]


_OTHER_TYPES: list[tuple[str, Any]] = [
    ("transfer_id", "0192f8a0-0000-7000-8000-000000000001"),
    ("kind", "posted"),
    ("kind", None),
    ("debit", None),
    ("credit", 7),
    ("currency", None),
    ("code", 1),
    ("linked", 1),
    ("target_id", "x"),
    ("balancing", "debit"),
    ("occurred_at", datetime(2026, 1, 1)),  # noqa: DTZ001
    ("occurred_at", "2026-01-01T00:00:00Z"),
    ("occurred_at", None),
    ("hold_expires_at", datetime(2027, 1, 1)),  # noqa: DTZ001
    ("hold_expires_at", datetime(2027, 1, 1, tzinfo=timezone(timedelta(hours=2)))),
]


@pytest.mark.parametrize(("name", "value"), _OTHER_TYPES, ids=lambda value: str(value)[:20])
def test_a_field_of_another_type_is_an_error(scene: Scene, name: str, value: Any) -> None:
    good = make_request()
    scene.allow(good)
    before = scene.picture()
    with pytest.raises(InvalidInput, match=rf"requests\[1\]\.{name}"):
        scene.ask(good, make_request(**{name: value}))
    assert scene.picture() == before


def test_times_of_the_caller_are_in_utc(scene: Scene) -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001
    with pytest.raises(InvalidInput):
        scene.ask(make_request(), now=naive)
    with pytest.raises(InvalidInput):
        scene.ledger.expire_holds(now=naive)
    with pytest.raises(InvalidInput):
        scene.ledger.find_balance_at(ALICE, "EUR", naive)


def test_fields_that_do_not_fit_the_kind(scene: Scene) -> None:
    moved, hold = make_request(), make_hold()
    scene.do(moved, hold)
    later = NOW + timedelta(days=1)
    wrong = [
        make_request(target_id=moved.transfer_id),
        make_hold(target_id=hold.transfer_id),
        make_post(hold, target_id=None),
        make_void(hold, target_id=None),
        make_reversal(moved, target_id=None),
        make_request(hold_expires_at=later),
        make_post(hold, hold_expires_at=later),
        make_void(hold, hold_expires_at=later),
        make_reversal(moved, hold_expires_at=later),
        make_hold(hold_expires_at=NOW),
        make_post(hold, balancing=Balancing.DEBIT),
        make_void(hold, balancing=Balancing.CREDIT),
        make_request(kind=TransferKind.EXPIRE, target_id=hold.transfer_id),
        *(make_request(code=code) for code in sorted(SYSTEM_CODES)),
        *(make_request(kind=TransferKind.EXPIRE, target_id=hold.transfer_id, code=code) for code in sorted(SYSTEM_CODES)),
    ]
    before = scene.picture()
    scene.allow(*wrong)
    assert codes_of(scene.ask(*wrong)) == [ResultCode.FIELDS_DO_NOT_FIT_KIND] * len(wrong)
    assert scene.picture() == before


def test_one_account_on_both_sides(scene: Scene) -> None:
    assert codes_of(scene.put(make_request(credit=ALICE))) == [ResultCode.ACCOUNTS_THE_SAME]
    assert codes_of(scene.put(make_request(debit="customer:nobody", credit="customer:nobody"))) == [ResultCode.ACCOUNTS_THE_SAME]


@pytest.mark.parametrize(
    "text", ["", "|", "customer:a|EUR", "customer:\u0131", "customer:a\nb", "x" * 10_000, "'; DROP TABLE x; --"]
)
def test_an_account_code_of_any_text_is_only_unknown(scene: Scene, text: str) -> None:
    assert codes_of(scene.put(make_request(debit=text), make_request(credit=text))) == [
        ResultCode.DEBIT_ACCOUNT_NOT_FOUND, ResultCode.CREDIT_ACCOUNT_NOT_FOUND,
    ]  # fmt: skip


def test_offenders_do_not_hold_up_the_rest(scene: Scene) -> None:
    good = [make_request(amount_minor=amount_minor) for amount_minor in range(1, 51)]
    bad = [
        make_request(amount_minor=0),
        make_request(debit="escrow:purse"),
        make_request(credit="customer:nobody"),
        make_request(),
    ]
    scene.allow(*good, *bad[1:3])
    mixed = [*good[:10], bad[0], *good[10:20], bad[1], *good[20:30], bad[2], *good[30:], bad[3]]
    codes = dict(zip((request.transfer_id for request in mixed), codes_of(scene.ask(*mixed)), strict=True))
    assert {codes[request.transfer_id] for request in good} == {ResultCode.ACCEPTED}
    assert [codes[request.transfer_id] for request in bad] == [
        ResultCode.AMOUNT_NOT_POSITIVE, ResultCode.LIMIT_EXCEEDED, ResultCode.CREDIT_ACCOUNT_NOT_FOUND, ResultCode.NOT_AUTHORIZED,
    ]  # fmt: skip


@pytest.mark.parametrize("transfer_id", [UUID(int=0), UUID(int=2**128 - 1), uuid4()], ids=["zero", "max", "random"])
def test_any_uuid_is_an_id(scene: Scene, transfer_id: UUID) -> None:
    request = make_request(transfer_id=transfer_id)
    scene.do(request)
    assert codes_of(scene.ask(request, replace(request, amount_minor=1))) == [ResultCode.ALREADY_ACCEPTED, ResultCode.ID_CONFLICT]
