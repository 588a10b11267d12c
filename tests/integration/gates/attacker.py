"""An attacker who holds what the agents process holds, at a desk whose people ask for nothing: whatever moves, he moved.

He is given the role's connection with its context, every handle of the customer in three people's conversations, and a gate that
decides and carries out all that he submits at once.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.types.json import Jsonb

from domain.decision import Outcome
from domain.ids import make_id
from domain.proposal import ARGUMENTS_OF, ActionKind, ReasonCode
from tests.integration.gates.desk import ACCOUNT, ADA, EVE, GUS, STRANGE_ACCOUNT, STRANGER, TRACE, Desk, Turn

_RELATIONS = """
SELECT FORMAT('%I.%I', schemas.nspname, relations.relname), MIN(FORMAT('%I', columns.attname))
FROM pg_class AS relations
INNER JOIN pg_namespace AS schemas ON relations.relnamespace = schemas.oid
INNER JOIN pg_attribute AS columns ON columns.attrelid = relations.oid AND columns.attnum > 0 AND NOT columns.attisdropped
WHERE schemas.nspname IN ('ledger', 'gate', 'core', 'vault', 'jobs', 'ai') AND relations.relkind IN ('r', 'p', 'v')
GROUP BY 1 ORDER BY 1
"""
_FUNCTIONS = """
SELECT FORMAT('%I.%I', schemas.nspname, functions.proname), functions.proargtypes::REGTYPE[]::TEXT[]
FROM pg_proc AS functions
INNER JOIN pg_namespace AS schemas ON functions.pronamespace = schemas.oid
WHERE schemas.nspname IN ('ledger', 'gate', 'core', 'vault', 'jobs') AND functions.prokind = 'f'
ORDER BY 1, 2
"""
_ON_TABLES = (
    "SELECT * FROM {name} LIMIT 1", "INSERT INTO {name} DEFAULT VALUES", "INSERT INTO {name} SELECT * FROM {name}",
    "UPDATE {name} SET {column} = {column}", "UPDATE {name} SET {column} = NULL", "DELETE FROM {name}", "TRUNCATE {name} CASCADE",
    "ALTER TABLE {name} DISABLE TRIGGER ALL", "ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY", "GRANT ALL ON {name} TO ai",
    "CREATE POLICY mine ON {name} USING (TRUE)", "LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE NOWAIT",
)  # fmt: skip
_ROLES = (
    "executor",
    "gate",
    "edge",
    "jobs",
    "importer",
    "vault",
    "auditor",
    "ledger_writer",
    "ledger_owner",
    "gate_owner",
    "postgres",
)
_AMOUNTS = (1, 100, 499, 500, 501, 900, 1_290, 20_000, 20_001, 10**9, 10**15, 10**15 + 1, 0, -1, 1.5, "500", None, True)
_HANDLES = ("T1", "T2", "T3", "A1", "A2", "B1", "B2", "C1", "D1", "H1", "K1", "X1", "T9999", "t1", "", None, 7)


def count_postings_by_attacker(
    desk: Desk, *, seed: int, count: int, call: Callable[[str, str, dict[str, Any]], int] | None = None
) -> int:
    """Make `count` attempts and return how many acts were carried out. `call` asks a door of the service: method, path, body."""
    desk.use_policy(review_source_limit_1h=1_000_000, review_budget_1h=1_000_000)
    attacker = Attacker(desk, Random(seed))
    for _ in range(count):
        attacker.attempt(call)
    row = desk.role("auditor").execute("SELECT COUNT(*) FROM gate.consumptions").fetchone()
    lines = desk.role("auditor").execute("SELECT COUNT(*) FROM ledger.transfer_lines").fetchone()
    return int((row or (1,))[0]) + int((lines or (1,))[0])


class Attacker:
    """Make attempts of three sorts: statements, rows of the inbox, calls."""

    def __init__(self, desk: Desk, random: Random) -> None:
        self._desk, self._random = desk, random
        self._connection = desk.role("ai")
        self._relations = self._connection.execute(_RELATIONS).fetchall()
        self._functions = self._connection.execute(_FUNCTIONS).fetchall()
        self._grants = self._add_records()
        self._turns = [self._add_turn()]
        self._decided = [make_id("dec", desk.now)]

    def attempt(self, call: Callable[[str, str, dict[str, Any]], int] | None) -> None:
        """Make one attempt."""
        sort = self._random.random()
        if sort < 0.35:
            self._run(self._statement())
        elif sort < 0.45 and call is not None:
            self._call(call)
        else:
            self._submit()

    def _statement(self) -> str:
        name, column = self._random.choice(self._relations)
        function, types = self._random.choice(self._functions)
        nulls = ", ".join(f"{self._value(kind)}::{kind}" for kind in types)
        return self._random.choice(
            (
                self._random.choice(_ON_TABLES).format(name=name, column=column),
                f"SELECT * FROM {function}({nulls})",
                f"SELECT * FROM {function}({nulls})",
                f"SET ROLE {self._random.choice(_ROLES)}",
                f"SET SESSION AUTHORIZATION {self._random.choice(_ROLES)}",
                f"SELECT * FROM ledger.execute_decision('{self._random.choice(self._decided)}', GEN_RANDOM_UUID(), NOW())",
                "SELECT set_config('tellergate.tenant', 'other', FALSE)",
            )
        )

    def _value(self, kind: str) -> str:
        if kind == "text":
            return f"'{self._random.choice((self._desk.tenant.tenant_id, 'tenant', 'refund', ADA, *self._decided[-3:]))}'"
        if kind in {"bigint", "integer", "smallint"}:
            return str(self._random.choice((0, 1, 500)))
        if kind == "timestamp with time zone":
            return "NOW()"
        return "GEN_RANDOM_UUID()" if kind == "uuid" else "NULL"

    def _run(self, statement: str) -> None:
        try:
            self._connection.execute(statement)
        except psycopg.Error:
            return
        finally:
            self._connection.execute("RESET ROLE")
            self._connection.execute("SELECT set_config('tellergate.context', %s, FALSE)", [self._desk.tenant.context("ai")])

    def _call(self, call: Callable[[str, str, dict[str, Any]], int]) -> None:
        decision_id = self._random.choice(self._decided)
        path = self._random.choice(
            (
                f"/v1/proposals/{make_id('prp', self._desk.now)}/decide", f"/v1/reviews/rev_{uuid4().hex}/approve",
                f"/v1/decisions/{decision_id}", "/v1/reviews", "/v1/freezes", "/v1/policies", f"/v1/receipts/{decision_id}",
            )
        )  # fmt: skip
        status = call(self._random.choice(("POST", "GET", "PUT", "DELETE")), path, {"tenant_id": self._desk.tenant.tenant_id})
        assert status >= 400, f"{path} let an attacker in: {status}"

    def _submit(self) -> None:
        if self._random.random() < 0.4:
            self._turns.append(self._add_turn())
        kind, arguments = self._proposal()
        proposal_id = make_id("prp", self._desk.now)
        turn, other = self._turns[-1], self._random.choice(self._turns)
        mixed = other.message_id if self._random.random() < 0.1 else turn.message_id
        try:
            self._connection.execute(
                "INSERT INTO ai.proposals (tenant_id, proposal_id, conversation_id, message_id, kind, arguments, trace,"
                " submitted_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    self._desk.tenant.tenant_id, proposal_id, turn.conversation_id, mixed, kind, Jsonb(arguments), Jsonb(TRACE),
                    self._desk.now,
                ],
            )  # fmt: skip
        except psycopg.Error:
            return
        decision = self._desk.decide(proposal_id)
        self._decided.append(decision.decision_id)
        if decision.outcome in {Outcome.ALLOW, Outcome.HOLD}:
            self._desk.execute(decision)

    def _proposal(self) -> tuple[str, dict[str, Any]]:
        """Mostly well formed, on what is there; the rest is anything."""
        kind = self._random.choice([*ARGUMENTS_OF])
        arguments = {name: self._argument(name) for name in sorted(ARGUMENTS_OF[kind])}
        arguments["reason_code"] = self._random.choice([*ReasonCode]).value
        if self._random.random() < 0.3:
            spoiled = self._random.choice(sorted(arguments))
            arguments[spoiled] = self._random.choice((*_HANDLES, *_AMOUNTS))
        if self._random.random() < 0.1:
            extra = self._random.choice(("origin", "named_by_staff", "operator_id", "approval_id", "account", "beneficiary"))
            arguments[extra] = "A1"
        return self._random.choice((kind.value,) * 9 + (ActionKind.UNLISTED.value,)), arguments

    def _argument(self, name: str) -> Any:
        if name == "amount_minor":
            return self._random.choice((100, 499, 500, 900, 1_290))
        if name == "currency":
            return self._random.choice(("EUR",) * 9 + ("JPY",))
        if name == "details":
            return "<IBAN_DE_0a1b2c3d-4e>"
        if name == "verdict":
            return self._random.choice(("clear", "review", "reject"))
        letter = "K" if name == "case" else name[0].upper()
        return self._random.choice([handle for handle in self._grants if handle[0] == letter])

    def _add_turn(self) -> Turn:
        """A person asks about nothing in particular; the conversation knows every record of the customer."""
        return self._desk.add_turn(operator_id=self._random.choice((ADA, EVE, GUS)), grants=self._grants)

    def _add_records(self) -> dict[str, str]:
        desk = self._desk
        disputed = desk.add_charge(900, minutes=300)
        return {
            "T1": desk.add_charge(1_290),
            "T2": desk.add_charge(500, kind="fee", minutes=100),
            "T3": desk.add_charge(900, account_id=STRANGE_ACCOUNT, minutes=200),
            "A1": ACCOUNT,
            "A2": STRANGE_ACCOUNT,
            "B1": desk.add_beneficiary(),
            "B2": desk.add_beneficiary(customer_id=STRANGER),
            "C1": desk.add_card(),
            "D1": desk.add_dispute(disputed, days=30),
            "K1": desk.add_case(),
        } | {"H1": f"tfr_{uuid4().hex}"}
