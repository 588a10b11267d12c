"""A rotation wraps every data key anew; values, tokens and running processes do not notice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection

import masking.rotation as rotation_module
from masking.classes import PiiClass
from masking.data_keys import unwrap_data_key
from masking.erasure import Erasure, erase_subject
from masking.keys import FileKeyProvider, TenantKeyMissing
from masking.rotation import RotationStep, rotate_keys
from masking.unmask import RecordField, Unmasker
from masking.vault import PiiItem, Transact, Vault
from tests.conftest import ConnAs, Database, Tenant
from tests.integration.masking.conftest import EVERYTHING, FULL

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SUBJECTS = [f"cus_{number}" for number in range(7)]


class World:
    """One tenant with keys in files, seven customers, and a process that reads them since before any rotation."""

    def __init__(self, tenant: Tenant, transact: Transact, folder: Path) -> None:
        self.tenant_id, self.transact, self.folder = tenant.tenant_id, transact, folder
        self.running = FileKeyProvider(folder)
        self.running.ensure_tenant_keys(self.tenant_id)
        items = [PiiItem(PiiClass.PERSON, f"Marta {subject}", subject) for subject in SUBJECTS]
        with transact(self.tenant_id) as conn:
            self.tokens = Vault(self.running).tokenize_many(conn, items, tenant_id=self.tenant_id)
            row = conn.execute("SELECT wrapped_key FROM vault.data_keys WHERE subject_id = %s", [SUBJECTS[0]]).fetchone()
        assert row is not None
        self.first_wrapped = bytes(row[0])

    def rotate(self, keys: FileKeyProvider | None = None, **options: Any) -> RotationStep:
        keys = keys or FileKeyProvider(self.folder)
        return rotate_keys(self.transact, keys, tenant_id=self.tenant_id, actor="ada", now=NOW, **options)

    def read_all(self, keys: FileKeyProvider) -> list[str]:
        unmasker = Unmasker(keys=keys, transact=self.transact, entitlements=FULL)
        fields = [RecordField(subject, token) for subject, token in zip(SUBJECTS, self.tokens, strict=True)]
        return [piece.text for piece in unmasker.unmask_records(fields, viewer=EVERYTHING, tenant_id=self.tenant_id)]

    def versions(self, conn: Connection[Any]) -> list[int]:
        rows = conn.execute("SELECT wrap_version FROM vault.data_keys WHERE tenant_id = %s ORDER BY subject_id", [self.tenant_id])
        return [row[0] for row in rows]

    def ciphertexts(self, conn: Connection[Any]) -> list[bytes]:
        rows = conn.execute("SELECT ciphertext FROM vault.pii_values WHERE tenant_id = %s ORDER BY token", [self.tenant_id])
        return [bytes(row[0]) for row in rows]


NAMES = [f"Marta {subject}" for subject in SUBJECTS]


@pytest.fixture
def world(tenant: Tenant, transact_for: Callable[[Tenant], Transact], tmp_path: Path) -> World:
    return World(tenant, transact_for(tenant), tmp_path)


def test_a_rotation_moves_every_key_and_touches_no_value(world: World, admin_conn: Connection[Any]) -> None:
    before = world.ciphertexts(admin_conn)
    assert world.rotate() == RotationStep(to_version=2, rewrapped=7, remaining=0)
    assert world.versions(admin_conn) == [2] * 7
    assert world.ciphertexts(admin_conn) == before
    assert world.read_all(world.running) == NAMES
    assert world.read_all(FileKeyProvider(world.folder)) == NAMES
    assert (world.folder / f"vault_{world.tenant_id}.v2.key").stat().st_mode & 0o777 == 0o600


def test_tokens_stay_and_masking_goes_on_half_way(world: World, admin_conn: Connection[Any]) -> None:
    assert world.rotate(limit=3) == RotationStep(to_version=2, rewrapped=3, remaining=4)
    assert sorted(world.versions(admin_conn)) == [1, 1, 1, 1, 2, 2, 2]
    # Half old, half new: a process from before and one from after read, and write the same tokens.
    for keys in (world.running, FileKeyProvider(world.folder)):
        assert world.read_all(keys) == NAMES
        with world.transact(world.tenant_id) as conn:
            items = [PiiItem(PiiClass.PERSON, f"Marta {subject}", subject) for subject in SUBJECTS]
            assert Vault(keys).tokenize_many(conn, items, tenant_id=world.tenant_id) == world.tokens
    # The next call goes on with version 2 and makes no third.
    assert world.rotate(limit=3) == RotationStep(2, 3, 1)
    assert world.rotate(limit=3, only_continue=True) == RotationStep(2, 1, 0)
    assert world.rotate(only_continue=True) == RotationStep(2, 0, 0)
    assert world.rotate() == RotationStep(3, 7, 0)
    assert world.read_all(world.running) == NAMES


def test_killed_between_the_key_and_the_rows_it_goes_on_with_that_key(
    world: World, admin_conn: Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> int:
        raise KeyboardInterrupt

    edge = FileKeyProvider(world.folder)
    edge.tenant_keys(world.tenant_id)
    with monkeypatch.context() as patch:
        patch.setattr(rotation_module, "_rewrap", die)
        with pytest.raises(KeyboardInterrupt):
            world.rotate(edge)
    assert world.versions(admin_conn) == [1] * 7
    assert world.read_all(world.running) == NAMES
    assert world.rotate(edge) == RotationStep(2, 7, 0)
    assert not (world.folder / f"vault_{world.tenant_id}.v3.key").exists()


def test_the_first_version_cannot_be_replaced(world: World) -> None:
    world.rotate()
    (world.folder / f"vault_{world.tenant_id}.v1.key").unlink()
    with pytest.raises(TenantKeyMissing, match="version 1, which is its identity"):
        world.read_all(FileKeyProvider(world.folder))


def test_a_lost_later_version_is_said_and_not_guessed(world: World) -> None:
    world.rotate()
    (world.folder / f"vault_{world.tenant_id}.v2.key").unlink()
    with pytest.raises(TenantKeyMissing, match="wrapped by version 2"):
        world.read_all(FileKeyProvider(world.folder))


def test_no_way_back_to_an_older_key(world: World, admin_conn: Connection[Any]) -> None:
    world.rotate()
    # Neither back, nor again, nor to a version that no rotation goes to.
    for version in (1, 2, 3, 32767):
        with pytest.raises(psycopg.errors.CheckViolation, match="no rotation"), world.transact(world.tenant_id) as conn:
            conn.execute("SELECT vault.rewrap_data_keys(%s, %s, %s::SMALLINT)", [SUBJECTS, [b"junk"] * len(SUBJECTS), version])
    assert world.versions(admin_conn) == [2] * 7
    assert world.read_all(world.running) == NAMES
    with pytest.raises(psycopg.errors.InsufficientPrivilege), world.transact(world.tenant_id) as conn:
        conn.execute("UPDATE vault.data_keys SET wrap_version = 1")


def test_who_ran_before_the_rotation_makes_keys_under_the_new_version(world: World, admin_conn: Connection[Any]) -> None:
    world.rotate()
    with world.transact(world.tenant_id) as conn:
        Vault(world.running).tokenize(conn, PiiItem(PiiClass.PERSON, "Ben Okafor", "cus_new"), tenant_id=world.tenant_id)
    assert world.versions(admin_conn) == [2] * 8


def test_a_rotation_takes_the_key_of_a_writer_under_way_with_it(
    world: World, database: Database, tenant: Tenant, admin_conn: Connection[Any]
) -> None:
    """He made a key under the old version and has not committed: the rotation waits for him and says 'nothing remains' truly."""
    with psycopg.connect(database.dsn("vault")) as writer, ThreadPoolExecutor(1) as pool:
        writer.execute("SELECT SET_CONFIG('tellergate.context', %s, TRUE)", [tenant.context("vault")])
        Vault(world.running).tokenize(writer, PiiItem(PiiClass.PERSON, "Ben Okafor", "cus_new"), tenant_id=world.tenant_id)
        rotating = pool.submit(world.rotate)
        _wait_for_a_lock(database, rotating)
        writer.commit()
        assert rotating.result() == RotationStep(2, 8, 0)
    assert world.versions(admin_conn) == [2] * 8


def test_an_erasure_waits_for_a_step_of_a_rotation(
    world: World, database: Database, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step has read the key that is to be erased and not yet put it back: no ring, one after the other."""
    erased: list[Future[tuple[Erasure, bool]]] = []

    @contextmanager
    def transact(_: str) -> Iterator[Connection[Any]]:
        with psycopg.connect(database.dsn("vault")) as conn:
            conn.execute("SELECT SET_CONFIG('tellergate.context', %s, TRUE)", [tenant.context("vault")])
            yield conn

    def erase() -> tuple[Erasure, bool]:
        return erase_subject(
            transact, tenant_id=world.tenant_id, subject_id=SUBJECTS[1], actor="ada", reason="asked by letter", now=NOW
        )

    with ThreadPoolExecutor(1) as pool:

        def unwrap_while_another_erases(*row: Any) -> bytes:
            if not erased:
                erased.append(pool.submit(erase))
                _wait_for_a_lock(database, erased[0])
            return unwrap_data_key(*row)

        monkeypatch.setattr(rotation_module, "unwrap_data_key", unwrap_while_another_erases)
        assert world.rotate() == RotationStep(2, 7, 0)
        assert erased[0].result()[1]


def test_keys_that_a_finished_rotation_left_go_on_with_the_next_version(world: World, admin_conn: Connection[Any]) -> None:
    world.rotate()
    # As rows of an older dump are: under version 1, though the rotation to version 2 is over.
    admin_conn.execute(
        "UPDATE vault.data_keys SET wrap_version = 1, wrapped_key = %s WHERE tenant_id = %s AND subject_id = %s",
        [world.first_wrapped, world.tenant_id, SUBJECTS[0]],
    )
    assert world.rotate(only_continue=True) == RotationStep(2, 0, 1)
    assert world.rotate() == RotationStep(3, 7, 0)
    assert world.read_all(world.running) == NAMES


def test_a_version_lost_from_the_middle_is_said(world: World) -> None:
    world.rotate()
    FileKeyProvider(world.folder).add_version(world.tenant_id)
    (world.folder / f"vault_{world.tenant_id}.v2.key").unlink()
    with pytest.raises(TenantKeyMissing, match="wrapped by version 2"):
        world.read_all(FileKeyProvider(world.folder))


def _wait_for_a_lock(database: Database, waiting: Future[Any]) -> None:
    with psycopg.connect(database.admin_dsn(), autocommit=True) as admin:
        while admin.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() == (0,):
            assert not waiting.done(), waiting.result()


def test_progress_is_on_the_record(world: World, conn_as: ConnAs, tenant: Tenant) -> None:
    world.rotate(limit=5)
    auditor = conn_as("auditor", tenant)
    read = "SELECT to_version, actor, rewrapped, finished_at IS NOT NULL FROM vault.key_rotations"
    assert auditor.execute(read).fetchall() == [(2, "ada", 5, False)]
    world.rotate(limit=5)
    assert auditor.execute(read).fetchall() == [(2, "ada", 7, True)]
