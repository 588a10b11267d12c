"""An installation of a test's own: embedded server with its archive, roles, schema, keys, and a desk of the real gate."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection

from gates.receipts.export import export_receipt, render_receipt
from gates.receipts.sequencing import sequence_events
from gates.receipts.signing_key import ensure_signer, publish_verifier_key
from masking.classes import PiiClass
from masking.keys import FileKeyProvider
from masking.vault import PiiItem, Vault
from serving.supervisor.state import MachineState, read_start_ticks, write_state
from storage.backup.catalog import wal_dir_of
from storage.embedded import EmbeddedPostgres
from storage.pools import open_pool
from storage.roles import LoginRole, read_role_password
from storage.setup import set_up_database
from storage.tenancy import read_context_key
from tests.conftest import Tenant
from tests.integration.gates.desk import Desk, codes_of

ROOT = Path(__file__).resolve().parents[3]
RECOVERY_KEY = "an invented recovery key"
TENANT = "bank-of-tests"
ARCHIVE_TIMEOUT_S = 2
_WAIT_S = 60.0


@dataclass(slots=True)
class Installation:
    """One folder as TELLERGATE_VAR_DIR names it, with its backup folder elsewhere, as on another disk."""

    var_dir: Path
    backup_dir: Path
    server: EmbeddedPostgres = field(init=False)

    def __post_init__(self) -> None:
        self.server = EmbeddedPostgres(
            home=self.var_dir / "pg",
            secrets_dir=self.var_dir / "secrets",
            wal_dir=wal_dir_of(self.backup_dir),
            archive_timeout_s=ARCHIVE_TIMEOUT_S,
        )

    @property
    def secrets_dir(self) -> Path:
        return self.var_dir / "secrets"

    @property
    def key_file(self) -> Path:
        return self.backup_dir.parent / "recovery.key"

    @property
    def archive_dir(self) -> Path:
        """Return this cluster's folder of the archive; there is one in these tests."""
        (folder,) = wal_dir_of(self.backup_dir).iterdir()
        return folder

    def set_up(self) -> None:
        """Start the server, make roles and schema, and a table for load."""
        self.var_dir.mkdir(parents=True, exist_ok=True)
        self.server.start()
        set_up_database(
            maintenance_dsn=self.server.admin_dsn(),
            admin_dsn=self.server.admin_dsn("tellergate"),
            dbname="tellergate",
            secrets_dir=self.secrets_dir,
        )
        publish_verifier_key(ensure_signer(self.secrets_dir / "receipts.key"), self.var_dir / "receipts.pub")
        with self.admin() as admin:
            admin.execute("CREATE TABLE public.load (n BIGINT PRIMARY KEY, filler TEXT NOT NULL)")

    def write_recovery_key(self) -> None:
        """Put the recovery key beside the backup folder, as on a third medium."""
        self.key_file.parent.mkdir(parents=True, exist_ok=True)
        self.key_file.write_text(RECOVERY_KEY + "\n")
        self.key_file.chmod(0o600)

    @contextmanager
    def admin(self) -> Iterator[Connection[Any]]:
        with psycopg.connect(self.server.admin_dsn("tellergate"), autocommit=True) as connection:
            yield connection

    def tenant(self) -> Tenant:
        return Tenant(tenant_id=TENANT, context_key=read_context_key(self.secrets_dir))

    def dsn(self, role: LoginRole) -> str:
        return self.server.address.with_dbname("tellergate").dsn(role, read_role_password(self.secrets_dir, role))

    @contextmanager
    def desk(self) -> Iterator[Desk]:
        """A desk on this installation; open it once, for its first use."""
        opened: list[Connection[Any]] = []

        def connect(role: LoginRole, tenant: Tenant | None = None) -> Connection[Any]:
            connection = psycopg.connect(self.dsn(role), autocommit=True)
            opened.append(connection)
            if tenant is not None:
                connection.execute("SELECT SET_CONFIG('tellergate.context', %s, FALSE)", [tenant.context(role)])
            return connection

        gate = open_pool(self.dsn("gate"), name="backup-gate", max_size=2)
        executor = open_pool(self.dsn("executor"), name="backup-executor", max_size=1)
        try:
            yield Desk(self.tenant(), connect, gate, executor)
        finally:
            gate.close()
            executor.close()
            for connection in opened:
                connection.close()

    def write_receipt(self, desk: Desk, path: Path) -> Path:
        """Have the gate decide a refund, post it, place its records and export the receipt to a file."""
        decision = desk.decide_refund(desk.add_turn([desk.add_charge(1290), desk.add_charge(1290, minutes=1)]))
        assert desk.execute(decision).posting is not None, codes_of(decision)
        signer = ensure_signer(self.secrets_dir / "receipts.key")
        while sequence_events(desk.gate_pool, desk.tenant.context("gate"), signer, now=desk.now).events:
            pass
        receipt = export_receipt(desk.role("gate"), decision.decision_id)
        assert receipt is not None
        path.write_bytes(render_receipt(receipt))
        return path

    def seal_value(self, desk: Desk, value: str) -> str:
        """Give a value to the vault and return its token."""
        FileKeyProvider(self.secrets_dir).ensure_tenant_keys(TENANT)
        vault = Vault(FileKeyProvider(self.secrets_dir))
        item = PiiItem(PiiClass.PERSON, value, "cus_000000000001")
        return vault.tokenize(desk.role("vault"), item, tenant_id=TENANT)

    def insert(self, *numbers: int) -> None:
        with self.admin() as admin:
            for number in numbers:
                admin.execute("INSERT INTO public.load VALUES (%s, %s)", [number, "x" * 200])

    def numbers(self) -> list[int]:
        with self.admin() as admin:
            return [row[0] for row in admin.execute("SELECT n FROM public.load ORDER BY n")]

    def now(self) -> datetime:
        """Return the server's time."""
        with self.admin() as admin:
            row = admin.execute("SELECT CLOCK_TIMESTAMP()").fetchone()
        assert row is not None
        moment: datetime = row[0]
        return moment.astimezone(UTC)

    def archive_all(self) -> None:
        """Close the open WAL file and wait until the archive has it."""
        with self.admin() as admin:
            row = admin.execute("SELECT PG_WALFILE_NAME(PG_CURRENT_WAL_LSN())").fetchone()
            admin.execute("SELECT PG_SWITCH_WAL()")
        assert row is not None
        wait_for(lambda: self.archive_dir.joinpath(f"{row[0]}.gz").exists(), f"{row[0]} in the archive")

    def kill(self) -> None:
        """Kill the postmaster and all of its children, as a power cut would."""
        pid = self.server.pid
        assert pid is not None
        for victim in [pid, *children_of(pid)]:
            os.kill(victim, signal.SIGKILL)
        self.server.stop()

    def lose_disk(self) -> None:
        """Remove what is not the backup folder."""
        shutil.rmtree(self.var_dir)

    def run(self, *arguments: str, expect: int = 0, **environment: str) -> dict[str, Any]:
        """Run a command of ours with --json; check its exit status and return what it printed."""
        done = self.start(*arguments, **environment)
        out, err = done.communicate(timeout=300)
        assert done.returncode == expect, f"{arguments}: exit {done.returncode}\n{out}\n{err}"
        printed: dict[str, Any] = json.loads(out)
        return printed

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command of ours with --json."""
        settings = {
            "TELLERGATE_VAR_DIR": str(self.var_dir),
            "TELLERGATE_BACKUP_DIR": str(self.backup_dir),
            "TELLERGATE_WAL_ARCHIVE_TIMEOUT_S": str(ARCHIVE_TIMEOUT_S),
        }
        return subprocess.Popen(
            [sys.executable, "-m", "serving.cli", *arguments, "--json"],
            cwd=ROOT, env={**os.environ, **settings, **environment}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Stop the server, so that a command may start it, and start it again after."""
        self.server.stop()
        try:
            yield
        finally:
            self.server.start()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let commands take this process for the supervisor of the running service."""
        (self.var_dir / "run").mkdir(exist_ok=True)
        ticks = read_start_ticks(os.getpid())
        assert ticks is not None
        write_state(
            self.var_dir / "run",
            MachineState(supervisor_pid=os.getpid(), supervisor_start_ticks=ticks, url="http://127.0.0.1:1", parts=()),
        )
        try:
            yield
        finally:
            (self.var_dir / "run" / "state.json").unlink()

    def back_up(self, *options: str) -> dict[str, Any]:
        """Make a backup by the command, with the server at rest but for it."""
        with self.at_rest():
            return self.run("backup", "create", "--recovery-key", str(self.key_file), *options)

    def restore(self, to: str, into: Path, *options: str, expect: int = 0) -> dict[str, Any]:
        """Restore by the command."""
        fixed = ("restore", "--to", to, "--into", str(into), "--recovery-key", str(self.key_file))
        return self.run(*fixed, *options, expect=expect)


class Writer:
    """Insert rows one by one in a thread, and remember which were acknowledged."""

    def __init__(self, installation: Installation, first: int) -> None:
        self._dsn = installation.server.admin_dsn("tellergate")
        self._next = first
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.acknowledged: list[int] = []

    def __enter__(self) -> Writer:
        self._thread.start()
        wait_for(lambda: len(self.acknowledged) > 20, "the writer's first rows")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            with psycopg.connect(self._dsn, autocommit=True) as connection:
                while not self._stop.is_set():
                    connection.execute("INSERT INTO public.load VALUES (%s, %s)", [self._next, "x" * 2000])
                    self.acknowledged.append(self._next)
                    self._next += 1
        except psycopg.OperationalError:
            return


def wait_for(condition: Any, what: str) -> None:
    """Wait until it holds; fail saying what did not come."""
    deadline = time.monotonic() + _WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"still waiting for {what}"
        time.sleep(0.02)


def children_of(pid: int) -> list[int]:
    """Return the processes that a process started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
