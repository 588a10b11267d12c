"""A tenant's ledger with accounts and money in it, each call as the role that may make it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import Connection, sql

from domain.ids import make_uuid7, uuid_of
from domain.transfer import ResultCode, TransferCode, TransferKind, TransferRequest, TransferResult, digest_transfer
from ledger.posting import post_transfers
from ledger.setup import define_account, import_transfers
from tests.conftest import ConnAs, Tenant
from tests.integration.ledger.scene import Scene

NOW = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)
BANK = "house:bank:main"
ALICE = "customer:alice"
BOB = "customer:bob"
PURSE = "escrow:purse"
"""Its debits must not exceed its credits."""


@dataclass(slots=True)
class House:
    """Open accounts, move money, hold it."""

    tenant: Tenant
    conn_as: ConnAs
    admin: Connection[Any]
    importer: Connection[Any] = field(init=False)
    executor: Connection[Any] = field(init=False)
    gate: Connection[Any] = field(init=False)
    jobs: Connection[Any] = field(init=False)
    auditor: Connection[Any] = field(init=False)
    decision_id: UUID | None = None
    _scene: Scene | None = None

    def __post_init__(self) -> None:
        for role in ("importer", "executor", "gate", "jobs", "auditor"):
            setattr(self, role, self.conn_as(role, self.tenant))

    @property
    def scene(self) -> Scene:
        """The records and decisions of the same tenant."""
        if self._scene is None:
            self._scene = Scene(self.tenant, self.conn_as, self.admin)
        return self._scene

    def open_accounts(self, currency: str = "EUR") -> None:
        """Open Alice, Bob, a purse that can't be overdrawn and the bank, which is rolled up."""
        for code in (ALICE, BOB):
            define_account(self.importer, code, currency, now=NOW)
        define_account(self.importer, PURSE, currency, debits_must_not_exceed_credits=True, now=NOW)
        define_account(self.importer, BANK, currency, rolled_up=True, now=NOW)

    def bring_in(self, credit: str, amount_minor: int, *, debit: str = BANK, **changes: Any) -> TransferRequest:
        """Import one transfer from the bank."""
        request = make_request(debit=debit, credit=credit, amount_minor=amount_minor, code=TransferCode.IMPORT, **changes)
        (result,) = import_transfers(self.importer, [request], now=changes.get("occurred_at", NOW))
        assert result.code is ResultCode.ACCEPTED, result
        return request

    def allow(self, *requests: TransferRequest) -> None:
        """Authorize requests under one standing decision."""
        if self.decision_id is None:
            self.decision_id = uuid_of(
                self.scene.decide(None, outcome="hold", transfer_id=None, transfer_digest=None).decision_id
            )
        for request in requests:
            self.gate.execute(
                "INSERT INTO gate.authorizations (tenant_id, transfer_id, decision_id, digest, valid_from, valid_until)"
                " VALUES (%s, %s, %s, %s, %s, %s)",
                [
                    self.tenant.tenant_id, request.transfer_id, self.decision_id,
                    digest_transfer(request, tenant_id=self.tenant.tenant_id), NOW, NOW + timedelta(seconds=60),
                ],
            )  # fmt: skip

    def post(self, *requests: TransferRequest, now: datetime = NOW) -> list[TransferResult]:
        """Allow and post in one call."""
        self.allow(*requests)
        return post_transfers(self.executor, list(requests), now=now)

    def must_post(self, *requests: TransferRequest, now: datetime = NOW) -> None:
        """Allow and post; every one is accepted."""
        results = self.post(*requests, now=now)
        assert [result.code for result in results] == [ResultCode.ACCEPTED] * len(requests), results

    def damage(self, table: str, statement: str, *parameters: Any) -> None:
        """Do what no role may: as superuser, with the guards of the table off. The tenant is the last parameter."""
        with self.admin.transaction():
            guards = self.admin.execute(
                "SELECT tgname, tgenabled::TEXT FROM pg_catalog.pg_trigger WHERE tgrelid = %s::REGCLASS AND NOT tgisinternal",
                [table],
            ).fetchall()
            name = sql.Identifier(*table.split("."))
            for guard, _ in guards:
                self.admin.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER {}").format(name, sql.Identifier(guard)))
            assert self.admin.execute(statement, [*parameters, self.tenant.tenant_id]).rowcount > 0
            for guard, state in guards:
                how = sql.SQL("ENABLE ALWAYS" if state == "A" else "ENABLE")
                self.admin.execute(sql.SQL("ALTER TABLE {} {} TRIGGER {}").format(name, how, sql.Identifier(guard)))


def make_request(**changes: Any) -> TransferRequest:
    """EUR 1.00 from Alice to Bob, with a fresh UUIDv7 of the month of NOW."""
    request = TransferRequest(
        transfer_id=make_uuid7(changes.get("occurred_at", NOW)),
        kind=TransferKind.POSTED,
        debit=ALICE,
        credit=BOB,
        amount_minor=100,
        currency="EUR",
        code=TransferCode.PAYMENT,
        occurred_at=NOW,
    )
    return replace(request, **changes)


def make_hold(**changes: Any) -> TransferRequest:
    """Hold EUR 1.00 between Alice and Bob."""
    return make_request(kind=TransferKind.PENDING, **changes)


def make_answer(hold: TransferRequest, kind: TransferKind, **changes: Any) -> TransferRequest:
    """Post or void a hold, or reverse a posting."""
    sides = {"debit": hold.debit, "credit": hold.credit}
    if kind is TransferKind.REVERSE:
        sides = {"debit": hold.credit, "credit": hold.debit}
    asked = {"kind": kind, "amount_minor": hold.amount_minor, "currency": hold.currency, "target_id": hold.transfer_id}
    return make_request(**{**asked, **sides, **changes})
