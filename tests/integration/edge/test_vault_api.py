"""The vault's upkeep and the way back, through the edge: erasure, rotation, the record of reveals, conditions of a viewer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection

from masking.classes import PiiClass
from masking.key_services import open_kms_key_provider
from masking.keys import FileKeyProvider, StoredKeyProvider
from serving.edge.viewing import ViewingRules
from tests.doubles.key_service import FakeKeyService
from tests.integration.edge.scripted_agents import TurnSeen, done, sentence
from tests.integration.edge.test_access import console
from tests.integration.edge.test_people_commands import Desk
from tests.integration.edge.world import ANA, ANA_EMAIL, ANA_IBAN, ANA_NAME, ROOT, STRANGER, EdgeWorld

ERASURES, ROTATION, REVEALS = "/api/v1/vault/erasures", "/api/v1/vault/key-rotation", "/api/v1/vault/reveals"


def _verify(folder: Path, world: EdgeWorld, receipt: bytes) -> None:
    (folder / "receipt.json").write_bytes(receipt)
    (folder / "key.pub").write_text(world.sign_in("ira").get("/api/v1/receipt-key").text)
    verify = [sys.executable, "-I", str(ROOT / "gates" / "standalone" / "verify_receipt.py")]
    command = [*verify, "receipt.json", "--key", "key.pub"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_an_erased_customer_is_nowhere_and_his_receipt_verifies(world: EdgeWorld, tmp_path: Path) -> None:
    ada, ira = world.sign_in("ada"), console(world, "ira")
    conversation_id = world.open_conversation(ada)
    answer = world.ask(ada, f"{ANA_NAME} ({ANA_EMAIL}) was charged twice?", conversation_id).json()
    receipt = f"/receipts/{answer['decision']['decision_id']}.json"
    before = ira.get(receipt).content
    for path in (f"/api/v1/customers/{ANA}", "/api/v1/customers"):
        assert ANA_NAME in ada.get(path).text
    assert ANA_NAME in console(world, "ada").get(f"/customers/{ANA}?conversation={conversation_id}").text
    _verify(tmp_path, world, before)

    erased = world.sign_in("kim").post(ERASURES, json={"subject_id": ANA, "reason": "asked by letter of 2 March"})
    assert erased.status_code == 200, erased.text
    assert erased.json()["already_erased"] is False
    assert erased.json()["values_erased"] >= 4
    again = world.sign_in("kim").post(ERASURES, json={"subject_id": ANA, "reason": "once more"}).json()
    assert again == erased.json() | {"already_erased": True}

    pages = (
        ada.get(f"/api/v1/customers/{ANA}").text,
        ada.get("/api/v1/customers").text,
        console(world, "ada").get(f"/customers/{ANA}?conversation={conversation_id}").text,
    )
    for page in pages:
        assert "[erased]" in page
        for value in (ANA_NAME, ANA_EMAIL, ANA_IBAN[-4:]):
            assert value not in page
    assert "Chidi Okonkwo" in pages[1]
    # The receipt from before, and one drawn now that the log has grown by the erasure.
    _verify(tmp_path, world, before)
    _verify(tmp_path, world, ira.get(receipt).content)


def test_what_names_the_erased_again_is_refused_and_not_stored(world: EdgeWorld) -> None:
    ada = world.sign_in("ada")
    conversation_id = world.open_conversation(ada)
    world.sign_in("kim").post(ERASURES, json={"subject_id": ANA, "reason": "asked"}).raise_for_status()
    stored = world.rows("SELECT count(*) FROM core.messages")
    refused = world.ask(ada, "she is called Marta Kowalska now", conversation_id)
    assert (refused.status_code, refused.json()["code"]) == (409, "subject_erased")
    assert world.rows("SELECT count(*) FROM core.messages") == stored


def test_two_customers_of_one_name_do_not_answer_for_each_other(world: EdgeWorld) -> None:
    (token,) = world.tokenize(STRANGER, (PiiClass.PERSON, ANA_NAME))
    world.conn_as("jobs", world.tenant).execute(
        "UPDATE core.customers SET name_token = %s WHERE tenant_id = %s AND customer_id = %s",
        [token, world.tenant.tenant_id, STRANGER],
    )
    world.sign_in("kim").post(ERASURES, json={"subject_id": ANA, "reason": "asked"}).raise_for_status()
    found = world.sign_in("ada").get("/api/v1/customers").json()["items"]
    assert {one["customer_id"]: one["name"] for one in found} == {ANA: "[erased]", STRANGER: ANA_NAME}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"subject_id": "cus_nobody", "reason": "asked"}, "unknown_customer"),
        ({"subject_id": "a\0b", "reason": "asked"}, "unknown_customer"),
        ({"subject_id": ANA, "reason": "   "}, "unusable_reason"),
        ({"subject_id": ANA, "reason": f"wrote from {ANA_EMAIL}"}, "unusable_reason"),
        ({"subject_id": ANA}, "invalid_request"),
        ({"subject_id": ANA, "reason": "x" * 501}, "invalid_request"),
    ],
)
def test_a_faulty_erasure_erases_nothing(world: EdgeWorld, body: dict[str, str], code: str) -> None:
    answer = world.sign_in("kim").post(ERASURES, json=body)
    assert answer.json()["code"] == code
    assert answer.status_code in (404, 422)
    assert ANA_NAME in world.sign_in("ada").get(f"/api/v1/customers/{ANA}").text


@pytest.mark.parametrize("username", ["ada", "cleo", "ira", "gus", "eve"])
def test_only_an_administrator_keeps_the_vault(world: EdgeWorld, username: str) -> None:
    client = world.sign_in(username)
    assert client.post(ERASURES, json={"subject_id": ANA, "reason": "asked"}).status_code == 403
    assert client.post(ROTATION, json={}).status_code == 403
    read = 200 if username == "ira" else 403
    assert client.get(REVEALS).status_code == read
    assert client.get(f"{REVEALS}/verification").status_code == read


def test_a_rotation_by_the_api_leaves_everything_readable(world: EdgeWorld) -> None:
    kim = world.sign_in("kim")
    step = kim.post(ROTATION, json={"continue": True}).json()
    assert step == {"to_version": 1, "rewrapped": 0, "remaining": 0}
    assert kim.post(ROTATION, json={}).json() == {"to_version": 2, "rewrapped": 2, "remaining": 0}
    assert ANA_NAME in world.sign_in("ada").get(f"/api/v1/customers/{ANA}").text


def test_reveals_are_listed_and_a_touched_one_is_found(world: EdgeWorld, admin_conn: Connection[Any]) -> None:
    world.sign_in("ada").get(f"/api/v1/customers/{ANA}").raise_for_status()
    ira = world.sign_in("ira")
    rows = ira.get(REVEALS, params={"subject_id": ANA, "actor": "opr_ada"}).json()["items"]
    assert {(row["class"], row["shown"], row["purpose"]) for row in rows} >= {
        ("PERSON", "plain", "record"),
        ("IBAN", "last4", "record"),
    }
    assert ira.get(f"{REVEALS}/verification").json()["holds"] is True
    with admin_conn.transaction():
        admin_conn.execute("ALTER TABLE vault.pii_reveals DISABLE TRIGGER append_only")
        admin_conn.execute("UPDATE vault.pii_reveals SET shown = 'masked' WHERE reveal_id = %s", [rows[0]["reveal_id"]])
        admin_conn.execute("ALTER TABLE vault.pii_reveals ENABLE ALWAYS TRIGGER append_only")
    check = ira.get(f"{REVEALS}/verification").json()
    assert (check["holds"], check["first_broken"]) == (False, rows[0]["position"])


def test_reveals_are_read_page_by_page(world: EdgeWorld) -> None:
    world.sign_in("ada").get(f"/api/v1/customers/{ANA}").raise_for_status()
    ira = world.sign_in("ira")
    whole = ira.get(REVEALS).json()
    assert whole["next_before"] is None
    assert len(whole["items"]) > 2
    seen, before = [], None
    while True:
        page = ira.get(REVEALS, params={"limit": 2} | ({"before": before} if before else {})).json()
        seen += page["items"]
        before = page["next_before"]
        if before is None:
            break
    assert seen == whole["items"]
    refused = ira.get(REVEALS, params={"before": "7"})
    assert (refused.status_code, refused.json()["code"]) == (422, "unusable_cursor")


def test_each_who_sees_the_list_of_customers_is_on_the_record(world: EdgeWorld) -> None:
    """Two with the same role one after the other: the second one's names are no gift of the first one's look."""
    for username in ("cleo", "dan", "cleo"):
        assert ANA_NAME in world.sign_in(username).get("/api/v1/customers").text
    rows = world.conn_as("auditor", world.tenant).execute(
        "SELECT actor, count(*) FROM vault.pii_reveals WHERE purpose = 'customer_list' AND subject_id = %s GROUP BY actor", [ANA]
    )
    assert dict(rows.fetchall()) == {"opr_cleo": 1, "opr_dan": 1}


def test_an_erasure_that_waits_too_long_says_so_and_does_nothing(world: EdgeWorld, admin_conn: Connection[Any]) -> None:
    with admin_conn.transaction():
        admin_conn.execute("LOCK TABLE vault.data_keys IN ROW EXCLUSIVE MODE")
        refused = world.sign_in("kim").post(ERASURES, json={"subject_id": ANA, "reason": "asked"})
    assert (refused.status_code, refused.json()["code"]) == (503, "vault_busy")
    assert ANA_NAME in world.sign_in("ada").get(f"/api/v1/customers/{ANA}").text


PASSPORT = "C01X00T47"


@pytest.mark.parametrize(
    ("rules", "own_case", "in_full"),
    [
        (ViewingRules(), True, True),
        (ViewingRules(), False, False),
        (ViewingRules(office_networks=(ip_network("127.0.0.0/8"),)), True, True),
        (ViewingRules(office_networks=(ip_network("10.1.0.0/16"),)), True, False),
        (ViewingRules(sensitive_segments=frozenset({"retail"})), True, False),
        (ViewingRules(sensitive_segments=frozenset({"private"})), True, True),
    ],
)
def test_papers_in_full_ask_for_more_than_a_role(world: EdgeWorld, rules: ViewingRules, own_case: bool, in_full: bool) -> None:
    world.deps = replace(world.deps, options=replace(world.deps.options, viewing=rules))
    world.stop("edge")
    world.start("edge")
    writer = world.sign_in("eve" if own_case else "ada")
    conversation_id = world.open_conversation(writer)
    world.ask(writer, f"policy? the passport number is {PASSPORT}", conversation_id)
    (masked,) = world.rows("SELECT masked_text FROM core.messages WHERE author = 'operator'")
    assert "<PASSPORT_" in masked[0]
    page = console(world, "eve").get(f"/customers/{ANA}?conversation={conversation_id}").text
    assert (PASSPORT in page) is in_full
    assert ("•••• 0T47" in page) is not in_full


def test_each_token_of_an_answer_is_looked_up_once(world: EdgeWorld) -> None:
    def names_her_three_times(turn: TurnSeen) -> Iterator[Any]:
        for number in range(3):
            yield sentence(f"Line {number} is about {turn.text.split()[-1]}")
        yield done()

    world.agents.script = names_her_three_times
    ada = world.sign_in("ada")
    answer = world.ask(ada, f"policy for {ANA_NAME}").json()
    assert [one["text"] for one in answer["sentences"]] == [f"Line {number} is about {ANA_NAME}" for number in range(3)]
    calls = world.conn_as("auditor", world.tenant).execute(
        "SELECT count(DISTINCT position) FROM vault.pii_reveals WHERE scope = 'conversation' AND actor = 'opr_ada'"
    )
    ((positions,),) = calls.fetchall()
    assert positions == 1


def test_with_the_vault_away_nothing_is_stored_and_nothing_is_shown(world: EdgeWorld) -> None:
    ada = world.sign_in("ada")
    conversation_id = world.open_conversation(ada)
    world.close_pool("vault")
    refused = world.ask(ada, f"{ANA_NAME} was charged twice", conversation_id)
    assert refused.status_code == 503
    assert refused.json()["code"] in {"masking_failed", "database_unavailable"}
    assert world.rows("SELECT count(*) FROM core.messages") == [(0,)]
    assert world.agents.seen == []
    assert ada.get(f"/api/v1/customers/{ANA}").status_code == 503


@pytest.mark.parametrize("fault", ["masking_failed", "key_service_down"])
def test_without_a_key_nothing_is_stored_and_no_model_is_called(world: EdgeWorld, tmp_path: Path, fault: str) -> None:
    """The tenant has no key here, or its key service does not answer."""
    service = FakeKeyService("tellergate-vault")
    keys: StoredKeyProvider = FileKeyProvider(tmp_path)
    if fault == "key_service_down":
        open_kms_key_provider(service, tmp_path, key_ref="tellergate-vault").ensure_tenant_keys(world.tenant.tenant_id)
        service.down = True
        keys = open_kms_key_provider(service, tmp_path, key_ref="tellergate-vault")
    conversation_id = world.open_conversation(world.sign_in("ada"))
    world.replace_keys(keys)
    ada = world.sign_in("ada")
    refused = world.ask(ada, f"{ANA_NAME} was charged twice", conversation_id)
    assert (refused.status_code, refused.json()["code"]) == (503, fault)
    assert world.rows("SELECT count(*) FROM core.messages") == [(0,)]
    assert world.agents.seen == []
    shown = ada.get(f"/api/v1/customers/{ANA}")
    assert (shown.status_code, shown.json()["code"]) == (503, fault)


def test_the_commands(world: EdgeWorld) -> None:
    desk = Desk(world, "kim", "keys")
    try:
        assert desk.ask("rotate", "--as", "kim") == {"to_version": 2, "rewrapped": 2, "remaining": 0}
        desk.terminal.command = "erase-subject"
        assert desk.ask(ANA, "--reason", "asked", code=2)["error"]["code"] == "not_confirmed"
        assert desk.ask("cus_nobody", "--reason", "asked", "--yes", code=2)["error"]["code"] == "unknown_customer"
        assert desk.ask(ANA, "--reason", "asked", "--yes")["already_erased"] is False
        desk.terminal.command = "reveals"
        assert desk.ask("verify")["holds"] is True
        status, out, _ = desk.terminal.run("list", "--subject", ANA)
        assert status == 0, out
    finally:
        desk.terminal.unserve()
