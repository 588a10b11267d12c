"""What the edge writes down of a message is what the gate reads: whose words named the transaction, and whose the amount."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from masking.classes import PiiClass
from masking.tokens import find_tokens
from tests.integration.edge.scripted_agents import TurnSeen, done, sentence
from tests.integration.edge.world import ANA, PASSWORD, STRANGER, EdgeWorld

POSTINGS = "SELECT count(*) FROM ledger.transfer_events WHERE event_type = 'ledger.transfer_posted'"
_PAID = ["within_policy"]


def _proposes(amount_minor: int, transaction: str = "T3") -> Callable[[TurnSeen], Iterator[Any]]:
    def script(turn: TurnSeen) -> Iterator[Any]:
        proposal_id = turn.propose(transaction=transaction, amount_minor=amount_minor, currency="EUR", reason_code="other")
        yield {"type": "proposal", "proposal_id": proposal_id}
        yield done(model="none")

    return script


@pytest.mark.parametrize(
    ("text", "amount_minor", "origin", "codes"),
    [
        ("refund EUR 5.00 of T3", 500, "staff", _PAID),
        ("refund 5,00 € of txn_9a8b7c6d5e4f", 500, "staff", _PAID),
        ("refund 5.00 of T3", 500, "staff", _PAID),
        ("refund EUR 5.00 of T4", 500, "staff", ["claim_unconfirmed", "within_policy"]),
        ("refund what is fair on T3\n> give me 150", 15_000, "customer_text", ["amount_origin_untrusted", "within_policy"]),
        ("> give me 500", 50_000, "customer_text", ["above_operator_limit", "amount_origin_untrusted", "claim_unconfirmed"]),
        ("> refund EUR 5.00 of T3", 500, "customer_text", ["amount_origin_untrusted", "claim_unconfirmed", "within_policy"]),
        ("customer says: refund EUR 5.00 of T3", 500, "customer_text", ["amount_origin_untrusted", "claim_unconfirmed"]),
        ("where is her payout?", 500, "model", ["amount_origin_untrusted", "claim_unconfirmed", "within_policy"]),
        ("where is her payout?", 61_800, "ledger", ["above_operator_limit", "claim_unconfirmed", "within_policy"]),
    ],
)
def test_the_gate_reads_what_the_edge_wrote(
    world: EdgeWorld, text: str, amount_minor: int, origin: str, codes: list[str]
) -> None:
    world.agents.script = _proposes(amount_minor)
    answer = world.ask(world.sign_in(), text).json()
    origins = {item["argument"]: item["origin"] for item in answer["decision"]["origins"]}
    assert (origins["transaction"], origins["amount_minor"]) == ("ledger", origin)
    assert [reason["code"] for reason in answer["reasons"]][: len(codes)] == codes
    assert answer["decision"]["outcome"] == ("allow" if codes == _PAID else "review")
    assert (answer["posting"] is None) is (codes != _PAID)
    assert world.rows(POSTINGS) == [(int(codes == _PAID),)]


NEW_IBAN = "DE02 1203 0000 0000 2020 51"
_GRANTED = "SELECT origin FROM vault.pii_grants WHERE token = %s"


def _changes_details(token: str | None = None) -> Callable[[TurnSeen], Iterator[Any]]:
    """Propose the token given, or the first one of the message."""

    def script(turn: TurnSeen) -> Iterator[Any]:
        details = token or next(match.token for match in find_tokens(turn.text))
        change = {"beneficiary": "B1", "details": details, "reason_code": "customer_request"}
        yield {"type": "proposal", "proposal_id": turn.propose_act("beneficiary_change", **change)}
        yield done(model="none")

    return script


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        (f"her payee has a new account: {NEW_IBAN}", "staff"),
        (f"> my new account is {NEW_IBAN}", "customer_text"),
        (f"customer says: my new account is {NEW_IBAN}", "customer_text"),
        (f'she wrote "pay to {NEW_IBAN}" and nothing else', "customer_text"),
        (f"> my new account is {NEW_IBAN}\nI called her, {NEW_IBAN} is right", "staff"),
    ],
)
def test_a_token_has_the_origin_of_who_wrote_its_value(world: EdgeWorld, text: str, origin: str) -> None:
    world.agents.script = _changes_details()
    answer = world.ask(world.sign_in(), text).json()
    assert {one["argument"]: one["origin"] for one in answer["decision"]["origins"]}["details"] == origin
    token = answer["decision"]["action"]["details"]
    assert token.startswith("<IBAN_")
    assert world.conn_as("vault", world.tenant).execute(_GRANTED, [token]).fetchall() == [(origin,)]


def test_a_pasted_token_of_another_customer_is_nobodys_word_and_grants_nothing(world: EdgeWorld) -> None:
    (foreign,) = world.tokenize(STRANGER, (PiiClass.IBAN, "DE44500105175407324931"))
    world.agents.script = _changes_details(foreign)
    client = world.sign_in()
    answer = world.ask(client, f"her payee has a new account: {foreign}").json()
    assert {one["argument"]: one["origin"] for one in answer["decision"]["origins"]}["details"] == "model"
    assert "details_from_model" in [reason["code"] for reason in answer["reasons"]]
    assert world.conn_as("vault", world.tenant).execute(_GRANTED, [foreign]).fetchall() == []
    ((stored,),) = world.rows("SELECT masked_text FROM core.messages WHERE author = 'operator'")
    assert foreign not in stored
    assert stored.startswith("her payee has a new account: <LITERAL_")


def test_a_message_and_each_of_its_sentences_say_whose_words_they_are(world: EdgeWorld) -> None:
    client = world.sign_in()
    conversation_id = world.open_conversation(client)
    seen: list[tuple[Any, ...]] = []

    def script(turn: TurnSeen) -> Iterator[Any]:
        seen.extend(turn.query("SELECT author, origin FROM ai.messages ORDER BY created_at"))
        yield sentence("T1 is a card payment.", kind="record", ref="T1", title="T1")
        if "policy" in turn.text:
            yield sentence(
                "The second charge is refunded.", by="model", kind="passage", ref="refund-policy#2", title="Refund policy"
            )
        yield done()

    world.agents.script = script
    for text in ("what is T1?", "what does the policy say?"):
        assert world.ask(client, text, conversation_id).status_code == 200
    rows = world.rows("SELECT author, origin, sentences FROM core.messages ORDER BY created_at, author DESC")
    assert [row[:2] for row in rows] == [
        ("operator", "staff"), ("assistant", "derived"), ("operator", "staff"), ("assistant", "model"),
    ]  # fmt: skip
    assert [[one["origin"] for one in row[2]] for row in rows] == [[], ["derived"], [], ["derived", "model"]]
    assert seen[-1] == ("operator", "staff")
    assert {origin for _, origin in seen} == {"staff", "derived"}
    # It is read back as it was shown.
    asked = world.rows("SELECT message_id FROM core.messages WHERE author = 'operator' ORDER BY created_at DESC LIMIT 1")
    again = client.get(f"/api/v1/messages/{asked[0][0]}/answer").json()
    assert [one["generated_by"] for one in again["sentences"]] == ["template", "model"]


def test_what_a_stranger_wrote_into_a_transaction_is_shown_by_right_and_said_by_token(world: EdgeWorld) -> None:
    person, card = world.tokenize(ANA, (PiiClass.PERSON, "Adebayo Okonkwo"), (PiiClass.CARD, "4000056655665556"), source="text")
    world.conn_as("jobs", world.tenant).execute(
        "UPDATE core.transactions SET descriptor = %s, merchant_id = NULL WHERE transaction_id = 'txn_5f2c81a09b44'",
        [f"RENT {person} FROM {card}"],
    )
    seen: list[str] = []

    def script(turn: TurnSeen) -> Iterator[Any]:
        ((descriptor,),) = turn.query("SELECT descriptor FROM ai.transactions WHERE transaction_id = 'txn_5f2c81a09b44'")
        seen.append(descriptor)
        yield sentence(f"T1 is a card payment of EUR 49.90 at {descriptor}.", kind="record", ref="T1", title="T1")
        yield done()

    world.agents.script = script
    client = world.sign_in()
    answer = world.ask(client, "what is T1?").json()
    # A name is shown to those who answer the customer, a card by its last digits: the same in the answer and in the record.
    written = "RENT Adebayo Okonkwo FROM •••• 5556"
    assert answer["sentences"][0]["text"] == f"T1 is a card payment of EUR 49.90 at {written}."
    assert seen == [f"RENT {person} FROM {card}"]
    assert client.get(f"/api/v1/customers/{ANA}").json()["transactions"][0]["descriptor"] == written
    for path in (f"/customers/{ANA}", f"/customers/{ANA}/transactions/txn_5f2c81a09b44"):
        assert written in _page(world, path)
    granted = world.conn_as("vault", world.tenant).execute(_GRANTED, [person]).fetchall()
    assert granted == [("customer_text",)]


def _page(world: EdgeWorld, path: str) -> str:
    browser = world.browser()
    (entry,) = re.findall(r'name="entry" value="([^"]*)"', browser.get("/login").text)
    assert browser.post("/login", data={"username": "ada", "password": PASSWORD, "entry": entry}).status_code == 303
    answer = browser.get(path, follow_redirects=True)
    assert answer.status_code == 200, answer.text[:300]
    return answer.text
