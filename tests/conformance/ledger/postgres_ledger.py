"""The ledger in Postgres behind the port: each call in a transaction of its own, as the role that may make it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import Connection
from psycopg import errors as sql_errors

from domain.clock import require_utc
from domain.errors import InvalidInput, NotFound
from domain.ids import make_id, uuid_of
from domain.transfer import MAX_BATCH, TransferRequest, TransferResult, digest_transfer
from domain.transfer_input import require_account, require_well_typed
from ledger import balances, posting, setup, upkeep
from ledger.port import (
    AccountBalance,
    AlreadyUsed,
    BatchTooLarge,
    Hold,
    Ledger,
    StatementLine,
    Transfer,
    TrialBalanceLine,
)
from storage.roles import LoginRole
from tests.conftest import ConnAs, Database, Tenant

_SET_UP_AT = datetime(2026, 1, 1, tzinfo=UTC)
_INSERT_DECISION = """
INSERT INTO gate.decisions (
    tenant_id, decision_id, proposal_id, previous_decision_id, outcome, action, action_digest, action_kind, amount_minor,
    currency, reasons, origins, facts, facts_digest, score, score_reasons, score_ref, policy_bundle_sha256, policy_version,
    engine_version, prompt_id, prompt_sha256, model, operator_id, decided_at, expires_at, event_id
)
SELECT
    %(tenant_id)s, %(decision_id)s, %(proposal_id)s, %(previous)s, 'hold', action, gate.digest_of_flat(action), 'payment', 1,
    'EUR', '[]', '[]', '{}', REPEAT('0', 64), 0, '[]', 'test', REPEAT('0', 64), 'test', 'test', 'test', REPEAT('0', 64), 'none',
    'opr_test', %(now)s, %(now)s, %(decision_id)s
FROM (
    SELECT JSONB_BUILD_OBJECT(
        'tenant_id', %(tenant_id)s::TEXT, 'proposal_id', %(proposal_id)s::TEXT, 'kind', 'payment', 'amount_minor', 1,
        'currency', 'EUR', 'transaction_id', NULL, 'customer_id', NULL, 'account_id', NULL
    ) AS action
) AS made
"""
_INSERT_AUTHORIZATIONS = """
INSERT INTO gate.authorizations (tenant_id, transfer_id, decision_id, digest, valid_from, valid_until)
SELECT %(tenant_id)s, id, %(decision_id)s, digest, %(valid_from)s, %(valid_until)s
FROM UNNEST(%(ids)s::UUID[], %(digests)s::BYTEA[]) AS allowed (id, digest)
"""


class Connections:
    """Keep one connection a role for all tenants of a test; who holds it must say for which tenant."""

    def __init__(self, conn_as: ConnAs) -> None:
        self._conn_as = conn_as
        self._connections: dict[LoginRole, Connection[Any]] = {}
        self._tenant_of: dict[LoginRole, str] = {}

    def use(self, role: LoginRole, tenant: Tenant) -> Connection[Any]:
        """Return the role's connection in the tenant's context."""
        if role not in self._connections:
            self._connections[role] = self._conn_as(role)
        connection = self._connections[role]
        if self._tenant_of.get(role) != tenant.tenant_id:
            connection.execute("SELECT SET_CONFIG('tellergate.context', %s, FALSE)", [tenant.context(role)])
            self._tenant_of[role] = tenant.tenant_id
        return connection


class PostgresLedger:
    """Implement the port for one tenant. `is_batched`: all requests of a call in one call of the database, or one by one."""

    def __init__(self, connections: Connections, tenant: Tenant, *, is_batched: bool) -> None:
        self._connections = connections
        self._tenant = tenant
        self.is_batched = is_batched
        self._proposal_of: dict[str, str] = {}

    def _as(self, role: LoginRole) -> Connection[Any]:
        return self._connections.use(role, self._tenant)

    # Accounts ------------------------------------------------------------------------------------------------------------------

    def open_account(
        self,
        code: str,
        currency: str,
        *,
        debits_must_not_exceed_credits: bool = False,
        credits_must_not_exceed_debits: bool = False,
        rolled_up: bool = False,
    ) -> None:
        require_account(code, currency)
        setup.define_account(
            self._as("importer"),
            code,
            currency,
            debits_must_not_exceed_credits=debits_must_not_exceed_credits,
            credits_must_not_exceed_debits=credits_must_not_exceed_debits,
            rolled_up=rolled_up,
            now=_SET_UP_AT,
        )

    def close_account(self, code: str, currency: str) -> None:
        setup.close_account(self._as("importer"), code, currency, now=_SET_UP_AT)

    def stop_account(self, code: str, currency: str) -> None:
        setup.stop_account(self._as("jobs"), code, currency, reason="test", now=_SET_UP_AT)

    # Decisions -----------------------------------------------------------------------------------------------------------------

    def authorize(self, requests: Sequence[TransferRequest], *, valid_from: datetime, valid_until: datetime) -> str:
        require_well_typed(requests)
        if not require_utc(valid_from) < require_utc(valid_until):
            raise InvalidInput("a decision must end after it begins")
        ids = [request.transfer_id for request in requests]
        if not ids or len(set(ids)) < len(ids):
            raise InvalidInput("a decision names at least one transfer, and each once")
        decision_id, proposal_id = make_id("dec", valid_from), make_id("prp", valid_from)
        gate = self._as("gate")
        try:
            with gate.transaction():
                self._insert_decision(gate, decision_id, proposal_id, None, valid_from)
                gate.execute(
                    _INSERT_AUTHORIZATIONS,
                    {
                        "tenant_id": self._tenant.tenant_id,
                        "decision_id": uuid_of(decision_id),
                        "valid_from": valid_from,
                        "valid_until": valid_until,
                        "ids": ids,
                        "digests": [digest_transfer(request, tenant_id=self._tenant.tenant_id) for request in requests],
                    },
                )
        except sql_errors.UniqueViolation as error:
            raise AlreadyUsed("a transfer was answered before, or another decision names it") from error
        self._proposal_of[decision_id] = proposal_id
        return decision_id

    def supersede(self, decision_id: str) -> None:
        proposal_id = self._proposal_of.get(decision_id)
        if proposal_id is None:
            raise NotFound("there is no such decision")
        gate = self._as("gate")
        try:
            with gate.transaction():
                self._insert_decision(gate, make_id("dec", _SET_UP_AT), proposal_id, decision_id, _SET_UP_AT)
        except sql_errors.UniqueViolation as error:
            # Superseded already: the chain of a proposal is a line.
            if error.diag.constraint_name != "decisions_tenant_id_previous_decision_id_key":
                raise

    def _insert_decision(
        self, gate: Connection[Any], decision_id: str, proposal_id: str, previous: str | None, now: datetime
    ) -> None:
        parameters = {
            "tenant_id": self._tenant.tenant_id,
            "decision_id": decision_id,
            "proposal_id": proposal_id,
            "previous": previous,
            "now": now,
        }
        gate.execute(_INSERT_DECISION, parameters)

    # Transfers -----------------------------------------------------------------------------------------------------------------

    def apply(self, requests: Sequence[TransferRequest], *, now: datetime) -> list[TransferResult]:
        if len(requests) > MAX_BATCH:
            raise BatchTooLarge(f"{len(requests)} requests in one call; at most {MAX_BATCH}")
        require_well_typed(requests)
        require_utc(now)
        executor = self._as("executor")
        if self.is_batched:
            return posting.post_transfers(executor, requests, now=now)
        results: list[TransferResult] = []
        for legs in _split_chains(requests):
            if len(legs) == 1:
                results.append(posting.post_transfer(executor, legs[0], now=now))
            else:
                results += posting.post_transfers(executor, legs, now=now)
        return results

    def expire_holds(self, *, now: datetime, limit: int = 1000) -> int:
        return upkeep.expire_holds(self._as("jobs"), now=require_utc(now), limit=limit)

    def roll_up(self) -> int:
        return upkeep.roll_up(self._as("jobs"))

    # Reads ---------------------------------------------------------------------------------------------------------------------

    def find_balance(self, code: str, currency: str) -> AccountBalance | None:
        return balances.find_balance(self._as("auditor"), code, currency)

    def find_balance_at(self, code: str, currency: str, at: datetime) -> AccountBalance | None:
        return balances.find_balance_at(self._as("auditor"), code, currency, require_utc(at))

    def list_entries(self, code: str, currency: str, *, after: int | None, limit: int) -> list[StatementLine]:
        if limit < 1:
            raise InvalidInput("limit: at least 1")
        return balances.list_entries(self._as("auditor"), code, currency, after=after, limit=limit)

    def find_transfer(self, transfer_id: UUID) -> Transfer | None:
        return balances.find_transfer(self._as("auditor"), transfer_id)

    def find_hold(self, transfer_id: UUID) -> Hold | None:
        return balances.find_hold(self._as("auditor"), transfer_id)

    def list_trial_balance(self) -> list[TrialBalanceLine]:
        return balances.list_trial_balance(self._as("auditor"))


def make_postgres_ledgers(request: pytest.FixtureRequest, *, is_batched: bool) -> Callable[[], Ledger]:
    """Make ledgers in the run's database, each of a tenant of its own."""
    database = cast("Database", request.getfixturevalue("database"))
    connections = Connections(request.getfixturevalue("conn_as"))
    tenants: list[str] = []

    def take_off_waiting_list() -> None:
        with psycopg.connect(database.admin_dsn(), autocommit=True) as admin:
            admin.execute("DELETE FROM core.events_unsequenced WHERE tenant_id = ANY(%s)", [tenants])

    def make() -> Ledger:
        tenant = Tenant(tenant_id=f"t-{uuid4().hex[:16]}", context_key=database.context_key)
        tenants.append(tenant.tenant_id)
        return PostgresLedger(connections, tenant, is_batched=is_batched)

    request.addfinalizer(take_off_waiting_list)
    return make


def _split_chains(requests: Sequence[TransferRequest]) -> list[Sequence[TransferRequest]]:
    chains, first = [], 0
    for place, request in enumerate(requests):
        if not request.linked or place == len(requests) - 1:
            chains.append(requests[first : place + 1])
            first = place + 1
    return chains
