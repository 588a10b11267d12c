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
        "currency_unlisted": "This currency is not enabled.",
        "handle_not_granted": "It names a record that this conversation may not act on.",
        "record_of_other_customer": "A record that it names belongs to another customer than the one in this conversation.",
        "transaction_not_granted": "The transaction is not one that this conversation may act on.",
        "transaction_of_other_customer": "The transaction belongs to another customer than the one in this conversation.",
        "currency_mismatch": "The act is in another currency than the record that it stands on.",
        "transaction_not_fee": "Only a posted fee can be reversed; this transaction is none.",
        "transaction_not_refundable": "Only a posted card payment or direct debit can be refunded; this transaction is none.",
        "already_refunded": "The transaction has already been refunded in full.",
        "amount_above_remainder": "The amount is more than what is left to refund on this transaction.",
        "amount_not_positive": "The amount is not above zero.",
        "account_closed": "The customer's account is closed.",
        "operator_inactive": "The operator who asked is not active.",
        "role_missing": "The operator who asked has no role that may propose this kind of act.",
        "turn_mismatch": "The proposal names a message that is not an operator's message of this conversation.",
        "hard_cap": "The amount is above the highest that may ever be moved this way.",
        "goodwill_cap": "The amount is above the highest goodwill credit that may ever be made.",
        "dispute_not_open": "The dispute is closed, so nothing can be credited for it.",
        "amount_above_dispute": "The amount is more than what the dispute still leaves open.",
        "sanctions_hit": "The beneficiary matches a sanctions list.",
        "beneficiary_currency_mismatch": "The beneficiary's account is in another currency than the payment.",
        "hold_not_open": "The hold is not open any more.",
        "details_from_model": "The new details were found nowhere in the conversation.",
        "case_not_open": "The case is closed already.",
        "no_permit": "No rule permits this act.",
        "malformed_proposal": "The proposal is malformed and cannot be read as an act.",
        "review_refused": "An approver refused it.",
        "review_expired": "Nobody decided on it in time.",
        "allow_expired": "It was allowed, but not executed within its 60 seconds.",
        "hold_expired": "It was on hold, and the hold ran out before its cause was gone.",
        "hold_released": "It was on hold, and the hold was released without posting it.",
        "frozen": "Acts of this tenant, kind or operator are frozen at present.",
        "review_flood": "Too many reviews were asked for by one operator within an hour.",
        "review_budget_spent": "More reviews were asked for within an hour than people can give.",
        # hold
        "account_blocked": "The customer's account is blocked; the act waits until it is not.",
        # review
        "above_operator_limit": "The amount is above the operator's own limit.",
        "four_eyes_needed": "The amount is so high that two approvers must agree.",
        "amount_origin_untrusted": "The amount comes neither from our records nor from staff.",
        "transaction_origin_untrusted": "The transaction was named neither by our records nor by staff.",
        "destination_origin_untrusted": "Neither staff nor a verified document chose this beneficiary.",
        "card_origin_untrusted": "The card was named neither by our records nor by staff.",
        "case_origin_untrusted": "The case was named neither by our records nor by staff.",
        "details_origin_untrusted": "The new details come neither from staff nor from a verified document.",
        "score_high": "The risk score is high.",
        "velocity": "There were many or large acts lately for this customer or by this operator.",
        "split_amounts": "Together with what was moved within a day, the amount is above the operator's own limit.",
        "breaks_from_usual": "The payment breaks from what is usual for this customer or this merchant.",
        "fan_out": "Money left this customer many times within a day.",
        "payment_unusual": "The amount is far above what was ever paid to this beneficiary.",
        "new_beneficiary": "The beneficiary is new, or nothing was ever paid to him.",
        "beneficiary_changed": "The beneficiary's details were changed within 30 days.",
        "screening_unknown": "The beneficiary has not been screened against sanctions lists.",
        "screening_review": "Screening the beneficiary found something that a person has to look at.",
        "takeover_signs": "A new device and unusual logins: somebody else may be in the customer's account.",
        "duplicate_not_confirmed": "It was called a duplicate charge, but our records show no second charge that is still open.",
        "duplicate_apart": "There is an equal charge, but more than ten minutes away: it may be a second purchase.",
        "claim_unconfirmed": "Our records do not confirm the claim, and the operator's message does not name this transaction.",
        "stale_transaction": "The transaction is older than 120 days.",
        "prior_refund_on_transaction": "A part of this transaction has been refunded before.",
        "disputed_transaction": "The transaction is disputed, or its dispute was won.",
        "account_currency_differs": "The account is in another currency than the act.",
        "provisional_not_due": "A provisional credit is not due yet for this dispute.",
        "writeoff_needs_approval": "Writing off a dispute always needs a second person.",
        "release_needs_approval": "Releasing a hold always needs a second person.",
        "beneficiary_change_needs_approval": "Changing a beneficiary's details always needs a second person.",
        "kyc_needs_person": "A verdict on a customer's identity always needs a person.",
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
        ExecutionCode.FROZEN: "Execution is frozen here; nothing was carried out.",
        ExecutionCode.DECISION_SUPERSEDED: "A later decision stands instead of this one.",
        ExecutionCode.DECISION_NOT_YET_VALID: "The decision lies in the future.",
        ExecutionCode.DECISION_EXPIRED: "The decision was more than 60 seconds old.",
        ExecutionCode.DIGEST_MISMATCH: "The decision's record is not the one that was decided.",
        ExecutionCode.HOLD_NOT_OPEN: "The hold is not open any more.",
        ExecutionCode.TRANSACTION_NOT_FOUND: "The bank's records do not hold the transaction any more.",
        ExecutionCode.TRANSACTION_NOT_REFUNDABLE: "The transaction cannot be refunded any more.",
        ExecutionCode.ACCOUNT_NOT_FOUND: "The bank's records do not hold the account any more.",
        ExecutionCode.ACCOUNT_MISMATCH: "The record is on another account or another customer's.",
        ExecutionCode.CURRENCY_MISMATCH: "The record is in another currency.",
        ExecutionCode.EXCEEDS_REFUNDABLE: "Less than this is left to refund by now.",
        ExecutionCode.EXCEEDS_DISPUTE: "The dispute leaves less than this by now.",
        ExecutionCode.BENEFICIARY_NOT_FOUND: "The bank's records do not hold the payee any more.",
        ExecutionCode.BENEFICIARY_MISMATCH: "The payee is another customer's, or screening hit it.",
        ExecutionCode.REFUSED_BEFORE: "The ledger refused this very transfer before; it stays refused.",
        ExecutionCode.NOT_AUTHORIZED: "The decision authorizes no transfer any more.",
        ExecutionCode.ACCOUNT_CLOSED: "An account is closed.",
        ExecutionCode.ACCOUNT_STOPPED: "An incident stopped posting on an account of the ledger.",
        ExecutionCode.LIMIT_EXCEEDED: "An account's limit in the ledger would be broken.",
        ExecutionCode.BALANCE_OUT_OF_RANGE: "A balance would leave the range that can be recorded exactly.",
        ExecutionCode.HELD: "The amount is held; nothing has moved yet.",
        ExecutionCode.EXECUTED: "It was carried out, and the bank was told.",
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
