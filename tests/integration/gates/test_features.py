"""Velocity against a naive count, reservations, and features rebuilt from events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from psycopg import Connection

from domain.decision import Decision, Outcome
from gates.features import Rebuilt, fold_hours, read_velocity, rebuild_features
from gates.resolution import ResolvedIds
from ledger.results import ExecutionCode
from storage.unit_of_work import unit_of_work
from tests.integration.gates.desk import Desk, codes_of
from tests.integration.gates.desk_records import ACCOUNT, ADA, CUSTOMER, MERCHANT, STRANGER

_WINDOWS = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)}
_STEP = timedelta(microseconds=1)
_NOW = datetime(2026, 3, 2, 12, 34, 56, 789, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Act:
    """One executed act, as it is inserted."""

    tenant_id: str
    decision_id: str
    proposal_id: str
    action_kind: str
    customer_id: str | None
    operator_id: str
    merchant_id: str | None
    beneficiary_id: str | None
    amount_minor: int
    currency: str
    executed_at: datetime


def _make_acts(rng: Random, tenant_id: str, now: datetime, count: int) -> list[_Act]:
    """Draw acts thick around the edges of windows and hours. One in eight moves no money."""
    acts = []
    for _ in range(count):
        window = rng.choice(list(_WINDOWS.values()))
        base = rng.choice(
            (
                now,
                now - window,
                (now - window).replace(minute=0, second=0, microsecond=0),
                now.replace(minute=0, second=0, microsecond=0),
            )
        )
        at = base + rng.choice((-_STEP, timedelta(0), _STEP, timedelta(seconds=rng.randrange(-7200, 7200))))
        acts.append(
            _Act(
                tenant_id=tenant_id,
                decision_id=f"dec_{uuid4().hex}",
                proposal_id=f"prp_{uuid4().hex}",
                action_kind="payment",
                customer_id=rng.choice((CUSTOMER, STRANGER)),
                operator_id=rng.choice((ADA, "opr_x")),
                merchant_id=rng.choice((MERCHANT, None)),
                beneficiary_id=rng.choice(("ben_1", "ben_2", None)),
                amount_minor=rng.choice((0, *range(1, 8))) * 100,
                currency=rng.choice(("EUR", "USD")),
                executed_at=at,
            )
        )
    return acts


def _insert(admin_conn: Connection[Any], act: _Act) -> None:
    admin_conn.execute(
        "INSERT INTO gate.executed_acts (tenant_id, decision_id, proposal_id, action_kind, customer_id, operator_id,"
        " merchant_id, beneficiary_id, amount_minor, currency, executed_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        astuple(act),
    )


def _count_naively(acts: list[_Act], now: datetime) -> dict[str, int]:
    """The half-open window `(now - length, now]`, one act at a time."""
    subjects: dict[str, Callable[[_Act], bool]] = {
        "customer": lambda act: act.customer_id == CUSTOMER,
        "operator": lambda act: act.operator_id == ADA,
        "merchant": lambda act: act.merchant_id == MERCHANT,
        "beneficiary": lambda act: act.beneficiary_id == "ben_1",
        "tenant": lambda _: True,
    }
    found: dict[str, int] = {}
    for subject, is_ours in subjects.items():
        for window, length in _WINDOWS.items():
            inside = [act for act in acts if is_ours(act) and act.amount_minor and now - length < act.executed_at <= now]
            found[f"{subject}_{window}_count"] = len(inside)
            found[f"{subject}_{window}_minor"] = sum(act.amount_minor for act in inside if act.currency == "EUR")
    return found


def _read(connection: Connection[Any], now: datetime, proposal_id: str = "prp_" + "0" * 32) -> dict[str, int]:
    ids = ResolvedIds(customer_id=CUSTOMER, merchant_id=MERCHANT, beneficiary_id="ben_1")
    velocity = read_velocity(connection, ids, operator_id=ADA, currency="EUR", proposal_id=proposal_id, now=now)
    return {name: getattr(velocity, name) for name in velocity.__slots__}


@pytest.fixture
def gate(desk: Desk) -> Iterator[Connection[Any]]:
    with unit_of_work(desk.gate_pool, desk.tenant.context("gate")) as connection:
        yield connection


@pytest.mark.parametrize("seed", range(4))
def test_velocity_is_the_naive_count_before_and_after_hours_are_folded(
    desk: Desk, admin_conn: Connection[Any], seed: int
) -> None:
    rng = Random(seed)
    acts = _make_acts(rng, desk.tenant.tenant_id, _NOW, 250)
    for act in acts:
        _insert(admin_conn, act)
    whole_hour = _NOW.replace(minute=0, second=0, microsecond=0)
    moments = [_NOW, _NOW + _STEP, _NOW - _STEP, whole_hour, whole_hour + _STEP, _NOW + timedelta(hours=3)]
    with unit_of_work(desk.gate_pool, desk.tenant.context("gate")) as gate:
        for fold_at in (None, _NOW - timedelta(days=3), _NOW, _NOW, _NOW + timedelta(hours=2)):
            if fold_at is not None:
                fold_hours(gate, fold_at)
            for now in moments:
                assert _read(gate, now) == _count_naively(acts, now), (fold_at, now)


def test_folding_again_folds_nothing_and_leaves_the_last_ten_minutes(
    desk: Desk, gate: Connection[Any], admin_conn: Connection[Any]
) -> None:
    whole_hour = _NOW.replace(minute=0, second=0, microsecond=0)
    act = _Act(
        desk.tenant.tenant_id, f"dec_{uuid4().hex}", f"prp_{uuid4().hex}", "payment", CUSTOMER, ADA, None, None, 100, "EUR",
        whole_hour - timedelta(minutes=1),
    )  # fmt: skip
    _insert(admin_conn, act)
    assert fold_hours(gate, whole_hour + timedelta(minutes=9, seconds=59)) == 0
    assert fold_hours(gate, whole_hour + timedelta(minutes=10)) == 1
    assert fold_hours(gate, whole_hour + timedelta(minutes=10)) == 0


# Reservations -----------------------------------------------------------------------------------------------------------------


def _decide_one(desk: Desk, amount_minor: int = 1290, **how: Any) -> Decision:
    first = desk.add_charge(amount_minor)
    desk.add_charge(amount_minor, minutes=1)
    return desk.decide_refund(desk.add_turn([first]), amount_minor=amount_minor, **how)


def test_a_live_allow_counts_until_it_expires_and_an_executed_one_after(desk: Desk) -> None:
    first = _decide_one(desk, 1100)
    assert first.outcome is Outcome.ALLOW, codes_of(first)
    assert first.facts["velocity.customer_1h_count"] == 0
    second = _decide_one(desk, 1200)
    assert (second.facts["velocity.customer_1h_count"], second.facts["velocity.customer_24h_minor"]) == (1, 1100)
    assert second.facts["velocity.tenant_30d_minor"] == 1100
    assert desk.execute(first).code is ExecutionCode.POSTED
    desk.now += timedelta(seconds=61)
    # The second was allowed, never executed, and is over: it consumes nothing.
    third = _decide_one(desk, 1300)
    assert (third.facts["velocity.customer_1h_count"], third.facts["velocity.operator_24h_minor"]) == (1, 1100)
    assert third.facts["velocity.merchant_7d_minor"] == 1100


def test_what_was_denied_consumes_nothing(desk: Desk) -> None:
    denied = _decide_one(desk, 900_000)
    assert denied.outcome is Outcome.DENY
    assert _decide_one(desk, 1100).facts["velocity.tenant_24h_count"] == 0


def test_what_is_held_consumes_nothing(desk: Desk) -> None:
    desk.role("jobs").execute("UPDATE core.accounts SET status = 'blocked' WHERE account_id = %s", [ACCOUNT])
    assert _decide_one(desk, 1100).outcome is Outcome.HOLD
    assert _decide_one(desk, 1200).facts["velocity.customer_1h_count"] == 0


def test_an_own_allow_is_not_counted_against_itself(desk: Desk) -> None:
    allowed = _decide_one(desk, 1100)
    with unit_of_work(desk.gate_pool, desk.tenant.context("gate")) as gate:
        assert _read(gate, desk.now, allowed.proposal_id)["customer_1h_count"] == 0
        assert _read(gate, desk.now)["customer_1h_count"] == 1


def test_what_waits_is_the_naive_sum_whoever_authorized_it(desk: Desk, admin_conn: Connection[Any]) -> None:
    """Authorizations hold what their decision reserves; those of a run of payments, by another hand, count as it says."""
    of_run = _decide_one(desk, 1700)
    rng = Random(7)
    naive = dict.fromkeys(("customer", "operator", "merchant", "beneficiary", "tenant"), (0, 0))
    with admin_conn.transaction():
        # The rows alone: whether a decision allows them is another test's matter.
        admin_conn.execute("SET LOCAL session_replication_role = replica")
        admin_conn.execute("DELETE FROM gate.authorizations WHERE tenant_id = %s", [desk.tenant.tenant_id])
        for _ in range(80):
            ends_at = desk.now + rng.choice((_STEP, timedelta(0), -_STEP, timedelta(seconds=30)))
            is_of_run = rng.random() < 0.2
            row = (
                (None,) * 7
                if is_of_run
                else (
                    rng.choice(("prp_own", "prp_other")), rng.choice((CUSTOMER, "cus_x")), rng.choice((ADA, "opr_x")),
                    rng.choice((MERCHANT, None)), rng.choice(("ben_1", None)), rng.choice(("EUR", "USD")), rng.choice((0, 5, 70)),
                )
            )  # fmt: skip
            admin_conn.execute(
                "INSERT INTO gate.authorizations (tenant_id, transfer_id, decision_id, digest, valid_from, valid_until,"
                " proposal_id, customer_id, operator_id, merchant_id, beneficiary_id, currency, reserved_minor)"
                " VALUES (%s, GEN_RANDOM_UUID(), %s, SHA256('x'), %s - INTERVAL '60 seconds', %s, %s, %s, %s, %s, %s, %s, %s)",
                [desk.tenant.tenant_id, of_run.decision_id[4:], ends_at, ends_at, *row],
            )
            proposal_id, *subjects, currency, amount_minor = row
            if is_of_run:
                subjects, currency, amount_minor = [CUSTOMER, ADA, MERCHANT, None], "EUR", 1700
            if ends_at <= desk.now or proposal_id == "prp_own" or not amount_minor:
                continue
            ours = (CUSTOMER, ADA, MERCHANT, "ben_1")
            hits = [subject for subject, given, own in zip(naive, subjects, ours, strict=False) if given == own]
            for subject in [*hits, "tenant"]:
                count, sum_minor = naive[subject]
                naive[subject] = (count + 1, sum_minor + (amount_minor if currency == "EUR" else 0))
    with unit_of_work(desk.gate_pool, desk.tenant.context("gate")) as gate:
        velocity = _read(gate, desk.now, "prp_own")
    assert min(count for count, _ in naive.values()) > 5
    for window in _WINDOWS:
        for subject, found in naive.items():
            assert (velocity[f"{subject}_{window}_count"], velocity[f"{subject}_{window}_minor"]) == found, (subject, window)


# Rebuilding -------------------------------------------------------------------------------------------------------------------


def _rebuild(desk: Desk) -> Rebuilt:
    with unit_of_work(desk.gate_pool, desk.tenant.context("gate")) as gate:
        return rebuild_features(gate)


def _live_a_little(desk: Desk) -> list[Decision]:
    """Execute acts of several kinds over some hours; some are denied, one expires."""
    done = []
    for amount_minor in (1100, 1200, 1300):
        decision = _decide_one(desk, amount_minor)
        assert desk.execute(decision, now=desk.now + timedelta(seconds=1)).code is ExecutionCode.POSTED, codes_of(decision)
        done.append(decision)
        desk.now += timedelta(hours=2)
    payee = desk.add_beneficiary()
    turn = desk.add_turn(grants={"A1": ACCOUNT, "B1": payee, "C1": desk.add_card()})
    desk.say(turn, ("handle", "B1"), ("handle", "C1"), ("amount", "EUR 20.00"))
    block = desk.decide_act(turn, "card_block", card="C1", reason_code="card_compromised")
    assert desk.execute(block, now=desk.now + timedelta(seconds=1)).code is ExecutionCode.EXECUTED, codes_of(block)
    done.append(block)
    _decide_one(desk, 900_000)
    return done


def test_dropped_and_rebuilt_the_hashes_are_equal(desk: Desk, admin_conn: Connection[Any]) -> None:
    _live_a_little(desk)
    with unit_of_work(desk.gate_pool, desk.tenant.context("gate")) as gate:
        assert fold_hours(gate, desk.now) > 0
    rebuilt = _rebuild(desk)
    assert rebuilt.acts == 4
    assert rebuilt.hash_before == rebuilt.hash_after
    admin_conn.execute(
        "UPDATE gate.executed_acts SET amount_minor = amount_minor + 1 WHERE tenant_id = %s AND amount_minor = 1200",
        [desk.tenant.tenant_id],
    )
    damaged = _rebuild(desk)
    assert (damaged.hash_before == damaged.hash_after, damaged.hash_after) == (False, rebuilt.hash_after)
    admin_conn.execute("DELETE FROM gate.executed_hours WHERE tenant_id = %s", [desk.tenant.tenant_id])
    lost = _rebuild(desk)
    assert lost.hash_before != rebuilt.hash_after


def test_facts_read_again_at_the_time_of_a_decision_are_its_snapshot(desk: Desk) -> None:
    decisions = _live_a_little(desk)
    _rebuild(desk)
    with unit_of_work(desk.gate_pool, desk.tenant.context("gate")) as gate:
        for decision in decisions:
            ids = ResolvedIds(
                customer_id=decision.action.customer_id,
                merchant_id=decision.action.merchant_id,
                beneficiary_id=decision.action.beneficiary_id,
            )
            velocity = read_velocity(
                gate,
                ids,
                operator_id=decision.operator_id,
                currency=decision.action.currency,
                proposal_id=decision.proposal_id,
                now=decision.decided_at,
            )
            again = {f"velocity.{name}": getattr(velocity, name) for name in velocity.__slots__}
            assert again == {name: value for name, value in decision.facts.items() if name.startswith("velocity.")}


def test_one_tenant_s_rebuild_leaves_the_others_alone(desk: Desk, admin_conn: Connection[Any]) -> None:
    _live_a_little(desk)
    act = _Act("t-other", f"dec_{uuid4().hex}", f"prp_{uuid4().hex}", "payment", "c", "o", None, None, 5, "EUR", _NOW)
    _insert(admin_conn, act)
    _rebuild(desk)
    with unit_of_work(desk.gate_pool, desk.tenant.context("gate")) as gate:
        assert _read(gate, _NOW + timedelta(days=1))["tenant_30d_count"] == 3
    rows = admin_conn.execute(
        "SELECT COUNT(*) FROM gate.executed_acts WHERE tenant_id = 't-other' AND decision_id = %s", [act.decision_id]
    )
    assert rows.fetchone() == (1,)
