"""Erasure takes everything that one key opened, leaves what is others', and stays done."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg import Connection

import masking.vault as vault_module
from masking.classes import PiiClass
from masking.data_keys import SubjectErased
from masking.erasure import UnusableReason, erase_subject
from masking.unmask import RecordField, RevealScope, Unmasker
from masking.vault import PiiItem, Transact, Vault
from tests.conftest import ConnAs, Database, Tenant
from tests.doubles.masking_keys import FixedKeyProvider
from tests.integration.masking.conftest import EVERYTHING, FULL

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CARD = "4111 1111 1111 1111"
NAME = "Marta Kowalska"


@dataclass(frozen=True, slots=True)
class World:
    """Two customers. Both wrote down the first one's card and name; the name is also the second one's own."""

    tenant_id: str
    transact: Transact
    vault: Vault
    unmasker: Unmasker
    card: str
    name: str
    email: str

    def erase(self, subject_id: str = "cus_one", reason: str = "asked by letter") -> tuple[Any, bool]:
        return erase_subject(self.transact, tenant_id=self.tenant_id, subject_id=subject_id, actor="ada", reason=reason, now=NOW)

    def read(self, token: str, *, subject_id: str, message_id: str | None = None) -> str:
        scope = RevealScope(self.tenant_id, f"cnv_{subject_id}", subject_id)
        return self.unmasker.unmask_text(token, viewer=EVERYTHING, scope=scope, message_id=message_id)

    def tokenize(self, pii_class: PiiClass, value: str, subject_id: str, source: Any = "record") -> str:
        with self.transact(self.tenant_id) as conn:
            return self.vault.tokenize(conn, PiiItem(pii_class, value, subject_id), tenant_id=self.tenant_id, source=source)


@pytest.fixture
def world(tenant: Tenant, transact_for: Callable[[Tenant], Transact]) -> World:
    keys, transact = FixedKeyProvider(), transact_for(tenant)
    vault = Vault(keys)
    own = [
        PiiItem(PiiClass.CARD, CARD, "cus_one"),
        PiiItem(PiiClass.PERSON, NAME, "cus_one"),
        PiiItem(PiiClass.EMAIL, "marta@example.com", "cus_one"),
        PiiItem(PiiClass.PERSON, NAME, "cus_two"),
    ]
    with transact(tenant.tenant_id) as conn:
        card, name, email, _ = vault.tokenize_many(conn, own, tenant_id=tenant.tenant_id)
        for subject_id in ("cus_one", "cus_two"):
            said = [PiiItem(PiiClass.CARD, "4111111111111111", subject_id)]
            vault.tokenize_many(conn, said, tenant_id=tenant.tenant_id, source="message")
            vault.grant_tokens(conn, [card, name], tenant_id=tenant.tenant_id, conversation_id=f"cnv_{subject_id}")
            written = [(0, card, "4111-1111-1111-1111"), (1, name, "marta KOWALSKA")]
            vault.store_surfaces(conn, written, tenant_id=tenant.tenant_id, message_id=f"msg_{subject_id}", subject_id=subject_id)
    unmasker = Unmasker(keys=keys, transact=transact, entitlements=FULL)
    return World(tenant.tenant_id, transact, vault, unmasker, card, name, email)


def test_the_erased_show_as_erased_and_others_keep_theirs(world: World) -> None:
    assert world.read(f"{world.card} {world.name}", subject_id="cus_one", message_id="msg_cus_one") == (
        "4111-1111-1111-1111 marta KOWALSKA"
    )
    erasure, made = world.erase()
    assert (made, erasure.values_erased, erasure.surfaces_erased) == (True, 4, 3)
    assert world.read(f"{world.card} {world.name}", subject_id="cus_one", message_id="msg_cus_one") == "[erased] [erased]"
    # The card was the first one's alone, wherever it was written; the name is also the second one's.
    assert world.read(f"{world.card} {world.name}", subject_id="cus_two", message_id="msg_cus_two") == ("[erased] marta KOWALSKA")
    fields = [RecordField("cus_one", world.email), RecordField("cus_one", world.name), RecordField("cus_two", world.name)]
    pieces = world.unmasker.unmask_records(fields, viewer=EVERYTHING, tenant_id=world.tenant_id)
    assert [(piece.kind, piece.text) for piece in pieces] == [
        ("chip", "[erased]"),
        ("chip", "[erased]"),
        ("value", NAME),
    ]
    known = world.vault.known_values_many(
        world.transact, tenant_id=world.tenant_id, subject_ids=["cus_one", "cus_two"], actor="edge"
    )
    assert [value.value for value in known["cus_one"].values] == []
    assert [value.value for value in known["cus_two"].values] == [NAME]


def test_what_another_record_holds_too_stays_the_others(world: World) -> None:
    phone = world.tokenize(PiiClass.PHONE, "+49 30 901820", "cus_one")
    assert world.tokenize(PiiClass.PHONE, "+49 30 901820", "cus_two") == phone
    with world.transact(world.tenant_id) as conn:
        world.vault.grant_tokens(conn, [phone], tenant_id=world.tenant_id, conversation_id="cnv_cus_two")
        world.vault.store_surfaces(
            conn, [(0, phone, "0049-30-901820")], tenant_id=world.tenant_id, message_id="msg_phone", subject_id="cus_two"
        )
    world.erase()
    assert world.read(phone, subject_id="cus_two") == "+49 30 901820"
    assert world.read(phone, subject_id="cus_two", message_id="msg_phone") == "0049-30-901820"


def test_a_forged_token_is_unknown_and_not_erased(world: World) -> None:
    world.erase()
    assert world.read("<CARD_00000000-zz>", subject_id="cus_one") == "[unknown reference]"
    stranger = world.tokenize(PiiClass.PERSON, "Ben Okafor", "cus_two")
    assert world.read(stranger, subject_id="cus_one") == "[unknown reference]"


def test_nothing_is_stored_about_him_again(world: World) -> None:
    world.erase()
    with pytest.raises(SubjectErased, match="cus_one"):
        world.tokenize(PiiClass.PERSON, "Marta Kowalska", "cus_one")
    with pytest.raises(SubjectErased), world.transact(world.tenant_id) as conn:
        world.vault.store_surfaces(
            conn, [(0, world.name, "marta")], tenant_id=world.tenant_id, message_id="msg_late", subject_id="cus_one"
        )
    with world.transact(world.tenant_id) as conn:
        assert world.vault.list_erased(conn, ["cus_one", "cus_two"], tenant_id=world.tenant_id) == {"cus_one"}
    # A write that passed the question before the erasure is stopped by the table itself.
    with pytest.raises(psycopg.errors.CheckViolation), world.transact(world.tenant_id) as conn:
        conn.execute(
            "INSERT INTO vault.data_keys (tenant_id, subject_id, wrapped_key, wrap_version) VALUES (%s, 'cus_one', '', 1)",
            [world.tenant_id],
        )


def test_a_value_that_nobody_held_any_more_gets_another_token(world: World, admin_conn: Connection[Any]) -> None:
    prints = "SELECT fingerprint FROM vault.tokens WHERE tenant_id = %s AND token = %s"
    before = admin_conn.execute(prints, [world.tenant_id, world.card]).fetchone()
    kept = admin_conn.execute(prints, [world.tenant_id, world.name]).fetchone()
    world.erase()
    assert admin_conn.execute(prints, [world.tenant_id, world.card]).fetchone() != before
    assert admin_conn.execute(prints, [world.tenant_id, world.name]).fetchone() == kept
    assert world.tokenize(PiiClass.CARD, CARD, "cus_two") != world.card
    assert world.tokenize(PiiClass.PERSON, NAME, "cus_two") == world.name


def test_again_returns_the_tombstone_and_tells_nothing_twice(world: World, conn_as: ConnAs, tenant: Tenant) -> None:
    first, made = world.erase()
    second, again = world.erase(reason="another reason")
    assert (made, again) == (True, False)
    assert second == first
    events = conn_as("auditor", tenant).execute("SELECT subject, data::text FROM core.events WHERE event_type = 'subject.erased'")
    ((subject, data),) = events.fetchall()
    assert subject == "cus_one"
    for value in ("Marta", "4111", "example.com", world.card, "asked by letter"):
        assert value not in data


def test_no_byte_of_him_is_left(world: World, admin_conn: Connection[Any]) -> None:
    world.erase()
    for table in ("data_keys", "pii_values", "surfaces"):
        rows = admin_conn.execute(
            f"SELECT count(*) FROM vault.{table} WHERE tenant_id = %s AND subject_id = 'cus_one'", [world.tenant_id]
        ).fetchone()
        assert rows == (0,)


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501, f"wrote from {CARD}", "mail to marta@example.com"])
def test_a_reason_that_would_outlive_him_with_a_value_is_refused(world: World, reason: str) -> None:
    with pytest.raises(UnusableReason):
        world.erase(reason=reason)
    assert world.read(world.name, subject_id="cus_one") == NAME


def test_another_tenant_erases_nothing_here(
    world: World, other_tenant: Tenant, transact_for: Callable[[Tenant], Transact]
) -> None:
    transact = transact_for(other_tenant)
    erase_subject(transact, tenant_id=other_tenant.tenant_id, subject_id="cus_one", actor="eve", reason="none of hers", now=NOW)
    assert world.read(world.name, subject_id="cus_one") == NAME


def test_a_write_that_crosses_the_erasure_is_taken_with_it_or_refused(world: World, database: Database, tenant: Tenant) -> None:
    """A writer has made a key for a customer and not committed: the erasure waits for him and takes what he wrote."""
    item = PiiItem(PiiClass.PERSON, "Ben Okafor", "cus_three")
    with psycopg.connect(database.dsn("vault")) as writer, ThreadPoolExecutor(1) as pool:
        writer.execute("SELECT SET_CONFIG('tellergate.context', %s, TRUE)", [tenant.context("vault")])
        token = world.vault.tokenize(writer, item, tenant_id=world.tenant_id)
        erasing = pool.submit(world.erase, "cus_three")
        with psycopg.connect(database.admin_dsn(), autocommit=True) as admin:
            while admin.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() != (1,):
                assert not erasing.done(), erasing.result()
        writer.commit()
        erasure, made = erasing.result()
    assert (made, erasure.values_erased) == (True, 1)
    fields = [RecordField("cus_three", token)]
    (piece,) = world.unmasker.unmask_records(fields, viewer=EVERYTHING, tenant_id=world.tenant_id)
    assert piece.text == "[erased]"


def test_a_turn_about_another_that_brings_his_card_meanwhile_keeps_nothing(
    world: World, database: Database, tenant: Tenant
) -> None:
    """The turn has stored its own copy and how it was written, and has not committed: the erasure waits and takes both."""
    with psycopg.connect(database.dsn("vault")) as writer, ThreadPoolExecutor(1) as pool:
        writer.execute("SELECT SET_CONFIG('tellergate.context', %s, TRUE)", [tenant.context("vault")])
        world.vault.tokenize(writer, PiiItem(PiiClass.PERSON, "Ben Okafor", "cus_three"), tenant_id=world.tenant_id)
        writer.commit()
        writer.execute("SELECT SET_CONFIG('tellergate.context', %s, TRUE)", [tenant.context("vault")])
        said = PiiItem(PiiClass.CARD, "4111111111111111", "cus_three")
        assert world.vault.tokenize(writer, said, tenant_id=world.tenant_id, source="message") == world.card
        world.vault.grant_tokens(writer, [world.card], tenant_id=world.tenant_id, conversation_id="cnv_cus_three")
        world.vault.store_surfaces(
            writer,
            [
                (0, world.card, "4111.1111"),
            ],
            tenant_id=world.tenant_id,
            message_id="msg_three",
            subject_id="cus_three",
        )
        erasing = pool.submit(world.erase)
        with psycopg.connect(database.admin_dsn(), autocommit=True) as admin:
            while admin.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() == (0,):
                assert not erasing.done(), erasing.result()
        writer.commit()
        erasure, made = erasing.result()
    assert (made, erasure.values_erased, erasure.surfaces_erased) == (True, 5, 4)
    assert world.read(world.card, subject_id="cus_three") == "[erased]"
    assert world.read(world.card, subject_id="cus_three", message_id="msg_three") == "[erased]"
    assert world.tokenize(PiiClass.CARD, CARD, "cus_three") != world.card


def test_a_turn_that_looked_a_token_up_before_the_erasure_stores_nothing_under_it(
    world: World, database: Database, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = vault_module._store_values

    def store_late(*what: Any) -> None:
        assert world.erase()[1]
        monkeypatch.undo()
        store(*what)

    monkeypatch.setattr(vault_module, "_store_values", store_late)
    said = PiiItem(PiiClass.EMAIL, "marta@example.com", "cus_two")
    with psycopg.connect(database.dsn("vault")) as writer:
        writer.execute("SELECT SET_CONFIG('tellergate.context', %s, TRUE)", [tenant.context("vault")])
        with pytest.raises(psycopg.errors.SerializationFailure):
            world.vault.tokenize(writer, said, tenant_id=world.tenant_id, source="message")
    assert world.tokenize(PiiClass.EMAIL, "marta@example.com", "cus_two", source="message") != world.email


def test_a_written_form_that_crosses_the_erasure_is_refused(world: World, database: Database, tenant: Tenant) -> None:
    said = PiiItem(PiiClass.CARD, CARD, "cus_two")
    with psycopg.connect(database.dsn("vault")) as writer:
        writer.execute("SELECT SET_CONFIG('tellergate.context', %s, TRUE)", [tenant.context("vault")])
        assert world.vault.tokenize(writer, said, tenant_id=world.tenant_id, source="message") == world.card
        assert world.erase()[1]
        with pytest.raises(psycopg.errors.SerializationFailure):
            world.vault.store_surfaces(
                writer, [(0, world.card, CARD)], tenant_id=world.tenant_id, message_id="msg_late", subject_id="cus_two"
            )


def test_a_name_finds_a_token_however_often_it_was_erased(world: World) -> None:
    tokens = set()
    for number in range(12):
        tokens.add(world.tokenize(PiiClass.PERSON, "Zbigniew", f"cus_{number}", source="message"))
        world.erase(f"cus_{number}")
    assert len(tokens) == 12


def test_what_an_erasure_asks_of_written_forms_has_an_index(admin_conn: Connection[Any]) -> None:
    columns = admin_conn.execute(
        "SELECT array_agg(attname::text ORDER BY ordinality) FROM pg_index"
        " CROSS JOIN unnest(indkey) WITH ORDINALITY AS key (attnum, ordinality)"
        " INNER JOIN pg_attribute ON attrelid = indrelid AND pg_attribute.attnum = key.attnum"
        " WHERE indrelid = 'vault.surfaces'::regclass GROUP BY indexrelid"
    )
    led_by = {tuple(row[0][:2]) for row in columns}
    assert led_by >= {("tenant_id", "subject_id"), ("tenant_id", "token")}


@pytest.mark.parametrize("role", ["edge", "ai", "gate", "jobs", "executor", "importer", "auditor"])
def test_only_role_vault_may_erase(role: Any, conn_as: ConnAs, tenant: Tenant) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn_as(role, tenant).execute("SELECT vault.erase_subject('x', 'x', 'cus_one', now(), gen_random_uuid())")
