"""Bad input gets a clear answer and leaves nothing behind."""

from __future__ import annotations

import httpx
import pytest

from tests.integration.edge.world import ANA, EdgeWorld

MESSAGES = "SELECT count(*) FROM core.messages WHERE author = 'operator'"


def _problem(answer: httpx.Response, status: int, code: str) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    assert set(body) >= {"type", "title", "detail"}
    detail: str = body["detail"]
    return detail


def test_messages_that_are_none(world: EdgeWorld) -> None:
    client = world.sign_in()
    conversation_id = world.open_conversation(client)
    path = f"/api/v1/conversations/{conversation_id}/messages"
    assert "type a question" in _problem(client.post(path, json={"text": " \n"}), 422, "empty_message")
    assert "100,000" in _problem(client.post(path, json={"text": "x" * 100_001}), 413, "message_too_long")
    assert "plain text" in _problem(client.post(path, json={"text": "PK\x03\x04"}), 422, "message_not_text")
    assert "plain text" in _problem(client.post(path, json={"text": "a\0b"}), 422, "message_not_text")
    _problem(
        client.post(path, content=b'{"text": "\\ud800"}', headers={"Content-Type": "application/json"}), 422, "message_not_text"
    )
    _problem(client.post(path, content=b"\xff\xfe\x00", headers={"Content-Type": "application/json"}), 400, "http_400")
    _problem(client.post(path, json={}), 422, "invalid_request")
    _problem(client.post(path, json={"text": "x" * 500_000}), 413, "body_too_large")
    _problem(client.post(path, json={"text": " ".join(f"txn_{number:012x}" for number in range(30))}), 422, "too_many_references")
    assert world.rows(MESSAGES) == [(0,)]
    assert world.agents.seen == []


def test_a_message_of_just_under_100_kb_is_taken(world: EdgeWorld) -> None:
    client = world.sign_in()
    answer = world.ask(client, "charged twice? " + "and so on " * 9_900)
    assert answer.status_code == 200, answer.text[:300]


@pytest.mark.parametrize("customer_id", ["cus_ffffffffffff", "nobody", "x' OR 1=1 --", "%00"])
def test_unknown_customers(world: EdgeWorld, customer_id: str) -> None:
    client = world.sign_in()
    _problem(client.get(f"/api/v1/customers/{customer_id}"), 404, "unknown_customer")
    _problem(client.post("/api/v1/conversations", json={"customer_id": customer_id}), 404, "unknown_customer")


def test_unknown_conversations_messages_and_decisions(world: EdgeWorld) -> None:
    client = world.sign_in()
    unknown = "0" * 32
    _problem(client.post(f"/api/v1/conversations/cnv_{unknown}/messages", json={"text": "hello"}), 404, "unknown_conversation")
    _problem(client.get(f"/api/v1/messages/msg_{unknown}/answer"), 404, "unknown_message")
    assert client.get(f"/api/v1/decisions/dec_{unknown}").status_code == 404
    assert client.get(f"/api/v1/receipts/dec_{unknown}").status_code == 404
    assert client.get("/api/v1/nothing").status_code == 404


@pytest.mark.parametrize("tail", ["%3Ftenant_id=other", "%23", "%2E%2E", "x", "%07"])
def test_an_id_brings_nothing_else_into_a_call_to_the_money_process(world: EdgeWorld, tail: str) -> None:
    client, unknown = world.sign_in(), "0" * 32
    for path in (f"/api/v1/decisions/dec_{unknown}{tail}", f"/api/v1/receipts/dec_{unknown}{tail}"):
        _problem(client.get(path), 404, "not_found")
    _problem(client.post(f"/api/v1/proposals/prp_{unknown}{tail}/decide"), 404, "not_found")
    verdict = world.sign_in("cleo").post(f"/api/v1/reviews/rev_{unknown}{tail}/approve", json={"action_digest": "0" * 64})
    _problem(verdict, 404, "not_found")


def test_another_workspace_does_not_exist(world: EdgeWorld, other_tenant: object) -> None:
    client = world.sign_in()
    conversation_id = world.open_conversation(client)
    token = client.headers["Authorization"].split(".")[-1]
    client.headers["Authorization"] = f"Bearer tgs.{other_tenant.tenant_id}.{token}"  # type: ignore[attr-defined]
    _problem(client.get(f"/api/v1/customers/{ANA}"), 401, "not_signed_in")
    _problem(client.post(f"/api/v1/conversations/{conversation_id}/messages", json={"text": "hello"}), 401, "not_signed_in")


def test_the_same_key_is_one_message_and_another_body_is_refused(world: EdgeWorld) -> None:
    client = world.sign_in()
    conversation_id = world.open_conversation(client)
    headers = {"Idempotency-Key": "k-1"}
    first = world.ask(client, "charged twice?", conversation_id, **headers).json()
    again = world.ask(client, "charged twice?", conversation_id, **headers).json()
    assert again["message_id"] == first["message_id"]
    assert again["sentences"] == first["sentences"]
    assert again["decision"]["decision_id"] == first["decision"]["decision_id"]
    assert world.rows(MESSAGES) == [(1,)]
    assert len(world.agents.seen) == 1
    _problem(world.ask(client, "something else", conversation_id, **headers), 422, "idempotency_key_reused")
    opened = [
        client.post("/api/v1/conversations", json={"customer_id": ANA}, headers={"Idempotency-Key": "c-1"}) for _ in range(2)
    ]
    assert opened[0].json() == opened[1].json()


def test_a_conversation_is_written_by_who_opened_it(world: EdgeWorld) -> None:
    conversation_id = world.open_conversation(world.sign_in("ada"))
    _problem(world.ask(world.sign_in("ben"), "charged twice?", conversation_id), 403, "not_your_conversation")


def test_a_message_about_another_customer_than_the_conversations_is_refused(world: EdgeWorld) -> None:
    client = world.sign_in()
    path = f"/api/v1/conversations/{world.open_conversation(client)}/messages"
    _problem(client.post(path, json={"text": "charged twice?", "customer_id": "cus_somebody_else"}), 409, "other_customer")
    assert world.rows(MESSAGES) == [(0,)]
    assert client.post(path, params={"wait": "true"}, json={"text": "charged twice?", "customer_id": ANA}).status_code == 200


def test_a_busy_conversation_asks_to_wait(world: EdgeWorld) -> None:
    client = world.sign_in()
    conversation_id = world.open_conversation(client)
    path = f"/api/v1/conversations/{conversation_id}/messages"

    def slow(_: object) -> object:
        yield lambda: world.agents.gate.wait(10)
        yield {"type": "done", "message_state": "complete", "model": "none"}

    world.agents.script = slow  # type: ignore[assignment]
    with client.stream("POST", path, json={"text": "one"}) as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith('{"type":"accepted"')
        _problem(client.post(path, json={"text": "two"}), 409, "still_answering")
        world.agents.gate.set()
        assert '"type":"done"' in list(lines)[-1]
