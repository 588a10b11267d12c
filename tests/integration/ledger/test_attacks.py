"""What somebody with a role's password and a context of one tenant tries: forged settings, shadowed names, leaks."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import Connection, sql

from domain.transfer import ResultCode, digest_transfer
from ledger.posting import claim_writer, post_transfer, post_transfers
from storage.roles import LOGIN_ROLES, LoginRole
from tests.conftest import ConnAs, Tenant
from tests.integration.ledger.books import find_faults
from tests.integration.ledger.house import ALICE, BANK, BOB, NOW, House, make_request
from tests.integration.ledger.permission_matrix import TABLES, VIEWS

Refused = psycopg.errors.InsufficientPrivilege
# What a probe can ask for: each table of tenants and each view, with its readers.
_READABLE = {**{name: rights.select for name, rights in TABLES.items() if rights.has_tenant}, **VIEWS}


@pytest.fixture
def house(tenant: Tenant, conn_as: ConnAs, admin_conn: Connection[Any]) -> House:
    """The victim: accounts, money, a hold, a refusal, an authorization that waits."""
    house = House(tenant, conn_as, admin_conn)
    house.open_accounts()
    house.bring_in(ALICE, 10_000)
    house.must_post(make_request())
    house.allow(make_request(amount_minor=77))
    return house


@pytest.fixture
def mallory(other_tenant: Tenant, conn_as: ConnAs, admin_conn: Connection[Any]) -> House:
    """Another tenant of the same installation."""
    mallory = House(other_tenant, conn_as, admin_conn)
    mallory.open_accounts()
    mallory.bring_in(ALICE, 5)
    return mallory


def _claim(connection: Connection[Any], tenant: Tenant) -> None:
    """Say by every setting that a session can set that one is this tenant."""
    for setting in ("tellergate.tenant", "tellergate.tenant_id", "tellergate.role"):
        connection.execute("SELECT SET_CONFIG(%s, %s, FALSE)", [setting, tenant.tenant_id])
    connection.execute("SET row_security = on")


def test_a_claimed_tenant_opens_no_door(house: House, mallory: House) -> None:
    """`tellergate.tenant` is overwritten before anything believes it: the one that the context proves counts."""
    theirs = make_request(amount_minor=55)
    house.allow(theirs)
    before = house.auditor.execute("SELECT * FROM ledger.account_balances ORDER BY code").fetchall()
    _claim(mallory.executor, house.tenant)
    for answer in (
        post_transfer(mallory.executor, theirs, now=NOW),
        *post_transfers(mallory.executor, [theirs], now=NOW),
        post_transfer(mallory.executor, replace(theirs, transfer_id=uuid4(), debit="customer:carol"), now=NOW),
    ):
        assert answer.code is ResultCode.NOT_AUTHORIZED
    assert claim_writer(mallory.executor, now=NOW) == 1
    assert claim_writer(house.executor, now=NOW) == 1
    assert house.auditor.execute("SELECT * FROM ledger.account_balances ORDER BY code").fetchall() == before
    own = make_request(amount_minor=1)
    mallory.allow(own)
    with mallory.executor.transaction():
        _claim(mallory.executor, house.tenant)
        assert post_transfer(mallory.executor, own, now=NOW).code is ResultCode.ACCEPTED
        # The function noted the tenant that it verified; saying otherwise now changes nothing for the next call.
        _claim(mallory.executor, house.tenant)
        assert post_transfer(mallory.executor, theirs, now=NOW).code is ResultCode.NOT_AUTHORIZED
    assert post_transfer(house.executor, theirs, now=NOW).code is ResultCode.ACCEPTED
    for books in (house, mallory):
        assert find_faults(books.admin, books.tenant.tenant_id) == {}


@pytest.mark.parametrize("spoil", ["tenant", "role", "late", "digit", "cut", "empty", "doubled", "other_key"])
def test_a_forged_context_opens_no_door(house: House, mallory: House, conn_as: ConnAs, spoil: str) -> None:
    good = mallory.tenant.context("executor")
    context = {
        "tenant": good.replace(mallory.tenant.tenant_id, house.tenant.tenant_id),
        "role": house.tenant.context("importer"),
        "late": mallory.tenant.context("executor", lifetime=timedelta(seconds=-1)),
        "digit": good[:-1] + ("0" if good[-1] != "0" else "1"),
        "cut": good.rsplit(".", 1)[0],
        "empty": "",
        "doubled": good + "." + house.tenant.context("executor"),
        "other_key": Tenant(house.tenant.tenant_id, b"\x01" * 32).context("executor"),
    }[spoil]
    connection = conn_as("executor")
    connection.execute("SELECT SET_CONFIG('tellergate.context', %s, FALSE)", [context])
    _claim(connection, house.tenant)
    for attempt in (
        lambda: post_transfer(connection, make_request(), now=NOW),
        lambda: post_transfers(connection, [make_request()], now=NOW),
        lambda: claim_writer(connection, now=NOW),
        lambda: connection.execute("SELECT ledger.execute_decision('dec_x', GEN_RANDOM_UUID(), NOW())"),
        lambda: connection.execute("SELECT * FROM ledger.account_balances"),
        lambda: connection.execute("SELECT * FROM ledger.holds"),
    ):
        with pytest.raises(Refused, match=r"^tenant context: "):
            attempt()


@pytest.mark.parametrize("role", LOGIN_ROLES)
def test_no_row_of_another_tenant_through_a_view_a_table_or_an_error(
    house: House, mallory: House, conn_as: ConnAs, role: LoginRole
) -> None:
    """The probe fails on any row of the victim that it is shown, and says its text: neither rows nor errors come from there."""
    probe = "SELECT COUNT(*) FROM {} AS seen WHERE CASE WHEN seen.tenant_id = {} THEN (seen.*)::TEXT::INTEGER > 0 ELSE FALSE END"
    theirs = conn_as(role, mallory.tenant)
    own = conn_as(role, house.tenant)
    _claim(theirs, house.tenant)
    probed = 0
    for name in [name for name, readers in _READABLE.items() if role in readers.split()]:
        relation = sql.Identifier(*name.split("."))
        statement = sql.SQL(probe).format(relation, house.tenant.tenant_id)
        assert theirs.execute(statement).fetchone() == (0,), name
        rows = theirs.execute(sql.SQL("SELECT DISTINCT tenant_id FROM {}").format(relation)).fetchall()
        assert rows in ([], [(mallory.tenant.tenant_id,)]), name
        if own.execute(sql.SQL("SELECT COUNT(*) FROM {}").format(relation)).fetchone() != (0,):
            with pytest.raises(psycopg.errors.InvalidTextRepresentation, match=house.tenant.tenant_id):
                own.execute(statement)
            probed += 1
    assert probed or role in ("vault", "ai"), "the probe met no row of its own: it shows nothing"
    seen = theirs.execute("SELECT COUNT(*) FROM pg_catalog.pg_stats WHERE schemaname IN ('ledger', 'gate')").fetchone()
    assert seen == (0,), "the statistics of a table with row security show values of every tenant"


def test_nobody_writes_a_row_of_another_tenant(house: House, mallory: House) -> None:
    request = make_request(debit=BOB, credit=ALICE)
    assert mallory.decision_id is None
    mallory.allow(make_request())
    row = [
        house.tenant.tenant_id, request.transfer_id, mallory.decision_id,
        digest_transfer(request, tenant_id=house.tenant.tenant_id), NOW, NOW + timedelta(seconds=60),
    ]  # fmt: skip
    insert = (
        "INSERT INTO gate.authorizations (tenant_id, transfer_id, decision_id, digest, valid_from, valid_until)"
        " VALUES (%s, %s, %s, %s, %s, %s)"
    )
    _claim(mallory.gate, house.tenant)
    with pytest.raises(Refused, match="row-level security"):
        mallory.gate.execute(insert, row)
    # Under its own tenant, with the other's decision: there is none such.
    house.allow(make_request())
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="no decision that allows it"):
        mallory.gate.execute(insert, [mallory.tenant.tenant_id, row[1], house.decision_id, *row[3:]])
    for call in ("close_account(%s, 'EUR', NOW())", "resume_account(%s, 'EUR', 'x', NOW())"):
        with pytest.raises(psycopg.Error) as caught:
            mallory.importer.execute(f"SELECT ledger.{call}", ["escrow:only-theirs"])
        assert caught.value.sqlstate not in (None, "XX000")
    assert mallory.jobs.execute("SELECT COUNT(DISTINCT tenant_id) FROM ledger.tails").fetchone() == (1,)


def test_rolled_up_money_of_another_tenant_is_not_counted(house: House, mallory: House) -> None:
    """Both have the same account code, in the same table without an index."""
    for books, balance in ((house, -10_000), (mallory, -5)):
        for role in ("executor", "gate", "edge", "jobs", "auditor", "importer"):
            connection = books.conn_as(role, books.tenant)
            _claim(connection, house.tenant)
            rows = connection.execute("SELECT balance_minor FROM ledger.account_balances WHERE code = %s", [BANK]).fetchall()
            assert rows == [(balance,)], role


def test_plans_that_a_session_keeps_follow_its_tenant(house: House, mallory: House, conn_as: ConnAs) -> None:
    """One connection serves one tenant after the other, with prepared statements and cached plans of the functions."""
    connection = conn_as("executor")
    counts = {house.tenant.tenant_id: 0, mallory.tenant.tenant_id: 0}
    mallory.bring_in(ALICE, 10_000)
    for _ in range(8):
        for books in (house, mallory):
            connection.execute("SELECT SET_CONFIG('tellergate.context', %s, FALSE)", [books.tenant.context("executor")])
            single, batch = make_request(amount_minor=3), [make_request(amount_minor=4), make_request(amount_minor=5)]
            books.allow(single, *batch)
            assert post_transfer(connection, single, now=NOW).code is ResultCode.ACCEPTED
            assert {answer.code for answer in post_transfers(connection, batch, now=NOW)} == {ResultCode.ACCEPTED}
            counts[books.tenant.tenant_id] += 3
            rows = connection.execute(
                "SELECT tenant_id, COUNT(*) FROM ledger.transfer_lines WHERE amount_minor IN (3, 4, 5) AND kind = 'posted'"
                " AND decision_id IS NOT NULL GROUP BY tenant_id",
                prepare=True,
            ).fetchall()
            assert rows == [(books.tenant.tenant_id, counts[books.tenant.tenant_id])]
    for books in (house, mallory):
        assert find_faults(books.admin, books.tenant.tenant_id) == {}


_SHADOWS = """
CREATE SCHEMA {schema};
GRANT USAGE ON SCHEMA {schema} TO PUBLIC;
CREATE FUNCTION {schema}.always(BYTEA, BYTEA) RETURNS BOOLEAN LANGUAGE SQL AS 'SELECT TRUE';
CREATE FUNCTION {schema}.always(BIGINT, BIGINT) RETURNS BOOLEAN LANGUAGE SQL AS 'SELECT TRUE';
CREATE FUNCTION {schema}.always(TEXT, TEXT) RETURNS BOOLEAN LANGUAGE SQL AS 'SELECT TRUE';
CREATE FUNCTION {schema}.always(TIMESTAMPTZ, TIMESTAMPTZ) RETURNS BOOLEAN LANGUAGE SQL AS 'SELECT TRUE';
CREATE FUNCTION {schema}.glue(TEXT, TEXT) RETURNS TEXT LANGUAGE SQL AS 'SELECT ''x''::TEXT';
CREATE OPERATOR {schema}.= (LEFTARG = BYTEA, RIGHTARG = BYTEA, FUNCTION = {schema}.always);
CREATE OPERATOR {schema}.<= (LEFTARG = BIGINT, RIGHTARG = BIGINT, FUNCTION = {schema}.always);
CREATE OPERATOR {schema}.= (LEFTARG = TEXT, RIGHTARG = TEXT, FUNCTION = {schema}.always);
CREATE OPERATOR {schema}.< (LEFTARG = TIMESTAMPTZ, RIGHTARG = TIMESTAMPTZ, FUNCTION = {schema}.always);
CREATE OPERATOR {schema}.|| (LEFTARG = TEXT, RIGHTARG = TEXT, FUNCTION = {schema}.glue);
CREATE FUNCTION {schema}.sha256(BYTEA) RETURNS BYTEA LANGUAGE SQL AS 'SELECT ''\\x00''::BYTEA';
CREATE FUNCTION {schema}.current_setting(TEXT, BOOLEAN) RETURNS TEXT LANGUAGE SQL AS 'SELECT ''{victim}''::TEXT';
CREATE FUNCTION {schema}.clock_timestamp() RETURNS TIMESTAMPTZ LANGUAGE SQL AS 'SELECT ''-infinity''::TIMESTAMPTZ';
CREATE FUNCTION {schema}.set_config(TEXT, TEXT, BOOLEAN) RETURNS TEXT LANGUAGE SQL AS 'SELECT ''x''::TEXT';
CREATE FUNCTION {schema}.unnest(ANYARRAY) RETURNS SETOF ANYELEMENT LANGUAGE SQL AS 'SELECT $1[1] WHERE FALSE';
"""


def test_names_of_the_callers_choosing_are_not_called(house: House, mallory: House) -> None:
    """As if some schema had been writable: shadows of what the functions call, first in the caller's search path."""
    schema = f"shadow_{uuid4().hex[:8]}"
    shadows = _SHADOWS.replace("{schema}", schema).replace("{victim}", house.tenant.tenant_id)
    house.admin.execute(shadows)
    try:
        request = make_request(amount_minor=9_000)
        _shadowed(mallory.gate, schema)
        mallory.allow(request, single := make_request(amount_minor=2), *(batch := [make_request(), make_request(amount_minor=1)]))
        _shadowed(mallory.executor, schema)
        forged = replace(single, amount_minor=4_000)
        late = NOW + timedelta(seconds=61)
        post = mallory.executor
        assert post_transfer(post, forged, now=NOW).code is ResultCode.DIGEST_MISMATCH
        assert post_transfers(post, [forged], now=NOW)[0].code is ResultCode.DIGEST_MISMATCH
        assert post_transfer(post, single, now=late).code is ResultCode.DECISION_EXPIRED
        assert post_transfer(post, single, now=NOW).code is ResultCode.ACCEPTED
        assert [answer.code for answer in post_transfers(post, batch, now=NOW)] == [ResultCode.ACCEPTED] * 2
        (seen,) = post.execute("SELECT DISTINCT tenant_id FROM ledger.account_balances").fetchall()
        assert seen == (mallory.tenant.tenant_id,)
        decided = mallory.scene.decide(mallory.scene.add_charge(700), 700)
        _shadowed(mallory.scene.executor, schema)
        assert mallory.scene.execute(decided.decision_id).code == "posted"
    finally:
        for connection in (mallory.gate, mallory.executor, mallory.scene.executor):
            connection.execute("RESET search_path")
        house.admin.execute(f"DROP SCHEMA {schema} CASCADE")
    for books in (house, mallory):
        assert find_faults(books.admin, books.tenant.tenant_id) == {}


def _shadowed(connection: Connection[Any], schema: str) -> None:
    connection.execute(f"SET search_path = {schema}, pg_catalog")


def test_temporary_tables_do_not_stand_for_real_ones(house: House, database: Any) -> None:
    """Nobody may make any; if the right slipped back, the functions would not look there first."""
    house.admin.execute(f"GRANT TEMP ON DATABASE {database.address.dbname} TO executor")
    connection = house.conn_as("executor", house.tenant)
    try:
        for table in (
            "ledger.accounts",
            "ledger.transfers",
            "ledger.holds",
            "ledger.tails",
            "gate.authorizations",
            "gate.decisions",
        ):
            connection.execute(f"CREATE TEMP TABLE {table.split('.')[1]} (tenant_id TEXT, transfer_id UUID)")
        connection.execute("SET search_path = pg_temp, pg_catalog")
        house.allow(request := make_request(), *(batch := [make_request(), make_request()]))
        assert post_transfer(connection, request, now=NOW).code is ResultCode.ACCEPTED
        assert {answer.code for answer in post_transfers(connection, batch, now=NOW)} == {ResultCode.ACCEPTED}
    finally:
        connection.close()
        house.admin.execute(f"REVOKE TEMP ON DATABASE {database.address.dbname} FROM executor")
    assert find_faults(house.admin, house.tenant.tenant_id) == {}
