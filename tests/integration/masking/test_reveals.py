"""Who saw what is on the record, and a record that somebody touched later does not hold any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import Connection

from masking.classes import PiiClass
from masking.reveals import Reveal, UnusableCursor, list_reveals, verify_reveals
from masking.unmask import RecordField, Unmasker
from masking.vault import PiiItem, Transact, Vault
from tests.conftest import ConnAs, Tenant
from tests.doubles.masking_keys import FixedKeyProvider
from tests.integration.masking.conftest import EVERYTHING, FULL

TransactFor = Callable[[Tenant], Transact]
Tamper = Callable[[Connection[Any], str], object]


@pytest.fixture
def revealed(tenant: Tenant, conn_as: ConnAs, transact_for: TransactFor) -> Transact:
    """Three calls: two customers' records at once, one of them again, a set read for masking."""
    vault, keys, transact = Vault(FixedKeyProvider()), FixedKeyProvider(), transact_for(tenant)
    items = [PiiItem(PiiClass.PERSON, "Marta Kowalska", "cus_one"), PiiItem(PiiClass.PERSON, "Ben Okafor", "cus_two")]
    one, two = vault.tokenize_many(conn_as("vault", tenant), items, tenant_id=tenant.tenant_id)
    unmasker = Unmasker(keys=keys, transact=transact, entitlements=FULL)
    for fields in ([RecordField("cus_one", one), RecordField("cus_two", two)], [RecordField("cus_two", two)]):
        unmasker.unmask_records(fields, viewer=EVERYTHING, tenant_id=tenant.tenant_id)
    vault.known_values(transact, tenant_id=tenant.tenant_id, subject_id="cus_one", actor="edge")
    return transact


def test_each_call_is_one_link_and_the_chain_holds(revealed: Transact, tenant: Tenant, conn_as: ConnAs) -> None:
    check = verify_reveals(revealed, tenant_id=tenant.tenant_id)
    assert (check.links, check.rows, check.first_broken) == (3, 4, None)
    auditor = conn_as("auditor", tenant)
    assert auditor.execute("SELECT * FROM vault.verify_reveals(0, 100)").fetchone() == (3, 3, 4, None)
    # In stretches it comes to the same.
    assert auditor.execute("SELECT * FROM vault.verify_reveals(0, 2)").fetchone() == (2, 2, 3, None)
    assert auditor.execute("SELECT * FROM vault.verify_reveals(2, 2)").fetchone() == (3, 1, 1, None)


def test_a_fresh_tenant_has_an_empty_chain(tenant: Tenant, transact_for: TransactFor) -> None:
    check = verify_reveals(transact_for(tenant), tenant_id=tenant.tenant_id)
    assert (check.links, check.rows, check.first_broken) == (0, 0, None)


def test_rows_can_be_listed_by_subject_and_actor(revealed: Transact, tenant: Tenant) -> None:
    def read(**by: Any) -> list[tuple[str, str, str]]:
        return [(row.actor, row.scope, row.shown) for row in list_reveals(revealed, tenant_id=tenant.tenant_id, **by)]

    assert read(subject_id="cus_one") == [("edge", "masking", "none"), ("eli", "record", "plain")]
    assert read(actor="eli") == [("eli", "record", "plain")] * 3
    assert read(actor="nobody") == []
    assert read(actor="nobody", before=f"3.{uuid4()}") == []
    for wrong in ("", "3", "3.", f"-3.{uuid4()}", f"3.{uuid4()}'", f"{10**18}.{uuid4()}", f"٣.{uuid4()}"):
        with pytest.raises(UnusableCursor):
            read(before=wrong)


@pytest.mark.parametrize("limit", [1, 2, 3, 500])
def test_pages_leave_no_row_out_and_show_none_twice(revealed: Transact, tenant: Tenant, limit: int) -> None:
    """The rows of one link may be more than a page."""
    seen: list[Reveal] = []
    before = None
    while page := list_reveals(revealed, tenant_id=tenant.tenant_id, before=before, limit=limit):
        assert len(page) <= limit
        seen += page
        before = page[-1].cursor
    assert seen == list(list_reveals(revealed, tenant_id=tenant.tenant_id))
    assert [row.position for row in seen] == [3, 2, 1, 1]


def test_a_stretch_ends_after_so_many_rows_and_the_walk_sees_all(
    tenant: Tenant, transact_for: TransactFor, conn_as: ConnAs
) -> None:
    """Links of 9,000 rows, as a list of all customers is one: the third makes the stretch full, the fourth is the next one's."""
    transact = transact_for(tenant)
    subjects = [f"cus_{number}" for number in range(9_000)]
    for _ in range(4):
        with transact(tenant.tenant_id) as conn:
            conn.execute("SELECT count(*) FROM vault.read_known_values('jobs', 'mask', %s)", [subjects])
    auditor = conn_as("auditor", tenant)
    assert auditor.execute("SELECT * FROM vault.verify_reveals(0, 5000)").fetchone() == (3, 3, 27_000, None)
    assert auditor.execute("SELECT * FROM vault.verify_reveals(3, 5000)").fetchone() == (4, 1, 9_000, None)
    assert auditor.execute("SELECT * FROM vault.verify_reveals(4, 5000)").fetchone() == (4, 0, 0, None)
    check = verify_reveals(transact, tenant_id=tenant.tenant_id)
    assert (check.links, check.rows, check.first_broken) == (4, 36_000, None)


def _insert(conn: Connection[Any], tenant_id: str) -> None:
    conn.execute(
        "INSERT INTO vault.pii_reveals"
        " (tenant_id, actor, roles, purpose, scope, scope_id, subject_id, token, class, shown, position)"
        " SELECT tenant_id, 'somebody', roles, purpose, scope, scope_id, subject_id, token, class, shown, 2"
        " FROM vault.pii_reveals WHERE tenant_id = %s AND position = 2",
        [tenant_id],
    )


def _swap(conn: Connection[Any], tenant_id: str) -> None:
    conn.execute("UPDATE vault.pii_reveals SET position = 4 - position WHERE tenant_id = %s AND position <> 2", [tenant_id])


def _insert_beyond(conn: Connection[Any], tenant_id: str) -> None:
    conn.execute(
        "INSERT INTO vault.pii_reveals (tenant_id, actor, roles, purpose, scope, scope_id, subject_id, shown, position)"
        " VALUES (%s, 'somebody', '', 'mask', 'masking', 'cus_one', 'cus_one', 'none', 9)",
        [tenant_id],
    )


def _run(statement: str) -> Tamper:
    return lambda conn, tenant_id: conn.execute(statement, [tenant_id])


def _forge_link(conn: Connection[Any], tenant_id: str) -> None:
    """Change a row and bring its own link in line: the next link still knows the old one."""
    conn.execute("UPDATE vault.pii_reveals SET actor = 'nobody' WHERE tenant_id = %s AND position = 2", [tenant_id])
    conn.execute(
        "UPDATE vault.reveal_links SET rows_hash = vault.hash_reveals(tenant_id, position),"
        " hash = vault.hash_link(tenant_id, position, previous_hash, vault.hash_reveals(tenant_id, position))"
        " WHERE tenant_id = %s AND position = 2",
        [tenant_id],
    )


@pytest.mark.parametrize(
    ("tamper", "broken"),
    [
        (_run("UPDATE vault.pii_reveals SET actor = 'nobody' WHERE tenant_id = %s AND position = 2"), 2),
        (_run("UPDATE vault.pii_reveals SET shown = 'masked' WHERE tenant_id = %s AND position = 1"), 1),
        (
            _run(
                "UPDATE vault.pii_reveals SET revealed_at = revealed_at - interval '1 us' WHERE tenant_id = %s AND position = 3"
            ),
            3,
        ),
        (_run("DELETE FROM vault.pii_reveals WHERE tenant_id = %s AND position = 3"), 3),
        (_run("DELETE FROM vault.pii_reveals WHERE tenant_id = %s AND position = 1 AND scope_id = 'cus_two'"), 1),
        (_run("DELETE FROM vault.reveal_links WHERE tenant_id = %s AND position = 2"), 2),
        (_run("DELETE FROM vault.reveal_links WHERE tenant_id = %s AND position = 3"), 3),
        (_run("DELETE FROM vault.reveal_heads WHERE tenant_id = %s"), 4),
        (_insert, 2),
        (_insert_beyond, 4),
        (_swap, 1),
        (_forge_link, 3),
    ],
)
def test_what_a_superuser_changes_is_found(
    revealed: Transact, tenant: Tenant, admin_conn: Connection[Any], tamper: Tamper, broken: int
) -> None:
    with admin_conn.transaction():
        for table in ("pii_reveals", "reveal_links"):
            admin_conn.execute(f"ALTER TABLE vault.{table} DISABLE TRIGGER append_only")
        tamper(admin_conn, tenant.tenant_id)
        for table in ("pii_reveals", "reveal_links"):
            admin_conn.execute(f"ALTER TABLE vault.{table} ENABLE ALWAYS TRIGGER append_only")
    assert verify_reveals(revealed, tenant_id=tenant.tenant_id).first_broken == broken


def test_role_vault_writes_no_link_and_no_head(revealed: Transact, tenant: Tenant) -> None:
    for statement in (
        "UPDATE vault.reveal_heads SET position = 0",
        "INSERT INTO vault.reveal_links SELECT * FROM vault.reveal_links",
        "DELETE FROM vault.reveal_links",
        "SELECT vault.note_reveals('x', '', 'x', 'record', '{}')",
        "DELETE FROM vault.pii_reveals",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), revealed(tenant.tenant_id) as conn:
            conn.execute(statement)


def test_a_call_that_finds_nothing_leaves_no_link(tenant: Tenant, transact_for: TransactFor) -> None:
    transact = transact_for(tenant)
    unmasker = Unmasker(keys=FixedKeyProvider(), transact=transact, entitlements=FULL)
    token = "<PERSON_00000000-" + uuid4().hex[:2] + ">"
    unmasker.unmask_records([RecordField("cus_one", token)], viewer=EVERYTHING, tenant_id=tenant.tenant_id)
    assert verify_reveals(transact, tenant_id=tenant.tenant_id).links == 0


def test_an_end_cut_off_with_its_head_is_found_by_the_log(
    revealed: Transact, tenant: Tenant, admin_conn: Connection[Any]
) -> None:
    """Who owns the database can write a shorter chain that holds in itself; the hundredth link stands in the signed log."""
    with revealed(tenant.tenant_id) as conn:
        for _ in range(98):
            conn.execute("SELECT * FROM vault.read_known_values('jobs', 'mask', ARRAY['cus_one'])")
    whole = verify_reveals(revealed, tenant_id=tenant.tenant_id)
    assert (whole.links, whole.first_broken) == (101, None)
    told = admin_conn.execute(
        "SELECT data ->> 'position' FROM core.events WHERE tenant_id = %s AND event_type = 'vault.reveals_noted'",
        [tenant.tenant_id],
    )
    assert told.fetchall() == [("100",)]
    with admin_conn.transaction():
        for table in ("pii_reveals", "reveal_links"):
            admin_conn.execute(f"ALTER TABLE vault.{table} DISABLE TRIGGER append_only")
            admin_conn.execute(f"DELETE FROM vault.{table} WHERE tenant_id = %s AND position > 50", [tenant.tenant_id])
            admin_conn.execute(f"ALTER TABLE vault.{table} ENABLE ALWAYS TRIGGER append_only")
        admin_conn.execute(
            "UPDATE vault.reveal_heads SET position = 50, hash ="
            " (SELECT hash FROM vault.reveal_links WHERE tenant_id = %s AND position = 50) WHERE tenant_id = %s",
            [tenant.tenant_id, tenant.tenant_id],
        )
    assert verify_reveals(revealed, tenant_id=tenant.tenant_id).first_broken == 100
