"""What an agent may put forward: a kind of action on handles, never on raw destinations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from domain.canonical import digest_of
from domain.origin import Origin

MAX_PROPOSED_MINOR = 10**15
"""Above this an amount is malformed, not large: canonical JSON holds integers exactly to 2**53."""

Handle = Annotated[str, Field(pattern=r"^[A-Z]{1,2}[0-9]{1,4}$")]
"""A short name inside one conversation: T1 a transaction, A1 an account, B1 a beneficiary, C1 a card,
D1 a dispute, H1 a hold, K1 a case, X1 a reference outside the grants."""

DetailsToken = Annotated[str, Field(pattern=r"^<[A-Z]{2,8}(_[A-Z]{2,4})?_[0-9A-Za-z]{8}-[0-9A-Za-z]{2}>$")]
"""A payee's new details: a token of the vault, never the value."""


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
    """Name why an act is proposed. The gate checks each against our own records."""

    DUPLICATE_CHARGE = "duplicate_charge"
    MERCHANT_CREDIT_MISSING = "merchant_credit_missing"
    GOODS_NOT_RECEIVED = "goods_not_received"
    FEE_ERROR = "fee_error"
    CARD_COMPROMISED = "card_compromised"
    GOODWILL = "goodwill"
    DISPUTE = "dispute"
    BILL = "bill"
    CUSTOMER_REQUEST = "customer_request"
    INVESTIGATION_DONE = "investigation_done"
    KYC = "kyc"
    OTHER = "other"


_AMOUNT = frozenset({"amount_minor", "currency"})
ARGUMENTS_OF: Mapping[ActionKind, frozenset[str]] = MappingProxyType(
    {
        ActionKind.REFUND: _AMOUNT | {"transaction"},
        ActionKind.FEE_REVERSAL: _AMOUNT | {"transaction"},
        ActionKind.GOODWILL_CREDIT: _AMOUNT | {"account"},
        ActionKind.PROVISIONAL_CREDIT: _AMOUNT | {"dispute"},
        ActionKind.DISPUTE_WRITEOFF: _AMOUNT | {"dispute"},
        ActionKind.PAYMENT: _AMOUNT | {"account", "beneficiary"},
        ActionKind.HOLD_RELEASE: frozenset({"hold"}),
        ActionKind.CARD_BLOCK: frozenset({"card"}),
        ActionKind.BENEFICIARY_CHANGE: frozenset({"beneficiary", "details"}),
        ActionKind.CASE_CLOSE: frozenset({"case"}),
        ActionKind.KYC_DECISION: frozenset({"verdict"}),
    }
)
"""What each kind needs beside its reason code, and all that it may have. A kind that is not here takes anything: it is denied."""

MONEY_KINDS = frozenset(
    {
        ActionKind.REFUND,
        ActionKind.FEE_REVERSAL,
        ActionKind.GOODWILL_CREDIT,
        ActionKind.PROVISIONAL_CREDIT,
        ActionKind.PAYMENT,
        ActionKind.DISPUTE_WRITEOFF,
        ActionKind.HOLD_RELEASE,
    }
)
"""Kinds that write to the ledger. The others have amount 0 in NO_CURRENCY."""

NO_CURRENCY = "XXX"
"""ISO 4217: no currency is involved."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


_AmountMinor = Annotated[int, Field(strict=True, gt=0, le=MAX_PROPOSED_MINOR)]
_CurrencyCode = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


class ProposedArguments(_Frozen):
    """Hold what the agent asked for. What a kind needs is ARGUMENTS_OF; handles are resolved in the conversation's grants."""

    transaction: Handle | None = None
    account: Handle | None = None
    beneficiary: Handle | None = None
    card: Handle | None = None
    dispute: Handle | None = None
    hold: Handle | None = None
    case: Handle | None = None
    amount_minor: _AmountMinor | None = None
    currency: _CurrencyCode | None = None
    details: DetailsToken | None = None
    verdict: Literal["clear", "review", "reject"] | None = None
    reason_code: ReasonCode

    def to_record(self) -> dict[str, Any]:
        """Return what was given, as JSON values: an argument that is not there is not in it."""
        return self.model_dump(mode="json", exclude_none=True)


class RefundArguments(ProposedArguments):
    """Hold the arguments of a refund: all of them are there."""

    transaction: Handle
    amount_minor: _AmountMinor
    currency: _CurrencyCode


class ModelTrace(_Frozen):
    """Name what wrote the proposal, for the record: hashes only, never a prompt. A person's names `staff` and no model."""

    prompt_id: str
    prompt_sha256: str
    masked_prompt_sha256: str
    model: str
    generated_by: Annotated[str, Field(pattern=r"^(model|template|staff)$")]


class Proposal(_Frozen):
    """Hold one proposed act as the agents process submitted it: exactly the arguments of its kind, or it is malformed.

    The operator is not in here: the gate reads who asked from the turn, which only the edge writes.
    """

    proposal_id: Annotated[str, Field(pattern=r"^prp_[0-9a-f]{32}$")]
    tenant_id: str
    conversation_id: Annotated[str, Field(pattern=r"^cnv_[0-9a-f]{32}$")]
    message_id: Annotated[str, Field(pattern=r"^msg_[0-9a-f]{32}$")]
    kind: ActionKind
    arguments: ProposedArguments
    trace: ModelTrace
    submitted_at: datetime

    @field_validator("arguments", mode="before")
    @classmethod
    def _flatten(cls, value: object) -> object:
        return value.to_record() if isinstance(value, ProposedArguments) else value

    @model_validator(mode="after")
    def _require_arguments_of_kind(self) -> Self:
        wanted = ARGUMENTS_OF.get(self.kind)
        given = self.arguments.to_record().keys() - {"reason_code"}
        if wanted is not None and given != wanted:
            raise ValueError(f"{self.kind.value} takes {', '.join(sorted(wanted))}")
        return self


class Action(_Frozen):
    """Hold the exact act that the gate decides on, after code resolved every handle from our own records.

    `subject_id` is what the act is about beyond money: a dispute, a card, a hold, a case. `digest` binds decision, approval and
    posting to all of it; a field that is None is part of it.
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
    beneficiary_id: str | None = None
    merchant_id: str | None = None
    subject_id: str | None = None
    details: str | None = None
    verdict: str | None = None

    def digest(self) -> str:
        """Return SHA-256 over the canonical form, 64 hex digits."""
        return digest_of(self)


class ArgumentOrigin(_Frozen):
    """Say where one argument of a proposal comes from, with the rule when it is derived."""

    argument: str
    origin: Origin
    derivation: str | None = None
