"""The vault on the real database: identity, sealing, rights, tenants, and no reveal without its audit row."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg import Connection

import masking.vault as vault_module
from domain.origin import Origin
from masking.classes import EmptyValue, PiiClass
from masking.entitlements import Purpose, Viewer
from masking.keys import KeyProvider
from masking.records import Record, UnusableField, tokenize_record, tokenize_records
from masking.sealing import SealBroken
from masking.tokens import mint_token
from masking.unmask import RecordField, Unmasker
from masking.vault import PiiItem, Transact, Vault
from storage.roles import LOGIN_ROLES, LoginRole
from tests.conftest import ConnAs, Tenant
from tests.doubles.masking_keys import FixedKeyProvider
from tests.integration.masking.conftest import EVERYTHING, FULL

TransactFor = Callable[[Tenant], Transact]
_TABLES = (
    "data_keys", "tokens", "pii_values", "surfaces", "pii_grants", "pii_reveals", "erasures", "reveal_heads", "reveal_links",
    "key_rotations", "number_prints",
)  # fmt: skip
_AUDITED = {"pii_reveals", "erasures", "reveal_heads", "reveal_links", "key_rotations"}


@pytest.fixture
def keys() -> KeyProvider:
    return FixedKeyProvider()


@pytest.fixture
def vault(keys: KeyProvider) -> Vault:
    return Vault(keys)


@pytest.fixture
def conn(conn_as: ConnAs, tenant: Tenant) -> Connection[Any]:
    return conn_as("vault", tenant)


def _person(name: str, subject: str = "cus_one") -> PiiItem:
    return PiiItem(PiiClass.PERSON, name, subject)


def test_same_value_same_token_in_a_tenant_and_another_in_another(
    vault: Vault, conn_as: ConnAs, tenant: Tenant, other_tenant: Tenant
) -> None:
    here, there = conn_as("vault", tenant), conn_as("vault", other_tenant)
    one = vault.tokenize(here, _person("Marta Kowalska"), tenant_id=tenant.tenant_id)
    same = vault.tokenize(here, _person("MARTA  kowalska", "cus_two"), tenant_id=tenant.tenant_id)
    other = vault.tokenize(there, _person("Marta Kowalska"), tenant_id=other_tenant.tenant_id)
    assert one == same != other


def test_values_lie_sealed(vault: Vault, conn: Connection[Any], tenant: Tenant, admin_conn: Connection[Any]) -> None:
    vault.tokenize(conn, _person("Marta Kowalska"), tenant_id=tenant.tenant_id)
    for table in _TABLES:
        rows = admin_conn.execute(f"SELECT row_to_json(t)::text FROM vault.{table} t WHERE tenant_id = %s", [tenant.tenant_id])
        for (row,) in rows.fetchall():
            assert "marta" not in row.lower()
            assert b"Marta".hex() not in row


def test_a_sealed_value_opens_in_its_own_place_only(
    vault: Vault,
    keys: KeyProvider,
    transact_for: TransactFor,
    conn: Connection[Any],
    tenant: Tenant,
    admin_conn: Connection[Any],
) -> None:
    one, two = vault.tokenize_many(conn, [_person("Marta Kowalska"), _person("Ben Okafor")], tenant_id=tenant.tenant_id)
    admin_conn.execute(
        "UPDATE vault.pii_values a SET ciphertext = b.ciphertext FROM vault.pii_values b"
        " WHERE a.tenant_id = %s AND b.tenant_id = a.tenant_id AND a.token = %s AND b.token = %s",
        [tenant.tenant_id, one, two],
    )
    unmasker = Unmasker(keys=keys, transact=transact_for(tenant), entitlements=FULL)
    with pytest.raises(SealBroken):
        unmasker.unmask_records([RecordField("cus_one", one)], viewer=EVERYTHING, tenant_id=tenant.tenant_id)
    (piece,) = unmasker.unmask_records([RecordField("cus_one", two)], viewer=EVERYTHING, tenant_id=tenant.tenant_id)
    assert piece.text == "Ben Okafor"


def test_two_values_that_clash_in_forty_bits_get_two_tokens(
    vault: Vault, conn: Connection[Any], tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    mint = mint_token

    def clashing(key: bytes, *, pii_class: PiiClass, canonical: str, counter: int = 0) -> str:
        return mint(key, pii_class=pii_class, canonical=canonical if counter else "everybody", counter=counter)

    monkeypatch.setattr(vault_module, "mint_token", clashing)
    items = [_person("Marta Kowalska"), _person("Ben Okafor"), _person("Wei Zhang")]
    tokens = vault.tokenize_many(conn, items, tenant_id=tenant.tenant_id)
    assert len(set(tokens)) == 3
    assert vault.tokenize_many(conn, items, tenant_id=tenant.tenant_id) == tokens


def test_one_subjects_copy_can_go_and_the_others_stays(
    vault: Vault,
    keys: KeyProvider,
    transact_for: TransactFor,
    conn: Connection[Any],
    tenant: Tenant,
    admin_conn: Connection[Any],
) -> None:
    token = vault.tokenize(conn, _person("Ali Khan", "cus_one"), tenant_id=tenant.tenant_id)
    assert vault.tokenize(conn, _person("Ali Khan", "cus_two"), tenant_id=tenant.tenant_id) == token
    admin_conn.execute("DELETE FROM vault.data_keys WHERE tenant_id = %s AND subject_id = 'cus_one'", [tenant.tenant_id])
    unmasker = Unmasker(keys=keys, transact=transact_for(tenant), entitlements=FULL)
    fields = [RecordField("cus_one", token), RecordField("cus_two", token)]
    gone, stays = unmasker.unmask_records(fields, viewer=EVERYTHING, tenant_id=tenant.tenant_id)
    assert (gone.kind, stays.text) == ("chip", "Ali Khan")


def test_secrets_get_a_token_and_are_not_stored(vault: Vault, conn: Connection[Any], tenant: Tenant) -> None:
    token = vault.tokenize(conn, PiiItem(PiiClass.SECRET, "4821", "cus_one"), tenant_id=tenant.tenant_id)
    assert token.startswith("<SECRET_")
    # A code of four digits is many people's: that two have the same one must not be seen.
    same, other = (PiiItem(PiiClass.SECRET, "4821", subject) for subject in ("cus_one", "cus_two"))
    assert vault.tokenize_many(conn, [same, other], tenant_id=tenant.tenant_id)[0] == token
    assert vault.tokenize(conn, other, tenant_id=tenant.tenant_id) != token
    assert conn.execute("SELECT count(*) FROM vault.tokens").fetchone() == (0,)


def test_bad_values_are_refused(vault: Vault, conn: Connection[Any], tenant: Tenant) -> None:
    for value in ("", "   "):
        with pytest.raises(EmptyValue):
            vault.tokenize(conn, _person(value), tenant_id=tenant.tenant_id)
    with pytest.raises(UnusableField, match="record 1, field name"):
        tokenize_record(
            conn, vault, Record("cus_one", {"name": 5}), tenant_id=tenant.tenant_id, classes={"name": PiiClass.PERSON}
        )


def test_records_come_back_with_tokens_for_the_named_fields_only(vault: Vault, conn: Connection[Any], tenant: Tenant) -> None:
    classes = {"name": PiiClass.PERSON, "email": PiiClass.EMAIL, "phone": PiiClass.PHONE}
    records = [
        Record("cus_one", {"name": "Marta Kowalska", "email": "", "country": "PL"}),
        Record("cus_two", {"name": "Marta Kowalska", "email": "m@example.com", "country": "DE", "phone": None}),
    ]
    one, two = tokenize_records(conn, vault, records, tenant_id=tenant.tenant_id, classes=classes)
    assert one["name"] == two["name"]
    assert one["name"].startswith("<PERSON_")
    assert one == {"name": one["name"], "email": None, "country": "PL"}
    assert two["email"].startswith("<EMAIL_")
    assert two["phone"] is None


@pytest.mark.parametrize("role", [role for role in LOGIN_ROLES if role != "vault"])
def test_no_other_role_reads_or_writes_the_vault(role: LoginRole, conn_as: ConnAs, tenant: Tenant) -> None:
    connection = conn_as(role, tenant)
    for table in _TABLES:
        allowed = role == "auditor" and table in _AUDITED
        for statement in (
            f"SELECT * FROM vault.{table}",
            f"DELETE FROM vault.{table}",
            f"INSERT INTO vault.{table} DEFAULT VALUES",
        ):
            if allowed and statement.startswith("SELECT"):
                connection.execute(statement)
                continue
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT * FROM vault.read_known_values('x', 'x', ARRAY['cus_one'])")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SET ROLE vault")


def test_role_vault_reads_no_ciphertext_and_changes_no_audit_row(conn: Connection[Any]) -> None:
    for statement in (
        "SELECT ciphertext FROM vault.pii_values",
        "SELECT * FROM vault.pii_values",
        "SELECT ciphertext FROM vault.surfaces",
        "INSERT INTO vault.pii_reveals (tenant_id) VALUES ('x')",
        "UPDATE vault.pii_reveals SET actor = 'nobody'",
        "DELETE FROM vault.pii_reveals",
        "TRUNCATE vault.pii_reveals",
        "DELETE FROM vault.pii_values",
        "UPDATE vault.data_keys SET wrapped_key = ''",
        "SET ROLE vault_owner",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(statement)


def test_another_tenants_rows_are_not_there(vault: Vault, conn_as: ConnAs, tenant: Tenant, other_tenant: Tenant) -> None:
    token = vault.tokenize(conn_as("vault", tenant), _person("Marta Kowalska"), tenant_id=tenant.tenant_id)
    stranger = conn_as("vault", other_tenant)
    assert stranger.execute("SELECT count(*) FROM vault.tokens WHERE token = %s", [token]).fetchone() == (0,)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        vault.tokenize(stranger, _person("Marta Kowalska"), tenant_id=tenant.tenant_id)
    rows = stranger.execute(
        "SELECT * FROM vault.reveal_of_records('x', '', 'x', ARRAY['cus_one'], %s::text[], ARRAY['plain'])", [[token]]
    )
    assert rows.fetchall() == []
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn_as("vault").execute("SELECT * FROM vault.read_known_values('x', 'x', ARRAY['cus_one'])")


def test_reading_leaves_its_audit_row_or_reads_nothing(
    vault: Vault, keys: KeyProvider, transact_for: TransactFor, conn: Connection[Any], tenant: Tenant, conn_as: ConnAs
) -> None:
    token = vault.tokenize(conn, _person("Marta Kowalska"), tenant_id=tenant.tenant_id)
    unmasker = Unmasker(keys=keys, transact=transact_for(tenant), entitlements=FULL)
    unmasker.unmask_records([RecordField("cus_one", token)], viewer=EVERYTHING, tenant_id=tenant.tenant_id)
    vault.known_values(transact_for(tenant), tenant_id=tenant.tenant_id, subject_id="cus_one", actor="edge")
    seen = conn_as("auditor", tenant).execute("SELECT actor, purpose, scope, scope_id, token, shown FROM vault.pii_reveals")
    assert set(seen.fetchall()) == {
        ("eli", "conversation", "record", "cus_one", token, "plain"),
        ("edge", "mask", "masking", "cus_one", None, "none"),
    }
    # An audit row that cannot be written (no actor) means that nothing comes out.
    nobody = Viewer("", EVERYTHING.roles, Purpose.RECORD)
    with pytest.raises(psycopg.errors.CheckViolation):
        unmasker.unmask_records([RecordField("cus_one", token)], viewer=nobody, tenant_id=tenant.tenant_id)


def test_a_grant_keeps_its_most_trusted_origin(vault: Vault, conn: Connection[Any], tenant: Tenant) -> None:
    token = vault.tokenize(conn, _person("Marta Kowalska"), tenant_id=tenant.tenant_id)
    seen = []
    for origin in (Origin.MODEL, Origin.DOCUMENT, Origin.STAFF, Origin.CUSTOMER_TEXT, Origin.LEDGER, Origin.STAFF):
        vault.grant_tokens(conn, [token], tenant_id=tenant.tenant_id, conversation_id="cnv_one", origin=origin)
        ((held,),) = conn.execute("SELECT origin FROM vault.pii_grants").fetchall()
        seen.append(held)
    assert seen == ["model", "document", "staff", "staff", "ledger", "ledger"]
    for origin in Origin:
        vault.grant_tokens(conn, [token], tenant_id=tenant.tenant_id, conversation_id=f"cnv_{origin}", origin=origin)


def test_many_subjects_are_known_in_one_link_with_a_row_each(
    vault: Vault, transact_for: TransactFor, conn: Connection[Any], tenant: Tenant
) -> None:
    vault.tokenize_many(conn, [_person("Marta Kowalska"), _person("Ben Okafor", "cus_two")], tenant_id=tenant.tenant_id)
    subjects = ["cus_two", "cus_one", "cus_two", "cus_none"]
    known = vault.known_values_many(transact_for(tenant), tenant_id=tenant.tenant_id, subject_ids=subjects, actor="jobs")
    assert {subject: [value.value for value in held.values] for subject, held in known.items()} == {
        "cus_one": ["Marta Kowalska"],
        "cus_two": ["Ben Okafor"],
        "cus_none": [],
    }
    rows = conn.execute("SELECT subject_id, position FROM vault.pii_reveals ORDER BY subject_id").fetchall()
    assert rows == [("cus_none", 1), ("cus_one", 1), ("cus_two", 1)]


def test_message_values_are_no_known_values_until_the_record_brings_them(
    vault: Vault, transact_for: TransactFor, conn: Connection[Any], tenant: Tenant
) -> None:
    def known() -> list[str]:
        found = vault.known_values(transact_for(tenant), tenant_id=tenant.tenant_id, subject_id="cus_one", actor="edge")
        return [value.value for value in found.values]

    vault.tokenize(conn, _person("BEN OKAFOR"), tenant_id=tenant.tenant_id, source="message")
    assert known() == []
    vault.tokenize(conn, _person("Ben Okafor"), tenant_id=tenant.tenant_id, source="record")
    vault.tokenize(conn, _person("ben okafor"), tenant_id=tenant.tenant_id, source="message")
    assert known() == ["Ben Okafor"]


def test_a_demo_load_is_quick(vault: Vault, conn_as: ConnAs, tenant: Tenant) -> None:
    conn = conn_as("vault", tenant)
    records = [
        Record(f"cus_{number:012x}", {f"f{field}": f"Value {number} {field}" for field in range(11)} | {"country": "PL"})
        for number in range(300)
    ]
    classes = {f"f{field}": PiiClass.PERSON for field in range(11)}
    started = time.perf_counter()
    with conn.transaction():
        first = tokenize_records(conn, vault, records, tenant_id=tenant.tenant_id, classes=classes)
    loaded_s = time.perf_counter() - started
    with conn.transaction():
        assert tokenize_records(conn, vault, records, tenant_id=tenant.tenant_id, classes=classes) == first
    print(f"3,300 values of 300 subjects: {loaded_s:.2f} s, {loaded_s / 3300 * 1e6:.0f} us each")
    assert loaded_s < 2.0
