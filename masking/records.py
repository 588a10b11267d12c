"""Records on their way in: regulated fields become tokens, the rest stays as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from domain.errors import InvalidInput
from masking.classes import PiiClass
from masking.vault import PiiItem, Vault


class UnusableField(InvalidInput):
    """Say that a regulated field of a record holds no text."""

    code = "unusable_field"


@dataclass(frozen=True, slots=True)
class Record:
    """Hold a record's fields and whose it is. `subject_id` is the customer, also for what his accounts and beneficiaries hold."""

    subject_id: str
    fields: Mapping[str, Any]


def tokenize_record(
    conn: Connection[Any], vault: Vault, record: Record, *, tenant_id: str, classes: Mapping[str, PiiClass]
) -> dict[str, Any]:
    """Return a copy of one record's fields, those named in `classes` replaced by tokens. None and "" become None."""
    return tokenize_records(conn, vault, [record], tenant_id=tenant_id, classes=classes)[0]


def tokenize_records(
    conn: Connection[Any], vault: Vault, records: Sequence[Record], *, tenant_id: str, classes: Mapping[str, PiiClass]
) -> list[dict[str, Any]]:
    """Return copies of many records' fields, in their order; one trip to the vault for all. Idempotent.

    Raises: UnusableField, EmptyValue.
    """
    results = [dict(record.fields) for record in records]
    places: list[tuple[int, str]] = []
    items: list[PiiItem] = []
    for number, record in enumerate(records):
        for name in classes.keys() & record.fields.keys():
            value = record.fields[name]
            if value is None or value == "":
                results[number][name] = None
            elif not isinstance(value, str):
                raise UnusableField(f"record {number + 1}, field {name}: expected text, found {type(value).__name__}")
            else:
                places.append((number, name))
                items.append(PiiItem(classes[name], value, record.subject_id))
    for (number, name), token in zip(places, vault.tokenize_many(conn, items, tenant_id=tenant_id), strict=True):
        results[number][name] = token
    return results
