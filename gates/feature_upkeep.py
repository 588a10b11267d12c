"""What people do with features: look at a customer's, and have a tenant's built again from its events."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from domain.errors import NotFound
from domain.event import Event
from domain.ids import make_id
from domain.roles import Role
from gates.decision_store import SOURCE
from gates.facts import VELOCITY_WINDOWS_H
from gates.features import Rebuilt, list_currencies, read_velocity, rebuild_features
from gates.people import require_person
from gates.resolution import ResolvedIds
from gates.submission import GateScope
from storage.events import append_event
from storage.unit_of_work import unit_of_work

REBUILDING_ROLES = frozenset({Role.ADMIN})


@dataclass(frozen=True, slots=True)
class WindowCount:
    """Hold what was executed for a customer in a window that ends now: acts in every currency, the sum in one."""

    window: str
    currency: str
    acts: int
    amount_minor: int


def read_customer_features(scope: GateScope, customer_id: str, *, now: datetime) -> tuple[WindowCount, ...]:
    """Return a customer's velocity in each currency of his accounts, as a decision at this moment would read it.

    Raises: NotFound.
    """
    with unit_of_work(scope.pool, scope.context) as connection:
        currencies = list_currencies(connection, customer_id)
        if not currencies:
            raise NotFound(f"no customer {customer_id} with an account")
        counts = []
        for currency in currencies:
            velocity = read_velocity(
                connection, ResolvedIds(customer_id=customer_id), operator_id="", currency=currency, proposal_id="", now=now
            )
            for window in VELOCITY_WINDOWS_H:
                acts, amount_minor = (getattr(velocity, f"customer_{window}_{measure}") for measure in ("count", "minor"))
                counts.append(WindowCount(window, currency, acts, amount_minor))
    return tuple(counts)


def rebuild_tenant_features(scope: GateScope, session_token: str, *, now: datetime) -> Rebuilt:
    """Drop and rebuild a tenant's features, and tell the log the hashes of before and after. Executions wait meanwhile.

    Raises: NotSignedIn, NotPermitted, DatabaseUnavailable.
    """
    with unit_of_work(scope.pool, scope.context) as connection:
        person = require_person(connection, session_token, now=now, roles=REBUILDING_ROLES)
        rebuilt = rebuild_features(connection)
        append_event(
            connection,
            Event(
                event_id=make_id("evt", now),
                event_type="gate.features_rebuilt",
                source=SOURCE,
                subject=scope.tenant_id,
                tenant_id=scope.tenant_id,
                occurred_at=now,
                recorded_at=now,
                data={**asdict(rebuilt), "asked_by": person.operator_id},
            ),
        )
    return rebuilt
