"""The agents process puts a proposal into the inbox and is killed, and the edge with it, before anybody asked for a decision."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb

from domain.ids import make_id
from storage.embedded import EmbeddedPostgres
from storage.roles import read_role_password
from storage.tenancy import mint_context, read_context_key
from tests.acceptance.service import Service

pytestmark = pytest.mark.slow
_REFUND = "The customer was charged twice, please refund the duplicate."
_TRACE = {
    "prompt_id": "support.read", "prompt_sha256": "a" * 64, "masked_prompt_sha256": "b" * 64, "model": "none",
    "generated_by": "template",
}  # fmt: skip


@contextlib.contextmanager
def _connect(service: Service, role: Literal["ai", "auditor"]) -> Iterator[psycopg.Connection[Any]]:
    secrets_dir = service.var_dir / "secrets"
    address = EmbeddedPostgres(home=service.var_dir / "pg", secrets_dir=secrets_dir).address.with_dbname("tellergate")
    expires_at = datetime.now(UTC) + timedelta(minutes=5)
    context = mint_context(read_context_key(secrets_dir), tenant_id="demo", role=role, expires_at=expires_at)
    with psycopg.connect(address.dsn(role, read_role_password(secrets_dir, role)), autocommit=True) as connection:
        connection.execute("SELECT set_config('tellergate.context', %s, FALSE)", [context])
        yield connection


def _send(operator: httpx.Client, conversation_id: str) -> None:
    # The edge is killed before it can answer this.
    with contextlib.suppress(httpx.TransportError):
        operator.post(f"/api/v1/conversations/{conversation_id}/messages", params={"wait": "true"}, json={"text": _REFUND})


def _find_message(agents: psycopg.Connection[Any], conversation_id: str) -> str | None:
    statement = "SELECT message_id FROM ai.messages WHERE conversation_id = %s AND author = 'operator'"
    row = agents.execute(statement, [conversation_id]).fetchone()
    return None if row is None else str(row[0])


def _propose(agents: psycopg.Connection[Any], case: dict[str, Any], conversation_id: str, message_id: str) -> str:
    """Write what the agents process writes for this message."""
    statement = "SELECT handle FROM ai.grants WHERE conversation_id = %s AND ref = %s"
    row = agents.execute(statement, [conversation_id, case["transaction_id"]]).fetchone()
    assert row is not None
    arguments = {
        "transaction": row[0], "amount_minor": case["amount_minor"], "currency": case["currency"],
        "reason_code": "duplicate_charge",
    }  # fmt: skip
    now = datetime.now(UTC)
    proposal_id = make_id("prp", now)
    agents.execute(
        "INSERT INTO ai.proposals (tenant_id, proposal_id, conversation_id, message_id, kind, arguments, trace, submitted_at)"
        " VALUES ('demo', %s, %s, %s, 'refund', %s, %s, %s)",
        [proposal_id, conversation_id, message_id, Jsonb(arguments), Jsonb(_TRACE), now],
    )
    return proposal_id


def _leave_a_proposal(service: Service, case: dict[str, Any]) -> tuple[str, str]:
    """Hold the agents process still while it has a message, propose in its place, kill it and the edge. Return the ids."""
    agents_pid = int(service.parts()["agents"]["pid"])
    with service.api("ada") as operator, _connect(service, "ai") as agents, concurrent.futures.ThreadPoolExecutor(1) as thread:
        opened = operator.post("/api/v1/conversations", json={"customer_id": case["customer_id"]}).raise_for_status()
        conversation_id = opened.json()["conversation_id"]
        os.kill(agents_pid, signal.SIGSTOP)
        try:
            sent = thread.submit(_send, operator, conversation_id)
            service.wait_for(lambda: _find_message(agents, conversation_id) is not None)
            message_id = _find_message(agents, conversation_id)
            assert message_id is not None
            proposal_id = _propose(agents, case, conversation_id, message_id)
        finally:
            edge_pid = service.kill("edge")
            service.kill("agents")
        sent.result()
    service.wait_for_part("edge", other_than=edge_pid)
    service.wait_for_part("agents", other_than=agents_pid)
    return message_id, proposal_id


def test_the_sweeper_decides_it_everyone_sees_it_and_nothing_is_posted_twice(service: Service) -> None:
    case = service.scenarios["duplicate_jpy"]
    message_id, proposal_id = _leave_a_proposal(service, case)
    with service.api("ada") as operator:
        # Reading an answer never decides: this waits for what the money process does by itself.
        def read() -> dict[str, Any]:
            answer: dict[str, Any] = operator.get(f"/api/v1/messages/{message_id}/answer").raise_for_status().json()
            return answer

        service.wait_for(lambda: read()["decision"] is not None)
        answer = read()
        asked_now = operator.post(f"/api/v1/proposals/{proposal_id}/decide").raise_for_status().json()
    assert (answer["state"], answer["notice"]["code"]) == ("interrupted", "edge_restarted")
    assert answer["proposal"]["proposal_id"] == proposal_id
    assert answer["decision"]["outcome"] == "allow"
    assert (answer["posting"]["amount_minor"], answer["posting"]["currency"]) == (case["amount_minor"], case["currency"])
    assert asked_now["decision"]["decision_id"] == answer["decision"]["decision_id"]
    assert asked_now["posting"]["transfer_id"] == answer["posting"]["transfer_id"]
    again = service.ask(case["customer_id"], _REFUND)
    assert again["decision"]["outcome"] == "deny"
    assert "already_refunded" in [reason["code"] for reason in again["decision"]["reasons"]]
    with _connect(service, "auditor") as auditor:
        posted = auditor.execute(
            "SELECT lines.transfer_id FROM ledger.transfer_lines AS lines"
            " INNER JOIN gate.decisions USING (tenant_id, decision_id) WHERE decisions.customer_id = %s",
            [case["customer_id"]],
        ).fetchall()
    assert len(posted) == 1
