"""Conversations and messages in the database: masked text, handles, mentions, and which answer belongs to which key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from domain.conversation import Grant, Sentence
from domain.errors import InvalidInput, NotFound
from domain.event import Event
from domain.ids import make_id
from domain.mentions import Mention
from storage.events import append_event
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "conversations.sql")


class UnknownConversation(NotFound):
    """Say that there is no such conversation in this workspace."""

    code = "unknown_conversation"


class KeyReused(InvalidInput):
    """Say that an idempotency key came back with another body."""

    code = "idempotency_key_reused"


@dataclass(frozen=True, slots=True)
class Conversation:
    """Hold one conversation."""

    conversation_id: str
    customer_id: str
    operator_id: str
    created_at: datetime
    language: str
    segment: str
    operator_name: str


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """Hold one message as it stands in the database, masked."""

    message_id: str
    author: str
    operator_id: str
    masked_text: str
    sentences: tuple[Sentence, ...]
    state: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StoredProposal:
    """Hold one inbox row. `arguments` and `trace` are as the agents process wrote them: untrusted, {} where no object."""

    proposal_id: str
    message_id: str
    kind: str
    arguments: dict[str, Any]
    trace: dict[str, Any]
    submitted_at: datetime


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """Hold an operator's message, masked, with everything that is stored in its transaction."""

    tenant_id: str
    message_id: str
    conversation_id: str
    customer_id: str
    operator_id: str
    masked_text: str
    grants: tuple[Grant, ...]
    mentions: tuple[Mention, ...]
    key: str
    body_digest: str


def insert_conversation(
    connection: Connection[Any], conversation: Conversation, *, tenant_id: str, grants: Sequence[Grant], now: datetime
) -> None:
    """Open a conversation with its handles."""
    connection.execute(
        _QUERIES["insert_conversation"],
        {
            "tenant_id": tenant_id,
            "conversation_id": conversation.conversation_id,
            "customer_id": conversation.customer_id,
            "operator_id": conversation.operator_id,
            "created_at": now,
        },
    )
    _insert_grants(connection, grants, tenant_id=tenant_id, now=now)


def find_conversation(connection: Connection[Any], *, tenant_id: str, conversation_id: str) -> Conversation:
    """Return one conversation. Raises: UnknownConversation."""
    row = None
    if "\0" not in conversation_id:
        row = _one(connection, "find_conversation", {"tenant_id": tenant_id, "conversation_id": conversation_id})
    if row is None:
        raise UnknownConversation("there is no such conversation in this workspace")
    return Conversation(**row)


def list_conversations(connection: Connection[Any], *, tenant_id: str, customer_id: str) -> list[dict[str, Any]]:
    """Return the conversations about a customer, newest first, with who opened them."""
    return _all(connection, "list_conversations", {"tenant_id": tenant_id, "customer_id": customer_id})


def list_grants(connection: Connection[Any], *, tenant_id: str, conversation_id: str) -> tuple[Grant, ...]:
    """Return the handles of a conversation."""
    return tuple(
        Grant(**row) for row in _all(connection, "list_grants", {"tenant_id": tenant_id, "conversation_id": conversation_id})
    )


def insert_message(connection: Connection[Any], message: IncomingMessage, now: datetime) -> None:
    """Store an operator's message with handles, mentions, its event and its idempotency key, in the caller's transaction."""
    connection.execute(_QUERIES["lock_conversation"], {"conversation_id": message.conversation_id})
    _insert_grants(connection, message.grants, tenant_id=message.tenant_id, now=now)
    row = {
        "tenant_id": message.tenant_id,
        "message_id": message.message_id,
        "conversation_id": message.conversation_id,
        "author": "operator",
        "operator_id": message.operator_id,
        "masked_text": message.masked_text,
        "sentences": Jsonb([]),
        "state": "complete",
        "created_at": now,
    }
    connection.execute(_QUERIES["insert_message"], row)
    for ordinal, mention in enumerate(message.mentions):
        connection.execute(
            _QUERIES["insert_mention"],
            {
                "tenant_id": message.tenant_id,
                "message_id": message.message_id,
                "ordinal": ordinal,
                "kind": mention.kind,
                "value": mention.value,
                "origin": mention.origin.value,
            },
        )
    append_event(connection, _received_event(message, now))
    store_answer(
        connection,
        tenant_id=message.tenant_id,
        scope=turn_scope(message.operator_id),
        key=message.key,
        body_digest=message.body_digest,
        response={"message_id": message.message_id, "conversation_id": message.conversation_id},
        now=now,
    )


def insert_answer(connection: Connection[Any], answer: StoredMessage, *, tenant_id: str, conversation_id: str) -> None:
    """Store the assistant's message, masked."""
    connection.execute(
        _QUERIES["insert_message"],
        {
            "tenant_id": tenant_id,
            "message_id": answer.message_id,
            "conversation_id": conversation_id,
            "author": "assistant",
            "operator_id": answer.operator_id,
            "masked_text": answer.masked_text,
            "sentences": Jsonb([sentence.model_dump(mode="json") | {"origin": sentence.origin} for sentence in answer.sentences]),
            "state": answer.state,
            "created_at": answer.created_at,
        },
    )


def list_messages(connection: Connection[Any], *, tenant_id: str, conversation_id: str) -> tuple[StoredMessage, ...]:
    """Return the newest 200 messages in their order."""
    rows = _all(connection, "list_messages", {"tenant_id": tenant_id, "conversation_id": conversation_id})
    return tuple(_message_of(row) for row in rows)


def find_message(connection: Connection[Any], *, tenant_id: str, message_id: str) -> tuple[str, StoredMessage]:
    """Return one message and its conversation's id. Raises: UnknownConversation."""
    row = None if "\0" in message_id else _one(connection, "find_message", {"tenant_id": tenant_id, "message_id": message_id})
    if row is None:
        raise UnknownConversation("there is no such message in this workspace", code="unknown_message")
    return row.pop("conversation_id"), _message_of(row)


def list_proposals(connection: Connection[Any], *, tenant_id: str, conversation_id: str) -> tuple[StoredProposal, ...]:
    """Return the inbox rows of a conversation, oldest first."""
    rows = _all(connection, "list_proposals", {"tenant_id": tenant_id, "conversation_id": conversation_id})
    return tuple(_proposal_of(row) for row in rows)


def list_proposals_of_message(connection: Connection[Any], *, tenant_id: str, message_id: str) -> tuple[StoredProposal, ...]:
    """Return the inbox rows of one turn, oldest first."""
    rows = _all(connection, "list_proposals_of_message", {"tenant_id": tenant_id, "message_id": message_id})
    return tuple(_proposal_of(row) for row in rows)


def find_proposal_place(connection: Connection[Any], *, tenant_id: str, proposal_id: str) -> tuple[str, StoredProposal]:
    """Return an inbox row and its conversation's id. Raises: NotFound."""
    row = None if "\0" in proposal_id else _one(connection, "find_proposal", {"tenant_id": tenant_id, "proposal_id": proposal_id})
    if row is None:
        raise NotFound("there is no such proposal in this workspace", code="unknown_proposal")
    return row.pop("conversation_id"), _proposal_of(row)


def turn_scope(operator_id: str) -> str:
    """Name the scope of an operator's idempotency keys for messages."""
    return f"turn:{operator_id}"


ANSWER_SCOPE = "answer"


def find_stored(connection: Connection[Any], *, tenant_id: str, scope: str, key: str, body_digest: str) -> dict[str, Any] | None:
    """Return what is stored under a key. Raises: KeyReused when it was stored for another body."""
    row = _one(connection, "find_stored_answer", {"tenant_id": tenant_id, "scope": scope, "key": key})
    if row is None:
        return None
    if row["body_digest"] != body_digest:
        raise KeyReused("this Idempotency-Key was used for another message: use a fresh key for each message")
    response: dict[str, Any] = row["response"]
    return response


def list_answers(connection: Connection[Any], *, tenant_id: str, message_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return how the turns of these messages ended, by message id."""
    rows = _all(connection, "list_stored_answers", {"tenant_id": tenant_id, "scope": ANSWER_SCOPE, "keys": list(message_ids)})
    return {row["key"]: row["response"] for row in rows}


def store_answer(
    connection: Connection[Any],
    *,
    tenant_id: str,
    scope: str,
    key: str,
    body_digest: str,
    response: dict[str, Any],
    now: datetime,
) -> None:
    """Keep an answer under its key. A second one for the same key raises psycopg.errors.UniqueViolation."""
    connection.execute(
        _QUERIES["insert_stored_answer"],
        {
            "tenant_id": tenant_id,
            "scope": scope,
            "key": key,
            "body_digest": body_digest,
            "response": Jsonb(response),
            "created_at": now,
        },
    )


def _received_event(message: IncomingMessage, now: datetime) -> Event:
    return Event(
        event_id=make_id("evt", now),
        event_type="message.received",
        source="edge",
        subject=message.message_id,
        tenant_id=message.tenant_id,
        occurred_at=now,
        recorded_at=now,
        data={
            "message_id": message.message_id,
            "conversation_id": message.conversation_id,
            "customer_id": message.customer_id,
            "operator_id": message.operator_id,
            "masked_text_sha256": hashlib.sha256(message.masked_text.encode()).hexdigest(),
        },
    )


def _insert_grants(connection: Connection[Any], grants: Sequence[Grant], *, tenant_id: str, now: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            _QUERIES["insert_grant"],
            [{**grant.model_dump(mode="json"), "tenant_id": tenant_id, "created_at": now} for grant in grants],
        )


def _proposal_of(row: dict[str, Any]) -> StoredProposal:
    return StoredProposal(**{**row, "arguments": _read_object(row["arguments"]), "trace": _read_object(row["trace"])})


def _read_object(text: str) -> dict[str, Any]:
    """Read JSON of an attacker: numbers of thousands of digits and endless nesting break a parser, and a list is no object."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _message_of(row: dict[str, Any]) -> StoredMessage:
    sentences = tuple(_sentence_of(stored) for stored in row["sentences"])
    return StoredMessage(**{**row, "sentences": sentences})


def _sentence_of(stored: dict[str, Any]) -> Sentence:
    # Its origin follows from who wrote it, so what is stored of it is not read back.
    return Sentence.model_validate({name: value for name, value in stored.items() if name != "origin"})


def _one(connection: Connection[Any], query: str, parameters: dict[str, Any]) -> dict[str, Any] | None:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_QUERIES[query], parameters).fetchone()


def _all(connection: Connection[Any], query: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_QUERIES[query], parameters).fetchall()
