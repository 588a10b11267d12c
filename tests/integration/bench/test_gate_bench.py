"""A small run of the gate's bench on a server of its own: proposals are decided and posted, and what is missing is counted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.gate import list_broken
from bench.gating.busy import keeping_busy
from bench.gating.desk import TENANT, GateDesk, insert_proposals
from bench.gating.load import run_load
from bench.gating.profile import take_profile
from bench.gating.replaying import measure_replay
from bench.peer.server import BenchServer, start_server
from gates.submission import decide_proposal

NONE = {"unposted": 0, "unallowed": 0, "unplaced": 0}


@pytest.fixture(scope="module")
def server() -> Iterator[BenchServer]:
    with start_server() as running:
        yield running


@pytest.fixture(scope="module")
def desk(server: BenchServer) -> GateDesk:
    made = GateDesk(server, acts=400)
    made.set_up()
    made.warm_up(20)
    return made


def test_a_warm_desk_has_decided_every_way_and_lost_nothing(desk: GateDesk) -> None:
    assert desk.count_outcomes() == {"allow": 18, "review": 1, "deny": 1}
    assert desk.count_breaches() == NONE


def test_a_load_is_decided_posted_and_placed(desk: GateDesk) -> None:
    timings = run_load(desk, rate_per_s=20, seconds=2, carried_out=True)
    assert timings.faults == {}
    assert len(timings.decided_us) == 40
    assert len(timings.posted_us) == 36
    assert min(timings.posted_us) > min(timings.decided_us) > 0
    assert desk.count_breaches() == NONE


def test_what_is_left_over_is_counted(desk: GateDesk) -> None:
    # One of twenty is denied, one reviewed; this one is neither.
    while desk.taken % 20 > 10:
        desk.take_proposals(1)
    (proposal,) = desk.take_proposals(1)
    with desk.connect("ai") as ai:
        insert_proposals(ai, [proposal])
    with desk.open_service() as service:
        decide_proposal(service.scope(TENANT), service.deps.rules, proposal.proposal_id, now=service.deps.clock.now())
    # Its submission and its decision wait for their places, and nothing carried it out.
    assert desk.count_breaches() == {"unposted": 1, "unallowed": 0, "unplaced": 2}


def test_a_load_that_is_only_decided_posts_nothing(desk: GateDesk) -> None:
    before = desk.count_breaches()["unposted"]
    with keeping_busy(service=False) as busy_with:
        timings = run_load(desk, rate_per_s=10, seconds=1, carried_out=False)
    assert "for vLLM" in busy_with
    assert (len(timings.decided_us), timings.posted_us) == (10, [])
    after = desk.count_breaches()
    assert after["unposted"] > before
    assert after["unplaced"] == 0


def test_more_acts_than_the_desk_was_set_up_for_are_refused(desk: GateDesk) -> None:
    with pytest.raises(RuntimeError, match="set up for 400 acts"):
        desk.take_proposals(401)


def test_the_profile_explains_both_parts(desk: GateDesk) -> None:
    profile = take_profile(desk, 10)
    assert [phase.name for phase in profile.phases] == ["decided", "carried out and read back"]
    assert any(one.statement.startswith("INSERT INTO gate.decisions") for one in profile.phases[0].statements)
    assert any("execute_decision" in one.statement for one in profile.phases[1].statements)
    assert "CPU" in profile.render()


def test_what_was_stored_replays_the_same_and_a_changed_row_does_not(desk: GateDesk) -> None:
    said: list[str] = []
    figures = measure_replay(desk, 120, say=said.append)
    assert {figure.name: figure.value for figure in figures}["replay_differences"] == 0
    assert list_broken(figures) == []
    with desk.connect_admin() as admin:
        admin.execute("ALTER TABLE gate.decisions DISABLE TRIGGER USER")
        changed = admin.execute(
            "UPDATE gate.decisions SET facts = facts || '{\"operator.active\": false}' WHERE decision_id ="
            " (SELECT MAX(decision_id) FROM gate.decisions WHERE outcome = 'allow')"
        )
        assert changed.rowcount == 1
    assert [figure.name for figure in list_broken(measure_replay(desk, 120, say=said.append))] == ["replay_differences"]
