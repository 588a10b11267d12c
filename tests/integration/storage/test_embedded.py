"""The embedded server: one owner, scram for everyone, back after any kill."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from domain.errors import SetupError
from storage.embedded import SUPERUSER, DatabaseNotStarted, DatabaseOwned, EmbeddedPostgres
from storage.embedded_files import EmbeddedFiles, read_postmaster
from storage.secrets import SecretFileInsecure, read_secret

OWNER_PROGRAM = """
import sys
from pathlib import Path
from storage.embedded import EmbeddedPostgres

server = EmbeddedPostgres(home=Path(sys.argv[1]) / "postgres", secrets_dir=Path(sys.argv[1]) / "secrets")
server.start()
print(server.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def server(own_folder: Path) -> Iterator[EmbeddedPostgres]:
    """A server of this test alone, with the product's own settings."""
    server = make_server(own_folder)
    yield server
    server.stop()


def make_server(folder: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(home=folder / "postgres", secrets_dir=folder / "secrets")


def ask(server: EmbeddedPostgres, query: str) -> str:
    with psycopg.connect(server.admin_dsn()) as connection:
        row = connection.execute(query.encode()).fetchone()
        assert row is not None
        return str(row[0])


def wait_until_gone(pid: int) -> None:
    """Wait for the end of a process; a zombie that waits for its parent has ended."""
    deadline = time.monotonic() + 20
    while is_alive(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_new_cluster_is_durable_checksummed_and_closed(server: EmbeddedPostgres, own_folder: Path) -> None:
    address = server.start()
    expected = {
        "fsync": "on",
        "synchronous_commit": "on",
        "data_checksums": "on",
        "listen_addresses": "",
        "password_encryption": "scram-sha-256",
        "server_encoding": "UTF8",
        "log_min_error_statement": "panic",
    }
    assert {name: ask(server, f"SHOW {name}") for name in expected} == expected
    secret = own_folder / "secrets" / "db_superuser.password"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert stat.S_IMODE(Path(address.host).stat().st_mode) == 0o700
    assert (own_folder / "postgres" / "data" / "pg_hba.conf").read_text().startswith("local all all scram-sha-256\n")
    for password in ("", "postgres", "wrong"):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(address.dsn(SUPERUSER, password))
    assert not (own_folder / "postgres" / "initdb.password").exists()


def test_a_second_owner_is_told_who_the_first_is(server: EmbeddedPostgres, own_folder: Path) -> None:
    server.start()
    second = make_server(own_folder)
    with pytest.raises(DatabaseOwned, match=f"in use by process {os.getpid()}"):
        second.start()
    server.stop()
    second.start()
    assert second.is_running()
    second.stop()


def test_start_and_stop_are_idempotent_and_data_stays(server: EmbeddedPostgres) -> None:
    server.start()
    first_pid = server.pid
    server.start()
    assert server.pid == first_pid
    with psycopg.connect(server.admin_dsn()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    server.stop()
    server.stop()
    assert not server.is_running()
    server.start()
    assert ask(server, "SELECT answer FROM kept") == "42"


def test_it_is_back_after_kill_9_of_the_postmaster(server: EmbeddedPostgres) -> None:
    server.start()
    with psycopg.connect(server.admin_dsn()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    for _ in range(3):
        # An open backend keeps the shared memory in use for a moment after the postmaster's death.
        with psycopg.connect(server.admin_dsn(), autocommit=True) as open_connection:
            pid = server.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            wait_until_gone(pid)
            assert not server.is_running()
            server.start()
            assert server.pid not in {None, pid}
            open_connection.close()
        assert ask(server, "SELECT answer FROM kept") == "42"


def test_the_server_ends_with_its_killed_owner_and_the_next_owner_starts(own_folder: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER_PROGRAM, str(own_folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    postmaster_pid = int(owner.stdout.readline())
    with pytest.raises(DatabaseOwned, match=f"process {owner.pid}:"):
        make_server(own_folder).start()
    owner.kill()
    owner.communicate()
    # At once, while the orphan may still be writing its last checkpoint.
    server = make_server(own_folder)
    server.start()
    assert ask(server, "SELECT 1") == "1"
    wait_until_gone(postmaster_pid)
    server.stop()


def test_a_stale_pid_file_of_another_program_is_no_server(server: EmbeddedPostgres, own_folder: Path) -> None:
    server.start()
    server.stop()
    pid_file = own_folder / "postgres" / "data" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{own_folder}\n0\n5432\n\n\n0 0\nready   \n")
    pid_file.chmod(0o644)
    postmaster = read_postmaster(own_folder / "postgres" / "data")
    assert postmaster is not None
    assert not postmaster.is_alive()


def test_a_copy_from_another_machine_starts(server: EmbeddedPostgres, own_folder: Path) -> None:
    server.start()
    server.stop()
    files = EmbeddedFiles.below(own_folder / "postgres")
    owner = files.data_dir.stat()
    # There the server had another user id, and its process id is by now one of a program that this server's user runs.
    with subprocess.Popen(["sleep", "60"], user=owner.st_uid, extra_groups=[]) as foreign:
        pid_file = files.data_dir / "postmaster.pid"
        pid_file.write_text(f"{foreign.pid}\n/elsewhere\n1790000000\n5432\n/elsewhere\n\n\nready   \n")
        (files.socket_dir / ".s.PGSQL.5432.lock").write_text(f"{foreign.pid}\n")
        if os.geteuid() == 0:
            for path in (files.socket_dir, files.data_dir, *files.data_dir.rglob("*")):
                os.chown(path, 54321, 54321, follow_symlinks=False)
        server.start()
        assert ask(server, "SELECT 1") == "1"
        assert is_alive(foreign.pid)
        foreign.kill()
    assert files.data_dir.stat().st_uid == owner.st_uid


def test_an_interrupted_first_start_is_made_good(server: EmbeddedPostgres, own_folder: Path) -> None:
    draft = own_folder / "postgres" / "data.draft"
    draft.mkdir(parents=True)
    (draft / "PG_VERSION").write_text("18\n")
    (own_folder / "postgres" / "initdb.password").write_text("left behind")
    server.start()
    assert ask(server, "SELECT 1") == "1"
    assert not draft.exists()


def test_a_server_that_cannot_start_shows_its_log(server: EmbeddedPostgres, own_folder: Path) -> None:
    server.start()
    server.stop()
    (own_folder / "postgres" / "data" / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(DatabaseNotStarted, match="no_such_setting"):
        server.start()
    assert not server.is_running()


def test_an_open_superuser_password_is_refused(server: EmbeddedPostgres, own_folder: Path) -> None:
    server.start()
    server.stop()
    (own_folder / "secrets" / "db_superuser.password").chmod(0o640)
    with pytest.raises(SecretFileInsecure):
        server.start()
    make_server(own_folder).stop()


def test_a_long_path_gets_a_short_socket(own_folder: Path) -> None:
    deep = own_folder / ("long" * 20) / uuid4().hex
    deep.mkdir(parents=True)
    server = make_server(deep)
    socket_dir = Path(server.start().host)
    try:
        assert not socket_dir.is_relative_to(deep)
        assert len(str(socket_dir / ".s.PGSQL.5432")) < 107
        assert stat.S_IMODE(socket_dir.stat().st_mode) == 0o700
        assert ask(server, "SELECT 1") == "1"
        assert make_server(deep).address == server.address
    finally:
        server.stop()
        socket_dir.rmdir()


def test_a_squatted_socket_folder_is_refused(own_folder: Path) -> None:
    deep = own_folder / ("long" * 20) / uuid4().hex
    deep.mkdir(parents=True)
    socket_dir = EmbeddedFiles.below(deep / "postgres").socket_dir
    elsewhere = own_folder / "elsewhere"
    elsewhere.mkdir()
    socket_dir.symlink_to(elsewhere)
    try:
        with pytest.raises(SetupError, match="belongs to another user"):
            make_server(deep).start()
    finally:
        socket_dir.unlink()


def test_the_secret_is_the_one_in_the_file(server: EmbeddedPostgres, own_folder: Path) -> None:
    address = server.start()
    with psycopg.connect(address.dsn(SUPERUSER, read_secret(own_folder / "secrets" / "db_superuser.password"))) as connection:
        assert connection.execute("SELECT CURRENT_USER").fetchone() == (SUPERUSER,)
