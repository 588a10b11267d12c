"""Is what came back right? Schema, roles, contexts, ledger, log, receipts and vault of a recovered installation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal

import psycopg
from psycopg import Connection, IsolationLevel

from domain.errors import TellergateError
from gates.receipts.export import export_receipt, render_receipt
from gates.receipts.log_store import Checkpoint, find_last_checkpoint, find_nodes
from gates.receipts.signing_key import load_signer
from gates.receipts.tree import list_subtrees, root_of
from gates.standalone.verify_receipt import Refused, VerifierKey, check_checkpoint, parse_key, verify
from ledger.checks import run_check
from masking.vault import keys_for, open_value
from serving.key_service.access import open_key_provider
from serving.settings import make_key_service_access, read_settings
from serving.wiring import RECEIPT_KEY_FILE
from storage.backup.recovery import Recovered
from storage.events import next_position
from storage.migrate import SchemaDrift, require_current_schema
from storage.named_queries import load_queries
from storage.roles import LOGIN_ROLES, LoginRole, read_role_password
from storage.tenancy import mint_context, read_context_key

_QUERIES = load_queries(Path(__file__).parent / "sql" / "backup_checks.sql")
_CONTEXT_LIFETIME = timedelta(hours=6)
RECEIPTS_AT_EACH_END = 20
_VALUES_AT_EACH_END = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """Hold the outcome of one check: `wrong` needs a hand, `note` is good to know."""

    check: str
    level: Literal["ok", "note", "wrong"]
    what: str


@dataclass(frozen=True, slots=True)
class TenantEnd:
    """Hold where a tenant's records end after a recovery."""

    tenant_id: str
    checkpoint: Checkpoint | None
    last_transfer: str | None
    last_transfer_at: datetime | None


@dataclass(frozen=True, slots=True)
class Checked:
    """Hold all findings, and where each tenant's records end."""

    findings: tuple[Finding, ...]
    ends: tuple[TenantEnd, ...]

    @property
    def is_right(self) -> bool:
        """Say whether nothing is wrong."""
        return all(finding.level != "wrong" for finding in self.findings)


def check_recovered(system: Recovered, now: datetime) -> Checked:
    """Run every check. A check that cannot be run is a finding too."""
    with psycopg.connect(system.server.admin_dsn(system.manifest.dbname), autocommit=True) as admin:
        schema = _attempt("schema", partial(_check_schema, admin))
        findings = [schema, _attempt("roles", partial(_check_roles, system))]
        if schema.level == "note":
            return Checked((*findings, Finding("contents", "note", "not checked: they are of an older schema")), ())
        tenant_ids = [str(row[0]) for row in admin.execute(_QUERIES["list_tenants"])]
        ends: list[TenantEnd] = []
        for tenant_id in tenant_ids:
            findings.append(_attempt(f"vault of {tenant_id}", partial(_check_vault, admin, system, tenant_id)))
            findings += _check_tenant(system, tenant_id, now, ends)
    return Checked(tuple(findings), tuple(ends))


@contextmanager
def connect_as(system: Recovered, role: LoginRole, tenant_id: str, now: datetime) -> Iterator[Connection[Any]]:
    """Open a connection of a role for one tenant, with the restored password and the restored context key."""
    dsn = system.address.dsn(role, read_role_password(system.secrets_dir, role))
    key = read_context_key(system.secrets_dir)
    context = mint_context(key, tenant_id=tenant_id, role=role, expires_at=now + _CONTEXT_LIFETIME)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(_QUERIES["set_session_context"], {"context": context})
        connection.execute(_QUERIES["lift_statement_timeout"])
        yield connection


def _check_tenant(system: Recovered, tenant_id: str, now: datetime, ends: list[TenantEnd]) -> list[Finding]:
    try:
        with connect_as(system, "auditor", tenant_id, now) as auditor:
            checks: tuple[tuple[str, Callable[[], Finding]], ...] = (
                (f"context of {tenant_id}", partial(_check_context, auditor, tenant_id)),
                (f"ledger of {tenant_id}", partial(_check_ledger, auditor, tenant_id, now)),
                (f"log of {tenant_id}", partial(_check_log, auditor, system, tenant_id)),
                (f"receipts of {tenant_id}", partial(_check_receipts, auditor, system, tenant_id)),
            )
            findings = [_attempt(name, check) for name, check in checks]
            ends.append(_find_end(auditor, tenant_id))
            return findings
    except (psycopg.Error, TellergateError) as error:
        return [Finding(f"records of {tenant_id}", "wrong", f"cannot be read: {_first_line(error)}")]


def _attempt(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except (TellergateError, psycopg.Error, Refused) as error:
        return Finding(name, "wrong", _first_line(error))


def _first_line(error: Exception) -> str:
    # Further lines of the database quote rows.
    return str(error).strip().partition("\n")[0][:300]


def _check_schema(admin: Connection[Any]) -> Finding:
    try:
        require_current_schema(admin)
    except SchemaDrift as error:
        if "unknown here" in error.message or "edited" in error.message:
            raise
        return Finding("schema", "note", "older than this program: the next ./tellergate up brings it to the newest")
    return Finding("schema", "ok", "the one that this program was written for")


def _check_roles(system: Recovered) -> Finding:
    for role in LOGIN_ROLES:
        psycopg.connect(system.address.dsn(role, read_role_password(system.secrets_dir, role))).close()
    return Finding("roles", "ok", f"{len(LOGIN_ROLES)} roles log in with their restored passwords")


def _check_context(auditor: Connection[Any], tenant_id: str) -> Finding:
    row = auditor.execute(_QUERIES["read_current_tenant"]).fetchone()
    right = row is not None and row[0] == tenant_id
    return Finding(f"context of {tenant_id}", "ok" if right else "wrong", "the restored key signs contexts that are accepted")


def _check_ledger(auditor: Connection[Any], tenant_id: str, now: datetime) -> Finding:
    name = f"ledger of {tenant_id}"
    auditor.isolation_level = IsolationLevel.REPEATABLE_READ
    with auditor.transaction():
        report = run_check(auditor, whole=True, now=now, note=False)
    auditor.isolation_level = None
    if report.findings:
        told = ", ".join(f"{finding.finding.value} {finding.subject}" for finding in report.findings[:5])
        return Finding(name, "wrong", f"{len(report.findings)} breaches: {told}")
    return Finding(name, "ok", f"{report.transfers} transfers and {report.accounts} accounts hold every invariant")


def _check_log(auditor: Connection[Any], system: Recovered, tenant_id: str) -> Finding:
    name = f"log of {tenant_id}"
    size, last = next_position(auditor), find_last_checkpoint(auditor)
    if last is None:
        return Finding(name, "ok" if size == 0 else "wrong", f"{size} places and no checkpoint")
    head = check_checkpoint(last.note, _verifier_key(system))
    root = root_of(size, find_nodes(auditor, list_subtrees(0, size)))
    if not (size == last.tree_size == head.size and root == last.root == head.root):
        return Finding(name, "wrong", f"{size} places do not give the root of the checkpoint of {last.tree_size}")
    return Finding(name, "ok", f"{size} places give the root that was signed last")


def _check_receipts(auditor: Connection[Any], system: Recovered, tenant_id: str) -> Finding:
    name, key = f"receipts of {tenant_id}", _verifier_key(system)
    sample = {"newest": RECEIPTS_AT_EACH_END, "oldest": RECEIPTS_AT_EACH_END}
    verified = waiting = 0
    for row in auditor.execute(_QUERIES["sample_decisions"], sample).fetchall():
        with auditor.transaction():
            receipt = export_receipt(auditor, str(row[0]))
        if receipt is None:
            waiting += 1
            continue
        verify(render_receipt(receipt), key)
        verified += 1
    pending = f", {waiting} wait for their place in the log" if waiting else ""
    return Finding(name, "ok", f"{verified} exported and verified with the restored key{pending}")


def _check_vault(admin: Connection[Any], system: Recovered, tenant_id: str) -> Finding:
    name = f"vault of {tenant_id}"
    rows = admin.execute(_QUERIES["sample_sealed_values"], {"tenant_id": tenant_id, "values": _VALUES_AT_EACH_END}).fetchall()
    if not rows:
        return Finding(name, "ok", "holds nothing")
    provider = open_key_provider(make_key_service_access(read_settings()), secrets_dir=system.secrets_dir)
    keys = keys_for(provider, tenant_id, rows)
    for row in rows:
        open_value(keys, row)
    return Finding(name, "ok", f"{len(rows)} sealed values open with the restored key")


def _verifier_key(system: Recovered) -> VerifierKey:
    return parse_key(load_signer(system.secrets_dir / RECEIPT_KEY_FILE).verifier_key)


def _find_end(auditor: Connection[Any], tenant_id: str) -> TenantEnd:
    row = auditor.execute(_QUERIES["find_last_transfer"]).fetchone()
    return TenantEnd(
        tenant_id=tenant_id,
        checkpoint=find_last_checkpoint(auditor),
        last_transfer=None if row is None else str(row[0]),
        last_transfer_at=None if row is None else row[1],
    )
