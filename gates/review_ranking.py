"""Which review is the riskiest, and which are alike? Integers and names from the decision alone, fixed when the review opens."""

from __future__ import annotations

from domain.decision import Decision, Outcome

_PER_CODE = 100
_FOR_DESTINATION = 200
_MAX_FOR_AMOUNT = 300
# Where the money goes is what an attacker wants to choose.
_DESTINATION_CODES = frozenset(
    {
        "beneficiary_changed",
        "destination_origin_untrusted",
        "details_origin_untrusted",
        "new_beneficiary",
        "screening_review",
        "screening_unknown",
        "takeover_signs",
    }
)


def list_review_codes(decision: Decision) -> tuple[str, ...]:
    """Return the distinct reason codes that sent it to people, sorted."""
    return tuple(sorted({reason.code for reason in decision.reasons if reason.outcome is Outcome.REVIEW}))


def measure_priority(decision: Decision) -> int:
    """Return how urgently a person should look, 0 upwards: score, number of doubts, doubts about the destination, size.

    The amount counts in percent of the operator's own limit, up to 300.
    """
    codes = list_review_codes(decision)
    limit = decision.facts.get("operator.limit_minor")
    limit_minor = max(1, limit) if type(limit) is int else 1
    for_amount = min(_MAX_FOR_AMOUNT, max(0, decision.action.amount_minor) * 100 // limit_minor)
    for_destination = _FOR_DESTINATION if _DESTINATION_CODES.intersection(codes) else 0
    return decision.score.score + _PER_CODE * len(codes) + for_destination + for_amount


def name_group(decision: Decision) -> str:
    """Return the key that alike reviews share: who asked, for what kind of act, and the same doubts."""
    return "|".join((decision.operator_id, decision.action.kind.value, ",".join(list_review_codes(decision))))
