"""From what was proposed to the exact act: the ids that code found for the handles. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from domain.proposal import NO_CURRENCY, Action, ActionKind, ProposedArguments


@dataclass(frozen=True, slots=True)
class ResolvedIds:
    """Hold what the handles of a proposal stand for. `hold_minor` and `hold_currency` are the open hold's own amount."""

    customer_id: str | None = None
    transaction_id: str | None = None
    account_id: str | None = None
    merchant_id: str | None = None
    beneficiary_id: str | None = None
    subject_id: str | None = None
    hold_minor: int | None = None
    hold_currency: str | None = None


def make_action(
    *, tenant_id: str, proposal_id: str, kind: ActionKind, arguments: ProposedArguments | None, ids: ResolvedIds
) -> Action:
    """Return the act. Without arguments it is malformed and about nothing but the conversation's customer."""
    if arguments is None:
        return Action(
            tenant_id=tenant_id,
            proposal_id=proposal_id,
            kind=kind,
            transaction_id=None,
            customer_id=ids.customer_id,
            account_id=None,
            amount_minor=0,
            currency=NO_CURRENCY,
            reason_code="malformed",
        )
    amount_minor, currency = arguments.amount_minor, arguments.currency
    if arguments.hold is not None:
        amount_minor, currency = ids.hold_minor, ids.hold_currency
    return Action(
        tenant_id=tenant_id,
        proposal_id=proposal_id,
        kind=kind,
        transaction_id=ids.transaction_id,
        customer_id=ids.customer_id,
        account_id=ids.account_id,
        amount_minor=amount_minor or 0,
        currency=currency or NO_CURRENCY,
        reason_code=arguments.reason_code.value,
        beneficiary_id=ids.beneficiary_id,
        merchant_id=ids.merchant_id,
        subject_id=ids.subject_id,
        details=arguments.details,
        verdict=arguments.verdict,
    )
