"""A bank's tenant on a throw-away server, written by the roles that write in life, and turns with proposals to decide on it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.types.json import Jsonb

from bench.gating.pure import STARTER_DIR
from bench.peer.server import BenchServer
from domain.ids import make_id
from gates.policy.artifacts import install_artifacts
from gates.policy.bundle import load_bundle_directory
from gates.receipts.signing_key import ensure_signer
from gates.score.scorecard import load_scorecard
from gates.submission import Rules
from serving.money.background import Background
from serving.money.service import CONNECTIONS, MoneyDeps, MoneyService
from serving.serve import SystemClock
from storage.named_queries import load_queries
from storage.pools import open_pool
from storage.roles import LoginRole, read_role_password
from storage.server_address import ServerAddress
from storage.setup import set_up_database
from storage.tenancy import mint_context, read_context_key

TENANT = "bench"
QUERIES = load_queries(Path(__file__).parents[1] / "sql" / "gating.sql")
_DBNAME = "tellergate"
_MERCHANTS = 200
_CHARGES = 20
# The starter policy looks twice at an operator with thirty acts a day, and at a customer with three credits.
_ACTS_OF_OPERATOR = 20
_ACTS_OF_CUSTOMER = 2
_WRITTEN_BY_JOBS = (
    "tenant", "merchants", "operators", "operator_limits", "customers", "accounts", "beneficiaries", "charges",
)  # fmt: skip
_CONTEXT_LIFETIME = timedelta(hours=2)
_CHUNK = 2_000
_TRACE = {
    "prompt_id": "refund@1", "prompt_sha256": "1" * 64, "masked_prompt_sha256": "2" * 64, "model": "none",
    "generated_by": "template",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Proposed:
    """Hold a proposal that is not in the inbox yet; its turn is written."""

    proposal_id: str
    conversation_id: str
    message_id: str
    kind: str
    arguments: str


@dataclass(frozen=True, slots=True)
class _Asked:
    """Hold what is asked for: grants are (handle, kind, record), mentions are (kind, value) of the operator's words."""

    kind: str
    reason_code: str
    arguments: dict[str, Any]
    grants: tuple[tuple[str, str, str], ...]
    mentions: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Turn:
    proposed: Proposed
    customer_id: str
    operator_id: str
    asked: _Asked


@dataclass(slots=True)
class GateDesk:
    """Hold the tenant. Every act that it was set up for is asked for once."""

    server: BenchServer
    acts: int
    taken: int = field(default=0, init=False)

    def set_up(self) -> None:
        """Make roles, database and schema; write people, customers and their charges; put the starter policy in force."""
        embedded = self.server.embedded
        set_up_database(
            maintenance_dsn=embedded.admin_dsn(),
            admin_dsn=embedded.admin_dsn(_DBNAME),
            dbname=_DBNAME,
            secrets_dir=self._secrets_dir,
        )
        now = datetime.now(UTC)
        named = {
            "tenant_id": TENANT, "now": now, "merchants": _MERCHANTS, "charges": _CHARGES,
            "operators": self._operators, "customers": self._customers,
        }  # fmt: skip
        with self.connect("jobs") as jobs:
            for name in (
                "tenant",
                "merchants",
                "operators",
                "operator_limits",
                "customers",
                "accounts",
                "beneficiaries",
                "charges",
            ):
                jobs.execute(QUERIES[f"insert_{name}"], named)
        with self.connect("gate") as gate, gate.transaction():
            install_artifacts(
                gate,
                bundle=load_bundle_directory(STARTER_DIR),
                scorecard=load_scorecard(),
                tenant_id=TENANT,
                now=now,
                moved_by="bench",
            )

    def take_proposals(self, count: int) -> list[Proposed]:
        """Write the turns of so many acts that nobody asked for yet, and return their proposals."""
        numbers = range(self.taken, self.taken + count)
        if numbers.stop > self.acts:
            raise RuntimeError(f"the desk was set up for {self.acts} acts")
        self.taken = numbers.stop
        now = datetime.now(UTC)
        turns = [self._make_turn(number, now) for number in numbers]
        with self.connect("edge") as edge:
            for first in range(0, count, _CHUNK):
                _insert_turns(edge, turns[first : first + _CHUNK], now)
        self.analyze()
        return [turn.proposed for turn in turns]

    def warm_up(self, acts: int) -> None:
        """Carry out so many acts one after the other, so that no table is empty when the planner looks at it."""
        with self.open_service() as service, self.connect("ai") as ai:
            proposals = self.take_proposals(acts)
            insert_proposals(ai, proposals)
            for one in proposals:
                service.decide(TENANT, one.proposal_id)
            Background(service).sequence()
        self.analyze()

    def analyze(self) -> None:
        """Bring the planner's figures up to date, as autovacuum does in a database that lives longer."""
        with self.connect_admin() as admin:
            admin.execute(QUERIES["analyze"])

    @contextmanager
    def open_service(self) -> Iterator[MoneyService]:
        """Make the acts of the money process as its wiring does, with pools as large as its own."""
        gate, executor = (open_pool(self.dsn(role), name=f"bench-{role}", max_size=CONNECTIONS) for role in ("gate", "executor"))
        try:
            yield MoneyService(
                MoneyDeps(
                    gate_pool=gate,
                    executor_pool=executor,
                    mint=lambda _, role: self.mint_context(role),
                    tenant_ids=(TENANT,),
                    rules=Rules(scorecard=load_scorecard()),
                    starter_bundle=load_bundle_directory(STARTER_DIR),
                    signer=ensure_signer(self._secrets_dir / "receipt.key"),
                    clock=SystemClock(),
                    process_token="bench",
                )
            )
        finally:
            gate.close()
            executor.close()

    def count_outcomes(self) -> dict[str, int]:
        """Return how many proposals came out how."""
        with self.connect("auditor") as auditor:
            return {str(row[0]): int(row[1]) for row in auditor.execute(QUERIES["count_outcomes"])}

    def count_breaches(self) -> dict[str, int]:
        """Return what must be zero once everything is carried out and placed."""
        with self.connect_admin() as admin:
            row = admin.execute(QUERIES["count_breaches"], {"tenant_id": TENANT}).fetchone()
        assert row is not None
        return dict(zip(("unposted", "unallowed", "unplaced"), map(int, row), strict=True))

    @contextmanager
    def connect(self, role: LoginRole) -> Iterator[Connection[Any]]:
        """Connect as a role that holds the tenant's context for the session; autocommit."""
        with psycopg.connect(self.dsn(role), autocommit=True) as connection:
            connection.execute("SELECT set_config('tellergate.context', %s, FALSE)", [self.mint_context(role)])
            yield connection

    @contextmanager
    def connect_admin(self) -> Iterator[Connection[Any]]:
        """Connect as the superuser: upkeep and counting only."""
        with psycopg.connect(self.server.embedded.admin_dsn(_DBNAME), autocommit=True) as connection:
            yield connection

    def mint_context(self, role: LoginRole) -> str:
        """Sign that the role may act for the tenant."""
        key = read_context_key(self._secrets_dir)
        return mint_context(key, tenant_id=TENANT, role=role, expires_at=datetime.now(UTC) + _CONTEXT_LIFETIME)

    def dsn(self, role: LoginRole) -> str:
        """Write the DSN of a role."""
        address: ServerAddress = self.server.embedded.address.with_dbname(_DBNAME)
        return address.dsn(role, read_role_password(self._secrets_dir, role))

    @property
    def _secrets_dir(self) -> Path:
        return self.server.folder / "secrets"

    @property
    def _operators(self) -> int:
        return self.acts // _ACTS_OF_OPERATOR + 1

    @property
    def _customers(self) -> int:
        return self.acts // _ACTS_OF_CUSTOMER + 1

    def _make_turn(self, number: int, now: datetime) -> _Turn:
        """Make the turn of an act: of twenty, thirteen refunds, three fees reversed, two credits, one review and one deny.

        Neighbours in time are of different customers and operators: the gate takes one at a time of each.
        """
        customer = f"{number % self._customers:012d}"
        asked = _choose(number % 20, customer, place=number // self._customers * 4)
        arguments = json.dumps({**asked.arguments, "reason_code": asked.reason_code, "currency": "EUR"})
        proposed = Proposed(make_id("prp", now), make_id("cnv", now), make_id("msg", now), asked.kind, arguments)
        operator_id = f"opr_{number % self._operators:012d}"
        return _Turn(proposed, f"cus_{customer}", operator_id, asked)


def insert_proposals(ai: Connection[Any], proposals: Sequence[Proposed]) -> None:
    """Put proposals into the inbox as the agents process does: role ai, one statement."""
    ai.execute(
        QUERIES["insert_proposals"],
        {
            "tenant_id": TENANT,
            "now": datetime.now(UTC),
            "trace": Jsonb(_TRACE),
            "proposal_ids": [one.proposal_id for one in proposals],
            "conversation_ids": [one.conversation_id for one in proposals],
            "message_ids": [one.message_id for one in proposals],
            "kinds": [one.kind for one in proposals],
            "arguments": [one.arguments for one in proposals],
        },
    )


def _choose(share: int, customer: str, *, place: int) -> _Asked:
    account = ("A1", "account", f"acc_{customer}")
    named, credited = (("handle", "T1"),), (("handle", "A1"), ("amount", "EUR 5.00"))
    if share < 13:
        charge = ("T1", "transaction", f"txn_{customer}_{place}")
        return _Asked("refund", "goods_not_received", _amount_of(place, transaction="T1"), (charge,), named)
    if share < 16:
        fee = ("T1", "transaction", f"txn_{customer}_{place + 3}")
        return _Asked("fee_reversal", "fee_error", _amount_of(place + 3, transaction="T1"), (fee,), named)
    if share < 18:
        return _Asked("goodwill_credit", "goodwill", _amount_of(0, account="A1"), (account,), credited)
    if share == 18:
        # Nobody paid this payee before: a person looks at it.
        payee = ("B1", "beneficiary", f"ben_{customer}")
        said = (*credited, ("handle", "B1"))
        return _Asked("payment", "bill", _amount_of(0, account="A1", beneficiary="B1"), (account, payee), said)
    # Of a transaction that the conversation may not name.
    return _Asked("refund", "goods_not_received", _amount_of(place, transaction="T1"), (), named)


def _amount_of(place: int, **handles: str) -> dict[str, Any]:
    return {**handles, "amount_minor": 500 + place * 7}


def _insert_turns(edge: Connection[Any], turns: Sequence[_Turn], now: datetime) -> None:
    named: dict[str, Any] = {
        "tenant_id": TENANT,
        "now": now,
        "conversation_ids": [turn.proposed.conversation_id for turn in turns],
        "message_ids": [turn.proposed.message_id for turn in turns],
        "customer_ids": [turn.customer_id for turn in turns],
        "operator_ids": [turn.operator_id for turn in turns],
    }
    grants = [(turn.proposed.conversation_id, *grant) for turn in turns for grant in turn.asked.grants]
    mentions = [
        (turn.proposed.message_id, ordinal, *mention) for turn in turns for ordinal, mention in enumerate(turn.asked.mentions, 1)
    ]
    with edge.transaction():
        edge.execute(QUERIES["insert_conversations"], named)
        edge.execute(QUERIES["insert_messages"], named)
        edge.execute(QUERIES["insert_grants"], named | _columns(grants, ("conversation_ids", "handles", "kinds", "refs")))
        edge.execute(QUERIES["insert_mentions"], named | _columns(mentions, ("message_ids", "ordinals", "kinds", "values")))


def _columns(rows: Sequence[tuple[Any, ...]], names: tuple[str, ...]) -> dict[str, list[Any]]:
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}
