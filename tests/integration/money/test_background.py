"""What the money process finishes without being asked, and what its faults look like."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from psycopg import Connection

from serving.money.background import Background, Round
from serving.money.service import MoneyService
from tests.integration.gates.desk import Desk
from tests.integration.money.conftest import Process


def _propose(desk: Desk, amount_minor: int = 1290) -> str:
    charges = [desk.add_charge(amount_minor), desk.add_charge(amount_minor, minutes=1)]
    return desk.propose(desk.add_turn(charges), amount_minor=amount_minor)


def _background(process: Process) -> Background:
    return Background(MoneyService(process.deps))


def test_a_proposal_that_nobody_asked_for_is_decided_and_posted(process: Process) -> None:
    proposal_id = _propose(process.desk)
    _background(process).sweep()
    assert process.get(f"/v1/proposals/{proposal_id}").status_code == 404
    process.clock.shift = timedelta(seconds=5)
    background = _background(process)
    background.sweep()
    assert process.get(f"/v1/proposals/{proposal_id}").json()["posting"]["amount_minor"] == 1290
    assert background.faults == frozenset()


def test_an_allow_that_a_crash_left_is_executed_while_it_lives(process: Process) -> None:
    desk = process.desk
    decision = desk.decide(_propose(desk), now=process.clock.now())
    _background(process).sweep()
    view = process.get(f"/v1/decisions/{decision.decision_id}").json()
    assert view["posting"]["amount_minor"] == 1290


def test_an_allow_that_outlived_its_time_is_closed(process: Process) -> None:
    desk = process.desk
    decision = desk.decide(_propose(desk), now=process.clock.now())
    process.clock.shift = timedelta(seconds=61)
    _background(process).sweep()
    view = process.get(f"/v1/proposals/{decision.proposal_id}").json()
    assert view["decision"]["previous_decision_id"] == decision.decision_id
    assert [reason["code"] for reason in view["decision"]["reasons"]] == ["allow_expired"]
    assert view["posting"] is None


def test_a_late_decide_does_not_post_an_expired_allow(process: Process) -> None:
    desk = process.desk
    decision = desk.decide(_propose(desk), now=process.clock.now())
    process.clock.shift = timedelta(seconds=61)
    view = process.post(f"/v1/proposals/{decision.proposal_id}/decide").json()
    assert (view["decision"]["outcome"], view["posting"]) == ("deny", None)
    assert view["execution"]["code"] == "decision_expired"


def test_reviews_end_in_deny(process: Process) -> None:
    view = process.post(f"/v1/proposals/{_propose(process.desk, 45_000)}/decide").json()
    process.clock.shift = timedelta(hours=24, seconds=1)
    _background(process).sweep()
    closed = process.get(f"/v1/proposals/{view['decision']['proposal_id']}").json()
    assert [reason["code"] for reason in closed["decision"]["reasons"]] == ["review_expired"]


def test_a_fault_is_shown_stops_nothing_else_and_goes_away(process: Process, admin_conn: Connection[Any]) -> None:
    background = _background(process)
    background.install_policies()
    proposal_id = _propose(process.desk)
    process.clock.shift = timedelta(seconds=5)
    _take_policy_away(process, admin_conn)
    background.sweep()
    assert background.faults == {"no_usable_policy"}
    _background(process).install_policies()
    background.sweep()
    assert background.faults == frozenset()
    assert process.get(f"/v1/proposals/{proposal_id}").json()["decision"]["outcome"] == "allow"


def test_a_crash_in_one_act_is_kept_from_the_others() -> None:
    round_ = Round()
    done: list[str] = []
    for name, act in (("a", lambda: 1 // 0), ("b", lambda: done.append("b"))):
        round_.attempt(name, act)
    assert (round_.faults, done) == ({"a": "internal_error"}, ["b"])


def test_the_starter_policy_comes_into_force_once(process: Process, admin_conn: Connection[Any]) -> None:
    gate = process.desk.role("gate")
    aliases = "SELECT alias, version, moved_at FROM core.registry_aliases WHERE kind = 'policy'"
    background = _background(process)
    background.install_policies()
    in_force = gate.execute(aliases).fetchall()
    assert [row[0] for row in in_force] == ["production"]
    _background(process).install_policies()
    assert gate.execute(aliases).fetchall() == in_force
    _take_policy_away(process, admin_conn)
    background.install_policies()
    assert gate.execute(aliases).fetchall() == []
    _background(process).install_policies()
    assert [row[0] for row in gate.execute(aliases).fetchall()] == ["production"]


def _take_policy_away(process: Process, admin_conn: Connection[Any]) -> None:
    admin_conn.execute("DELETE FROM core.registry_aliases WHERE tenant_id = %s", [process.desk.tenant.tenant_id])
