"""The written precedence of result codes: each step repairs one fault and meets the next one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.ids import make_id, uuid_of
from domain.transfer import TransferCode, TransferKind, TransferRequest, digest_transfer
from ledger.results import Execution, ExecutionCode
from ledger.transfer_digest import derive_transfer_id
from tests.conftest import Tenant
from tests.integration.ledger.books import find_faults
from tests.integration.ledger.scene import ACCOUNT, NOW, Scene, Written

_MOST = 2**53 - 1
# From the first code that can hide others to the last; the ladder starts with all of these faults in one request.
_LADDER = [
    ExecutionCode.TRANSFER_ID_TAKEN,
    ExecutionCode.ACTION_NOT_EXECUTABLE,
    ExecutionCode.OUTCOME_NOT_ALLOW,
    ExecutionCode.FROZEN,
    ExecutionCode.DECISION_SUPERSEDED,
    ExecutionCode.DECISION_EXPIRED,
    ExecutionCode.DIGEST_MISMATCH,
    ExecutionCode.TRANSACTION_NOT_FOUND,
    ExecutionCode.TRANSACTION_NOT_REFUNDABLE,
    ExecutionCode.ACCOUNT_MISMATCH,
    ExecutionCode.CURRENCY_MISMATCH,
    ExecutionCode.EXCEEDS_REFUNDABLE,
    ExecutionCode.REFUSED_BEFORE,
    ExecutionCode.NOT_AUTHORIZED,
    ExecutionCode.ACCOUNT_CLOSED,
    ExecutionCode.ACCOUNT_STOPPED,
    ExecutionCode.LIMIT_EXCEEDED,
    ExecutionCode.BALANCE_OUT_OF_RANGE,
]


def _execute_with(scene: Scene, faults: set[ExecutionCode]) -> Execution:
    """Execute one request that has exactly these faults."""
    _spoil_house_account(scene, faults)
    charge = _add_charge(scene, faults)
    overrides: dict[str, Any] = {}
    if ExecutionCode.ACTION_NOT_EXECUTABLE in faults:
        overrides["kind"] = "unlisted"
    if ExecutionCode.OUTCOME_NOT_ALLOW in faults:
        overrides["outcome"] = "review"
    if ExecutionCode.DIGEST_MISMATCH in faults:
        overrides["transfer_digest"] = bytes(32)
    decision = scene.decide(charge, 5000, **overrides)
    if ExecutionCode.DECISION_SUPERSEDED in faults:
        scene.decide(charge, 5000, previous=decision, outcome="deny")
    if ExecutionCode.REFUSED_BEFORE in faults:
        _refuse_for_good(scene, decision.decision_id)
    if ExecutionCode.NOT_AUTHORIZED in faults:
        transfer_id = derive_transfer_id(decision.decision_id)
        scene.admin.execute("DELETE FROM gate.authorizations WHERE transfer_id = %s", [transfer_id])
    now = NOW + timedelta(seconds=60 if ExecutionCode.DECISION_EXPIRED in faults else 59)
    taken = _taken_transfer_id(scene) if ExecutionCode.TRANSFER_ID_TAKEN in faults else None
    if ExecutionCode.FROZEN in faults:
        scene.admin.execute(
            "INSERT INTO gate.freezes (tenant_id, freeze_id, scope, frozen_by, frozen_at, reason)"
            " VALUES (%s, %s, 'tenant', 'opr_kim', %s, 'x')",
            [scene.tenant.tenant_id, make_id("frz", NOW), NOW],
        )
    return scene.execute(decision.decision_id, now=now, transfer_id=taken)


def _refuse_for_good(scene: Scene, decision_id: str) -> None:
    """Write what the ledger writes when the accounts refuse the decision's transfer."""
    request = TransferRequest(
        transfer_id=derive_transfer_id(decision_id),
        kind=TransferKind.POSTED,
        debit="house:refunds:EUR",
        credit=f"customer:{ACCOUNT}",
        amount_minor=5000,
        currency="EUR",
        code=TransferCode.REFUND,
        occurred_at=NOW,
    )
    with scene.admin.transaction():
        scene.admin.execute("SELECT SET_CONFIG('tellergate.tenant', %s, TRUE)", [scene.tenant.tenant_id])
        scene.admin.execute("SET LOCAL ROLE ledger_writer")
        scene.admin.execute(
            "INSERT INTO ledger.refusals (tenant_id, transfer_id, decision_id, code, digest, refused_at)"
            " VALUES (%s, %s, %s, 'limit_exceeded', %s, %s)",
            [
                scene.tenant.tenant_id,
                request.transfer_id,
                uuid_of(decision_id),
                digest_transfer(request, tenant_id=scene.tenant.tenant_id),
                NOW,
            ],
        )


def _add_charge(scene: Scene, faults: set[ExecutionCode]) -> str:
    if ExecutionCode.TRANSACTION_NOT_FOUND in faults:
        return "txn_ffffffffffff"
    account_id = ACCOUNT
    if ExecutionCode.ACCOUNT_MISMATCH in faults:
        account_id = f"acc_{uuid4().hex[:12]}"
        scene.add_account("cus_000000000002", account_id)
    return scene.add_charge(
        4999 if ExecutionCode.EXCEEDS_REFUNDABLE in faults else 5000,
        account_id=account_id,
        currency="USD" if ExecutionCode.CURRENCY_MISMATCH in faults else "EUR",
        status="declined" if ExecutionCode.TRANSACTION_NOT_REFUNDABLE in faults else "posted",
    )


def _taken_transfer_id(scene: Scene) -> UUID:
    """Post another currency's refund, so that the EUR accounts stay as they are."""
    other = scene.decide(scene.add_charge(1, currency="JPY"), 1, currency="JPY")
    assert scene.execute(other.decision_id).code is ExecutionCode.POSTED
    return derive_transfer_id(other.decision_id)


def _spoil_house_account(scene: Scene, faults: set[ExecutionCode]) -> None:
    scene.admin.execute(
        "INSERT INTO ledger.accounts (tenant_id, code, currency, created_at) VALUES (%s, 'house:refunds:EUR', 'EUR', %s)"
        " ON CONFLICT DO NOTHING",
        [scene.tenant.tenant_id, NOW],
    )
    full = _MOST - 4999 if ExecutionCode.BALANCE_OUT_OF_RANGE in faults else 0
    scene.admin.execute(
        "UPDATE ledger.accounts SET closed = %s, stopped = %s, debits_must_not_exceed_credits = %s, debits_posted_minor = %s,"
        " credits_posted_minor = %s WHERE tenant_id = %s AND code = 'house:refunds:EUR'",
        [
            ExecutionCode.ACCOUNT_CLOSED in faults,
            ExecutionCode.ACCOUNT_STOPPED in faults,
            ExecutionCode.LIMIT_EXCEEDED in faults,
            full,
            full,
            scene.tenant.tenant_id,
        ],
    )


@pytest.mark.parametrize("step", range(len(_LADDER) + 1))
def test_each_repaired_fault_meets_the_next(scene: Scene, step: int) -> None:
    execution = _execute_with(scene, set(_LADDER[step:]))
    expected = [*_LADDER, ExecutionCode.POSTED][step]
    assert execution.code is expected
    assert (execution.posting is not None) == (expected is ExecutionCode.POSTED)


def test_the_ladder_is_the_written_order() -> None:
    beside = {
        ExecutionCode.DECISION_NOT_FOUND,
        ExecutionCode.ALREADY_POSTED,
        ExecutionCode.DECISION_CONSUMED,
        ExecutionCode.DECISION_NOT_YET_VALID,
        ExecutionCode.POSTED,
        # Of other acts than a refund: tests/integration/gates/test_acts.py.
        ExecutionCode.HOLD_NOT_OPEN,
        ExecutionCode.ACCOUNT_NOT_FOUND,
        ExecutionCode.EXCEEDS_DISPUTE,
        ExecutionCode.BENEFICIARY_NOT_FOUND,
        ExecutionCode.BENEFICIARY_MISMATCH,
        ExecutionCode.HELD,
        ExecutionCode.EXECUTED,
    }
    assert [code for code in ExecutionCode if code not in beside] == _LADDER


def test_what_was_posted_answers_before_any_fault(scene: Scene) -> None:
    decision = scene.decide(scene.add_charge(5000), 5000)
    late = NOW + timedelta(days=400)
    assert scene.execute(decision.decision_id).code is ExecutionCode.POSTED
    _spoil_house_account(scene, {ExecutionCode.ACCOUNT_CLOSED})
    assert scene.execute(decision.decision_id, now=late).code is ExecutionCode.ALREADY_POSTED
    assert scene.execute(decision.decision_id, transfer_id=uuid4(), now=late).code is ExecutionCode.DECISION_CONSUMED


_UNKNOWN: list[Callable[[Scene, Written], str]] = [
    lambda scene, written: f"dec_{'0' * 32}",
    lambda scene, written: "",
    lambda scene, written: written.decision_id.upper(),
]


@pytest.mark.parametrize("unknown", _UNKNOWN)
def test_an_unknown_decision_moves_nothing(scene: Scene, unknown: Callable[[Scene, Written], str]) -> None:
    written = scene.decide(scene.add_charge())
    transfer_id = derive_transfer_id(written.decision_id)
    assert scene.execute(unknown(scene, written), transfer_id=transfer_id).code is ExecutionCode.DECISION_NOT_FOUND


def test_a_decision_moves_money_under_its_own_transfer_id_alone(scene: Scene) -> None:
    written = scene.decide(scene.add_charge())
    assert scene.execute(written.decision_id, transfer_id=uuid4()).code is ExecutionCode.DIGEST_MISMATCH
    assert scene.execute(written.decision_id).code is ExecutionCode.POSTED


def test_a_decision_that_the_accounts_refused_stays_refused(scene: Scene) -> None:
    """The reason has passed and the decision still lives: a retry cannot slip through."""
    _spoil_house_account(scene, {ExecutionCode.ACCOUNT_STOPPED})
    written = scene.decide(scene.add_charge(5000), 5000)
    assert scene.execute(written.decision_id).code is ExecutionCode.ACCOUNT_STOPPED
    _spoil_house_account(scene, set())
    assert scene.execute(written.decision_id).code is ExecutionCode.REFUSED_BEFORE
    assert find_faults(scene.admin, scene.tenant.tenant_id) == {}


def test_another_tenants_decision_is_unknown(scene: Scene, other_tenant: Tenant) -> None:
    other = Scene(other_tenant, scene.conn_as, scene.admin)
    theirs = other.decide(other.add_charge())
    assert scene.execute(theirs.decision_id).code is ExecutionCode.DECISION_NOT_FOUND
    assert other.execute(theirs.decision_id).code is ExecutionCode.POSTED


@pytest.mark.parametrize("outcome", ["review", "hold", "deny"])
def test_only_an_allow_moves_money(scene: Scene, outcome: str) -> None:
    written = scene.decide(scene.add_charge(), outcome=outcome)
    assert scene.execute(written.decision_id).code is ExecutionCode.OUTCOME_NOT_ALLOW


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (-1, ExecutionCode.DECISION_NOT_YET_VALID),
        (0, ExecutionCode.POSTED),
        (59.999999, ExecutionCode.POSTED),
        (60, ExecutionCode.DECISION_EXPIRED),
        (10**6, ExecutionCode.DECISION_EXPIRED),
    ],
)
def test_a_decision_lives_sixty_seconds(scene: Scene, seconds: float, code: ExecutionCode) -> None:
    written = scene.decide(scene.add_charge())
    assert scene.execute(written.decision_id, now=NOW + timedelta(seconds=seconds)).code is code


@pytest.mark.parametrize("kind", ["transfer_in", "payout", "merchant_refund", "salary"])
def test_what_is_no_charge_is_not_refunded(scene: Scene, kind: str) -> None:
    written = scene.decide(scene.add_charge(kind=kind))
    assert scene.execute(written.decision_id).code is ExecutionCode.TRANSACTION_NOT_REFUNDABLE


def test_a_charge_of_another_customers_account_is_not_refunded(scene: Scene) -> None:
    scene.add_account("cus_000000000002", "acc_000000000002")
    theirs = scene.add_charge(account_id="acc_000000000002")
    assert scene.execute(scene.decide(theirs).decision_id).code is ExecutionCode.ACCOUNT_MISMATCH
    own_account_other_customer = scene.decide(theirs, account_id="acc_000000000002")
    assert scene.execute(own_account_other_customer.decision_id).code is ExecutionCode.ACCOUNT_MISMATCH
