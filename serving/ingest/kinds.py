"""The kinds of records: row model, key, regulated fields, parents, and the statement that writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from domain.errors import InvalidInput
from masking.classes import PiiClass
from serving.ingest.rows import (
    AccountRow,
    BeneficiaryRow,
    CardRow,
    CustomerRow,
    DeviceRow,
    DisputeRow,
    IngestRow,
    LabelRow,
    LoginRow,
    MerchantRow,
    OperatorLimitRow,
    OperatorRow,
    TransactionRow,
)

ParentKind = Literal[
    "customers", "accounts", "cards", "merchants", "devices", "beneficiaries", "transactions", "disputes", "operators"
]


class UnknownKind(InvalidInput):
    """Say that no record kind has this name."""

    code = "unknown_kind"


@dataclass(frozen=True, slots=True)
class Parent:
    """Say that a field names another record. `must_share` is the parent's field that has to equal the row's own.

    A row without a `customer_id` has its account's.
    """

    field_name: str
    kind: ParentKind
    must_share: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KindSpec:
    """Hold what ingest must know of a kind.

    `regulated` maps a field to its class; None means: an IBAN or a local account number, by its shape.
    `past` names the time that can't lie in the future. `has_free_text`: strangers' words stand in its rows.
    """

    kind: str
    row: type[IngestRow]
    key: tuple[str, ...]
    parents: tuple[Parent, ...] = ()
    regulated: Mapping[str, PiiClass | None] = field(default_factory=dict)
    past: str | None = None
    has_free_text: bool = False

    @property
    def is_about_customer(self) -> bool:
        """Say whether each row belongs to one customer, by itself or by its account."""
        return self.kind == "customers" or any(parent.kind in {"customers", "accounts"} for parent in self.parents)


def _spec(
    kind: str,
    row: type[IngestRow],
    key: str,
    *parents: Parent,
    past: str | None = None,
    has_free_text: bool = False,
    **regulated: PiiClass | None,
) -> KindSpec:
    return KindSpec(
        kind=kind,
        row=row,
        key=tuple(key.split()),
        parents=parents,
        regulated=MappingProxyType(regulated),
        past=past,
        has_free_text=has_free_text,
    )


_CUSTOMER = Parent("customer_id", "customers")
_ACCOUNT = Parent("account_id", "accounts")

KINDS: Mapping[str, KindSpec] = MappingProxyType(
    {
        spec.kind: spec
        for spec in (
            _spec("merchants", MerchantRow, "merchant_id"),
            _spec("operators", OperatorRow, "operator_id"),
            _spec("operator_limits", OperatorLimitRow, "operator_id action_kind currency", Parent("operator_id", "operators")),
            _spec(
                "customers",
                CustomerRow,
                "customer_id",
                past="opened_at",
                name=PiiClass.PERSON,
                email=PiiClass.EMAIL,
                phone=PiiClass.PHONE,
                birth_date=PiiClass.BIRTH_DATE,
                address=PiiClass.ADDRESS,
                national_id=PiiClass.NATIONAL_ID,
            ),
            _spec("accounts", AccountRow, "account_id", _CUSTOMER, past="opened_at", number=None),
            _spec("cards", CardRow, "card_id", _ACCOUNT, pan=PiiClass.CARD),
            _spec(
                "beneficiaries",
                BeneficiaryRow,
                "beneficiary_id",
                _CUSTOMER,
                past="added_at",
                name=PiiClass.PERSON,
                account_number=None,
            ),
            _spec("devices", DeviceRow, "device_id", _CUSTOMER, past="first_seen_at"),
            _spec(
                "logins",
                LoginRow,
                "login_id",
                _CUSTOMER,
                Parent("device_id", "devices", must_share=("customer_id",)),
                past="occurred_at",
                ip=PiiClass.IP,
            ),
            _spec(
                "transactions",
                TransactionRow,
                "transaction_id",
                Parent("account_id", "accounts", must_share=("currency",)),
                Parent("card_id", "cards", must_share=("account_id",)),
                Parent("merchant_id", "merchants"),
                Parent("beneficiary_id", "beneficiaries", must_share=("customer_id",)),
                Parent("related_transaction_id", "transactions", must_share=("account_id",)),
                past="occurred_at",
                has_free_text=True,
            ),
            _spec("disputes", DisputeRow, "dispute_id", Parent("transaction_id", "transactions"), past="opened_at"),
            _spec("labels", LabelRow, "label_id", past="known_at"),
        )
    }
)
"""In the order in which files load: parents before what refers to them."""


def require_kind(name: str) -> KindSpec:
    """Return the kind of this name. Raises: UnknownKind."""
    spec = KINDS.get(name)
    if spec is None:
        raise UnknownKind(f"unknown kind of records; there are: {', '.join(KINDS)}")
    return spec
