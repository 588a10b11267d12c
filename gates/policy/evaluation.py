"""Evaluate one request under a bundle: every rule, all reasons; any error means that nobody may be allowed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cedarpy

from domain.decision import PRECEDENCE, Outcome, Reason
from gates.policy.bundle import BASELINE_ID, NO_ENTITIES, PolicyBundle, make_request

COULD_NOT_DECIDE = "could_not_decide"
NO_PERMIT = "no_permit"


@dataclass(frozen=True, slots=True)
class PolicyRequest:
    """Hold who asks for what. `context` is the nested record of the bundle's schema."""

    tenant_id: str
    operator_id: str
    kind: str
    context: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PolicyAnswer:
    """Hold all reasons in precedence, and what went wrong in the engine."""

    reasons: tuple[Reason, ...]
    errors: tuple[str, ...]


def check_policy(bundle: PolicyBundle, request: PolicyRequest) -> PolicyAnswer:
    """Evaluate both sets and put the reasons in order: deny > hold > review > allow, then by code.

    Cedar skips a policy that errors, a forbid too, so an error adds the review `could_not_decide`, which no approval lifts.
    """
    permits, restrictions, errors = _evaluate_both(bundle, request)
    matched = [bundle.rules[policy_id] for policy_id in (*permits, *restrictions) if policy_id != BASELINE_ID]
    reasons = [Reason(code=rule.reason, outcome=rule.outcome, policy_id=rule.policy_id) for rule in matched]
    if errors:
        reasons = [reason for reason in reasons if reason.outcome is not Outcome.ALLOW]
        reasons.append(Reason(code=COULD_NOT_DECIDE, outcome=Outcome.REVIEW, policy_id="engine"))
    elif not permits:
        reasons.append(Reason(code=NO_PERMIT, outcome=Outcome.DENY, policy_id="engine"))
    return PolicyAnswer(reasons=order_reasons(reasons), errors=errors)


def _evaluate_both(bundle: PolicyBundle, request: PolicyRequest) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return what matched in both sets, and the errors.

    Cedar reads a context at about 1.5 us a fact, and again to fit it to the schema. So the catalog fits it, and each set gets
    the facts that its rules for this kind read; a bundle without a proved catalog goes the long way.
    """
    reads = bundle.reads.get(request.kind)
    if bundle.catalog is not None and reads is not None:
        if not bundle.catalog.fits(request.context):
            return (), (), ("request: the context does not fit the schema",)
        permits, permit_errors = _evaluate(bundle.permits, _to_cedar(request, reads[0].trim(request.context)), None)
        restrictions, errors = _evaluate(bundle.restrictions, _to_cedar(request, reads[1].trim(request.context)), None)
        return permits, restrictions, permit_errors + errors
    whole = _to_cedar(request, request.context)
    permits, permit_errors = _evaluate(bundle.permits, whole, bundle.schema)
    # The same request fitted the schema just now; fitting it again would cost a quarter of the whole decision.
    restrictions, errors = _evaluate(bundle.restrictions, whole, bundle.schema if permit_errors else None)
    return permits, restrictions, permit_errors + errors


def order_reasons(reasons: list[Reason]) -> tuple[Reason, ...]:
    """Sort by outcome precedence, then code, then policy."""
    return tuple(sorted(reasons, key=lambda reason: (PRECEDENCE.index(reason.outcome), reason.code, reason.policy_id)))


def _to_cedar(request: PolicyRequest, context: Mapping[str, Any]) -> dict[str, Any]:
    return make_request(tenant_id=request.tenant_id, operator_id=request.operator_id, kind=request.kind, context=context)


def _evaluate(
    policies: cedarpy.PolicySet, request: dict[str, Any], schema: cedarpy.Schema | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the @ids that determined the answer, and the errors. An answer that explains nothing is an error too."""
    try:
        result = cedarpy.is_authorized(request, policies, NO_ENTITIES, schema)
    except (ValueError, TypeError, OverflowError) as error:
        return (), (f"request: {error}",)
    errors = tuple(str(error) for error in result.diagnostics.errors)
    if result.decision is cedarpy.Decision.NoDecision and not errors:
        errors = ("no decision and no error",)
    names = result.diagnostics.id_annotations_by_reason
    unnamed = [reason for reason in result.diagnostics.reasons if reason not in names]
    if unnamed:
        errors = (*errors, f"policies without a name matched: {', '.join(unnamed)}")
    return tuple(names.values()), errors
