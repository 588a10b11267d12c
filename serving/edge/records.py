"""Reads of the bank's records for the console and the API, with the values that the viewer may see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg.rows import dict_row

from domain.errors import NotFound
from domain.money import Money, render_money
from masking.tokens import UNKNOWN_REFERENCE, find_tokens
from serving.edge.boundary import Boundary, RecordToken, Viewer
from serving.edge.database import EdgeDatabase
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "records.sql")
RECENT_TRANSACTIONS = 60


class UnknownCustomer(NotFound):
    """Say that there is no such customer in this workspace."""

    code = "unknown_customer"


class UnknownRecord(NotFound):
    """Say that there is no such record, or not of this customer."""

    code = "unknown_record"


@dataclass(frozen=True, slots=True)
class Customer:
    """Hold one customer as a viewer may see him."""

    customer_id: str
    name: str
    email: str
    phone: str
    country: str
    language: str
    segment: str
    kyc_status: str
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class Account:
    """Hold one account; `number` is what the viewer may see of it."""

    account_id: str
    number: str
    product: str
    currency: str
    status: str


@dataclass(frozen=True, slots=True)
class Card:
    """Hold one card by its last digits."""

    card_id: str
    account_id: str
    last4: str
    scheme: str
    status: str


@dataclass(frozen=True, slots=True)
class Beneficiary:
    """Hold a payee. `name` and `tail` (`••1234`) are what the viewer may see, "" where he may not."""

    beneficiary_id: str
    name: str
    tail: str
    currency: str
    screening_state: str
    added_at: datetime


@dataclass(frozen=True, slots=True)
class Dispute:
    """Hold a dispute with the charge that it is about."""

    dispute_id: str
    transaction_id: str
    state: str
    opened_at: datetime
    amount_minor: int
    currency: str

    @property
    def amount(self) -> str:
        """Write the disputed charge for people."""
        return render_money(Money(self.amount_minor, self.currency))


@dataclass(frozen=True, slots=True)
class Transaction:
    """Hold one transaction of the bank's record."""

    transaction_id: str
    account_id: str
    card_id: str | None
    kind: str
    status: str
    amount_minor: int
    currency: str
    descriptor: str
    occurred_at: datetime
    posted_at: datetime | None
    decline_code: str | None
    related_transaction_id: str | None
    settles_on: Any
    merchant_name: str | None

    @property
    def amount(self) -> str:
        """Write the amount for people."""
        return render_money(Money(self.amount_minor, self.currency))

    @property
    def counterpart(self) -> str:
        """Name the other side as people know it."""
        return self.merchant_name or self.descriptor


@dataclass(frozen=True, slots=True)
class CustomerFile:
    """Hold what the console shows beside a conversation."""

    customer: Customer
    accounts: tuple[Account, ...]
    cards: tuple[Card, ...]
    transactions: tuple[Transaction, ...]


@dataclass(frozen=True, slots=True)
class RecordReader:
    """Read records of a tenant."""

    database: EdgeDatabase
    boundary: Boundary

    def read_customer(self, viewer: Viewer, customer_id: str) -> Customer:
        """Return one customer. Raises: UnknownCustomer."""
        row = self.require_customer(viewer.tenant_id, customer_id)
        values = self._reveal(viewer, row)
        return Customer(
            customer_id=row["customer_id"],
            name=values.get(row["name_token"], ""),
            email=values.get(row["email_token"] or "", ""),
            phone=values.get(row["phone_token"] or "", ""),
            **{field: row[field] for field in ("country", "language", "segment", "kyc_status", "opened_at")},
        )

    def read_file(self, viewer: Viewer, customer_id: str) -> CustomerFile:
        """Return a customer with accounts, cards and the newest transactions. Raises: UnknownCustomer."""
        customer = self.read_customer(viewer, customer_id)
        key = {"tenant_id": viewer.tenant_id, "customer_id": customer_id}
        with self.database.work(viewer.tenant_id) as connection, connection.cursor(row_factory=dict_row) as cursor:
            accounts = cursor.execute(_QUERIES["list_accounts"], key).fetchall()
            cards = cursor.execute(_QUERIES["list_cards"], key).fetchall()
            transactions = cursor.execute(_QUERIES["list_recent_transactions"], {**key, "limit": RECENT_TRANSACTIONS}).fetchall()
        numbers = self.boundary.reveal(
            [RecordToken(customer_id, row["number_token"]) for row in accounts], viewer=viewer, purpose="record"
        )
        return CustomerFile(
            customer=customer,
            accounts=tuple(_account_of(row, numbers) for row in accounts),
            cards=tuple(Card(**row) for row in cards),
            transactions=self._show_transactions(viewer, customer_id, transactions),
        )

    def read_transaction(self, viewer: Viewer, *, customer_id: str, transaction_id: str) -> Transaction:
        """Return one transaction of this customer. Raises: UnknownRecord."""
        key = {"tenant_id": viewer.tenant_id, "customer_id": customer_id, "transaction_id": transaction_id}
        with self.database.work(viewer.tenant_id) as connection, connection.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute(_QUERIES["find_transaction_of_customer"], key).fetchone()
        if row is None:
            raise UnknownRecord("there is no such transaction of this customer")
        return self._show_transactions(viewer, customer_id, [row])[0]

    def find_beneficiary(self, viewer: Viewer, *, customer_id: str, beneficiary_id: str) -> Beneficiary | None:
        """Return a payee of this customer."""
        row = self._find(viewer, "find_beneficiary", customer_id=customer_id, beneficiary_id=beneficiary_id)
        if row is None:
            return None
        tokens = [RecordToken(customer_id, row["name_token"]), RecordToken(customer_id, row["account_number_token"])]
        values = self.boundary.reveal(tokens, viewer=viewer, purpose="review")
        return Beneficiary(
            name=values.get(row["name_token"], ""),
            tail=_tail_of(values.get(row["account_number_token"], "")),
            **{field: row[field] for field in ("beneficiary_id", "currency", "screening_state", "added_at")},
        )

    def find_card(self, viewer: Viewer, *, customer_id: str, card_id: str) -> Card | None:
        """Return a card of this customer."""
        key = {"tenant_id": viewer.tenant_id, "customer_id": customer_id}
        with self.database.work(viewer.tenant_id) as connection, connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(_QUERIES["list_cards"], key).fetchall()
        return next((Card(**row) for row in rows if row["card_id"] == card_id), None)

    def find_dispute(self, viewer: Viewer, *, customer_id: str, dispute_id: str) -> Dispute | None:
        """Return a dispute of this customer."""
        row = self._find(viewer, "find_dispute", customer_id=customer_id, dispute_id=dispute_id)
        return None if row is None else Dispute(**row)

    def list_merchants(self, tenant_id: str, customer_id: str) -> tuple[str, ...]:
        """Return the names of merchants that the customer dealt with."""
        with self.database.work(tenant_id) as connection:
            rows = connection.execute(_QUERIES["list_merchants"], {"tenant_id": tenant_id, "customer_id": customer_id}).fetchall()
        return tuple(str(row[0]) for row in rows)

    def account_tail(self, viewer: Viewer, customer_id: str, account_id: str) -> str:
        """Return the last digits of an account's number as `••1234`, "" when the viewer may not see them."""
        key = {"tenant_id": viewer.tenant_id, "customer_id": customer_id}
        with self.database.work(viewer.tenant_id) as connection, connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(_QUERIES["list_accounts"], key).fetchall()
        tokens = [RecordToken(customer_id, row["number_token"]) for row in rows if row["account_id"] == account_id]
        if not tokens:
            return ""
        number = self.boundary.reveal(tokens, viewer=viewer, purpose="review").get(tokens[0].token, "")
        return _tail_of(number)

    def require_customer(self, tenant_id: str, customer_id: str) -> Mapping[str, Any]:
        """Return the customer's row, with tokens for his values. Raises: UnknownCustomer."""
        unknown = UnknownCustomer("there is no such customer in this workspace: pick one from the list")
        if "\0" in customer_id:
            raise unknown
        with self.database.work(tenant_id) as connection, connection.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute(_QUERIES["find_customer"], {"tenant_id": tenant_id, "customer_id": customer_id}).fetchone()
        if row is None:
            raise unknown
        return row

    def _show_transactions(self, viewer: Viewer, customer_id: str, rows: Sequence[Mapping[str, Any]]) -> tuple[Transaction, ...]:
        """Put into what strangers wrote what the viewer may see of it; one look-up for all rows, none where no token stands."""
        found = {match.token for row in rows for match in find_tokens(row["descriptor"]) if match.token is not None}
        shown: Mapping[str, str] = {}
        if found:
            tokens = [RecordToken(customer_id, token) for token in sorted(found)]
            shown = self.boundary.reveal(tokens, viewer=viewer, purpose="record")
        return tuple(Transaction(**{**row, "descriptor": _show_text(row["descriptor"], shown)}) for row in rows)

    def _find(self, viewer: Viewer, query: str, **keys: str) -> dict[str, Any] | None:
        with self.database.work(viewer.tenant_id) as connection, connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(_QUERIES[query], {"tenant_id": viewer.tenant_id, **keys}).fetchone()

    def _reveal(self, viewer: Viewer, row: Mapping[str, Any]) -> Mapping[str, str]:
        names = ("name_token", "email_token", "phone_token")
        tokens = [RecordToken(row["customer_id"], row[name]) for name in names if row[name]]
        return self.boundary.reveal(tokens, viewer=viewer, purpose="record")


def _tail_of(number: str) -> str:
    """Write the last digits of a number, "" for none or a mask."""
    digits = "".join(character for character in number if character.isalnum())
    return f"••{digits[-4:]}" if len(digits) >= 4 else ""


def _show_text(text: str, shown: Mapping[str, str]) -> str:
    """Write the shown values into a masked text."""
    parts, end = [], 0
    for match in find_tokens(text):
        parts += [text[end : match.start], shown.get(match.token or "", UNKNOWN_REFERENCE)]
        end = match.end
    return "".join([*parts, text[end:]])


def _account_of(row: Mapping[str, Any], numbers: Mapping[str, str]) -> Account:
    return Account(
        account_id=row["account_id"],
        number=numbers.get(row["number_token"], ""),
        product=row["product"],
        currency=row["currency"],
        status=row["status"],
    )
