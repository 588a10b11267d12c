"""Read the facts of a turn from the views of the AI role, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from agents.support.duplicates import find_duplicates
from agents.support.facts import AccountFact, DisputeFact, EarlierDecision, FactSheet, TransactionFact
from domain.errors import NotFound
from storage.named_queries import load_queries

QUERIES = load_queries(Path(__file__).parent / "sql" / "support.sql")


class UnknownConversation(NotFound):
    """Say that this tenant has no such conversation."""

    code = "unknown_conversation"


async def load_facts(connection: AsyncConnection[Any], conversation_id: str) -> FactSheet:
    """Gather the fact sheet of a conversation. Raises: UnknownConversation."""
    owner = await _rows(connection, "find_conversation_customer", {"conversation_id": conversation_id})
    if not owner:
        raise UnknownConversation("no such conversation for this tenant")
    customer_id = str(owner[0]["customer_id"])
    key = {"conversation_id": conversation_id, "customer_id": customer_id}
    grants = await _rows(connection, "list_handles", key)
    handles = {row["ref"]: row["handle"] for row in grants if row["granted"]}
    rows = await _rows(connection, "list_granted_transactions", key)
    transactions = tuple(_to_fact(row, handles) for row in rows)
    refs = {"transaction_ids": [row["transaction_id"] for row in rows]}
    disputes = await _rows(connection, "list_disputes", refs)
    decisions = await _rows(connection, "list_decisions", refs)
    accounts = await _rows(connection, "list_accounts", key)
    return FactSheet(
        customer_id=customer_id,
        language=str(owner[0]["language"]),
        accounts=tuple(
            AccountFact(handle=handles.get(row.pop("account_id")), **row) for row in (dict(account) for account in accounts)
        ),
        transactions=transactions,
        duplicates=find_duplicates(transactions),
        disputes=tuple(DisputeFact(handle=handles[row.pop("transaction_id")], **row) for row in map(dict, disputes)),
        earlier=tuple(EarlierDecision(handle=handles[row.pop("transaction_id")], **row) for row in map(dict, decisions)),
        outside=tuple(row["handle"] for row in grants if not row["granted"]),
    )


def _to_fact(row: Mapping[str, Any], handles: Mapping[str, str]) -> TransactionFact:
    fields = dict(row)
    related = fields.pop("related_transaction_id")
    return TransactionFact(
        handle=handles[fields.pop("transaction_id")], related_handle=handles.get(related) if related else None, **fields
    )


async def _rows(connection: AsyncConnection[Any], query: str, values: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(QUERIES[query], values)
        return await cursor.fetchall()
