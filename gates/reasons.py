"""Plain sentences for reason codes: what the console shows a person. Never sent to a model."""

from __future__ import annotations

from types import MappingProxyType

from domain.errors import BrokenInvariant
from ledger.results import ExecutionCode

SENTENCES = MappingProxyType(
    {
        # allow
        "within_policy": "The act is within policy and stands on our own records.",
        # deny
        "kind_unlisted": "This kind of act is not enabled.",
        "currency_unlisted": "This currency is not enabled for refunds.",
        "transaction_not_granted": "The transaction is not one that this conversation may act on.",
        "transaction_of_other_customer": "The transaction belongs to another customer than the one in this conversation.",
        "currency_mismatch": "The refund is in another currency than the transaction.",
        "transaction_not_refundable": "Only a posted card payment or direct debit can be refunded; this transaction is none.",
        "already_refunded": "The transaction has already been refunded in full.",
        "amount_above_remainder": "The amount is more than what is left to refund on this transaction.",
        "amount_not_positive": "The amount is not above zero.",
        "account_closed": "The customer's account is closed.",
        "operator_inactive": "The operator who asked is not active.",
        "role_missing": "The operator who asked has no role that may propose refunds.",
        "turn_mismatch": "The proposal names a message that is not an operator's message of this conversation.",
        "hard_cap": "The amount is above the highest refund that may ever be made this way.",
        "no_permit": "No rule permits this act.",
        "malformed_proposal": "The proposal is malformed and cannot be read as an act.",
        "review_refused": "An approver refused it.",
        "review_expired": "Nobody decided on it in time.",
        "allow_expired": "It was allowed, but not executed within its 60 seconds.",
        # hold
        "account_blocked": "The customer's account is blocked; the refund waits until it is not.",
        # review
        "above_operator_limit": "The amount is above the operator's own limit.",
        "four_eyes_needed": "The amount is so high that two approvers must agree.",
        "amount_origin_untrusted": "The amount comes neither from our records nor from staff.",
        "transaction_origin_untrusted": "The transaction was named neither by our records nor by staff.",
        "score_high": "The risk score is high.",
        "velocity": "There were many or large refunds lately for this customer or by this operator.",
        "duplicate_not_confirmed": "It was called a duplicate charge, but our records show no second charge that is still open.",
        "duplicate_apart": "There is an equal charge, but more than ten minutes away: it may be a second purchase.",
        "claim_unconfirmed": "Our records do not confirm the claim, and the operator's message does not name this transaction.",
        "stale_transaction": "The transaction is older than 120 days.",
        "prior_refund_on_transaction": "A part of this transaction has been refunded before.",
        "disputed_transaction": "The transaction is disputed, or its dispute was won.",
        "account_currency_differs": "The account is in another currency than the refund.",
        "kyc_not_verified": "The customer's identity is not verified.",
        "turn_not_current": "The conversation went on, or too much time passed, before this was decided.",
        "repeated_proposal": "Another act was already proposed from the same message.",
        "could_not_decide": "A fact was missing or a rule failed, so a person has to look at it.",
    }
)


EXECUTION_SENTENCES = MappingProxyType(
    {
        ExecutionCode.DECISION_NOT_FOUND: "The ledger found no such decision.",
        ExecutionCode.ALREADY_POSTED: "It was posted before; nothing was posted again.",
        ExecutionCode.DECISION_CONSUMED: "The decision was used before.",
        ExecutionCode.TRANSFER_ID_TAKEN: "The transfer's id belongs to another posting.",
        ExecutionCode.ACTION_NOT_EXECUTABLE: "This kind of act moves no money here.",
        ExecutionCode.OUTCOME_NOT_ALLOW: "Only an allowed act is executed.",
        ExecutionCode.DECISION_SUPERSEDED: "A later decision stands instead of this one.",
        ExecutionCode.DECISION_NOT_YET_VALID: "The decision lies in the future.",
        ExecutionCode.DECISION_EXPIRED: "The decision was more than 60 seconds old.",
        ExecutionCode.DIGEST_MISMATCH: "The decision's record is not the one that was decided.",
        ExecutionCode.TRANSACTION_NOT_FOUND: "The bank's records do not hold the transaction any more.",
        ExecutionCode.TRANSACTION_NOT_REFUNDABLE: "The transaction cannot be refunded any more.",
        ExecutionCode.ACCOUNT_MISMATCH: "The transaction is on another account.",
        ExecutionCode.CURRENCY_MISMATCH: "The transaction is in another currency.",
        ExecutionCode.EXCEEDS_REFUNDABLE: "Less than this is left to refund by now.",
        ExecutionCode.REFUSED_BEFORE: "The ledger refused this very transfer before; it stays refused.",
        ExecutionCode.NOT_AUTHORIZED: "The decision authorizes no transfer any more.",
        ExecutionCode.ACCOUNT_CLOSED: "An account of the ledger is closed.",
        ExecutionCode.ACCOUNT_STOPPED: "An incident stopped posting on an account of the ledger.",
        ExecutionCode.LIMIT_EXCEEDED: "An account's limit in the ledger would be broken.",
        ExecutionCode.BALANCE_OUT_OF_RANGE: "A balance would leave the range that can be recorded exactly.",
        ExecutionCode.POSTED: "It was posted.",
    }
)


class UnknownReason(BrokenInvariant):
    """Say that a reason code has no sentence."""

    code = "unknown_reason"


def plain_reason(code: str) -> str:
    """Return the sentence for a reason code. Raises: UnknownReason."""
    try:
        return SENTENCES[code]
    except KeyError:
        raise UnknownReason(f"no sentence for reason code {code!r}") from None
