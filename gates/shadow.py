"""Shadow: a candidate bundle decides live traffic too, and nothing follows from what it says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from psycopg import Connection
from psycopg import Error as DatabaseError
from psycopg.types.json import Jsonb

from domain.decision import Decision, Outcome, Reason
from domain.errors import TellergateError
from gates.decide import DecisionInput, decide_action
from gates.policy.active import NoUsablePolicy, PolicyShelf
from gates.policy.evaluation import COULD_NOT_DECIDE
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "policies.sql")
_LOG = structlog.get_logger("gates.shadow")
_UNUSABLE = (Reason(code=COULD_NOT_DECIDE, outcome=Outcome.REVIEW, policy_id="engine"),)


@dataclass(frozen=True, slots=True)
class ShadowTally:
    """Hold how often the shadow said `shadow` where `decided` was decided."""

    decided: str
    shadow: str
    decisions: int


def record_shadow(
    connection: Connection[Any], request: DecisionInput, decision: Decision, shelf: PolicyShelf, *, now: datetime
) -> None:
    """Decide once more under the shadow bundle, if there is one, and record what it said.

    A shadow that does not load is recorded as `could_not_decide`. Whatever goes wrong here is logged and undone alone: the
    decision itself is untouched. A decision that no policy was asked for has no shadow.
    """
    if request.closing_reason is not None:
        return
    try:
        with connection.transaction():
            _record(connection, request, decision, shelf, now)
    except (DatabaseError, TellergateError) as error:
        _LOG.warning("shadow_failed", decision_id=decision.decision_id, error=type(error).__name__)


def tally_shadow(connection: Connection[Any], bundle_sha256: str) -> list[ShadowTally]:
    """Return how a shadow compares with what was decided, the most frequent pair first."""
    rows = connection.execute(_QUERIES["tally_shadow"], {"sha256": bundle_sha256}).fetchall()
    return [ShadowTally(decided=row[0], shadow=row[1], decisions=row[2]) for row in rows]


def _record(connection: Connection[Any], request: DecisionInput, decision: Decision, shelf: PolicyShelf, now: datetime) -> None:
    sha256 = shelf.find_shadow_address(connection)
    if sha256 is None or sha256 == decision.policy_bundle_sha256:
        return
    try:
        said = decide_action(request, shelf.load(connection, sha256), now=now)
        outcome, reasons = said.outcome, said.reasons
    except NoUsablePolicy:
        outcome, reasons = Outcome.REVIEW, _UNUSABLE
    connection.execute(
        _QUERIES["insert_shadow"],
        {
            "tenant_id": decision.tenant_id,
            "decision_id": decision.decision_id,
            "bundle_sha256": sha256,
            "outcome": outcome.value,
            "reasons": Jsonb([reason.model_dump(mode="json") for reason in reasons]),
            "differs": outcome is not decision.outcome,
            "decided_at": now,
        },
    )
