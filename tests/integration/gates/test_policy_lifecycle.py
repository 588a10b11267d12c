"""Who puts a bundle in force, what a shadow and a canary do, and how it is taken back."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from psycopg import Connection

from domain.decision import Decision, Outcome
from domain.errors import InvalidInput, NotFound, TellergateError
from domain.ids import make_id
from gates.people import NotPermitted, NotSignedIn
from gates.policy.active import NoUsablePolicy, PolicyShelf
from gates.policy.bundle import PolicyBundle
from gates.policy.lifecycle import (
    Activation,
    ReasonNeeded,
    approve_activation,
    refuse_activation,
    request_activation,
    roll_back_activation,
    show_policy,
)
from gates.policy.listing import UnknownBundle, list_shelf
from gates.policy.registering import register_policy
from gates.registry import is_canary
from gates.replay.drift import Drift
from gates.shadow import tally_shadow
from gates.submission import Rules
from storage.registry import AliasTarget
from storage.registry_changes import Change, ChangeNotOpen, ChangePending, NothingToRollBack, OwnChange
from storage.unit_of_work import unit_of_work
from tests.integration.gates.bundles import allow_everything, change_starter
from tests.integration.gates.desk import ADA, CLEO, IRA, KIM, LEE, NOW, Desk, codes_of, token_of

# A refund of 12.90 is above this operator's limit: review, where the starter allows.
STRICT = change_starter(("restrictions.cedar", "context.score >= 600", "context.score >= 1"), version="3-strict")


def _token(desk: Desk, operator_id: str) -> str:
    return token_of(operator_id, desk.tenant.tenant_id)


def _ask(desk: Desk, bundle: PolicyBundle, *, by: str = KIM, measure: Any = None, **wanted: Any) -> Change:
    register_policy(desk.scope, bundle, _token(desk, by), now=NOW)
    activation = Activation(_token(desk, by), bundle.sha256, **{"target": "champion", **wanted})
    return request_activation(desk.scope, desk.rules.shelf, activation, now=NOW, measure_drift=measure)


def _approve(desk: Desk, change: Change, *, by: str = LEE) -> Change:
    return approve_activation(desk.scope, desk.rules.shelf, change.change_id, _token(desk, by), now=NOW)


def _decide(desk: Desk) -> Decision:
    return desk.decide_refund(desk.add_turn([desk.add_charge(), desk.add_charge(minutes=1)]))


def _active(desk: Desk) -> str:
    return show_policy(desk.scope, desk.rules.shelf, "active").sha256


def _events(desk: Desk) -> list[str]:
    rows = desk.role("gate").execute(
        "SELECT event_type FROM core.events WHERE event_type LIKE 'gate.policy%' ORDER BY recorded_at, event_id"
    )
    return [row[0] for row in rows]


def _count(desk: Desk, table: str) -> int:
    row = desk.role("gate").execute(f"SELECT COUNT(*) FROM {table}").fetchone()
    return int(row[0]) if row else -1


def test_two_administrators_put_a_bundle_in_force_and_one_takes_it_back(desk: Desk) -> None:
    first = _active(desk)
    assert _decide(desk).outcome is Outcome.ALLOW
    change = _ask(desk, STRICT)
    assert (change.state, _active(desk)) == ("open", first)
    assert _approve(desk, change).decided_by == LEE
    decision = _decide(desk)
    assert (decision.outcome, decision.policy_bundle_sha256) == (Outcome.REVIEW, STRICT.sha256)
    assert "score_high" in codes_of(decision)

    move = roll_back_activation(desk.scope, _token(desk, LEE), reason="too many reviews", now=NOW)
    assert (move.moved_by, _active(desk)) == (LEE, first)
    assert _decide(desk).policy_bundle_sha256 == first
    with pytest.raises(NothingToRollBack):
        roll_back_activation(desk.scope, _token(desk, LEE), reason="and forward again", now=NOW)
    assert sorted(_events(desk)) == ["gate.policy_activated", "gate.policy_registered", "gate.policy_rolled_back"]
    shelved, changes = list_shelf(desk.scope)
    assert {one.artifact.sha256: (one.artifact.state, one.aliases) for one in shelved} == {
        first: ("champion", ("production",)),
        STRICT.sha256: ("retired", ()),
    }
    assert [(one.state, one.requested_by, one.decided_by) for one in changes] == [("done", KIM, LEE)]


def test_who_asks_does_not_approve(desk: Desk) -> None:
    change, first = _ask(desk, STRICT), _active(desk)
    with pytest.raises(OwnChange):
        _approve(desk, change, by=KIM)
    assert _active(desk) == first


@pytest.mark.parametrize("operator_id", [ADA, CLEO, IRA])
def test_only_administrators_change_policies(desk: Desk, operator_id: str) -> None:
    change = _ask(desk, STRICT)
    for act in (
        lambda: _ask(desk, STRICT, by=operator_id),
        lambda: _approve(desk, change, by=operator_id),
        lambda: refuse_activation(desk.scope, change.change_id, _token(desk, operator_id), now=NOW),
        lambda: roll_back_activation(desk.scope, _token(desk, operator_id), reason="because", now=NOW),
    ):
        with pytest.raises(NotPermitted):
            act()
    with pytest.raises(NotSignedIn):
        roll_back_activation(desk.scope, "tgs.x.y", reason="because", now=NOW)


def test_one_change_at_a_time_and_a_refused_one_is_over(desk: Desk) -> None:
    change = _ask(desk, STRICT)
    with pytest.raises(ChangePending):
        _ask(desk, change_starter(version="4"))
    assert refuse_activation(desk.scope, change.change_id, _token(desk, LEE), now=NOW).state == "refused"
    with pytest.raises(ChangeNotOpen):
        _approve(desk, change)
    assert _ask(desk, change_starter(version="4")).state == "open"


def test_a_change_of_many_decisions_needs_a_written_reason(desk: Desk) -> None:
    def far(_connection: Any, _bundle: Any) -> Drift:
        return Drift(permille=21, decisions=1000, undecidable=3)

    def near(_connection: Any, _bundle: Any) -> Drift:
        return Drift(permille=20, decisions=1000, undecidable=0)

    with pytest.raises(ReasonNeeded):
        _ask(desk, STRICT, measure=far)
    with pytest.raises(ReasonNeeded):
        _ask(desk, STRICT, measure=far, reason="  short    ")
    change = _ask(desk, STRICT, measure=far, reason="fraud wave of this week")
    assert change.drift == {"permille": 21, "decisions": 1000, "undecidable": 3}
    refuse_activation(desk.scope, change.change_id, _token(desk, LEE), now=NOW)
    assert _ask(desk, STRICT, measure=near).state == "open"


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        ({"target": "canary"}, InvalidInput),
        ({"target": "champion", "percent": 5}, InvalidInput),
    ],
)
def test_a_percent_goes_with_a_canary(desk: Desk, wanted: dict[str, Any], error: type[TellergateError]) -> None:
    with pytest.raises(error):
        _ask(desk, STRICT, **wanted)


def test_an_unknown_bundle_or_change_is_refused(desk: Desk) -> None:
    for sha256 in ("f" * 64, "f" * 11, ""):
        with pytest.raises(UnknownBundle):
            request_activation(desk.scope, desk.rules.shelf, Activation(_token(desk, KIM), sha256, "champion"), now=NOW)
    with pytest.raises(NotFound):
        approve_activation(desk.scope, desk.rules.shelf, make_id("chg", NOW), _token(desk, LEE), now=NOW)


def test_a_shadow_that_allows_everything_moves_nothing(desk: Desk) -> None:
    desk.use_policy(version="strict-limits")
    change = _ask(desk, allow_everything(), target="shadow")
    assert (change.state, change.decided_by) == ("done", KIM)
    decision = desk.decide_refund(desk.add_turn([desk.add_charge(45_000)]), amount_minor=45_000)
    assert decision.outcome is Outcome.REVIEW
    with unit_of_work(desk.gate_pool, desk.tenant.context("gate")) as connection:
        tallies = tally_shadow(connection, allow_everything().sha256)
        row = connection.execute("SELECT outcome, differs, reasons -> 0 ->> 'code' FROM gate.shadow_decisions").fetchone()
    assert [(tally.decided, tally.shadow, tally.decisions) for tally in tallies] == [("review", "allow", 1)]
    assert row == ("allow", True, "within_policy")
    assert _count(desk, "gate.authorizations") == 0
    assert desk.execute(decision).posting is None
    assert _count(desk, "ledger.transfer_lines") == 0


def test_a_shadow_that_is_the_one_in_force_records_nothing(desk: Desk) -> None:
    _ask(desk, STRICT, target="shadow")
    _approve(desk, _ask(desk, STRICT))
    _decide(desk)
    assert _count(desk, "gate.shadow_decisions") == 0


def _tamper(admin_conn: Connection[Any], sha256: str, place: str = "{files,restrictions.cedar}", value: str = '""') -> None:
    with admin_conn.transaction():
        admin_conn.execute("ALTER TABLE gate.policy_bundles DISABLE TRIGGER append_only")
        admin_conn.execute(
            "UPDATE gate.policy_bundles SET content = JSONB_SET(content, %s::TEXT [], %s::JSONB) WHERE sha256 = %s",
            [place, value, sha256],
        )
        admin_conn.execute("ALTER TABLE gate.policy_bundles ENABLE ALWAYS TRIGGER append_only")


def test_a_broken_shadow_is_recorded_and_changes_nothing(desk: Desk, admin_conn: Connection[Any]) -> None:
    _ask(desk, STRICT, target="shadow")
    _tamper(admin_conn, STRICT.sha256)
    desk.rules = Rules(scorecard=desk.rules.scorecard, shelf=PolicyShelf())
    assert _decide(desk).outcome is Outcome.ALLOW
    row = desk.role("gate").execute("SELECT outcome, reasons -> 0 ->> 'code' FROM gate.shadow_decisions").fetchone()
    assert row == ("review", "could_not_decide")


@pytest.mark.parametrize(("place", "value"), [("{files,permits.cedar}", '""'), ("{manifest,review_lifetime_s}", "60")])
def test_a_tampered_bundle_decides_nothing_and_is_not_put_in_force(
    desk: Desk, admin_conn: Connection[Any], place: str, value: str
) -> None:
    change = _ask(desk, STRICT)
    _tamper(admin_conn, STRICT.sha256, place, value)
    desk.rules = Rules(scorecard=desk.rules.scorecard, shelf=PolicyShelf())
    with pytest.raises(NoUsablePolicy):
        _approve(desk, change)
    first = _active(desk)
    _tamper(admin_conn, first, place, value)
    desk.rules = Rules(scorecard=desk.rules.scorecard, shelf=PolicyShelf())
    with pytest.raises(NoUsablePolicy):
        _decide(desk)
    assert _count(desk, "gate.decisions") == 0


def test_a_canary_decides_its_share_by_the_hash_of_the_proposal(desk: Desk) -> None:
    first = _active(desk)
    _approve(desk, _ask(desk, STRICT, target="canary", percent=50))
    seen = set()
    for _ in range(12):
        decision = _decide(desk)
        share = int(hashlib.sha256(decision.proposal_id.encode()).hexdigest()[:8], 16) % 100
        assert decision.policy_bundle_sha256 == (STRICT.sha256 if share < 50 else first)
        seen.add(decision.policy_bundle_sha256)
    assert seen == {first, STRICT.sha256}
    assert _active(desk) == first


def test_a_canary_s_share_is_exact_and_its_ends_are_nobody_and_all_but_one_percent() -> None:
    ids = [f"prp_{number:032x}" for number in range(5_000)]
    places = [int(hashlib.sha256(proposal_id.encode()).hexdigest()[:8], 16) % 100 for proposal_id in ids]
    for percent in (1, 7, 50, 99):
        canary = AliasTarget("canary", "v", "0" * 64, percent)
        assert sum(is_canary(proposal_id, canary) for proposal_id in ids) == sum(place < percent for place in places)
    assert not is_canary("", AliasTarget("canary", "v", "0" * 64, 99))
    assert not is_canary(ids[0], AliasTarget("canary", "v", "0" * 64, None))
