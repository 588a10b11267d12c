"""The edge with everything real around it but the agents: database, vault, masking model, gate and ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from psycopg import Connection

from gates.policy.bundle import load_bundle_directory
from gates.receipts.checkpoint import CheckpointSigner
from gates.score.scorecard import load_scorecard
from gates.submission import Rules
from masking.classes import PiiClass
from masking.detection import Detector
from masking.keys import KeyProvider
from masking.masker import Masker
from masking.unmask import Unmasker
from masking.vault import PiiItem, Source, Vault
from serving.edge.agents_client import AgentsClient
from serving.edge.app import create_edge_app
from serving.edge.database import EdgeDatabase
from serving.edge.deps import EdgeDeps, EdgeOptions, IngestRequest
from serving.edge.masking_boundary import MaskingBoundary
from serving.edge.money_client import MoneyClient
from serving.edge.process_client import Peer
from serving.edge.vault_keeper import VaultKeeper
from serving.money.app import create_money_app
from serving.money.service import MoneyDeps
from storage.pools import Pool, open_pool
from storage.roles import LoginRole
from storage.unit_of_work import unit_of_work
from tests.conftest import ConnAs, Database, Tenant
from tests.doubles.masking_keys import FixedKeyProvider
from tests.integration.edge.scripted_agents import TOKEN as AGENTS_TOKEN
from tests.integration.edge.scripted_agents import ScriptedAgents, TurnSeen, done, sentence
from tests.integration.edge.served import Served

ROOT = Path(__file__).resolve().parents[3]
MONEY_TOKEN = "money-token"
PASSWORD = "correct-horse-battery"
# Cheap on purpose: the real cost is argon2's own business.
HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PEOPLE = {
    "ada": ("Ada Osei", ["support"]), "ben": ("Ben Kowalski", ["support", "approver"]), "cleo": ("Cleo Marchetti", ["approver"]),
    "ira": ("Ira Lindqvist", ["auditor"]), "kim": ("Kim Adeyemi", ["admin"]), "gus": ("Gus Ferreira", ["onboarding"]),
    "dan": ("Dan Whitlock", ["approver"]), "eve": ("Eve Marchand", ["investigator"]), "lee": ("Lee Sandoval", ["admin"]),
}  # fmt: skip
ANA, STRANGER = "cus_5f2c81a09b44", "cus_00aa11bb22cc"
ANA_NAME, ANA_IBAN, ANA_EMAIL = "Ana Lucía Ferreyra", "DE89370400440532013000", "ana.ferreyra@example.com"
ACCOUNT, CARD = "acc_7c1d22e90a11", "crd_1a2b3c4d5e6f"


class MachineClock:
    """The machine's time."""

    def now(self) -> datetime:
        """Return now."""
        return datetime.now(UTC)


def answer_double_charge(turn: TurnSeen) -> Iterator[Any]:
    """Say what the records hold, and propose to refund the newer of the two newest charges."""
    yield sentence(
        "T1 and T2 are two charges of EUR 49.90 at Nordwind Books, 2 minutes apart.",
        kind="record", ref="T1", title="T1: card payment, EUR 49.90",
    )  # fmt: skip
    yield sentence(
        "Our policy refunds the second of two equal charges when the merchant did not reverse it.",
        by="model", kind="passage", ref="refund-policy#2", title="Refund policy: duplicate charges",
    )  # fmt: skip
    proposal_id = turn.propose(transaction="T1", amount_minor=4990, currency="EUR", reason_code="duplicate_charge")
    yield {"type": "proposal", "proposal_id": proposal_id}
    yield sentence("A refund of EUR 49.90 for T1 is proposed; the gate decides.")
    yield done()


def answer_flight(turn: TurnSeen) -> Iterator[Any]:
    """Propose to refund the flight, which is above a person's own limit."""
    yield sentence("T3 is a card payment of EUR 618.00 at Kestrel Air, posted.", kind="record", ref="T3", title="T3: Kestrel Air")
    proposal_id = turn.propose(transaction="T3", amount_minor=61800, currency="EUR", reason_code="goods_not_received")
    yield {"type": "proposal", "proposal_id": proposal_id}
    yield done(model="none")


def answer_question(_: TurnSeen) -> Iterator[Any]:
    """Answer from the knowledge base, with no proposal."""
    yield sentence(
        "The second charge is refunded in full when the merchant has not reversed it.",
        by="model", kind="passage", ref="refund-policy#2", title="Refund policy",
    )  # fmt: skip
    yield done()


def answer_by_words(turn: TurnSeen) -> Iterator[Any]:
    """Choose by what is asked, as a model would."""
    if "flight" in turn.text:
        return answer_flight(turn)
    return answer_question(turn) if "policy" in turn.text else answer_double_charge(turn)


@dataclass(slots=True)
class EdgeWorld:
    """One tenant, its people and records, and the three processes."""

    database: Database
    tenant: Tenant
    conn_as: ConnAs
    detector: Detector
    folder: Path
    agents: ScriptedAgents = field(init=False)
    deps: EdgeDeps = field(init=False)
    ingested: list[IngestRequest] = field(default_factory=list)
    _pools: dict[str, Pool] = field(default_factory=dict)
    _servers: dict[str, Served] = field(default_factory=dict)
    _clients: list[httpx.Client] = field(default_factory=list)
    transactions: list[str] = field(default_factory=list)

    def open(self) -> EdgeWorld:
        """Seed the tenant and start agents, money and edge."""
        self.agents = ScriptedAgents(self.database.dsn("ai"), answer_by_words)
        keys = FixedKeyProvider()
        vault = Vault(keys)
        transact = self._transact("vault")
        masker = Masker(detector=self.detector, vault=vault, keys=keys, transact=transact)
        boundary = MaskingBoundary(masker, Unmasker(keys=keys, transact=transact))
        self._seed(vault, transact)
        self.deps = EdgeDeps(
            database=EdgeDatabase(self._pool("edge"), lambda tenant_id: self._mint(tenant_id, "edge")),
            boundary=boundary,
            agents=AgentsClient(Peer("agents", self.folder / "agents.sock", AGENTS_TOKEN)),
            money=MoneyClient(Peer("money", self.folder / "money.sock", MONEY_TOKEN)),
            clock=MachineClock(),
            options=EdgeOptions(
                static_dir=ROOT / "static", ingest_dir=self.folder / "ingest", default_tenant_id=self.tenant.tenant_id
            ),
            mint_agent_context=lambda tenant_id: self._mint(tenant_id, "ai"),
            start_ingest=self._ingest,
            vault=VaultKeeper(transact, keys, masker.forget_subject),
        )
        for part in ("agents", "money", "edge"):
            self.start(part)
        return self

    def start(self, part: str) -> None:
        """Start agents, money or edge."""
        match part:
            case "agents":
                self._servers[part] = Served(self.agents.app(), uds=self.folder / "agents.sock")
            case "money":
                self._servers[part] = Served(create_money_app(self._money_deps()), uds=self.folder / "money.sock")
            case _:
                self._servers[part] = Served(create_edge_app(self.deps))

    def stop(self, part: str) -> None:
        """Stop one of them."""
        self._servers.pop(part).stop()

    def replace_keys(self, keys: KeyProvider) -> None:
        """Let the edge have other keys than those that its records were sealed with."""
        transact, vault = self._transact("vault"), Vault(keys)
        boundary = MaskingBoundary(
            Masker(detector=self.detector, vault=vault, keys=keys, transact=transact), Unmasker(keys=keys, transact=transact)
        )
        self.deps = replace(self.deps, boundary=boundary)
        self.stop("edge")
        self.start("edge")

    def close_pool(self, role: LoginRole) -> None:
        """Take the database away from one role."""
        self._pools[role].close()

    def close(self) -> None:
        """Stop everything."""
        for client in self._clients:
            client.close()
        for part in reversed(list(self._servers)):
            self.stop(part)
        for pool in self._pools.values():
            pool.close()

    @property
    def url(self) -> str:
        """Return the console's address."""
        return f"http://127.0.0.1:{self._servers['edge'].port}"

    def browser(self) -> httpx.Client:
        """Make a client with cookies, as a browser has."""
        client = httpx.Client(base_url=self.url, timeout=20, trust_env=False)
        self._clients.append(client)
        return client

    def sign_in(self, username: str = "ada") -> httpx.Client:
        """Make an API client of this person."""
        client = self.browser()
        answer = client.post("/api/v1/sessions", json={"username": username, "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        client.headers["Authorization"] = f"Bearer {answer.json()['token']}"
        return client

    def open_conversation(self, client: httpx.Client, customer_id: str = ANA) -> str:
        """Open a conversation."""
        answer = client.post("/api/v1/conversations", json={"customer_id": customer_id})
        assert answer.status_code == 201, answer.text
        conversation_id: str = answer.json()["conversation_id"]
        return conversation_id

    def ask(self, client: httpx.Client, text: str, conversation_id: str | None = None, **headers: str) -> httpx.Response:
        """Send a message and wait for the whole answer."""
        conversation_id = conversation_id or self.open_conversation(client)
        return client.post(
            f"/api/v1/conversations/{conversation_id}/messages", params={"wait": "true"}, json={"text": text}, headers=headers
        )

    def rows(self, statement: str, parameters: Any = ()) -> list[tuple[Any, ...]]:
        """Read as role `edge`."""
        return self.conn_as("edge", self.tenant).execute(statement, parameters).fetchall()

    def tokenize(self, customer_id: str, *values: tuple[PiiClass, str], source: Source = "record") -> list[str]:
        """Put values of a customer into the vault; return their tokens."""
        items = [PiiItem(pii_class, value, customer_id) for pii_class, value in values]
        with self._transact("vault")(self.tenant.tenant_id) as connection:
            vault = Vault(FixedKeyProvider())
            return list(vault.tokenize_many(connection, items, tenant_id=self.tenant.tenant_id, source=source))

    def _mint(self, tenant_id: str, role: LoginRole) -> str:
        return Tenant(tenant_id, self.database.context_key).context(role)

    def _pool(self, role: LoginRole) -> Pool:
        if role not in self._pools:
            self._pools[role] = open_pool(self.database.dsn(role), name=f"test-{role}", max_size=6)
        return self._pools[role]

    def _transact(self, role: LoginRole) -> Callable[[str], AbstractContextManager[Connection[Any]]]:
        pool = self._pool(role)
        return lambda tenant_id: unit_of_work(pool, self._mint(tenant_id, role))

    def _money_deps(self) -> MoneyDeps:
        return MoneyDeps(
            gate_pool=self._pool("gate"),
            executor_pool=self._pool("executor"),
            mint=self._mint,
            tenant_ids=(self.tenant.tenant_id,),
            rules=Rules(scorecard=load_scorecard()),
            starter_bundle=load_bundle_directory(ROOT / "gates" / "bundles" / "starter"),
            signer=CheckpointSigner(Ed25519PrivateKey.generate()),
            clock=MachineClock(),
            process_token=MONEY_TOKEN,
        )

    def _ingest(self, asked: IngestRequest) -> Mapping[str, Any]:
        self.ingested.append(asked)
        return {"rows_read": len(asked.file.read_bytes().splitlines()), "rows_quarantined": 0}

    def _seed(self, vault: Vault, transact: Callable[[str], AbstractContextManager[Connection[Any]]]) -> None:
        now, tenant_id = datetime.now(UTC), self.tenant.tenant_id
        jobs = self.conn_as("jobs", self.tenant)
        jobs.execute("INSERT INTO core.tenants (tenant_id, name, created_at) VALUES (%s, 'Test bank', %s)", [tenant_id, now])
        password_hash = HASHER.hash(PASSWORD)
        for username, (name, roles) in PEOPLE.items():
            jobs.execute(
                "INSERT INTO core.operators (tenant_id, operator_id, username, display_name, password_hash, roles)"
                " VALUES (%s, %s, %s, %s, %s, %s)",
                [tenant_id, f"opr_{username}", username, name, password_hash, roles],
            )
            for kind in ("refund", "fee_reversal", "goodwill_credit", "provisional_credit", "payment", "dispute_writeoff"):
                jobs.execute(
                    "INSERT INTO core.operator_limits (tenant_id, operator_id, action_kind, currency, limit_minor)"
                    " VALUES (%s, %s, %s, 'EUR', 20000)",
                    [tenant_id, f"opr_{username}", kind],
                )
        self._seed_customer(vault, transact, ANA, ANA_NAME, ACCOUNT, ANA_IBAN, ANA_EMAIL, "+49 30 901820")
        self._seed_customer(
            vault,
            transact,
            STRANGER,
            "Chidi Okonkwo",
            "acc_99ee88dd77cc",
            "DE02120300000000202051",
            "chidi@example.org",
            "+49 40 4281",
        )
        jobs.execute(
            "INSERT INTO core.cards (tenant_id, card_id, account_id, pan_token, last4, scheme, status, expires_on)"
            " VALUES (%s, %s, %s, 'tok', '4242', 'visa', 'active', '2029-04-30')",
            [tenant_id, CARD, ACCOUNT],
        )
        for merchant_id, name, code in (
            ("mrc_1", "Nordwind Books", "5942"),
            ("mrc_2", "Kestrel Air", "4511"),
            ("mrc_3", "Blue Door Market", "5411"),
        ):
            jobs.execute(
                "INSERT INTO core.merchants (tenant_id, merchant_id, name, category_code, country) VALUES (%s, %s, %s, %s, 'DE')",
                [tenant_id, merchant_id, name, code],
            )
        self.transactions = [self._seed_transaction(*row) for row in _TRANSACTIONS]
        self._seed_article(now)

    def _seed_customer(
        self, vault: Vault, transact: Any, customer_id: str, name: str, account_id: str, iban: str, email: str, phone: str
    ) -> None:
        tenant_id = self.tenant.tenant_id
        items = [
            PiiItem(pii_class, value, customer_id)
            for pii_class, value in (
                (PiiClass.PERSON, name),
                (PiiClass.EMAIL, email),
                (PiiClass.PHONE, phone),
                (PiiClass.IBAN, iban),
            )
        ]
        with transact(tenant_id) as connection:
            tokens = vault.tokenize_many(connection, items, tenant_id=tenant_id)
        jobs = self.conn_as("jobs", self.tenant)
        opened = datetime.now(UTC) - timedelta(days=900)
        jobs.execute(
            "INSERT INTO core.customers (tenant_id, customer_id, name_token, email_token, phone_token, country, language,"
            " segment, kyc_status, opened_at) VALUES (%s, %s, %s, %s, %s, 'DE', 'en', 'retail', 'verified', %s)",
            [tenant_id, customer_id, *tokens[:3], opened],
        )
        jobs.execute(
            "INSERT INTO core.accounts (tenant_id, account_id, customer_id, number_token, product, currency, status, opened_at)"
            " VALUES (%s, %s, %s, %s, 'current_account', 'EUR', 'active', %s)",
            [tenant_id, account_id, customer_id, tokens[3], opened],
        )

    def _seed_transaction(self, transaction_id: str, minutes_ago: int, amount: int, merchant: str, kind: str, status: str) -> str:
        at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
        account_id = "acc_99ee88dd77cc" if transaction_id == STRANGERS_CHARGE else ACCOUNT
        self.conn_as("jobs", self.tenant).execute(
            "INSERT INTO core.transactions (tenant_id, transaction_id, account_id, card_id, merchant_id, kind, status,"
            " amount_minor, currency, descriptor, occurred_at, posted_at, decline_code)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 'EUR', %s, %s, %s, %s)",
            [
                self.tenant.tenant_id, transaction_id, account_id, CARD if account_id == ACCOUNT else None, merchant, kind,
                status, amount, f"CARD {merchant}", at, at if status == "posted" else None,
                "insufficient_funds" if status == "declined" else None,
            ],
        )  # fmt: skip
        return transaction_id

    def _seed_article(self, now: datetime) -> None:
        jobs = self.conn_as("jobs", self.tenant)
        tenant_id = self.tenant.tenant_id
        jobs.execute(
            "INSERT INTO kb.articles (tenant_id, article_id, title, language, reader_roles, content_sha256, source, indexed_at)"
            " VALUES (%s, 'refund-policy', 'Refund policy', 'en', %s, %s, 'test', %s)",
            [tenant_id, ["support", "approver"], "0" * 64, now],
        )
        jobs.execute(
            "INSERT INTO kb.chunks (tenant_id, article_id, ordinal, heading_path, masked_text, text_sha256, reader_roles)"
            " VALUES (%s, 'refund-policy', 2, 'Refund policy > Duplicate charges', %s, %s, %s)",
            [tenant_id, PASSAGE, "1" * 64, ["support", "approver"]],
        )


PASSAGE = (
    "A duplicate charge is a second charge of the same amount, at the same merchant, on the same card, within 72 hours.\n\n"
    "The second charge is refunded in full when the merchant has not reversed it. Nobody needs to wait for the merchant."
)
STRANGERS_CHARGE = "txn_abcdefabcdef"
_TRANSACTIONS = (
    ("txn_5f2c81a09b44", 4_318, 4_990, "mrc_1", "card_payment", "posted"),
    ("txn_0b77c1d2e3f4", 4_320, 4_990, "mrc_1", "card_payment", "posted"),
    ("txn_9a8b7c6d5e4f", 6_000, 61_800, "mrc_2", "card_payment", "posted"),
    ("txn_1c2d3e4f5a6b", 7_400, 2_315, "mrc_3", "card_payment", "posted"),
    ("txn_2d3e4f5a6b7c", 8_900, 129_900, "mrc_2", "card_payment", "declined"),
    ("txn_3e4f5a6b7c8d", 11_000, 3_180, "mrc_3", "card_payment", "posted"),
    (STRANGERS_CHARGE, 5_000, 7_700, "mrc_3", "card_payment", "posted"),
)
