"""Secret files are private and made once; a DSN is read without its password."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from storage.secrets import SecretFileInsecure, SecretFileMissing, ensure_secret, read_secret
from storage.server_address import InvalidDsn, ServerAddress, address_of


def test_a_secret_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "db_edge.password"
    value = ensure_secret(path)
    assert len(bytes.fromhex(value)) == 32
    assert ensure_secret(path) == read_secret(path) == value
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_many_first_callers_agree(tmp_path: Path) -> None:
    path = tmp_path / "one.key"
    with ThreadPoolExecutor(8) as threads:
        values = set(threads.map(lambda _: ensure_secret(path), range(8)))
    assert values == {read_secret(path)}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_an_open_secret_is_refused(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    ensure_secret(path)
    path.chmod(mode)
    with pytest.raises(SecretFileInsecure, match="chmod 600"):
        read_secret(path)


def test_a_missing_or_empty_secret_says_so(tmp_path: Path) -> None:
    empty = tmp_path / "empty.key"
    empty.touch(mode=0o600)
    for path in (empty, tmp_path / "none.key"):
        with pytest.raises(SecretFileMissing, match=path.name):
            read_secret(path)


def test_an_address_writes_a_dsn_for_a_role() -> None:
    dsn = ServerAddress("/run/x", 5432, "app", (("sslmode", "require"),)).dsn("edge", "it's a 'secret'")
    assert conninfo_to_dict(dsn) == {
        "host": "/run/x", "port": "5432", "dbname": "app", "user": "edge", "password": "it's a 'secret'", "sslmode": "require",
    }  # fmt: skip


def test_a_dsn_is_read_without_user_and_password() -> None:
    address = address_of("postgresql://admin:secret@db.example:6543/bank?sslmode=verify-full")
    assert address == ServerAddress("db.example", 6543, "bank", (("sslmode", "verify-full"),))
    assert "secret" not in repr(address)


@pytest.mark.parametrize(
    "dsn", ["postgresql://a:secret@/", "postgresql://a:secret@h:x/d", "secret nonsense", "postgresql://a:secret@h/", ""]
)
def test_a_broken_dsn_does_not_show_its_password(dsn: str) -> None:
    with pytest.raises(InvalidDsn) as refusal:
        address_of(dsn)
    assert "secret" not in str(refusal.value)
