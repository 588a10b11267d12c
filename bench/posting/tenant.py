"""A migrated database with one tenant, its accounts and its opening balances; authorizations; the books checked afterwards."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg import Connection, IsolationLevel

from bench.peer.server import BenchServer
from bench.posting.workload import (
    ACCOUNTS,
    CURRENCY,
    HOT_ACCOUNT,
    OPENING_ACCOUNT,
    Mode,
    Slice,
    account_code,
    has_limit,
    id_at,
    make_opening_balances,
    make_requests,
)
from domain.ids import make_id, uuid_of
from domain.transfer import ResultCode, TransferRequest, digest_transfer
from ledger.checks import run_check
from ledger.setup import define_account, import_transfers
from storage.named_queries import load_queries
from storage.roles import LoginRole, read_role_password
from storage.server_address import ServerAddress
from storage.setup import set_up_database
from storage.tenancy import mint_context, read_context_key

TENANT = "bench"

_QUERIES = load_queries(Path(__file__).parents[1] / "sql" / "posting.sql")
_CHUNK = 10_000
_ROLL_UP_EVERY_S = 1.0
# Nobody waits longer than the run takes.
_CONTEXT_LIFETIME = timedelta(hours=12)


class BooksWrong(RuntimeError):
    """Say that a reading does not count: the ledger did not do what it was asked, or its books are out."""


@dataclass(slots=True)
class BenchTenant:
    """Hold the tenant's database and hand out ids that were never used."""

    server: BenchServer
    dbname: str = "tellergate"
    next_ms: int = field(default_factory=lambda: int(datetime.now(UTC).timestamp() * 1000))
    readings: int = 0

    def set_up(self) -> None:
        """Make roles, database, schema, accounts and opening balances."""
        embedded = self.server.embedded
        set_up_database(
            maintenance_dsn=embedded.admin_dsn(), admin_dsn=self._admin_dsn(), dbname=self.dbname, secrets_dir=self._secrets_dir
        )
        now = datetime.now(UTC)
        with self.connect("importer") as importer, importer.transaction():
            for number in range(ACCOUNTS):
                define_account(
                    importer, account_code(number), CURRENCY, debits_must_not_exceed_credits=has_limit(number), now=now
                )
            for code in (HOT_ACCOUNT, OPENING_ACCOUNT):
                define_account(importer, code, CURRENCY, rolled_up=True, now=now)
            answers = import_transfers(importer, make_opening_balances(self.next_ms, at=now), now=now)
            if {answer.code for answer in answers} != {ResultCode.ACCEPTED}:
                raise BooksWrong("the opening balances were refused")
        self.next_ms += 1
        with self.connect_admin() as admin:
            admin.execute("VACUUM ANALYZE")

    def take_slice(self, mode: Mode, *, clients: int, count: int) -> Slice:
        """Return requests whose ids nobody had."""
        self.readings += 1
        part = Slice(mode=mode, base_ms=self.next_ms, seed=self.readings * 7_919, clients=clients, count=count)
        self.next_ms = part.next_ms
        return part

    def authorize(self, part: Slice) -> None:
        """Let the gate decide that this slice may be posted in the next 60 s; what was left over from before goes."""
        self._forget_authorizations()
        now = datetime.now(UTC)
        decision_id = make_id("dec", now)
        named = {"tenant_id": TENANT, "decision_id": decision_id, "currency": CURRENCY, "now": now}
        named |= {"proposal_id": make_id("prp", now), "event_id": make_id("evt", now)}
        requests = make_requests(part, at=now)
        with self.connect("gate") as gate:
            gate.execute(_QUERIES["insert_decision"], named)
            while chunk := list(islice(requests, _CHUNK)):
                self._insert_authorizations(gate, chunk, uuid_of(decision_id), datetime.now(UTC))
        with self.connect_admin() as admin:
            admin.execute(_QUERIES["vacuum_authorizations"])

    def check_reading(self, part: Slice, *, accepted: int) -> None:
        """Compare what was answered with what was written. Raises: BooksWrong."""
        with self.connect_admin() as admin:
            named = {"tenant_id": TENANT, "first_id": id_at(part.base_ms, 0), "end_id": id_at(part.next_ms, 0)}
            written = _one(admin, "count_transfers", named)
        if written != accepted:
            raise BooksWrong(f"{part.mode}: {accepted} calls were made or accepted, {written} transfers are there")
        with self.connect("auditor") as auditor:
            difference = _one(auditor, "find_difference")
        if difference != 0:
            raise BooksWrong(f"{part.mode}: the trial balance is out by {difference}")

    def check_books(self) -> None:
        """Run the ledger's own check over everything. Raises: BooksWrong when it finds a breach."""
        with self.connect("auditor") as auditor:
            auditor.isolation_level = IsolationLevel.REPEATABLE_READ
            with auditor.transaction():
                report = run_check(auditor, whole=True, now=datetime.now(UTC), note=False)
        if report.findings:
            first = report.findings[0]
            raise BooksWrong(f"the ledger's check: {len(report.findings)} breaches, the first {first.finding} at {first.subject}")

    def find_size(self) -> tuple[int, int]:
        """Return the bytes of the transfers with their indexes, and their number."""
        with self.connect_admin() as admin:
            row = admin.execute(_QUERIES["find_size"]).fetchone()
        assert row is not None
        return int(row[0]), int(row[1])

    @contextmanager
    def rolling_up(self) -> Iterator[None]:
        """Fold tails in as the jobs process does, for as long as the body runs."""
        ended = threading.Event()

        def keep_rolling_up() -> None:
            with self.connect("jobs") as jobs:
                while not ended.wait(_ROLL_UP_EVERY_S):
                    jobs.execute(_QUERIES["roll_up"])

        with ThreadPoolExecutor(1) as threads:
            running = threads.submit(keep_rolling_up)
            try:
                yield
            finally:
                ended.set()
                running.result()

    @contextmanager
    def connect(self, role: LoginRole) -> Iterator[Connection[Any]]:
        """Connect as a role that holds the tenant's context for the session; autocommit."""
        with psycopg.connect(self.dsn(role), autocommit=True) as connection:
            connection.execute(_QUERIES["set_session_context"], {"context": self.mint_context(role)})
            yield connection

    @contextmanager
    def connect_admin(self) -> Iterator[Connection[Any]]:
        """Connect as the superuser: set-up and counting only."""
        with psycopg.connect(self._admin_dsn(), autocommit=True) as connection:
            yield connection

    def executor_environment(self) -> dict[str, str]:
        """Return the environment in which pgbench is role executor with the tenant's context."""
        return self.server.environment(
            "executor",
            read_role_password(self._secrets_dir, "executor"),
            PGOPTIONS=f"-c tellergate.context={self.mint_context('executor')}",
        )

    def mint_context(self, role: LoginRole) -> str:
        """Sign that the role may act for the tenant."""
        key = read_context_key(self._secrets_dir)
        return mint_context(key, tenant_id=TENANT, role=role, expires_at=datetime.now(UTC) + _CONTEXT_LIFETIME)

    def dsn(self, role: LoginRole) -> str:
        """Write the DSN of a role."""
        return self._address.dsn(role, read_role_password(self._secrets_dir, role))

    @property
    def _address(self) -> ServerAddress:
        return self.server.embedded.address.with_dbname(self.dbname)

    @property
    def _secrets_dir(self) -> Path:
        return self.server.folder / "secrets"

    def _admin_dsn(self) -> str:
        return self.server.embedded.admin_dsn(self.dbname)

    def _forget_authorizations(self) -> None:
        with self.connect_admin() as admin:
            admin.execute(_QUERIES["delete_authorizations"], {"tenant_id": TENANT})

    @staticmethod
    def _insert_authorizations(gate: Connection[Any], requests: Sequence[TransferRequest], decision: UUID, now: datetime) -> None:
        named = {"tenant_id": TENANT, "decision_uuid": decision, "now": now, "ids": [request.transfer_id for request in requests]}
        named["digests"] = [digest_transfer(request, tenant_id=TENANT) for request in requests]
        gate.execute(_QUERIES["insert_authorizations"], named)


def _one(connection: Connection[Any], query: str, parameters: dict[str, Any] | None = None) -> Any:
    row = connection.execute(_QUERIES[query], parameters).fetchone()
    assert row is not None
    return row[0]
