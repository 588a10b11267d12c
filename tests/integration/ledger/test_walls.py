"""The walls behind the rights: row security, doors that prove their tenant, views that are barriers, parts with every guard."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from psycopg import Connection

from tests.conftest import ConnAs, Tenant
from tests.integration.ledger.catalog import FUNCTIONS, list_relations, row_of
from tests.integration.ledger.permission_matrix import DOORS, PARTS, TABLES

_PROVED = "(tenant_id = ( SELECT core.current_tenant() AS current_tenant))"
_NOTED = "(tenant_id = current_setting('tellergate.tenant'::text, true))"
# Of `ledger_writer` alone. A change or removal with a condition sees what may be selected; that each has one is asked for below.
_OF_THE_FUNCTIONS = {
    ("r", _NOTED, None),
    ("a", None, "true"),
    ("w", "true", "true"),
    ("d", "true", None),
}


def test_row_security_is_forced_and_every_policy_asks_for_the_tenant(admin_conn: Connection[Any]) -> None:
    policies = (
        "SELECT ARRAY(SELECT pg_get_userbyid(oid) FROM UNNEST(polroles) AS roles (oid))::TEXT[], polcmd::TEXT,"
        " pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid) FROM pg_catalog.pg_policy"
        " WHERE polrelid = %s::REGCLASS"
    )
    for table in list_relations(admin_conn, "rpf"):
        if not TABLES[row_of(table)].has_tenant:
            continue
        flags = admin_conn.execute("SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = %s::REGCLASS", [table])
        assert flags.fetchone() == (True, True), table
        found = admin_conn.execute(policies, [table]).fetchall()
        of_functions = {tuple(rest) for roles, *rest in found if roles == ["ledger_writer"]}
        of_others = [tuple(rest) for roles, *rest in found if roles != ["ledger_writer"]]
        assert of_others == [("*", _PROVED, _PROVED)], table
        assert of_functions in (set(), _OF_THE_FUNCTIONS), table


def test_the_functions_write_the_verified_tenant_and_no_other(admin_conn: Connection[Any]) -> None:
    """No policy checks their inserts again, so their own text is looked at: each statement names the tenant it was given."""
    given = r"(?:[pv]_tenant_id|p_decision\.tenant_id)"
    inserts = re.compile(r"INSERT INTO (?:ledger|gate|core)\.[^;]*?(?:VALUES\s*\(|SELECT)\s*([a-z_.]+)")
    changes = re.compile(r"(?:UPDATE (?:ledger|gate|core)\.\w+(?: AS \w+)? SET|DELETE FROM (?:ledger|gate|core)\.)[^;]*;")
    written = 0
    for _, name, owner, _, _, _, source, _ in admin_conn.execute(FUNCTIONS).fetchall():
        if owner != "ledger_writer":
            continue
        for first in inserts.findall(source):
            written += 1
            assert re.fullmatch(given, first), f"{name} inserts {first} as the tenant"
        assert source.count("INSERT INTO") == len(inserts.findall(source)), name
        for statement in changes.findall(source):
            written += 1
            assert re.search(rf"tenant_id = {given}", statement), f"{name}: {statement}"
    assert written > 20


def test_the_policy_that_believes_a_setting_is_for_the_functions_owner_alone(admin_conn: Connection[Any]) -> None:
    rows = admin_conn.execute(
        "SELECT polrelid::REGCLASS::TEXT, ARRAY(SELECT pg_get_userbyid(oid) FROM UNNEST(polroles) AS roles (oid))"
        " FROM pg_catalog.pg_policy WHERE pg_get_expr(polqual, polrelid) ~ 'tellergate.tenant'"
    ).fetchall()
    assert rows
    assert {tuple(roles) for _, roles in rows} == {("ledger_writer",)}


def test_every_door_verifies_the_tenant_before_all_else_and_pins_its_names(admin_conn: Connection[Any]) -> None:
    """A function with another's rights: what it reads by `tellergate.tenant` must be what it verified itself."""
    functions = admin_conn.execute(FUNCTIONS).fetchall()
    sources = {name: source for _, name, _, _, _, _, source, _ in functions}
    for _, name, owner, _, is_definer, settings, source, _ in functions:
        if not is_definer:
            assert name not in DOORS, name
            continue
        assert "search_path=pg_catalog, pg_temp" in settings, name
        if owner == "ledger_writer":
            assert name in DOORS, name
            handed_on = re.fullmatch(r"\s*BEGIN\s+RETURN (ledger\.[a-z_]+)\([^;]*;\s+END\s*", source)
            head, body = sources[handed_on.group(1) if handed_on else name].split("BEGIN", 1)
            assert "v_tenant_id TEXT := core.current_tenant();" in head, name
            noted = body.index("PERFORM set_config('tellergate.tenant', v_tenant_id, TRUE);")
            assert not re.search(r"\b(ledger|gate)\.[a-z_]+", body[:noted]), (
                f"{name}: touches something before the tenant is noted"
            )


def test_every_view_is_a_barrier(admin_conn: Connection[Any]) -> None:
    for view in list_relations(admin_conn, "vm"):
        options = admin_conn.execute("SELECT reloptions::TEXT FROM pg_class WHERE oid = %s::REGCLASS", [view]).fetchone()
        assert options is not None
        assert "security_barrier=" in str(options[0]), view


def test_a_new_part_has_every_guard(conn_as: ConnAs, tenant: Tenant, admin_conn: Connection[Any]) -> None:
    """Parts made by the job are as the first ones, to the last trigger, policy, index and right."""
    conn_as("jobs", tenant).execute("SELECT ledger.ensure_partitions(%s, 1)", [datetime(2041, 5, 1, tzinfo=UTC)])
    admin_conn.execute("SELECT ledger.ensure_partitions(%s, 0)", [datetime(2042, 5, 1, tzinfo=UTC)])
    parts = [table for table in list_relations(admin_conn, "r") if row_of(table) == PARTS]
    assert {"ledger.transfers_2041_05", "ledger.transfers_2041_06", "ledger.transfers_2042_05"} <= set(parts)
    assert len({str(_describe(admin_conn, part)) for part in parts}) == 1
    triggers, _, _, owner, rights = _describe(admin_conn, parts[0])
    assert triggers == ["append_only A core.refuse_change 58", "from_functions A ledger.refuse_stranger 6"]
    assert (owner, rights) == ("ledger_owner", None)


def _describe(admin: Connection[Any], part: str) -> tuple[Any, ...]:
    """Return triggers, policies, indexes, owner and rights of a part, without its name."""
    row = admin.execute(
        (
            "SELECT ARRAY(SELECT tgname || ' ' || tgenabled::TEXT || ' ' || tgfoid::REGPROC || ' ' || tgtype FROM pg_trigger"
            " WHERE tgrelid = pg_class.oid AND NOT tgisinternal ORDER BY 1),"
            " ARRAY(SELECT polname || ' ' || polroles::TEXT || ' ' || polcmd::TEXT || ' ' || pg_get_expr(polqual, polrelid)"
            " FROM pg_policy WHERE polrelid = pg_class.oid ORDER BY 1),"
            " ARRAY(SELECT indisunique || ' ' || indisvalid || ' ' || indkey::TEXT FROM pg_index"
            " WHERE indrelid = pg_class.oid ORDER BY 1),"
            " pg_get_userbyid(relowner), relacl::TEXT FROM pg_class WHERE oid = %s::REGCLASS"
        ),
        [part],
    ).fetchone()
    assert row is not None
    return tuple(row)
