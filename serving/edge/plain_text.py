"""What codes mean, in words for people. A code that is not listed is shown as it is, so nothing is hidden."""

from __future__ import annotations

from collections.abc import Mapping

from serving.edge.money_views import DecisionView

OUTCOME_LABELS: Mapping[str, str] = {
    "allow": "Allowed",
    "review": "Needs approval",
    "hold": "On hold",
    "deny": "Denied",
}

OUTCOME_TEXTS: Mapping[str, str] = {
    "allow": "The policy allows this, and the ledger posts it once.",
    "review": "Nothing is executed until a second person approves exactly this action.",
    "hold": "Nothing is executed while the named condition stands.",
    "deny": "Nothing is executed. Asking again with the same facts gives the same answer.",
}

NOTICES: Mapping[str, str] = {
    "agents_down": (
        "The assistant is not running, so there is no answer. Your message is kept. Nothing was proposed or executed; "
        "try again in a moment."
    ),
    "agents_stopped": (
        "The assistant stopped in the middle of this answer. What it had proposed by then is shown below with its decision; "
        "nothing else happened. Ask again for the rest."
    ),
    "agents_failed": "The assistant could not finish this answer. Your message is kept; ask again, perhaps in other words.",
    "masking_failed": (
        "The answer could not be masked, so it is not shown or stored. Try again; if it stays, tell your administrator."
    ),
    "leak_blocked": (
        "The answer held a value that should have been masked, so it is not shown or stored, and an incident is open. "
        "Your message is kept; ask again, perhaps in other words."
    ),
    "answer_not_stored": "The database did not answer, so this answer is not kept. What was decided stands in the ledger.",
    "edge_restarted": (
        "The console was restarted while this was being answered. What the assistant had proposed by then is shown below; "
        "ask again if you need the answer."
    ),
}

BLOCKED_TEXTS: Mapping[str, str] = {
    "not_an_approver": "Waiting for an approver. You do not have the approver role.",
    "own_proposal": "Waiting for another person: nobody approves what came from his own conversation.",
}

REVIEW_STATES: Mapping[str, str] = {
    "open": "Waiting for approval",
    "approved": "Approved",
    "refused": "Refused",
    "expired": "Expired: nobody decided in time",
}

UNDECIDED_TEXTS: Mapping[str, str] = {
    "not_decided_yet": "The gate has not answered yet. Nothing is executed.",
    "money_down": "The gate is not running, so nothing was decided and nothing was executed. The proposal is kept.",
    "money_unclear": "The gate did not answer in time. Whatever it decides is executed at most once: look again.",
    "state_unknown": "The gate is not running, so how this stands cannot be read now. What was posted stands in the ledger.",
}

PART_LABELS: Mapping[str, str] = {
    "database": "The database is down.",
    "agents": "The assistant is not running.",
    "money": "The gate and the ledger are not running.",
    "model": "The language model is not ready.",
}

PART_TEXTS: Mapping[str, str] = {
    "database": "Nothing can be read or changed until it is back.",
    "agents": "Records, approvals and receipts still work.",
    "money": "Questions are answered; nothing is decided or executed until they are back.",
    "model": "Answers come from templates until it is.",
}


def reason_text(view: DecisionView, code: str) -> str:
    """Return the money process's sentence for a reason code; the code itself, readable, when it sent none."""
    return view.reason_texts.get(code) or code.replace("_", " ").capitalize() + "."


def reason_label(reason_code: str) -> str:
    """Return the words for why an act is proposed."""
    labels = {
        "duplicate_charge": "Duplicate charge",
        "merchant_credit_missing": "The merchant's credit did not arrive",
        "goods_not_received": "Goods not received",
        "fee_error": "Fee charged in error",
        "card_compromised": "Card compromised",
        "goodwill": "Goodwill",
        "dispute": "Dispute",
        "bill": "A bill",
        "customer_request": "The customer asked for it",
        "investigation_done": "The investigation is done",
        "kyc": "Identity check",
        "other": "Other",
    }
    return labels.get(reason_code, reason_code.replace("_", " "))
