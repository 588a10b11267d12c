"""Bad input gets a clear answer and leaves nothing behind."""

from __future__ import annotations

import re

import httpx
import pytest

from masking.unmask import RevealScope, Unmasker
from tests.doubles.masking_keys import FixedKeyProvider
from tests.integration.edge.world import ANA, ANA_IBAN, PASSWORD, EdgeWorld
from tests.integration.masking.conftest import EVERYTHING, FULL

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


# The customer's own account number, e-mail and name in disguise, and a stranger's card; none may be readable for the agents.
_ZERO_WIDTH, _SOFT_HYPHEN = "\u200b", "\u00ad"
_CARD = "4000056655665556"
_FULL_WIDTH, _ARABIC = (str.maketrans("0123456789", "".join(chr(first + n) for n in range(10))) for first in (0xFF10, 0x0660))
_DISGUISED = {
    "zero width in an IBAN": (
        f"her account DE89{_ZERO_WIDTH}3704{_ZERO_WIDTH}0044 0532{_ZERO_WIDTH} 0130 00 ?",
        ("0044", "0532"),
    ),
    "full-width digits": (f"card {_CARD}".translate(_FULL_WIDTH), ("566".translate(_FULL_WIDTH),)),
    "arabic digits": (f"card {_CARD}".translate(_ARABIC), ("566".translate(_ARABIC),)),
    "emoji between digits": ("card 4000\U0001f6000566\U0001f6005566\U0001f6005556", ("0566", "5556")),
    "right to left": (f"card \u202e{_CARD}\u202c", ("0566",)),
    "soft hyphens in her name": (f"Ana Luc{_SOFT_HYPHEN}ía Fer{_SOFT_HYPHEN}reyra called", ("reyra", "Ferreyra")),
    "look-alike letters in her name": ("\u0410na Lucía F\u0435rreyra called", ("rreyra",)),
    "a joiner in her e-mail": (f"ana.ferreyra{_ZERO_WIDTH}@example.com", ("ferreyra", "ana.")),
    "nested tokens": (f"<PERSON_<{ANA_IBAN}>_aaaaaaaa-bb>", ("4400532013",)),
}


@pytest.mark.parametrize("trick", _DISGUISED)
def test_values_in_disguise_reach_neither_agents_nor_database(world: EdgeWorld, trick: str) -> None:
    text, readable = _DISGUISED[trick]
    answer = world.ask(world.sign_in(), text)
    assert answer.status_code == 200, answer.text
    ((stored,),) = world.rows("SELECT masked_text FROM core.messages WHERE author = 'operator'")
    assert world.agents.seen[-1].text == stored
    bare = re.sub(r"<[A-Z_]+_[0-9a-z]{8}-[0-9a-z]{2}>", "#", stored)
    assert "#" in bare
    for part in readable:
        assert part not in bare, bare
    # What was typed comes back as it was typed.
    assert _typed(world, answer.json()["message_id"]) == text


def _typed(world: EdgeWorld, message_id: str) -> str:
    row = world.rows("SELECT conversation_id, masked_text FROM core.messages WHERE message_id = %s", [message_id])[0]
    unmasker = Unmasker(keys=FixedKeyProvider(), transact=world._transact("vault"), entitlements=FULL)
    scope = RevealScope(world.tenant.tenant_id, row[0], ANA)
    return unmasker.unmask_text(row[1], viewer=EVERYTHING, scope=scope, message_id=message_id)


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"text=" + b"x" * 1_048_576, 413, "400,000 bytes"),
        (b"text=" + b"x" * 100_001, 413, "100,000"),
        (b"text=a%00b", 422, "plain text"),
        (b"text=a%ff%feb", 422, "plain text"),
        (b"text=%ed%a0%80", 422, "plain text"),
        (b"text=", 422, "type a question"),
    ],
)
def test_a_bad_paste_into_the_console_is_said_and_leaves_nothing(world: EdgeWorld, body: bytes, status: int, says: str) -> None:
    browser, csrf = _console(world)
    answer = browser.post(
        f"/customers/{ANA}/messages",
        content=body + f"&key=k-1&csrf={csrf}".encode(),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code == status, answer.text[:300]
    assert says in answer.text
    assert world.rows(MESSAGES) == [(0,)]
    assert world.agents.seen == []


def test_a_megabyte_by_the_api_is_refused_with_its_limit(world: EdgeWorld) -> None:
    client = world.sign_in()
    path = f"/api/v1/conversations/{world.open_conversation(client)}/messages"
    assert "400,000" in _problem(client.post(path, json={"text": "x" * 1_048_576}), 413, "body_too_large")
    invalid = client.post(path, content=b'{"text": "caf\xe9"}', headers={"Content-Type": "application/json"})
    assert invalid.status_code in {400, 422}
    assert "caf" not in invalid.text
    assert world.rows(MESSAGES) == [(0,)]


def test_no_masking_no_message(world: EdgeWorld) -> None:
    client = world.sign_in()
    path = f"/api/v1/conversations/{world.open_conversation(client)}/messages"
    world._pool("vault").close()
    _problem(client.post(path, json={"text": "charged twice?"}), 503, "database_unavailable")
    assert world.rows(MESSAGES) == [(0,)]
    assert world.agents.seen == []


def _console(world: EdgeWorld) -> tuple[httpx.Client, str]:
    browser = world.browser()
    (entry,) = re.findall(r'name="entry" value="([^"]*)"', browser.get("/login").text)
    assert browser.post("/login", data={"username": "ada", "password": PASSWORD, "entry": entry}).status_code == 303
    return browser, re.findall(r'name="csrf" value="([^"]*)"', browser.get(f"/customers/{ANA}").text)[0]
