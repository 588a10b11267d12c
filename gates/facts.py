"""Facts: what the gate knows about an act, read from our own tables and never from the proposal. The catalog of all of them."""

from __future__ import annotations

from dataclasses import dataclass, fields

from gates.decide import FactValue

VELOCITY_SUBJECTS = ("customer", "operator", "merchant", "beneficiary", "tenant")
VELOCITY_WINDOWS_H = {"1h": 1, "24h": 24, "7d": 7 * 24, "30d": 30 * 24}
# These change because time passes, not because anything happened: an approval is not bound to them. Velocity and the load of
# reviewers change with acts that are not this one; where they matter they change the reasons.
CLOCK_FACTS = frozenset(
    {
        "transaction.age_days", "customer.age_days", "customer.refunds_1d_count", "customer.refunds_30d_count",
        "customer.refunds_30d_minor", "customer.failed_logins_7d_count", "customer.new_devices_24h_count",
        "customer.foreign_logins_7d_count", "customer.challenged_logins_24h_count", "operator.refunds_1d_count", "approval.count",
        "beneficiary.age_hours", "dispute.age_days", "dispute.age_business_days", "dispute.provisional_due", "dispute.is_overdue",
        "load.source_1h_count", "load.source_open_count", "load.tenant_1h_count",
        "baseline.customer_flags_count", "baseline.merchant_flags_count", "baseline.reasons", "baseline.refs",
        *(
            f"velocity.{subject}_{window}_{measure}"
            for subject in VELOCITY_SUBJECTS
            for window in VELOCITY_WINDOWS_H
            for measure in ("count", "minor")
        ),
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class GrantFacts:
    """Say whether this conversation may name every record that the proposal names, each as the kind that the act needs."""

    granted: bool


@dataclass(frozen=True, slots=True)
class TransactionFacts:
    """Hold the bank's record of the transaction, what is left of it, the nearest equal charge within a day, and who named it."""

    kind: str
    status: str
    currency: str
    amount_minor: int
    remaining_minor: int
    refund_count: int
    age_days: int
    is_duplicate: bool
    duplicate_gap_s: int
    owner_matches: bool
    is_disputed: bool
    named_by_staff: bool


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """Hold the standing of the account that money moves on.

    `ledger_version` rises with each posting and hold on it, in the act's currency.
    """

    status: str
    currency: str
    ledger_version: int


@dataclass(frozen=True, slots=True)
class CustomerFacts:
    """Hold the standing of the conversation's customer, the acts executed for him, and signs of another in his place.

    Sums are in the act's currency; a login from another country than his is foreign.
    """

    kyc_status: str
    age_days: int
    refunds_1d_count: int
    refunds_30d_count: int
    refunds_30d_minor: int
    refunds_total_count: int
    failed_logins_7d_count: int
    disputes_365d_count: int
    new_devices_24h_count: int
    foreign_logins_7d_count: int
    challenged_logins_24h_count: int


@dataclass(frozen=True, slots=True)
class OperatorFacts:
    """Hold the rights of the operator who asked, his own limit for this kind and currency, and his pace."""

    active: bool
    is_support: bool
    is_investigator: bool
    is_onboarding: bool
    is_approver: bool
    is_auditor: bool
    is_admin: bool
    limit_minor: int
    refunds_1d_count: int


@dataclass(frozen=True, slots=True)
class ConversationFacts:
    """Hold whether the proposal belongs to a turn that an operator really made, and how fresh that is."""

    message_matches: bool
    message_is_last: bool
    message_age_s: int
    last_message_id: str
    earlier_proposals_count: int


@dataclass(frozen=True, slots=True)
class ApprovalFacts:
    """Count valid approvals by people who may give them, the proposer not among them."""

    count: int


@dataclass(frozen=True, slots=True)
class VelocityFacts:
    """Count what was executed, and what is allowed and not executed yet, for each subject of the act in windows that end now.

    A window is half-open, `(now - length, now]`. Counts are over all currencies, sums (`_minor`) in the act's. A subject that the
    act does not have gives 0.
    """

    customer_1h_count: int = 0
    customer_1h_minor: int = 0
    customer_24h_count: int = 0
    customer_24h_minor: int = 0
    customer_7d_count: int = 0
    customer_7d_minor: int = 0
    customer_30d_count: int = 0
    customer_30d_minor: int = 0
    operator_1h_count: int = 0
    operator_1h_minor: int = 0
    operator_24h_count: int = 0
    operator_24h_minor: int = 0
    operator_7d_count: int = 0
    operator_7d_minor: int = 0
    operator_30d_count: int = 0
    operator_30d_minor: int = 0
    merchant_1h_count: int = 0
    merchant_1h_minor: int = 0
    merchant_24h_count: int = 0
    merchant_24h_minor: int = 0
    merchant_7d_count: int = 0
    merchant_7d_minor: int = 0
    merchant_30d_count: int = 0
    merchant_30d_minor: int = 0
    beneficiary_1h_count: int = 0
    beneficiary_1h_minor: int = 0
    beneficiary_24h_count: int = 0
    beneficiary_24h_minor: int = 0
    beneficiary_7d_count: int = 0
    beneficiary_7d_minor: int = 0
    beneficiary_30d_count: int = 0
    beneficiary_30d_minor: int = 0
    tenant_1h_count: int = 0
    tenant_1h_minor: int = 0
    tenant_24h_count: int = 0
    tenant_24h_minor: int = 0
    tenant_7d_count: int = 0
    tenant_7d_minor: int = 0
    tenant_30d_count: int = 0
    tenant_30d_minor: int = 0


@dataclass(frozen=True, slots=True)
class LoadFacts:
    """Count the reviews that were asked for: the work that this act would add to. A source is an operator."""

    source_1h_count: int
    source_open_count: int
    tenant_1h_count: int


@dataclass(frozen=True, slots=True)
class BeneficiaryFacts:
    """Hold the payee's record: whose it is, how old, how it was screened, and what was ever paid to it, in the act's currency.

    `paid_count` and `max_paid_minor` are of what we executed or of the bank's own transfers to it, whichever is more.
    """

    owner_matches: bool
    currency: str
    screening_state: str
    is_verified: bool
    age_hours: int
    changed_30d_count: int
    paid_count: int
    max_paid_minor: int


@dataclass(frozen=True, slots=True)
class DisputeFacts:
    """Hold the dispute's record, its charge, and what was already credited or written off for it.

    `provisional_due` says that the bank must credit the customer by now; `is_overdue` that the time to decide has passed.
    """

    owner_matches: bool
    state: str
    charge_minor: int
    currency: str
    age_days: int
    age_business_days: int
    is_new_account: bool
    provisional_minor: int
    writeoff_minor: int
    provisional_due: bool
    is_overdue: bool


@dataclass(frozen=True, slots=True)
class CardFacts:
    """Hold the card's record."""

    owner_matches: bool
    status: str


@dataclass(frozen=True, slots=True)
class HoldFacts:
    """Hold a pending transfer of the ledger: whose account it is on, and whether it is still open."""

    owner_matches: bool
    state: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """Hold the case's record."""

    kind: str
    state: str


@dataclass(frozen=True, slots=True)
class BaselineFacts:
    """Count what breaks from the usual of the customer and of the merchant; `reasons` are the codes, the strongest first.

    `refs` are the beginnings of the hashes of the baselines that it was held against.
    """

    customer_flags_count: int
    merchant_flags_count: int
    reasons: str
    refs: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Hold all facts of one act. A group that does not exist (an ungranted transaction, the dispute of a payment) is None."""

    grant: GrantFacts
    transaction: TransactionFacts | None
    account: AccountFacts | None
    customer: CustomerFacts | None
    operator: OperatorFacts | None
    conversation: ConversationFacts
    approval: ApprovalFacts
    velocity: VelocityFacts | None
    load: LoadFacts | None
    beneficiary: BeneficiaryFacts | None = None
    dispute: DisputeFacts | None = None
    card: CardFacts | None = None
    hold: HoldFacts | None = None
    case: CaseFacts | None = None
    baseline: BaselineFacts | None = None

    def to_record(self) -> dict[str, FactValue]:
        """Return the flat form `group.fact` that decisions are made from and that their rows keep."""
        record: dict[str, FactValue] = {}
        for group in _GROUPS:
            value = getattr(self, group)
            if value is not None:
                record |= {f"{group}.{fact}": getattr(value, fact) for fact in _FACTS_OF[type(value)]}
        return record


_FACTS_OF = {
    group: tuple(fact.name for fact in fields(group))
    for group in (
        GrantFacts, TransactionFacts, AccountFacts, CustomerFacts, OperatorFacts, ConversationFacts, ApprovalFacts, VelocityFacts,
        LoadFacts, BeneficiaryFacts, DisputeFacts, CardFacts, HoldFacts, CaseFacts, BaselineFacts,
    )
}  # fmt: skip
_GROUPS = tuple(group.name for group in fields(Facts))
