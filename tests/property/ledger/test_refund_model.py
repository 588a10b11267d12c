"""Any sequence of refunds, repeats and late attempts on the real database equals a slow, obvious model."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import Connection

from ledger.balances import find_balances, list_trial_balance
from ledger.results import ExecutionCode
from ledger.transfer_digest import derive_transfer_id
from tests.conftest import ConnAs, Database, Tenant, take_off_waiting_list
from tests.integration.ledger.books import find_faults
from tests.integration.ledger.scene import ACCOUNT, NOW, Scene

_CHARGES = (1000, 1, 250_000)


@dataclass
class _Model:
    """What should be: money left of each charge, and what was posted."""

    left: list[int] = field(default_factory=lambda: list(_CHARGES))
    posted: dict[str, UUID] = field(default_factory=dict)
    balance_minor: int = 0

    def execute(self, decision_id: str, charge: int, amount_minor: int, transfer_id: UUID, *, late: bool) -> ExecutionCode:
        own = derive_transfer_id(decision_id) == transfer_id
        if decision_id in self.posted:
            return ExecutionCode.ALREADY_POSTED if own else ExecutionCode.DECISION_CONSUMED
        if transfer_id in self.posted.values():
            return ExecutionCode.TRANSFER_ID_TAKEN
        if late:
            return ExecutionCode.DECISION_EXPIRED
        if not own:
            return ExecutionCode.DIGEST_MISMATCH
        if amount_minor > self.left[charge]:
            return ExecutionCode.EXCEEDS_REFUNDABLE
        self.left[charge] -= amount_minor
        self.posted[decision_id] = transfer_id
        self.balance_minor += amount_minor
        return ExecutionCode.POSTED


# A step: which charge, how much, and for each attempt whether it comes late and whose transfer id it brings: its own, that of the
# decision before it, or nobody's.
_STEPS = st.lists(
    st.tuples(
        st.integers(0, len(_CHARGES) - 1),
        st.one_of(st.integers(1, 1200), st.sampled_from(_CHARGES)),
        st.lists(st.tuples(st.booleans(), st.sampled_from([0, 0, 0, 1, 2])), min_size=1, max_size=3),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_STEPS)
def test_the_ledger_equals_the_model(
    database: Database, conn_as: ConnAs, admin_conn: Connection[Any], steps: list[tuple[int, int, list[tuple[bool, int]]]]
) -> None:
    scene = Scene(Tenant(f"t-{uuid4().hex[:16]}", database.context_key), conn_as, admin_conn)
    model = _Model()
    charges = [scene.add_charge(amount_minor) for amount_minor in _CHARGES]
    before = stranger = uuid4()
    for charge, amount_minor, attempts in steps:
        decision_id = scene.decide(charges[charge], amount_minor).decision_id
        own = derive_transfer_id(decision_id)
        for late, number in attempts:
            transfer_id = (own, before, stranger)[number]
            now = NOW + timedelta(seconds=60 * late)
            answer = scene.execute(decision_id, now=now, transfer_id=transfer_id)
            assert answer.code is model.execute(decision_id, charge, amount_minor, transfer_id, late=late)
        before = own
    balances = find_balances(scene.executor, [f"customer:{ACCOUNT}"])
    assert sum(line.balance_minor for line in balances) == model.balance_minor
    assert sum(line.version for line in balances) == len(model.posted)
    assert all(line.debits_posted_minor == line.credits_posted_minor for line in list_trial_balance(scene.executor))
    assert find_faults(admin_conn, scene.tenant.tenant_id) == {}
    take_off_waiting_list(database, scene.tenant)
    scene.close()
