"""Receipts cut from the real log, checked by the real verifier as its own process in another folder."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gates.receipts.export import UnknownDecision, export_receipt, render_receipt
from gates.receipts.sequencing import LogTampered
from ledger.results import ExecutionCode
from tests.conftest import Tenant
from tests.integration.ledger.scene import ACCOUNT, Scene, Written
from tests.integration.receipts.conftest import Log

_VERIFIER = Path(__file__).parents[3] / "gates" / "standalone" / "verify_receipt.py"


def _posted(log: Log) -> Written:
    decision = log.scene.decide(log.scene.add_charge())
    assert log.scene.execute(decision.decision_id).code is ExecutionCode.POSTED
    return decision


def _verify(log: Log, content: bytes, folder: Path) -> tuple[int, dict[str, Any]]:
    """Run a copy of the verifier with an empty environment in a folder that holds nothing of ours."""
    elsewhere = folder / "auditor"
    elsewhere.mkdir(exist_ok=True)
    shutil.copy(_VERIFIER, elsewhere)
    (elsewhere / "receipt.json").write_bytes(content)
    shutil.copy(log.key_file, elsewhere / "key.pub")
    command = [sys.executable, "-I", "verify_receipt.py", "receipt.json", "--key", "key.pub", "--json"]
    done = subprocess.run(command, cwd=elsewhere, env={}, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, json.loads(done.stdout or done.stderr)


def _export(log: Log, decision_id: str) -> bytes:
    receipt = log.export(decision_id)
    assert receipt is not None
    return render_receipt(receipt)


def test_a_posted_refund_verifies_offline(log: Log, tmp_path: Path) -> None:
    decision = _posted(log)
    assert log.export(decision.decision_id) is None
    log.sequence()
    status, proved = _verify(log, _export(log, decision.decision_id), tmp_path)
    assert (status, proved["verified"]) == (0, True)
    assert proved["decision"]["outcome"] == "allow"
    posting = proved["posting"]
    assert (posting["amount_minor"], posting["currency"], posting["credit"]) == (4990, "EUR", f"customer:{ACCOUNT}")
    assert (posting["debit_balance_after_minor"], posting["credit_balance_after_minor"]) == (None, 4990)


def test_a_receipt_is_pending_until_its_last_record_is_placed(log: Log) -> None:
    decision = log.scene.decide(log.scene.add_charge())
    log.sequence()
    # It may still be carried out: a receipt without that would say that nothing was done.
    assert log.export(decision.decision_id) is None
    assert log.scene.execute(decision.decision_id).code is ExecutionCode.POSTED
    assert log.export(decision.decision_id) is None
    log.sequence()
    assert len((log.export(decision.decision_id) or pytest.fail("no receipt")).records) == 4


def test_an_approved_refund_shows_who_approved_what(log: Log, tmp_path: Path) -> None:
    charge = log.scene.add_charge(90000)
    reviewed = log.scene.decide(charge, 90000, outcome="review")
    approval = log.scene.approve(reviewed)
    allowed = log.scene.decide(charge, 90000, previous=reviewed, approval=approval)
    assert log.scene.execute(allowed.decision_id).code is ExecutionCode.POSTED
    log.sequence()
    status, proved = _verify(log, _export(log, allowed.decision_id), tmp_path)
    assert status == 0, proved
    assert proved["decision"]["decisions_in_chain"] == 2
    assert proved["reviews"] == [{"event_type": "review.approved", "operator_id": "opr_cleo"}]
    status, proved = _verify(log, _export(log, reviewed.decision_id), tmp_path)
    assert status == 0, proved
    assert (proved["decision"]["outcome"], proved["posting"]) == ("review", None)


def test_an_approval_by_who_asked_is_refused_by_the_verifier(log: Log, tmp_path: Path) -> None:
    """The gate refuses it first; if it ever did not, every holder of the receipt would see it."""
    charge = log.scene.add_charge()
    reviewed = log.scene.decide(charge, outcome="review")
    allowed = log.scene.decide(charge, previous=reviewed, approval=log.scene.approve(reviewed, operator_id="opr_ada"))
    assert log.scene.execute(allowed.decision_id).code is ExecutionCode.POSTED
    log.sequence()
    status, answer = _verify(log, _export(log, allowed.decision_id), tmp_path)
    assert (status, answer["reason"]) == (1, "the approver is who asked")


@pytest.mark.parametrize("outcome", ["deny", "review"])
def test_a_decision_that_moved_nothing_has_a_receipt_too(log: Log, tmp_path: Path, outcome: str) -> None:
    decision = log.scene.decide(log.scene.add_charge(), outcome=outcome)
    log.sequence()
    status, proved = _verify(log, _export(log, decision.decision_id), tmp_path)
    assert (status, proved["decision"]["outcome"], proved["posting"]) == (0, outcome, None)


def test_a_hold_that_is_not_placed_yet_has_no_receipt(log: Log) -> None:
    decision = log.scene.decide(log.scene.add_charge(), outcome="hold")
    log.sequence()
    assert log.export(decision.decision_id) is None


def test_receipts_of_a_long_log_verify(log: Log, tmp_path: Path) -> None:
    decisions = []
    for _ in range(12):
        decisions.append(_posted(log))
        log.sequence(limit=3)
    log.sequence()
    for decision in (decisions[0], decisions[5], decisions[-1]):
        status, proved = _verify(log, _export(log, decision.decision_id), tmp_path)
        assert (status, proved["log"]["size"]) == (0, 48), proved


def test_a_record_that_was_edited_after_it_was_logged_is_noticed(log: Log) -> None:
    decision = _posted(log)
    log.sequence()
    admin = log.scene.admin
    admin.execute("ALTER TABLE core.events DISABLE TRIGGER append_only")
    try:
        admin.execute(
            "UPDATE core.events SET amount_minor = 1 WHERE tenant_id = %s AND event_type = 'gate.decided'",
            [log.scene.tenant.tenant_id],
        )
    finally:
        admin.execute("ALTER TABLE core.events ENABLE ALWAYS TRIGGER append_only")
    with pytest.raises(LogTampered, match=decision.event.event_id):
        log.export(decision.decision_id)


def test_an_auditor_exports_and_another_tenant_does_not(log: Log, other_tenant: Tenant) -> None:
    decision = _posted(log)
    log.sequence()
    auditor = log.scene.conn_as("auditor", log.scene.tenant)
    assert export_receipt(auditor, decision.decision_id) == log.export(decision.decision_id)
    other = Scene(other_tenant, log.scene.conn_as, log.scene.admin)
    with pytest.raises(UnknownDecision):
        export_receipt(other.gate, decision.decision_id)
