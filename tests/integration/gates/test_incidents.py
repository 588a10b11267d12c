"""What of the gate becomes an incident, once, and who may say that he looks after it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from psycopg import Connection, errors

from domain.case import INCIDENT_KINDS, CaseKind, CaseOutcome, CaseState
from domain.decision import Decision
from domain.errors import InvalidInput
from domain.ids import InvalidId, make_id
from domain.incident import Incident
from gates.freezing import freeze, thaw
from gates.incidents import BURST_COUNT, BURST_WINDOW, watch_gate
from gates.policy.bundle import PolicyBundle
from gates.policy.lifecycle import Activation, approve_activation, request_activation
from gates.policy.registering import register_policy
from storage.cases import close_case, open_case
from storage.events import list_events_of
from storage.incidents import (
    AlreadyAcknowledged,
    IncidentNotFound,
    acknowledge_incident,
    list_incidents,
    require_incident,
)
from storage.unit_of_work import unit_of_work
from tests.conftest import ConnAs, Tenant
from tests.integration.gates.bundles import change_starter
from tests.integration.gates.desk import CLEO, KIM, LEE, NOW, Desk, codes_of, token_of

_OVERFLOW = (
    '@id("too-large")\n@outcome("review")\n@reason("velocity")\n'
    "forbid (principal, action, resource) when {"
    " context.velocity.tenant_1h_count - 9223372036854775807 - 9223372036854775807 > 0 };\n"
)


def use(desk: Desk, bundle: PolicyBundle) -> None:
    """Put a bundle in force: one administrator asks, another approves."""
    shelf, asks, approves = desk.rules.shelf, *(token_of(one, desk.tenant.tenant_id) for one in (KIM, LEE))
    register_policy(desk.scope, bundle, asks, now=desk.now)
    wanted = Activation(session_token=asks, sha256=bundle.sha256, target="champion", reason="the test asks for it")
    change = request_activation(desk.scope, shelf, wanted, now=desk.now)
    approve_activation(desk.scope, shelf, change.change_id, approves, now=desk.now)


def decide_some(desk: Desk, count: int) -> list[Decision]:
    """Ask for so many refunds, each of its own charge."""
    return [desk.decide_refund(desk.add_turn([desk.add_charge(), desk.add_charge(minutes=1)])) for _ in range(count)]


def watch(desk: Desk, now: datetime = NOW, *faults: str) -> list[str]:
    """Look, as the money process does every ten seconds."""
    with unit_of_work(desk.gate_pool, desk.tenant.context("gate")) as connection:
        return watch_gate(connection, faults=frozenset(faults), now=now)


def seen(desk: Desk, **query: Any) -> list[Incident]:
    """List incidents as the edge does."""
    return list_incidents(desk.role("edge"), **query)


@pytest.fixture
def broken_policy(desk: Desk) -> Desk:
    """A desk whose policy errs on every act."""
    text = change_starter().content["files"]["restrictions.cedar"]
    use(desk, change_starter(("restrictions.cedar", text, f"{text}\n{_OVERFLOW}")))
    return desk


def test_a_burst_of_undecided_acts_is_one_incident(broken_policy: Desk) -> None:
    desk = broken_policy
    decided = decide_some(desk, BURST_COUNT - 1)
    assert all("could_not_decide" in codes_of(one) for one in decided), [codes_of(one) for one in decided]
    assert watch(desk) == []
    decided += decide_some(desk, 1)
    (case_id,) = watch(desk)
    assert watch(desk) == []
    incident = require_incident(desk.role("edge"), case_id)
    assert (incident.case.kind, incident.case.subject) == (CaseKind.GATE_UNDECIDED, "gate")
    assert incident.case.facts["decisions"] == BURST_COUNT
    assert incident.case.facts["latest_decision_id"] in {one.decision_id for one in decided}
    assert incident.runbook == "docs/runbooks/gate_undecided.md"


def test_the_window_of_a_burst_is_half_open(broken_policy: Desk) -> None:
    desk = broken_policy
    decide_some(desk, BURST_COUNT)
    assert watch(desk, NOW + BURST_WINDOW) == []
    assert len(watch(desk, NOW + BURST_WINDOW - timedelta(microseconds=1))) == 1


def test_what_goes_on_after_it_was_closed_is_told_again_in_the_next_hour(desk: Desk) -> None:
    (first,) = watch(desk, NOW, "log_tampered")
    assert watch(desk, NOW + timedelta(hours=2), "log_tampered") == []
    edge = desk.role("edge")
    close_case(edge, first, operator_id=KIM, outcome=CaseOutcome.CORRECTED, note="restored", now=NOW)
    assert watch(desk, NOW, "log_tampered") == []
    (second,) = watch(desk, NOW + timedelta(hours=2), "log_tampered", "database_unavailable")
    assert [one.case.case_id for one in seen(desk)] == [second]
    assert {one.case.case_id for one in seen(desk, state=None)} == {first, second}
    assert [one.case.case_id for one in seen(desk, state=CaseState.CLOSED)] == [first]


def test_two_faults_of_one_log_are_one_open_incident(desk: Desk) -> None:
    assert len(watch(desk, NOW, "log_tampered", "anchor_mismatch")) == 1
    assert watch(desk, NOW, "anchor_mismatch") == []


def test_a_freeze_is_told_once_even_when_it_was_short(desk: Desk) -> None:
    tenant_id = desk.tenant.tenant_id
    made = freeze(desk.scope, token_of(CLEO, tenant_id), over="kind", subject="refund", reason="call Ana Ferreyra", now=NOW)
    thaw(desk.scope, token_of(KIM, tenant_id), made.freeze_id, now=NOW)
    (case_id,) = watch(desk, NOW + timedelta(seconds=10))
    assert watch(desk, NOW + timedelta(seconds=20)) == []
    case = require_incident(desk.role("edge"), case_id).case
    assert (case.kind, case.subject) == (CaseKind.GATE_FROZEN, made.freeze_id)
    assert (case.facts["scope"], case.facts["subject"], case.facts["frozen_by"]) == ("kind", "refund", CLEO)
    assert "Ana" not in str(case.facts)


def test_a_freeze_that_ended_closes_its_case_and_no_other(desk: Desk) -> None:
    tenant_id = desk.tenant.tenant_id
    made = freeze(desk.scope, token_of(CLEO, tenant_id), over="kind", subject="refund", reason="stop", now=NOW)
    other = freeze(desk.scope, token_of(CLEO, tenant_id), over="kind", subject="payment", reason="stop", now=NOW)
    watch(desk)
    thaw(desk.scope, token_of(KIM, tenant_id), made.freeze_id, now=NOW)
    closed = [one.case for one in seen(desk, state=None) if one.case.subject == made.freeze_id]
    assert [(case.state, case.closed_by, case.outcome) for case in closed] == [("closed", KIM, "explained")]
    assert [one.case.subject for one in seen(desk)] == [other.freeze_id]
    assert watch(desk) == []


def test_acknowledging_once(desk: Desk) -> None:
    (case_id,) = watch(desk, NOW, "log_tampered")
    edge = desk.role("edge")
    first = acknowledge_incident(edge, case_id, operator_id=KIM, note=" I compare with the anchors ", now=NOW)
    assert first.acknowledgement is not None
    assert (first.acknowledgement.acknowledged_by, first.acknowledgement.note) == (KIM, "I compare with the anchors")
    again = acknowledge_incident(edge, case_id, operator_id=KIM, note="twice", now=NOW + timedelta(hours=1))
    assert again == first
    with pytest.raises(AlreadyAcknowledged, match=KIM):
        acknowledge_incident(edge, case_id, operator_id=CLEO, note="me too", now=NOW)
    told = [one for one in list_events_of(edge, subject=case_id) if one.event_type == "incident.acknowledged"]
    assert [one.data for one in told] == [{"case_id": case_id, "kind": "log_tampered", "acknowledged_by": KIM}]


def test_open_ones_that_nobody_took_come_first(desk: Desk) -> None:
    (old,) = watch(desk, NOW - timedelta(hours=3), "log_tampered")
    freeze(desk.scope, token_of(CLEO, desk.tenant.tenant_id), over="tenant", subject="", reason="stop", now=NOW)
    (taken,) = watch(desk, NOW)
    acknowledge_incident(desk.role("edge"), taken, operator_id=KIM, note="mine", now=NOW)
    assert [one.case.case_id for one in seen(desk)] == [old, taken]
    assert [one.case.case_id for one in seen(desk, kind=CaseKind.GATE_FROZEN)] == [taken]
    assert seen(desk, kind=CaseKind.RECONCILIATION_BREAK) == []


@pytest.mark.parametrize("note", ["", "  ", "two\nlines", "x" * 1001])
def test_a_note_is_one_line_of_words(desk: Desk, note: str) -> None:
    (case_id,) = watch(desk, NOW, "log_tampered")
    with pytest.raises(InvalidInput, match="one line"):
        acknowledge_incident(desk.role("edge"), case_id, operator_id=KIM, note=note, now=NOW)
    assert require_incident(desk.role("edge"), case_id).acknowledgement is None


def test_only_incidents_are_acknowledged(desk: Desk) -> None:
    given: dict[str, Any] = {"facts": {}, "amount_minor": None, "currency": None, "now": NOW, "due_at": NOW}
    break_id = open_case(desk.role("jobs"), kind=CaseKind.RECONCILIATION_BREAK, subject="stl_1", **given)
    for case_id in (break_id, make_id("cas", NOW)):
        with pytest.raises(IncidentNotFound):
            acknowledge_incident(desk.role("edge"), case_id, operator_id=KIM, note="mine", now=NOW)
    with pytest.raises(InvalidId):
        require_incident(desk.role("edge"), "cas_1")
    assert seen(desk, state=None) == []


def test_every_kind_of_incident_can_be_opened(desk: Desk) -> None:
    given: dict[str, Any] = {"facts": {}, "amount_minor": None, "currency": None, "now": NOW, "due_at": NOW}
    for kind in INCIDENT_KINDS:
        open_case(desk.role("gate"), kind=kind, subject="test", **given)
    assert {one.case.kind for one in seen(desk)} == INCIDENT_KINDS


def test_nobody_changes_an_acknowledgement(
    desk: Desk, conn_as: ConnAs, other_tenant: Tenant, admin_conn: Connection[Any]
) -> None:
    (case_id,) = watch(desk, NOW, "log_tampered")
    acknowledge_incident(desk.role("edge"), case_id, operator_id=KIM, note="mine", now=NOW)
    for attack in (
        "DELETE FROM core.incident_acknowledgements",
        "UPDATE core.incident_acknowledgements SET acknowledged_by = 'opr_cleo'",
        "TRUNCATE core.incident_acknowledgements",
    ):
        for connection in (desk.role("edge"), admin_conn):
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(attack.encode())
    with pytest.raises(errors.InsufficientPrivilege):
        desk.role("gate").execute(
            "INSERT INTO core.incident_acknowledgements (tenant_id, case_id, acknowledged_by, acknowledged_at, note)"
            " VALUES (%s, %s, %s, %s, 'x')",
            [desk.tenant.tenant_id, case_id, LEE, NOW],
        )
    foreign = conn_as("edge", other_tenant)
    assert list_incidents(foreign, state=None) == []
    with pytest.raises(IncidentNotFound):
        acknowledge_incident(foreign, case_id, operator_id=KIM, note="mine", now=NOW)
