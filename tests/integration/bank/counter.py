"""A tenant's instructions, the relay, and the bank behind it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID, uuid4

from psycopg import Connection

from serving.bank.acknowledging import Acknowledger, Effect
from serving.bank.http_bank import HttpBank
from serving.bank.port import Ack, AckStatus, BankAdapter
from serving.bank.relay import Relay, RelayRules
from serving.bank.wire import render_instruction_id
from storage.outbox import Channel, Instruction, enqueue_instruction, find_instruction
from storage.pools import Pool, open_pool
from storage.roles import LoginRole
from storage.unit_of_work import unit_of_work
from tests.conftest import ConnAs, Database, Tenant
from tests.doubles.bank_server import TOKEN, BankServer

NOW = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
DEADLINE_S = 1.0


@dataclass(slots=True)
class SetClock:
    """A clock that is set by hand."""

    moment: datetime = NOW

    def now(self) -> datetime:
        """Return the set time."""
        return self.moment

    def go_on(self, **delta: float) -> None:
        """Let time pass."""
        self.moment += timedelta(**delta)


@dataclass(slots=True)
class Counter:
    """Write instructions as the executor does, relay them as the jobs process does."""

    database: Database
    tenant: Tenant
    open_connection: ConnAs
    server: BankServer
    folder: Path
    clock: SetClock = field(default_factory=SetClock)
    acknowledgements: Acknowledger = field(init=False)
    _pool: Pool = field(init=False)
    _banks: list[BankAdapter] = field(default_factory=list)
    _connections: dict[LoginRole, Connection[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._pool = open_pool(self.database.dsn("jobs"), name="test-bank", max_size=4)
        self.acknowledgements = Acknowledger(transact=self.transact, random=Random(7))

    def conn_as(self, role: LoginRole) -> Connection[Any]:
        """Return this tenant's one connection of a role."""
        if role not in self._connections:
            self._connections[role] = self.open_connection(role, self.tenant)
        return self._connections[role]

    @contextmanager
    def transact(self, tenant_id: str) -> Iterator[Connection[Any]]:
        """Open a transaction of role jobs."""
        assert tenant_id == self.tenant.tenant_id
        with unit_of_work(self._pool, self.tenant.context("jobs")) as connection:
            yield connection

    def relay(self, bank: BankAdapter | None = None, *, seed: int = 7, rules: RelayRules | None = None) -> Relay:
        """Make a relay; by default to the bank with an API."""
        used = bank or self.open_http()
        return Relay(
            tenant_id=self.tenant.tenant_id,
            bank=used,
            acknowledgements=self.acknowledgements,
            clock=self.clock,
            random=Random(seed),
            rules=rules,
        )

    def open_http(self) -> HttpBank:
        """Open an adapter to the bank's API."""
        bank = HttpBank(base_url=self.server.url, token=TOKEN, deadline_s=DEADLINE_S)
        self._banks.append(bank)
        return bank

    def instruct(self, *, amount_minor: int = 4990, created_at: datetime | None = None) -> UUID:
        """Write one instruction as a posting does and return its id."""
        instruction_id = uuid4()
        payload = {
            "transfer_id": f"tfr_{instruction_id.hex}",
            "decision_id": f"dec_{instruction_id.hex}",
            "account_id": "acc_7c1d22e90a11",
            "transaction_id": "txn_5f2c81a09b44",
            "amount_minor": amount_minor,
            "currency": "EUR",
        }
        enqueue_instruction(
            self.conn_as("executor"),
            tenant_id=self.tenant.tenant_id,
            instruction_id=instruction_id,
            kind="refund",
            reference=str(payload["decision_id"]),
            payload=payload,
            now=created_at or self.clock.now(),
        )
        return instruction_id

    def take(self, instruction_id: UUID, status: str, *, channel: Channel = "callback", **more: Any) -> Effect:
        """Take one acknowledgement."""
        if status == "refused":
            more.setdefault("reason_code", "account_closed")
        ack = Ack(instruction_id, AckStatus(status), **more)
        return self.acknowledgements.take(self.tenant.tenant_id, ack, channel=channel, now=self.clock.now())

    def look(self, instruction_id: UUID) -> Instruction:
        """Return the instruction as it stands."""
        return find_instruction(self.conn_as("jobs"), instruction_id)

    def events(self, instruction_id: UUID) -> list[str]:
        """Return the types of the events about an instruction, in order."""
        rows = self.conn_as("auditor").execute(
            "SELECT event_type FROM core.events WHERE subject = %s ORDER BY recorded_at, event_id",
            [render_instruction_id(instruction_id)],
        )
        return [str(row[0]) for row in rows]

    def cases(self) -> list[tuple[str, dict[str, Any]]]:
        """Return subject and facts of the cases."""
        rows = self.conn_as("auditor").execute(
            "SELECT subject, facts FROM core.cases WHERE kind = 'instruction_failed' ORDER BY opened_at, subject"
        )
        return [(str(row[0]), dict(row[1])) for row in rows]

    def close(self) -> None:
        """Close what was opened."""
        for bank in self._banks:
            bank.close()
        self._pool.close()


def outside(instruction_id: UUID) -> str:
    """Write an id as the bank sees it."""
    return render_instruction_id(instruction_id)
