"""Write a chunk of checked rows: tokens from the vault, then one upsert; bad rows into quarantine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from psycopg import Connection

from masking.classes import PiiClass
from masking.vault import PiiItem, Vault
from serving.ingest.kinds import KindSpec
from serving.ingest.reading import Problem, ReadRow
from serving.ingest.references import ReferenceBook
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql")
_MAX_SEALED_BYTES = 65_536


def tokenize_rows(
    vault_conn: Connection[Any], vault: Vault, book: ReferenceBook, spec: KindSpec, rows: Sequence[ReadRow], *, tenant_id: str
) -> list[dict[str, Any]]:
    """Return the columns to write: each regulated field `x` replaced by `x_token`. Idempotent."""
    columns = [read.row.model_dump() for read in rows]
    places: list[tuple[dict[str, Any], str]] = []
    items: list[PiiItem] = []
    for record, read in zip(columns, rows, strict=True):
        if "pan" in record:
            record["last4"] = record["pan"][-4:]
        for name, pii_class in spec.regulated.items():
            value = record.pop(name)
            if value is None:
                record[f"{name}_token"] = None
                continue
            places.append((record, f"{name}_token"))
            items.append(PiiItem(pii_class or _class_of_number(value), value, book.customer_of(read.row)))
    for (record, name), token in zip(places, vault.tokenize_many(vault_conn, items, tenant_id=tenant_id), strict=True):
        record[name] = token
    return columns


def _class_of_number(number: str) -> PiiClass:
    return PiiClass.IBAN if number[:2].isalpha() else PiiClass.ACCOUNT


def upsert_rows(conn: Connection[Any], spec: KindSpec, columns: Sequence[dict[str, Any]], *, tenant_id: str) -> tuple[int, int]:
    """Write rows of one kind and return how many were inserted and how many changed. Equal rows are not touched."""
    if not columns:
        return 0, 0
    parameters = {"tenant_id": tenant_id, "rows": orjson.dumps(columns).decode()}
    row = conn.execute(_QUERIES[f"upsert_{spec.kind}"], parameters).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def write_quarantine(conn: Connection[Any], vault: Vault, problems: Sequence[Problem], *, tenant_id: str, ingest_id: str) -> None:
    """Keep bad rows with line and reason. The raw text is sealed; of a huge one the first 64 KiB."""
    if not problems:
        return
    parameters = {
        "tenant_id": tenant_id,
        "ingest_id": ingest_id,
        "lines": [problem.line for problem in problems],
        "reason_codes": [problem.reason_code for problem in problems],
        "reasons": [problem.reason for problem in problems],
        "sealed_rows": [
            vault.seal_bytes(problem.raw[:_MAX_SEALED_BYTES], tenant_id=tenant_id, place=f"quarantine|{ingest_id}|{problem.line}")
            for problem in problems
        ],
    }
    conn.execute(_QUERIES["insert_quarantine"], parameters)
