"""The jobs process's routes for statements and settlement files, and what it does every minute about what is open."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import structlog
from fastapi import FastAPI
from procrastinate import App as JobApp
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from domain.clock import Clock
from domain.errors import NotFound, TellergateError
from ledger.reconciliation.importing import ImportOrder, ImportReport, import_file, read_file
from ledger.reconciliation.mapping import Mapping, set_mapping, statement_account
from ledger.reconciliation.running import (
    AccountBusy,
    RunReport,
    list_accounts_at_work,
    lock_account,
    reconcile_account,
    sweep_account,
    unmatch_line,
)
from ledger.settlement.importing import SettlementReport, import_settlement, read_settlement
from masking.vault import Transact

_LOG = structlog.get_logger("jobs.reconciliation")
_TenantId = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
_OperatorId = Annotated[str, Field(min_length=1, max_length=100)]
_Code = Annotated[str, Field(min_length=1, max_length=200)]
_UPLOAD = r"^ing_[0-9a-f]{32}\.(csv|camt053|jsonl)$"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    tenant_id: _TenantId
    operator_id: _OperatorId


class StatementIn(_Body):
    """Name a stored upload, and the ledger account where the statement's own is not mapped yet."""

    file_name: Annotated[str, Field(pattern=_UPLOAD)]
    file_format: Literal["csv", "camt053"]
    code: _Code | None = None
    mirrored: bool = False
    decimal_comma: bool = False


class SettlementIn(_Body):
    """Name a stored upload."""

    file_name: Annotated[str, Field(pattern=_UPLOAD)]
    file_format: Literal["jsonl", "csv"]


class MappingIn(_Body):
    """Say which ledger account a bank's account is."""

    account: Annotated[str, Field(min_length=1, max_length=100, repr=False)]
    code: _Code
    mirrored: bool = False


class UnmatchIn(_Body):
    """Name a line whose match is taken back, and why."""

    line_id: Annotated[str, Field(pattern=r"^stl_[0-9a-f]{32}$")]
    reason: Annotated[str, Field(min_length=1, max_length=300)]


@dataclass(frozen=True, slots=True)
class ReconciliationDesk:
    """Take files in and keep the breaks up to date, as role jobs. Uploads lie in `upload_dir` until their request ends."""

    transact: Transact
    upload_dir: Path
    clock: Clock

    def take_statement(self, asked: StatementIn) -> ImportReport:
        """Read a stored statement, store and match it. Raises: UnreadableStatement and what `import_file` raises."""
        order = ImportOrder(
            tenant_id=asked.tenant_id,
            operator_id=asked.operator_id,
            file_format=asked.file_format,
            mapping=None if asked.code is None else Mapping(asked.code, asked.mirrored),
            decimal_comma=asked.decimal_comma,
        )
        with self._upload(asked.file_name).open("rb") as stream:
            file = read_file(stream, order)
        with self.transact(asked.tenant_id) as connection:
            return import_file(connection, file, order, now=self.clock.now())

    def take_settlement(self, asked: SettlementIn) -> SettlementReport:
        """Read a stored settlement file and store what is new. Raises: UnreadableSettlement."""
        now = self.clock.now()
        with self._upload(asked.file_name).open("rb") as stream:
            file = read_settlement(stream, asked.file_format, now=now)
        with self.transact(asked.tenant_id) as connection:
            return import_settlement(connection, file, tenant_id=asked.tenant_id, operator_id=asked.operator_id, now=now)

    def set_mapping(self, asked: MappingIn) -> dict[str, Any]:
        """Map a bank's account from now on. Raises: UnknownLedgerAccount."""
        account = statement_account(asked.account)
        with self.transact(asked.tenant_id) as connection:
            set_mapping(
                connection,
                account,
                Mapping(asked.code, asked.mirrored),
                tenant_id=asked.tenant_id,
                operator_id=asked.operator_id,
                now=self.clock.now(),
            )
        return {"account": account.shown, "code": asked.code, "mirrored": asked.mirrored}

    def unmatch(self, asked: UnmatchIn) -> RunReport:
        """Take a match back. Raises: LineNotMatched, AccountBusy."""
        with self.transact(asked.tenant_id) as connection:
            return unmatch_line(
                connection,
                asked.line_id,
                tenant_id=asked.tenant_id,
                operator_id=asked.operator_id,
                reason=asked.reason,
                now=self.clock.now(),
            )

    def run_open(self, tenant_id: str) -> int:
        """Match what is open and look through ended periods, account by account; one that fails stops no other.

        Returns how many accounts were looked at.
        """
        with self.transact(tenant_id) as connection:
            codes = list_accounts_at_work(connection, now=self.clock.now())
        for code in codes:
            try:
                self._run_account(tenant_id, code)
            except AccountBusy:
                # An import is at work there, and it matches by itself.
                continue
            except TellergateError as error:
                _LOG.error("reconciliation_failed", account=code, code=error.code)
        return len(codes)

    def _run_account(self, tenant_id: str, code: str) -> None:
        now = self.clock.now()
        with self.transact(tenant_id) as connection:
            lock_account(connection, code)
            report = reconcile_account(connection, code, now=now)
            missing = sweep_account(connection, code, now=now)
        if report.matched or report.opened or missing:
            _LOG.info("reconciled", account=code, matched=dict(report.matched), opened=dict(report.opened), missing=missing)

    def _upload(self, file_name: str) -> Path:
        file = self.upload_dir / file_name
        if not file.is_file():
            raise NotFound("there is no such upload", code="upload_missing")
        return file


def add_reconciliation_routes(app: FastAPI, desk: ReconciliationDesk) -> None:
    """Add the routes to the jobs process's application."""

    @app.post("/v1/statements")
    async def post_statement(body: StatementIn) -> ImportReport:
        return await run_in_threadpool(desk.take_statement, body)

    @app.post("/v1/settlement")
    async def post_settlement(body: SettlementIn) -> SettlementReport:
        return await run_in_threadpool(desk.take_settlement, body)

    @app.post("/v1/statement-accounts")
    def post_mapping(body: MappingIn) -> dict[str, Any]:
        return desk.set_mapping(body)

    @app.post("/v1/statement-lines/unmatch")
    def post_unmatch(body: UnmatchIn) -> RunReport:
        return desk.unmatch(body)


def declare_reconciliation_tasks(job_app: JobApp, desk: ReconciliationDesk, *, tenant_id: str) -> None:
    """Declare the task of every minute."""

    @job_app.periodic(cron="* * * * *")
    @job_app.task(name="reconcile", queueing_lock="reconcile", pass_context=False)
    async def reconcile_open_lines(timestamp: int) -> None:
        accounts = await run_in_threadpool(partial(desk.run_open, tenant_id))
        _LOG.debug("reconciliation_run", accounts=accounts, scheduled_for=timestamp)
