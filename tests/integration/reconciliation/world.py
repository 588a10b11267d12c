"""A tenant whose house account pays refunds, and the bank that writes statements about it."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from psycopg import Connection

from ledger.reconciliation.importing import ImportOrder, ImportReport, import_file, read_file
from ledger.reconciliation.mapping import Mapping
from ledger.reconciliation.running import RunReport, lock_account, reconcile_account, sweep_account
from ledger.reconciliation.statement import StatementFormat
from tests.conftest import ConnAs, Tenant
from tests.integration.ledger.scene import NOW, Scene

HOUSE = "house:refunds:EUR"
KIM = "opr_kim"
HEADER = "booked_on,amount,currency,entry_reference,reference\n"
DAY = NOW.date().isoformat()


@dataclass(slots=True)
class BankWorld:
    """Post refunds, write what the bank says of them, import it."""

    tenant: Tenant
    conn_as: ConnAs
    scene: Scene
    jobs: Connection[Any] = field(init=False)
    edge: Connection[Any] = field(init=False)
    lines: int = 0

    def __post_init__(self) -> None:
        self.jobs = self.conn_as("jobs", self.tenant)
        self.edge = self.conn_as("edge", self.tenant)

    def refund(self, amount_minor: int = 4990, *, now: datetime = NOW) -> str:
        """Post a refund and return its id as it is written outside: the house account is debited."""
        decision = self.scene.decide(self.scene.add_charge(amount_minor), amount_minor, decided_at=now)
        posting = self.scene.execute(decision.decision_id, now=now).posting
        assert posting is not None
        return f"tfr_{posting.transfer_id.hex}"

    def line(self, amount: str, reference: str = "", *, day: str = DAY, entry_reference: str | None = None) -> str:
        """Write one line of a statement; its own number is new unless given."""
        self.lines += 1
        number = f"BANK-{self.lines}" if entry_reference is None else entry_reference
        return f"{day},{amount},EUR,{number},{reference}\n"

    def bring(
        self,
        content: str | bytes,
        *,
        code: str | None = HOUSE,
        file_format: StatementFormat = "csv",
        mirrored: bool = False,
        header: str = HEADER,
        now: datetime = NOW + timedelta(hours=8),
    ) -> ImportReport:
        """Import a file as a job does, in one transaction."""
        whole = content if isinstance(content, bytes) else (header + content).encode()
        order = ImportOrder(
            tenant_id=self.tenant.tenant_id,
            operator_id=KIM,
            file_format=file_format,
            mapping=None if code is None else Mapping(code, mirrored),
        )
        with self.jobs.transaction():
            return import_file(self.jobs, read_file(io.BytesIO(whole), order), order, now=now)

    def run(self, *, now: datetime = NOW + timedelta(hours=9)) -> tuple[RunReport, int]:
        """Do what the job does every minute."""
        with self.jobs.transaction():
            lock_account(self.jobs, HOUSE)
            return reconcile_account(self.jobs, HOUSE, now=now), sweep_account(self.jobs, HOUSE, now=now)

    def breaks(self, state: str = "open") -> list[tuple[str, str]]:
        """Return (break, subject) of the cases in this state."""
        return [
            (str(row[0]), str(row[1]))
            for row in self.edge.execute(
                "SELECT facts ->> 'break', subject FROM core.cases WHERE state = %s ORDER BY opened_at, facts ->> 'line_number'",
                [state],
            )
        ]

    def kinds(self, state: str = "open") -> list[str]:
        """Return the breaks in this state, sorted."""
        return sorted(kind for kind, _ in self.breaks(state))

    def count(self, table: str) -> int:
        """Count the tenant's rows."""
        row = self.edge.execute(f"SELECT COUNT(*) FROM {table}").fetchone()
        assert row is not None
        return int(row[0])
