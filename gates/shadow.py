"""Shadow: a candidate bundle or score decides live traffic too, and nothing follows from what it says."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
from gates.policy.bundle import PolicyBundle
from gates.policy.evaluation import COULD_NOT_DECIDE
from gates.registry import InForce, Models
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "policies.sql")
_MODEL_QUERIES = load_queries(Path(__file__).parent / "sql" / "registry.sql")
_LOG = structlog.get_logger("gates.shadow")
_UNUSABLE = (Reason(code=COULD_NOT_DECIDE, outcome=Outcome.REVIEW, policy_id="engine"),)


@dataclass(frozen=True, slots=True)
class ShadowRules:
    """Hold what decided an act: a score in the shadow is tried with the same policy."""

    bundle: PolicyBundle
    models: Models


@dataclass(frozen=True, slots=True)
class ShadowTally:
    """Hold how often the shadow said `shadow` where `decided` was decided."""

    decided: str
    shadow: str
    decisions: int


def record_shadow(
    connection: Connection[Any],
    request: DecisionInput,
    decision: Decision,
    shelf: PolicyShelf,
    in_force: InForce,
    *,
    now: datetime,
) -> None:
    """Decide once more under the shadow bundle, if there is one, and record what it said.

    A shadow that does not load is recorded as `could_not_decide`. Whatever goes wrong here is logged and undone alone: the
    decision itself is untouched. A decision that no policy was asked for has no shadow.
    """
    sha256 = shelf.find_shadow_address(in_force)
    if request.closing_reason is not None or sha256 is None or sha256 == decision.policy_bundle_sha256:
        return
    try:
        with connection.transaction():
            _record(connection, request, decision, shelf, sha256, now)
    except (DatabaseError, TellergateError) as error:
        _LOG.warning("shadow_failed", decision_id=decision.decision_id, error=type(error).__name__)


def tally_shadow(connection: Connection[Any], bundle_sha256: str) -> list[ShadowTally]:
    """Return how a shadow compares with what was decided, the most frequent pair first."""
    rows = connection.execute(_QUERIES["tally_shadow"], {"sha256": bundle_sha256}).fetchall()
    return [ShadowTally(decided=row[0], shadow=row[1], decisions=row[2]) for row in rows]


def tally_shadow_scores(connection: Connection[Any], sha256: str) -> list[ShadowTally]:
    """Return how decisions with a score model in the shadow compare with what was decided, the most frequent pair first."""
    rows = connection.execute(_MODEL_QUERIES["tally_shadow_scores"], {"sha256": sha256}).fetchall()
    return [ShadowTally(decided=row[0], shadow=row[1], decisions=row[2]) for row in rows]


def record_shadow_score(
    connection: Connection[Any], request: DecisionInput, decision: Decision, rules: ShadowRules, *, now: datetime
) -> None:
    """Score and decide once more with the candidate in the shadow, if there is one, and record what came of it.

    Whatever goes wrong here is logged and undone alone: the decision itself is untouched.
    """
    if request.closing_reason is not None or not rules.models.has_shadow(request.action.kind.value):
        return
    try:
        with connection.transaction():
            _record_score(connection, request, decision, rules, now)
    except (DatabaseError, TellergateError) as error:
        _LOG.warning("shadow_failed", decision_id=decision.decision_id, error=type(error).__name__)


def _record_score(
    connection: Connection[Any], request: DecisionInput, decision: Decision, rules: ShadowRules, now: datetime
) -> None:
    scored = rules.models.score_in_shadow(request.facts, act_kind=request.action.kind.value)
    if scored is None or scored.model_ref == decision.score.model_ref:
        return
    said = decide_action(replace(request, score=scored), rules.bundle, now=now)
    connection.execute(
        _MODEL_QUERIES["insert_shadow_score"],
        {
            "tenant_id": decision.tenant_id,
            "decision_id": decision.decision_id,
            "model_ref": scored.model_ref,
            "score": scored.score,
            "reasons": Jsonb(list(scored.reason_codes)),
            "outcome": said.outcome.value,
            "differs": said.outcome is not decision.outcome,
            "decided_at": now,
        },
    )


def _record(
    connection: Connection[Any], request: DecisionInput, decision: Decision, shelf: PolicyShelf, sha256: str, now: datetime
) -> None:
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
