"""A turn through the real boundary, gate and ledger: asked, masked, proposed, decided, posted, receipt."""

from __future__ import annotations

import json

from tests.integration.edge.world import ANA_IBAN, ANA_NAME, EdgeWorld


def test_a_double_charge_is_answered_decided_and_posted_once(world: EdgeWorld) -> None:
    client = world.sign_in()
    answer = world.ask(client, f"{ANA_NAME} says she was charged twice, IBAN {ANA_IBAN}. Is that so?").json()
    assert answer["state"] == "complete"
    assert [one["generated_by"] for one in answer["sentences"]] == ["template", "model", "template"]
    assert {one["ref"] for one in answer["citations"]} == {"T1", "refund-policy#2"}
    assert answer["proposal"]["transaction_id"] == "txn_5f2c81a09b44"
    assert answer["decision"]["outcome"] == "allow", answer["reasons"]
    assert answer["posting"]["amount_minor"] == 4990
    assert answer["receipt"]["state"] == "ready"
    receipt = json.loads(answer["receipt"]["document"])
    assert receipt["decision_id"] == answer["decision"]["decision_id"]
    assert receipt["records"][0]["record"]["event_type"] == "message.received"
    assert client.get(answer["receipt"]["url"]).content.decode() == answer["receipt"]["document"]
    again = world.ask(client, "and refund it again please", answer["conversation_id"]).json()
    assert again["decision"]["outcome"] == "deny"
    assert again["posting"] is None


def test_the_agents_get_masked_text_and_the_operator_reads_his_own(world: EdgeWorld) -> None:
    client = world.sign_in()
    text = f"{ANA_NAME} (card ending 4242, txn_9a8b7c6d5e4f, txn_abcdefabcdef) wants EUR 618.00 back"
    world.ask(client, text)
    seen = world.agents.seen[0].text
    assert "Ferreyra" not in seen
    assert "txn_" not in seen
    assert "C1" in seen
    assert "T3" in seen
    assert "X1" in seen
    assert "EUR 618.00" in seen
    mentions = world.rows("SELECT kind, value, origin FROM core.mentions ORDER BY ordinal")
    assert ("amount", "EUR 618.00", "staff") in mentions
    assert ("handle", "X1", "staff") in mentions
    assert world.rows("SELECT granted FROM core.grants WHERE handle = 'X1'") == [(False,)]
    stored = world.rows("SELECT masked_text FROM core.messages WHERE author = 'operator'")
    assert "Ferreyra" not in stored[0][0]
