"""The money process tells people what went wrong: a refused artifact, a log that was changed, a freeze."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg import Connection

from gates.freezing import freeze
from gates.registry import NoUsableScore
from serving.money.background import Background
from serving.money.service import MoneyService
from storage.incidents import list_incidents
from tests.integration.gates.desk import CLEO, token_of
from tests.integration.money.conftest import Process
from tests.integration.money.test_unapproved import _start, _tamper_with_score, _with_card


def told(process: Process) -> list[tuple[str, dict[str, Any]]]:
    """Return kind and facts of the open incidents."""
    incidents = list_incidents(process.desk.role("edge"))
    return [(one.case.kind.value, one.case.facts) for one in incidents]


def test_a_refused_score_is_told_once_an_hour(process: Process, admin_conn: Connection[Any]) -> None:
    _start(process.deps)
    assert told(process) == []
    _tamper_with_score(process, admin_conn)
    deps = _with_card(process, process.deps.rules.scorecard)
    for _ in range(2):
        with pytest.raises(NoUsableScore):
            _start(deps)
    ((kind, facts),) = told(process)
    assert (kind, facts["fault"]) == ("artifact_unapproved", "no_usable_score")
    assert "scorecard:refund" in facts["detail"]


def test_a_changed_log_is_told(process: Process, admin_conn: Connection[Any]) -> None:
    background = Background(MoneyService(process.deps))
    _allow(process)
    background.sequence()
    background.anchor_heads()
    assert (background.faults, told(process)) == (frozenset(), [])
    with admin_conn.transaction():
        admin_conn.execute("ALTER TABLE gate.checkpoints DISABLE TRIGGER append_only")
        admin_conn.execute("DELETE FROM gate.checkpoints WHERE tenant_id = %s", [process.desk.tenant.tenant_id])
        admin_conn.execute("ALTER TABLE gate.checkpoints ENABLE ALWAYS TRIGGER append_only")
    _allow(process)
    for _ in range(2):
        background.sequence()
        background.anchor_heads()
    assert background.faults == {"log_tampered"}
    assert told(process) == [("log_tampered", {"fault": "log_tampered"})]


def test_a_freeze_is_told(process: Process) -> None:
    desk, background = process.desk, Background(MoneyService(process.deps))
    made = freeze(desk.scope, token_of(CLEO, desk.tenant.tenant_id), over="tenant", subject="", reason="stop", now=desk.now)
    background.anchor_heads()
    background.anchor_heads()
    ((kind, facts),) = told(process)
    assert (kind, facts["freeze_id"]) == ("gate_frozen", made.freeze_id)


def _allow(process: Process) -> None:
    desk = process.desk
    proposal_id = desk.propose(desk.add_turn([desk.add_charge(), desk.add_charge(minutes=1)]))
    MoneyService(process.deps).decide(desk.tenant.tenant_id, proposal_id)
