"""One model per kind: what a row of a file must hold. JSON types are exact; an unknown field is an error."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from domain.label import LABEL_DELAY, LabelSource, LabelSubject, LabelValue
from domain.roles import Role
from serving.ingest.fields import (
    AccountNumber,
    Address,
    AmountMinor,
    CategoryCode,
    Country,
    Currency,
    Day,
    Email,
    FreeText,
    IpAddress,
    Label,
    Language,
    LimitMinor,
    Name,
    NationalId,
    NetworkReasonCode,
    Pan,
    PasswordHash,
    Phone,
    RecordId,
    Username,
    UtcTime,
    Word,
)


class IngestRow(BaseModel):
    """Base of all rows: exact types, nothing unknown, immutable."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class MerchantRow(IngestRow):
    """Hold a merchant. Its name stays plain."""

    merchant_id: RecordId
    name: Label
    category_code: CategoryCode
    country: Country


class OperatorRow(IngestRow):
    """Hold a member of staff. Without a `password_hash` a new one can't sign in with a password, an old one keeps his."""

    operator_id: RecordId
    username: Username
    display_name: Name
    roles: Annotated[tuple[Role, ...], Field(min_length=1)]
    active: bool = True
    password_hash: PasswordHash | None = None


class OperatorLimitRow(IngestRow):
    """Hold up to how much an operator may let pass, per act and currency."""

    operator_id: RecordId
    action_kind: Word
    currency: Currency
    limit_minor: LimitMinor


class CustomerRow(IngestRow):
    """Hold a customer. Everything that identifies a person is regulated."""

    customer_id: RecordId
    name: Name
    email: Email | None = None
    phone: Phone | None = None
    birth_date: Day | None = None
    address: Address | None = None
    national_id: NationalId | None = None
    country: Country
    language: Language
    segment: Word
    kyc_status: Literal["verified", "pending", "review", "rejected"]
    opened_at: UtcTime


class AccountRow(IngestRow):
    """Hold an account. `number` is an IBAN or a local number."""

    account_id: RecordId
    customer_id: RecordId
    number: AccountNumber
    product: Word
    currency: Currency
    status: Literal["active", "blocked", "closed"]
    opened_at: UtcTime


class CardRow(IngestRow):
    """Hold a card. Security codes and PINs have no field: a row that brings one is refused."""

    card_id: RecordId
    account_id: RecordId
    pan: Pan
    scheme: Word
    status: Literal["active", "blocked", "expired"]
    expires_on: Day


class TraceStep(IngestRow):
    """Hold one step of an authorisation, in the order in which it was checked."""

    step: Word
    result: Literal["pass", "fail", "skipped"]
    detail: Annotated[dict[Word, AmountMinor | LimitMinor | bool | FreeText], Field(max_length=12)] = Field(default_factory=dict)


class TransactionRow(IngestRow):
    """Hold a transaction of the bank's own record. What `descriptor`, `reference` and a trace say of people becomes tokens."""

    transaction_id: RecordId
    account_id: RecordId
    card_id: RecordId | None = None
    merchant_id: RecordId | None = None
    beneficiary_id: RecordId | None = None
    kind: Literal[
        "card_payment",
        "direct_debit",
        "transfer_in",
        "transfer_out",
        "cash_withdrawal",
        "fee",
        "payout",
        "merchant_refund",
        "salary",
    ]
    status: Literal["posted", "pending", "declined", "reversed"]
    amount_minor: AmountMinor
    currency: Currency
    descriptor: FreeText
    reference: FreeText | None = None
    occurred_at: UtcTime
    posted_at: UtcTime | None = None
    decline_code: Word | None = None
    decline_trace: Annotated[tuple[TraceStep, ...], Field(max_length=40)] | None = None
    related_transaction_id: RecordId | None = None
    settles_on: Day | None = None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if (self.status == "declined") != (self.decline_code is not None):
            raise PydanticCustomError("contradiction", "a decline_code belongs to a declined transaction, and only there")
        if self.decline_trace is not None and self.decline_code is None:
            raise PydanticCustomError("contradiction", "a decline_trace belongs to a declined transaction")
        if (self.posted_at is not None) != (self.status in {"posted", "reversed"}):
            raise PydanticCustomError("contradiction", "posted_at belongs to a posted or reversed transaction, and only there")
        if self.posted_at is not None and self.posted_at < self.occurred_at:
            raise PydanticCustomError("contradiction", "posted before it occurred")
        if self.related_transaction_id == self.transaction_id:
            raise PydanticCustomError("contradiction", "a transaction is not related to itself")
        if self.beneficiary_id is not None and self.kind != "transfer_out":
            raise PydanticCustomError("contradiction", "a beneficiary_id belongs to a transfer_out")
        return self


class BeneficiaryRow(IngestRow):
    """Hold a payee of a customer. Screening is ours: a new payee is unscreened, and so is one whose name or number changed."""

    beneficiary_id: RecordId
    customer_id: RecordId
    name: Name
    account_number: AccountNumber
    currency: Currency
    added_at: UtcTime
    verified_at: UtcTime | None = None


class DeviceRow(IngestRow):
    """Hold a device of a customer."""

    device_id: RecordId
    customer_id: RecordId
    platform: Word
    first_seen_at: UtcTime
    trusted: bool


class LoginRow(IngestRow):
    """Hold a login attempt."""

    login_id: RecordId
    customer_id: RecordId
    device_id: RecordId | None = None
    ip: IpAddress | None = None
    country: Country
    outcome: Literal["success", "failed", "challenged"]
    occurred_at: UtcTime


class DisputeRow(IngestRow):
    """Hold a card dispute."""

    dispute_id: RecordId
    transaction_id: RecordId
    state: Literal["open", "evidence", "submitted", "won", "lost", "withdrawn"]
    network_reason_code: NetworkReasonCode
    opened_at: UtcTime
    due_on: Day | None = None


class LabelRow(IngestRow):
    """Hold what turned out about a record. From `known_at` on it may be used: a week after `occurred_at` at the earliest."""

    label_id: RecordId
    subject_kind: LabelSubject
    subject_id: RecordId
    label: LabelValue
    pattern: Word | None = None
    source: LabelSource
    occurred_at: UtcTime
    known_at: UtcTime

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if (self.label == "fraud") != (self.pattern is not None):
            raise PydanticCustomError("contradiction", "a pattern belongs to a fraud, and only there")
        if datetime.fromisoformat(self.known_at) - datetime.fromisoformat(self.occurred_at) < LABEL_DELAY:
            raise PydanticCustomError("known_too_early", "a label is known a week after what it labels at the earliest")
        return self
