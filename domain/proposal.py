"""What an agent may put forward: a kind of action on handles, never on raw destinations."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from domain.canonical import digest_of
from domain.origin import Origin

MAX_PROPOSED_MINOR = 10**15
"""Above this an amount is malformed, not large: canonical JSON holds integers exactly to 2**53."""

Handle = Annotated[str, Field(pattern=r"^[A-Z]{1,2}[0-9]{1,4}$")]
"""A short name inside one conversation: T1 a transaction, A1 an account, B1 a beneficiary, X1 a reference outside the grants."""


class ActionKind(StrEnum):
    """Name an act that passes the gate. Unlisted kinds are denied."""

    REFUND = "refund"
    FEE_REVERSAL = "fee_reversal"
    GOODWILL_CREDIT = "goodwill_credit"
    PROVISIONAL_CREDIT = "provisional_credit"
    PAYMENT = "payment"
    HOLD_RELEASE = "hold_release"
    DISPUTE_WRITEOFF = "dispute_writeoff"
    CARD_BLOCK = "card_block"
    BENEFICIARY_CHANGE = "beneficiary_change"
    CASE_CLOSE = "case_close"
    KYC_DECISION = "kyc_decision"
    UNLISTED = "unlisted"
    """Stands in the record for a kind that we do not know; always denied."""


class ReasonCode(StrEnum):
    """Name why a refund is proposed. The gate checks each against our own records."""

    DUPLICATE_CHARGE = "duplicate_charge"
    MERCHANT_CREDIT_MISSING = "merchant_credit_missing"
    GOODS_NOT_RECEIVED = "goods_not_received"
    FEE_ERROR = "fee_error"
    OTHER = "other"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class RefundArguments(_Frozen):
    """Hold what the agent asked for. `transaction` is a handle; the gate resolves it in the conversation's grants."""

    transaction: Handle
    amount_minor: Annotated[int, Field(strict=True, gt=0, le=MAX_PROPOSED_MINOR)]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    reason_code: ReasonCode


class ModelTrace(_Frozen):
    """Name what wrote the proposal, for the record: hashes only, never a prompt."""

    prompt_id: str
    prompt_sha256: str
    masked_prompt_sha256: str
    model: str
    generated_by: Annotated[str, Field(pattern=r"^(model|template)$")]


class Proposal(_Frozen):
    """Hold one proposed act as the agents process submitted it.

    The operator is not in here: the gate reads who asked from the turn, which only the edge writes.
    """

    proposal_id: Annotated[str, Field(pattern=r"^prp_[0-9a-f]{32}$")]
    tenant_id: str
    conversation_id: Annotated[str, Field(pattern=r"^cnv_[0-9a-f]{32}$")]
    message_id: Annotated[str, Field(pattern=r"^msg_[0-9a-f]{32}$")]
    kind: ActionKind
    arguments: RefundArguments
    trace: ModelTrace
    submitted_at: datetime


class Action(_Frozen):
    """Hold the exact act that the gate decides on, after code resolved every handle from our own records.

    `digest` binds decision, approval and posting to it.
    """

    tenant_id: str
    proposal_id: str
    kind: ActionKind
    transaction_id: str | None
    customer_id: str | None
    account_id: str | None
    amount_minor: int
    currency: str
    reason_code: str

    def digest(self) -> str:
        """Return SHA-256 over the canonical form, 64 hex digits."""
        return digest_of(self)


class ArgumentOrigin(_Frozen):
    """Say where one argument of a proposal comes from, with the rule when it is derived."""

    argument: str
    origin: Origin
    derivation: str | None = None
