"""kill -9 of the real jobs process between the bank's deed and our note of it: restarted, it is done once, and confirmed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from serving.bank.access import BankAccess
from serving.launch import ProcessConfig
from serving.settings import make_child_environment
from storage.outbox import enqueue_instruction, find_instruction
from storage.roles import read_role_password
from tests.conftest import ConnAs, Database, Tenant
from tests.doubles.bank_server import TOKEN, BankServer
from tests.integration.bank.counter import outside

ROOT = Path(__file__).resolve().parents[3]
_HANG_S = 60.0


class JobsProcess:
    """The jobs process as the supervisor starts it."""

    def __init__(self, config: ProcessConfig, log: Path) -> None:
        self._config = config
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and hand over its configuration."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                (sys.executable, "-m", "serving.processes.jobs"),
                cwd=ROOT, env=make_child_environment(), stdin=subprocess.PIPE, stdout=log, stderr=log,
            )  # fmt: skip
        assert self._process.stdin is not None
        self._process.stdin.write(self._config.model_dump_json().encode())
        self._process.stdin.close()

    def kill(self) -> None:
        """Kill it where it stands."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Wait for its end."""
        assert self._process is not None
        return self._process.wait(_HANG_S)

    def stop(self) -> None:
        """End it. Idempotent."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self.wait()

    @property
    def said(self) -> str:
        """Return its log."""
        return self._log.read_text()


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A Unix socket's path is short."""
    with tempfile.TemporaryDirectory(prefix="tg-bank-") as folder:
        yield Path(folder)


def make_config(database: Database, tenant: Tenant, folder: Path, bank: BankAccess) -> ProcessConfig:
    """Write what the supervisor would hand over."""
    return ProcessConfig(
        name="jobs",
        tenant_id=tenant.tenant_id,
        root_dir=ROOT,
        var_dir=folder,
        models_dir=folder / "models",
        socket_path=folder / "jobs.sock",
        own_token="jobs-token",
        peer_sockets={},
        peer_tokens={},
        database=database.address,
        passwords={role: read_role_password(database.cluster.secrets_dir, role) for role in ("jobs", "vault")},
        context_key_hex=database.context_key.hex(),
        bank=bank,
    )


def instruct(conn_as: ConnAs, tenant: Tenant) -> UUID:
    instruction_id = uuid4()
    enqueue_instruction(
        conn_as("executor", tenant),
        tenant_id=tenant.tenant_id,
        instruction_id=instruction_id,
        kind="refund",
        reference=f"dec_{instruction_id.hex}",
        payload={"transfer_id": f"tfr_{instruction_id.hex}", "amount_minor": 4990, "currency": "EUR"},
        now=datetime.now(UTC),
    )
    return instruction_id


def wait_for(condition: Callable[[], bool], jobs: JobsProcess) -> None:
    deadline = time.monotonic() + _HANG_S
    while not condition():
        assert time.monotonic() < deadline, jobs.said[-3000:]
        time.sleep(0.05)


def let_leases_end(database: Database, tenant: Tenant) -> None:
    """Let a minute pass for the instructions that the killed process had in hand."""
    with psycopg.connect(database.admin_dsn(), autocommit=True) as admin:
        admin.execute(
            "UPDATE core.outbox SET next_attempt_at = created_at WHERE tenant_id = %s AND state = 'pending'", [tenant.tenant_id]
        )


@pytest.mark.parametrize("moment", ["after_the_deed", "before_the_deed", "after_the_answer_of_the_first_of_three"])
def test_killed_between_sending_and_noting(
    database: Database, tenant: Tenant, conn_as: ConnAs, bank_server: BankServer, short_folder: Path, moment: str
) -> None:
    access = BankAccess(base_url=bank_server.url, token=TOKEN)
    jobs = JobsProcess(make_config(database, tenant, short_folder, access), short_folder / "jobs.log")
    kills_left = [1]
    bank_server.default_status = {"status": "confirmed"}

    def kill_once(_: str) -> None:
        told = sum(bank_server.carried_out.values())
        if kills_left[0] and not (moment == "after_the_answer_of_the_first_of_three" and told < 2):
            kills_left[0] = 0
            jobs.kill()

    bank_server.before_answer = kill_once
    if moment == "before_the_deed":
        bank_server.before_deed = kill_once
    ids = [instruct(conn_as, tenant) for _ in range(3 if moment.endswith("three") else 1)]
    observer = conn_as("jobs", tenant)
    jobs.start()
    try:
        assert jobs.wait() == -signal.SIGKILL
        in_doubt = [find_instruction(observer, one) for one in ids]
        assert any(one.state == "pending" and one.attempts == 1 for one in in_doubt)
        let_leases_end(database, tenant)
        jobs.start()
        wait_for(lambda: all(find_instruction(observer, one).state == "confirmed" for one in ids), jobs)
    finally:
        jobs.stop()
    assert bank_server.carried_out == {outside(one): 1 for one in ids}
    for one in ids:
        events = observer.execute("SELECT event_type FROM core.events WHERE subject = %s", [outside(one)]).fetchall()
        assert events == [("instruction.confirmed",)]


def test_without_settings_instructions_are_files_and_nothing_is_connected_to(
    database: Database, tenant: Tenant, conn_as: ConnAs, bank_server: BankServer, short_folder: Path
) -> None:
    jobs = JobsProcess(make_config(database, tenant, short_folder, BankAccess()), short_folder / "jobs.log")
    instruction_id = instruct(conn_as, tenant)
    observer, name = conn_as("jobs", tenant), f"{outside(instruction_id)}.jsonl"
    jobs.start()
    try:
        wait_for(lambda: find_instruction(observer, instruction_id).state == "sent", jobs)
        (short_folder / "bank" / "outgoing" / name).rename(short_folder / "bank" / "taken" / name)
        line = f'{{"format":"tellergate-acknowledgement/1","instruction_id":"{outside(instruction_id)}","status":"confirmed"}}\n'
        (short_folder / "bank" / "incoming" / "today.part").write_text(line)
        (short_folder / "bank" / "incoming" / "today.part").rename(short_folder / "bank" / "incoming" / "today.jsonl")
        wait_for(lambda: find_instruction(observer, instruction_id).state == "confirmed", jobs)
    finally:
        jobs.stop()
    assert bank_server.requests == []
