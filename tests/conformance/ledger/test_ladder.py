"""The written precedence of the codes: from every fault at once to none, for every kind; and each two faults alone."""

from __future__ import annotations

import pytest

from domain.transfer import ResultCode, TransferKind
from tests.conformance.ledger.implementations import MakeLedger
from tests.conformance.ledger.ladder import RUNGS, Rig, list_ladder, list_pairs


def test_every_code_has_a_rung() -> None:
    assert {code for rungs in RUNGS.values() for code in rungs} == set(ResultCode)
    assert set(RUNGS) == set(TransferKind)


def test_the_rungs_stand_in_the_order_of_the_codes() -> None:
    order = list(ResultCode)
    for rungs in RUNGS.values():
        assert [order.index(code) for code in rungs] == sorted(order.index(code) for code in rungs)


@pytest.mark.parametrize("kind", list(TransferKind))
def test_repairing_one_fault_meets_the_next(make_ledger: MakeLedger, kind: TransferKind) -> None:
    met = [Rig(make_ledger(), kind, faults).ask().code for _, faults in list_ladder(kind)]
    assert met == [code for code, _ in list_ladder(kind)]


@pytest.mark.parametrize("kind", list(TransferKind))
def test_of_two_faults_the_first_is_named(make_ledger: MakeLedger, kind: TransferKind) -> None:
    wrong = []
    for code, faults in list_pairs(kind):
        met = Rig(make_ledger(), kind, faults).ask().code
        if met is not code:
            wrong.append(f"{sorted(faults)}: {met}")
    assert wrong == []
