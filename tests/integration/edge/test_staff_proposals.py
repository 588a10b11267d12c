"""A person proposes an act himself: his own conversation, granted handles, then the gate as for everybody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb

from domain.ids import make_id
from tests.integration.edge.test_access import _hidden as hidden
from tests.integration.edge.test_access import console
from tests.integration.edge.world import ACCOUNT, ANA, EdgeWorld

LANDLORD = "ben_000000000001"
NEW_IBAN = "DE02500105170137075030"
REFUND = {"transaction": "T1", "amount_minor": 4990, "currency": "EUR", "reason_code": "duplicate_charge"}
PAYMENT = {"account": "A1", "beneficiary": "B1", "amount_minor": 1250, "currency": "EUR", "reason_code": "bill"}
POSTED = "SELECT debit, credit, amount_minor FROM ledger.transfer_lines ORDER BY recorded_at, transfer_id"
Given = dict[str, Any]


def propose(client: httpx.Client, conversation_id: str, kind: str, arguments: Given, *, key: str = "") -> httpx.Response:
    """Propose an act."""
    return client.post(
        f"/api/v1/conversations/{conversation_id}/proposals",
        json={"kind": kind, "arguments": arguments},
        headers={"Idempotency-Key": key} if key else {},
    )


def add_payee(world: EdgeWorld, *, screening: str = "clear") -> None:
    """Write a payee of Ana's whom we have known for a year."""
    at = datetime.now(UTC) - timedelta(days=400)
    world.conn_as("jobs", world.tenant).execute(
        "INSERT INTO core.beneficiaries (tenant_id, beneficiary_id, customer_id, name_token, account_number_token, currency,"
        " screening_state, added_at, verified_at) VALUES (%s, %s, %s, %s, %s, 'EUR', %s, %s, %s)",
        [world.tenant.tenant_id, LANDLORD, ANA, "<PERSON_7fK2mQ9x-4d>", "<IBAN_7fK2mQ9x-4d>", screening, at, at],
    )


def count_rows(world: EdgeWorld) -> tuple[int, int]:
    """Return how many messages and how many proposals there are."""
    ((messages, proposals),) = world.rows("SELECT (SELECT count(*) FROM core.messages), (SELECT count(*) FROM ai.proposals)")
    return messages, proposals


def test_a_refund_by_hand_is_decided_and_posted_once(world: EdgeWorld) -> None:
    ada = world.sign_in("ada")
    conversation_id = world.open_conversation(ada)
    made = propose(ada, conversation_id, "refund", REFUND, key="one")
    assert made.status_code == 201, made.text
    action = made.json()
    assert (action["proposal"]["generated_by"], action["proposal"]["model"]) == ("staff", "staff")
    decided = action["decided"]
    assert decided["decision"]["outcome"] == "allow", decided["reasons"]
    assert (decided["decision"]["prompt_id"], decided["decision"]["model"]) == ("staff", "staff")
    assert decided["posting"]["amount_minor"] == 4990
    again = propose(ada, conversation_id, "refund", REFUND, key="one").json()
    assert again["proposal"]["proposal_id"] == action["proposal"]["proposal_id"]
    other = propose(ada, conversation_id, "refund", {**REFUND, "amount_minor": 4991}, key="one")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert world.rows(POSTED) == [("house:refunds:EUR", f"customer:{ACCOUNT}", 4990)]
    assert count_rows(world) == (2, 1)


def test_the_log_says_that_staff_proposed(world: EdgeWorld) -> None:
    ada = world.sign_in("ada")
    action = propose(ada, world.open_conversation(ada), "refund", REFUND).json()
    ((data,),) = world.rows(
        "SELECT data FROM core.events WHERE event_type = 'proposal.submitted' AND subject = %s",
        [action["proposal"]["proposal_id"]],
    )
    assert (data["generated_by"], data["model"], data["prompt_id"]) == ("staff", "staff", "staff")
    assert data["arguments"] == REFUND
    assert world.rows("SELECT proposed_by FROM ai.proposals") == [("opr_ada",)]


def test_amount_and_payee_are_staffs_words(world: EdgeWorld) -> None:
    add_payee(world)
    ada = world.sign_in("ada")
    conversation_id = world.open_conversation(ada)
    decided = propose(ada, conversation_id, "payment", PAYMENT).json()["decided"]
    origins = {one["argument"]: one["origin"] for one in decided["decision"]["origins"]}
    assert (origins["beneficiary"], origins["amount_minor"], origins["account"]) == ("staff", "staff", "ledger")
    assert decided["decision"]["outcome"] == "review"
    assert {one["code"] for one in decided["reasons"]} == {"new_beneficiary", "within_policy"}
    approved = world.sign_in("cleo").post(
        f"/api/v1/reviews/{decided['review']['review_id']}/approve",
        json={"action_digest": decided["decision"]["action_digest"], "reason": "known landlord"},
    )
    assert approved.json()["posting"]["amount_minor"] == 1250, approved.text
    assert world.rows(POSTED) == [(f"customer:{ACCOUNT}", "house:bank:payments:EUR", 1250)]


def test_who_proposed_cannot_approve(world: EdgeWorld) -> None:
    add_payee(world)
    ben = world.sign_in("ben")
    decided = propose(ben, world.open_conversation(ben), "payment", PAYMENT).json()["decided"]
    body = {"action_digest": decided["decision"]["action_digest"], "reason": "mine"}
    refused = ben.post(f"/api/v1/reviews/{decided['review']['review_id']}/approve", json=body)
    assert (refused.status_code, refused.json()["code"]) == (403, "own_proposal")
    assert world.rows(POSTED) == []


def test_another_persons_conversation_is_refused(world: EdgeWorld) -> None:
    conversation_id = world.open_conversation(world.sign_in("ada"))
    refused = propose(world.sign_in("ben"), conversation_id, "refund", REFUND)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_your_conversation")
    unknown = propose(world.sign_in("ben"), make_id("cnv", datetime.now(UTC)), "refund", REFUND)
    assert unknown.status_code == 404
    assert propose(world.sign_in("ira"), conversation_id, "refund", REFUND).status_code == 403
    assert count_rows(world) == (0, 0)


@pytest.mark.parametrize(
    ("kind", "change", "code"),
    [
        ("refund", {"transaction": "T99"}, "handle_not_granted"),
        ("refund", {"transaction": "A1"}, "handle_not_granted"),
        ("refund", {"account": "A1"}, "wrong_arguments"),
        ("refund", {"currency": None}, "wrong_arguments"),
        ("refund", {"currency": "ZZZ"}, "wrong_arguments"),
        ("unlisted", {}, "wrong_arguments"),
        ("refund", {"amount_minor": 0}, "invalid_request"),
        ("refund", {"amount_minor": 12.5}, "invalid_request"),
        ("refund", {"transaction": "txn_5f2c81a09b44"}, "invalid_request"),
        ("refund", {"reason_code": "because"}, "invalid_request"),
        ("tip", {}, "invalid_request"),
    ],
)
def test_what_cannot_be_proposed_leaves_nothing(world: EdgeWorld, kind: str, change: Given, code: str) -> None:
    ada = world.sign_in("ada")
    arguments = {name: value for name, value in {**REFUND, **change}.items() if value is not None}
    refused = propose(ada, world.open_conversation(ada), kind, arguments)
    assert (refused.status_code, refused.json()["code"]) == (422, code), refused.text
    assert count_rows(world) == (0, 0)


def test_a_strangers_reference_is_no_handle_to_act_on(world: EdgeWorld) -> None:
    ada = world.sign_in("ada")
    conversation_id = world.open_conversation(ada)
    world.ask(ada, "what does our policy say about txn_abcdefabcdef?", conversation_id)
    assert world.rows("SELECT handle FROM core.grants WHERE NOT granted") == [("X1",)]
    refused = propose(ada, conversation_id, "refund", {**REFUND, "transaction": "X1"})
    assert (refused.status_code, refused.json()["code"]) == (422, "handle_not_granted")


def test_new_details_of_a_payee_become_a_token(world: EdgeWorld) -> None:
    add_payee(world)
    ada = world.sign_in("ada")
    change = {"beneficiary": "B1", "details": NEW_IBAN, "reason_code": "customer_request"}
    made = propose(ada, world.open_conversation(ada), "beneficiary_change", change)
    assert made.status_code == 201, made.text
    decided = made.json()["decided"]
    assert decided["decision"]["outcome"] == "review", decided["reasons"]
    assert {one["argument"]: one["origin"] for one in decided["decision"]["origins"]}["details"] == "staff"
    assert decided["decision"]["action"]["details"].startswith("<IBAN")
    stored = world.rows("SELECT masked_text FROM core.messages UNION ALL SELECT arguments::text FROM ai.proposals")
    assert not [row for row in stored if NEW_IBAN in row[0]]
    page = console(world, "ada").get(f"/customers/{ANA}").text
    assert "details •••• 5030" in page
    assert "New details</dt><dd>•••• 5030" in page
    loose = propose(ada, world.open_conversation(ada), "beneficiary_change", {**change, "details": "the new one please"})
    assert (loose.status_code, loose.json()["code"]) == (422, "details_not_readable")


def test_onboarding_proposes_a_kyc_decision(world: EdgeWorld) -> None:
    gus = world.sign_in("gus")
    conversation_id = world.open_conversation(gus)
    made = propose(gus, conversation_id, "kyc_decision", {"verdict": "clear", "reason_code": "kyc"})
    assert made.json()["decided"]["decision"]["outcome"] == "review", made.text
    assert {one["handle"] for one in gus.get(f"/api/v1/conversations/{conversation_id}/handles").json()["items"]} >= {"A1", "T1"}


def test_without_the_money_process_it_waits_for_its_decision(world: EdgeWorld) -> None:
    ada = world.sign_in("ada")
    conversation_id = world.open_conversation(ada)
    world.stop("money")
    made = propose(ada, conversation_id, "refund", REFUND, key="late")
    assert (made.status_code, made.json()["decided"]) == (201, None)
    world.start("money")
    again = propose(ada, conversation_id, "refund", REFUND, key="late").json()
    assert again["decided"]["posting"]["amount_minor"] == 4990
    assert count_rows(world) == (2, 1)


def _insert(world: EdgeWorld, role: Any, conversation_id: str, message_id: str, **row: Any) -> None:
    trace = {"prompt_id": "p", "prompt_sha256": "0" * 64, "masked_prompt_sha256": "0" * 64, "model": "m"}
    values = {
        "tenant_id": world.tenant.tenant_id,
        "proposal_id": make_id("prp", datetime.now(UTC)),
        "conversation_id": conversation_id,
        "message_id": message_id,
        "kind": "refund",
        "arguments": Jsonb(REFUND),
        "submitted_at": datetime.now(UTC),
        "trace": Jsonb(trace | {"generated_by": row.pop("generated_by")}),
    } | row
    names = ", ".join(values)
    places = ", ".join(["%s"] * len(values))
    world.conn_as(role, world.tenant).execute(f"INSERT INTO ai.proposals ({names}) VALUES ({places})", list(values.values()))


def test_the_database_keeps_the_two_doors_apart(world: EdgeWorld) -> None:
    ada, ben = world.sign_in("ada"), world.sign_in("ben")
    conversation_id, others = world.open_conversation(ada), world.open_conversation(ben)
    message_id = world.ask(ada, "what does our policy say?", conversation_id).json()["message_id"]
    place = {"conversation_id": conversation_id, "message_id": message_id}
    with pytest.raises(psycopg.errors.CheckViolation):
        _insert(world, "ai", **place, generated_by="staff")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        _insert(world, "ai", **place, generated_by="staff", proposed_by="opr_ada")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        _insert(world, "edge", **place, generated_by="model")
    with pytest.raises(psycopg.errors.CheckViolation):
        _insert(world, "edge", **place, generated_by="model", proposed_by="opr_ada")
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        _insert(world, "edge", **place, generated_by="staff", proposed_by="opr_ben")
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        _insert(world, "edge", conversation_id=others, message_id=message_id, generated_by="staff", proposed_by="opr_ben")
    assert count_rows(world)[1] == 0


def test_the_form_on_the_conversations_page(world: EdgeWorld) -> None:
    ada = console(world, "ada")
    conversation_id = world.open_conversation(world.sign_in("ada"))
    assert f"/conversations/{conversation_id}/proposal" in ada.get(f"/customers/{ANA}").text
    page = ada.get(f"/conversations/{conversation_id}/proposal", params={"kind": "refund"}).text
    assert "T1: txn_5f2c81a09b44" in page
    assert 'name="details"' not in page
    sent = {"csrf": hidden(page, "csrf"), "key": hidden(page, "key"), "kind": "refund", "reason_code": "duplicate_charge"}
    sent |= {"handles": "transaction:T1", "amount": "49.90", "currency": "EUR"}
    card = ada.post(f"/conversations/{conversation_id}/proposal", data=sent)
    assert card.status_code == 200, card.text
    assert "Posted EUR 49.90" in card.text
    assert 'data-writer="staff"' in card.text
    assert "A person proposed this" in ada.get(f"/customers/{ANA}").text
    wrong = ada.post(f"/conversations/{conversation_id}/proposal", data={**sent, "amount": "49,90"})
    assert wrong.status_code == 422
    assert ada.post(f"/conversations/{conversation_id}/proposal", data={**sent, "csrf": "x"}).status_code == 403
    ben = console(world, "ben")
    assert ben.get(f"/conversations/{conversation_id}/proposal").status_code == 403
    assert world.rows(POSTED) == [("house:refunds:EUR", f"customer:{ACCOUNT}", 4990)]
