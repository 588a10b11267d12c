"""A part is down, breaks off, or writes nonsense: it is said, and no money is half done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.edge.scripted_agents import TurnSeen, done, sentence
from tests.integration.edge.test_access import console
from tests.integration.edge.world import ANA, EdgeWorld, answer_double_charge

POSTINGS = "SELECT count(*) FROM ledger.transfer_events WHERE event_type = 'ledger.transfer_posted'"


def test_agents_down(world: EdgeWorld) -> None:
    client = world.sign_in()
    world.stop("agents")
    answer = world.ask(client, "charged twice?").json()
    assert (answer["state"], answer["notice"]["code"]) == ("interrupted", "agents_down")
    assert "Nothing was proposed" in answer["notice"]["text"]
    ready = client.get("/readyz").json()
    assert ready == {"ready": True, "parts": {"database": "up", "money": "up", "agents": "down", "model": "down"}}
    world.start("agents")
    assert world.ask(client, "charged twice?", answer["conversation_id"]).json()["state"] == "complete"


def test_killed_after_it_proposed_and_before_it_said_so(world: EdgeWorld) -> None:
    def dies(turn: TurnSeen) -> Iterator[Any]:
        yield sentence("T1 and T2 are two charges of EUR 49.90.")
        turn.propose(transaction="T1", amount_minor=4990, currency="EUR", reason_code="duplicate_charge")
        raise ConnectionResetError

    world.agents.script = dies
    client = world.sign_in()
    answer = world.ask(client, "charged twice?").json()
    assert (answer["state"], answer["notice"]["code"]) == ("interrupted", "agents_stopped")
    assert len(answer["sentences"]) == 1
    assert answer["decision"]["outcome"] == "allow"
    assert answer["posting"]["amount_minor"] == 4990
    stored = client.get(f"/api/v1/messages/{answer['message_id']}/answer").json()
    assert stored["notice"] == answer["notice"]
    assert stored["posting"] == answer["posting"]
    assert world.rows(POSTINGS) == [(1,)]


@pytest.mark.parametrize(
    ("arguments", "trace"),
    [
        ('{"transaction": "T1", "amount_minor": ' + "9" * 5000 + "}", "{}"),
        ("[" * 4000 + "]" * 4000, "{}"),
        ("null", "null"),
        ('["T1"]', '"x"'),
        ('{"transaction": {"a": 1}, "amount_minor": true, "currency": ["EUR"], "reason_code": "\\u001b[2J"}', '{"model": 7}'),
    ],
    ids=["digits", "nesting", "null", "list", "types"],
)
def test_a_hostile_row_of_the_inbox_is_denied_and_closes_no_conversation(world: EdgeWorld, arguments: str, trace: str) -> None:
    def proposes(turn: TurnSeen) -> Iterator[Any]:
        proposal_id = turn.propose_raw(arguments, trace)
        yield sentence("T1 is posted.")
        yield {"type": "proposal", "proposal_id": proposal_id}
        yield done()

    world.agents.script = proposes
    client = world.sign_in()
    answer = world.ask(client, "charged twice?").json()
    assert (answer["state"], answer["decision"]["outcome"], answer["posting"]) == ("complete", "deny", None)
    assert [reason["code"] for reason in answer["reasons"]] == ["malformed_proposal"]
    stored = client.get(f"/api/v1/messages/{answer['message_id']}/answer").json()
    assert stored["decision"] == answer["decision"]
    page = console(world, "ada").get(f"/customers/{ANA}", params={"conversation": answer["conversation_id"]})
    assert page.status_code == 200
    assert "malformed_proposal" in page.text
    assert "\x1b" not in page.text


def test_nonsense_ends_the_turn(world: EdgeWorld) -> None:
    client = world.sign_in()
    for line in ("no json\n", '{"type": "sentence"}\n', '{"type": "proposal", "proposal_id": "prp_1"}\n'):
        world.agents.script = lambda _, line=line: iter([sentence("T1 is posted."), line, done()])  # type: ignore[misc]
        answer = world.ask(client, "charged twice?").json()
        assert (answer["state"], answer["notice"]["code"], len(answer["sentences"])) == ("interrupted", "agents_failed", 1)
        assert answer["proposal"] is None


def test_a_proposal_of_another_turn_is_not_taken_up(world: EdgeWorld) -> None:
    client = world.sign_in()
    first = world.ask(client, "charged twice?").json()
    stolen = {"type": "proposal", "proposal_id": first["proposal"]["proposal_id"]}
    world.agents.script = lambda _: iter([stolen, {"type": "proposal", "proposal_id": "prp_" + "0" * 32}, done()])
    answer = world.ask(client, "and now?").json()
    assert answer["state"] == "complete"
    assert answer["actions"] == []


def test_what_the_agents_write_is_masked_before_it_is_stored(world: EdgeWorld) -> None:
    leaked = "Call Ana Lucía Ferreyra at ana.ferreyra@example.com, or pay DE89370400440532013000."
    world.agents.script = lambda _: iter([sentence(leaked, by="model"), done()])
    client = world.sign_in()
    answer = world.ask(client, "how do I reach her?").json()
    stored = world.rows("SELECT masked_text, sentences::TEXT FROM core.messages WHERE author = 'assistant'")[0]
    for text in stored:
        assert "Ferreyra" not in text
        assert "DE8937" not in text
    assert "Ana Lucía Ferreyra" in answer["sentences"][0]["text"]
    assert "DE8937" not in answer["sentences"][0]["text"]


def test_an_invented_token_shows_nothing(world: EdgeWorld) -> None:
    world.agents.script = lambda _: iter([sentence("It is <PERSON_7f3a9k2m-q4>."), done()])
    answer = world.ask(world.sign_in(), "who is it?").json()
    assert answer["sentences"][0]["text"] == "It is [unknown reference]."


def test_money_down_means_nothing_executed_and_a_second_try(world: EdgeWorld) -> None:
    client = world.sign_in()
    world.stop("money")
    answer = world.ask(client, "charged twice?").json()
    assert answer["state"] == "complete"
    assert answer["decision"] is None
    assert answer["actions"][0]["undecided"]["code"] == "money_down"
    assert "nothing was executed" in answer["actions"][0]["undecided"]["text"]
    refused = client.post(f"/api/v1/proposals/{answer['proposal']['proposal_id']}/decide")
    assert (refused.status_code, refused.json()["code"]) == (503, "money_down")
    assert world.rows(POSTINGS) == [(0,)]
    world.start("money")
    decided = client.post(f"/api/v1/proposals/{answer['proposal']['proposal_id']}/decide").json()
    assert decided["posting"]["amount_minor"] == 4990
    assert world.rows(POSTINGS) == [(1,)]


def test_a_posting_is_not_denied_while_the_money_process_is_down(world: EdgeWorld) -> None:
    client = world.sign_in()
    first = world.ask(client, "charged twice?").json()
    assert first["posting"]
    world.stop("money")
    later = client.get(f"/api/v1/messages/{first['message_id']}/answer").json()
    assert later["actions"][0]["undecided"]["code"] == "state_unknown"
    assert "nothing was executed" not in later["actions"][0]["undecided"]["text"]


def test_a_reader_who_leaves_does_not_stop_the_turn(world: EdgeWorld) -> None:
    def slow(turn: TurnSeen) -> Iterator[Any]:
        yield sentence("T1 and T2 are two charges of EUR 49.90.")
        yield lambda: world.agents.gate.wait(10)
        yield from answer_double_charge(turn)

    world.agents.script = slow
    client = world.sign_in()
    conversation_id = world.open_conversation(client)
    with client.stream("POST", f"/api/v1/conversations/{conversation_id}/messages", json={"text": "charged twice?"}) as answer:
        lines = answer.iter_lines()
        message_id = next(lines).split('"message_id":"')[1].split('"')[0]
        assert '"type":"sentence"' in next(lines)
    world.agents.gate.set()
    whole = client.get(f"/api/v1/messages/{message_id}/answer").json()
    assert whole["state"] == "complete"
    assert len(whole["sentences"]) == 4
    assert whole["posting"]["amount_minor"] == 4990


def test_a_turn_that_ended_with_this_process_is_said_to_be_interrupted(world: EdgeWorld) -> None:
    client = world.sign_in()
    answer = world.ask(client, "charged twice?").json()
    orphan = "msg_" + "1" * 32
    world.conn_as("edge", world.tenant).execute(
        "INSERT INTO core.messages (tenant_id, message_id, conversation_id, author, operator_id, masked_text, created_at)"
        " VALUES (%s, %s, %s, 'operator', 'opr_ada', 'and then?', now())",
        [world.tenant.tenant_id, orphan, answer["conversation_id"]],
    )
    cut = client.get(f"/api/v1/messages/{orphan}/answer").json()
    assert (cut["state"], cut["notice"]["code"], cut["sentences"]) == ("interrupted", "edge_restarted", [])
