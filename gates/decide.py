"""Decide one act. Pure: an action, where its arguments come from, facts, a score and a bundle go in; a decision comes out."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from domain.canonical import digest_of
from domain.clock import require_utc
from domain.decision import Decision, Outcome, Reason, ScoreResult, worst_outcome
from domain.proposal import Action, ArgumentOrigin, ModelTrace, ProposedArguments
from gates.policy.bundle import PolicyBundle
from gates.policy.evaluation import COULD_NOT_DECIDE, PolicyRequest, check_policy, order_reasons

DECISION_LIFETIME = timedelta(seconds=60)
GOVERNOR = "governor"
"""Stands as the policy of reasons that follow from how much people have to review, not from the act."""
ENGINE_VERSION = f"tellergate-gate/1 cedarpy/{importlib.metadata.version('cedarpy')}"
FactValue = bool | int | str | None
# Beyond this an integer is not exact in canonical JSON, so it cannot stand in a digest.
_MAX_EXACT = 2**53 - 1
_MAX_TEXT = 256
_FACT_NAME = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
_RESERVED_GROUPS = frozenset({"proposed", "origins", "score"})


@dataclass(frozen=True, slots=True)
class DecisionInput:
    """Hold everything that a decision is made from. `facts` are flat, named `group.fact`; a None is a fact we lack."""

    decision_id: str
    action: Action
    operator_id: str
    origins: tuple[ArgumentOrigin, ...]
    facts: Mapping[str, FactValue]
    score: ScoreResult
    trace: ModelTrace
    approval_id: str | None = None
    previous_decision_id: str | None = None
    hold_transfer_id: str | None = None
    """The pending transfer that an earlier hold of this chain placed and that is still open."""
    closing_reason: Reason | None = None
    """What already settled it outside the policy: a refusal, an expiry, a malformed proposal. Never an allow."""


def decide_action(request: DecisionInput, bundle: PolicyBundle, *, now: datetime) -> Decision:
    """Decide. The same input gives the same decision, byte for byte; nothing that is missing or malformed is ever an allow.

    A decision lives 60 s from `now`; what a hold keeps, it keeps for the bundle's own time. Raises: NaiveTime.
    """
    decided_at = require_utc(now)
    facts, problems = _keep_exact(request.facts)
    reasons = _govern(_find_reasons(request, facts, problems, bundle), facts, bundle)
    outcome = worst_outcome(reason.outcome for reason in reasons)
    return Decision(
        decision_id=request.decision_id,
        tenant_id=request.action.tenant_id,
        proposal_id=request.action.proposal_id,
        outcome=outcome,
        reasons=reasons,
        action=request.action,
        action_digest=request.action.digest(),
        origins=request.origins,
        facts=facts,
        facts_digest=digest_of(facts),
        score=request.score,
        policy_bundle_sha256=bundle.sha256,
        policy_version=f"{bundle.manifest.name}@{bundle.manifest.version}",
        engine_version=ENGINE_VERSION,
        prompt_id=request.trace.prompt_id,
        prompt_sha256=request.trace.prompt_sha256,
        model=request.trace.model,
        operator_id=request.operator_id,
        approval_id=request.approval_id,
        previous_decision_id=request.previous_decision_id,
        hold_transfer_id=request.hold_transfer_id if outcome in {Outcome.ALLOW, Outcome.HOLD} else None,
        hold_expires_at=decided_at + timedelta(seconds=bundle.manifest.hold_lifetime_s) if outcome is Outcome.HOLD else None,
        decided_at=decided_at,
        expires_at=decided_at + DECISION_LIFETIME,
    )


def count_required_approvals(decision: Decision, bundle: PolicyBundle) -> int:
    """Return how many people must approve before the reviews of this decision can lift: at least one."""
    lifted = [bundle.rules[reason.policy_id].approvals for reason in decision.reasons if reason.policy_id in bundle.rules]
    return max([1, *lifted])


def _find_reasons(
    request: DecisionInput, facts: Mapping[str, FactValue], problems: list[str], bundle: PolicyBundle
) -> tuple[Reason, ...]:
    if request.closing_reason is not None:
        if request.closing_reason.outcome is Outcome.ALLOW:
            return (Reason(code=COULD_NOT_DECIDE, outcome=Outcome.REVIEW, policy_id="engine"),)
        return (request.closing_reason,)
    answer = check_policy(
        bundle,
        PolicyRequest(
            tenant_id=request.action.tenant_id,
            operator_id=request.operator_id,
            kind=request.action.kind.value,
            context=_build_context(request, facts),
        ),
    )
    if not problems or answer.errors:
        return answer.reasons
    doubt = Reason(code=COULD_NOT_DECIDE, outcome=Outcome.REVIEW, policy_id="engine")
    return order_reasons([*(reason for reason in answer.reasons if reason.outcome is not Outcome.ALLOW), doubt])


def _govern(reasons: tuple[Reason, ...], facts: Mapping[str, FactValue], bundle: PolicyBundle) -> tuple[Reason, ...]:
    """Refuse a review that people cannot take on any more: too many from one source, or too many at all within the hour.

    What people have approved already is exempt. Without the facts there is no such limit; the policy's schema asks for them.
    """
    if worst_outcome(reason.outcome for reason in reasons) is not Outcome.REVIEW or _count(facts, "approval.count") > 0:
        return reasons
    spent = [
        Reason(code=code, outcome=Outcome.DENY, policy_id=GOVERNOR)
        for code, fact, limit in (
            ("review_flood", "load.source_1h_count", bundle.manifest.review_source_limit_1h),
            ("review_budget_spent", "load.tenant_1h_count", bundle.manifest.review_budget_1h),
        )
        if _count(facts, fact) >= limit
    ]
    return order_reasons([*reasons, *spent]) if spent else reasons


def _count(facts: Mapping[str, FactValue], name: str) -> int:
    value = facts.get(name)
    return value if type(value) is int else 0


def _build_context(request: DecisionInput, facts: Mapping[str, FactValue]) -> dict[str, Any]:
    """Nest the facts by group. A fact that we lack stays out, so the schema refuses the request and nothing is allowed."""
    context: dict[str, Any] = {
        "proposed": {
            "amount_minor": request.action.amount_minor,
            "currency": request.action.currency,
            "reason_code": request.action.reason_code,
            **({} if request.action.verdict is None else {"verdict": request.action.verdict}),
        },
        "origins": {origin.argument: origin.origin.value for origin in request.origins if origin.argument in _POLICY_ORIGINS},
        "score": request.score.score,
    }
    for name, value in facts.items():
        group, _, fact = name.partition(".")
        if value is not None:
            context.setdefault(group, {})[fact] = value
    return context


# Whether a currency or a reason was made up shows in the act itself.
_POLICY_ORIGINS = frozenset(ProposedArguments.model_fields) - {"currency", "reason_code"}


def _keep_exact(facts: Mapping[str, FactValue]) -> tuple[dict[str, FactValue], list[str]]:
    """Keep what is exact and well named; anything else becomes a fact we lack, and a problem that stops an allow."""
    kept: dict[str, FactValue] = {}
    problems: list[str] = []
    for name, value in facts.items():
        if not isinstance(name, str) or not _is_well_named(name):
            problems.append("a fact's name is malformed")
            continue
        exact = value if _is_exact(value) else None
        if exact is None:
            problems.append(name)
        kept[name] = exact
    return kept, problems


@lru_cache(maxsize=1_024)
def _is_well_named(name: str) -> bool:
    return _FACT_NAME.fullmatch(name) is not None and name.partition(".")[0] not in _RESERVED_GROUPS


def _is_exact(value: object) -> bool:
    if type(value) is bool:
        return True
    if type(value) is int:
        return -_MAX_EXACT <= value <= _MAX_EXACT
    return type(value) is str and len(value) <= _MAX_TEXT and value.isprintable()
