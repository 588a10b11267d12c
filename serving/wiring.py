"""The one place that joins planes: each function builds the parts of one process from what the supervisor told it.

Imports stand inside the functions, so that a process loads what it needs and no more (presidio alone takes two seconds).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
from psycopg import Connection

from serving.launch import ProcessConfig, ProcessName
from serving.serve import SystemClock
from storage.pools import AsyncPool, Pool, open_async_pool, open_pool
from storage.roles import LoginRole
from storage.tenancy import mint_context
from storage.unit_of_work import snapshot_of_work, unit_of_work

if TYPE_CHECKING:
    from fastapi import FastAPI

    from masking.masker import Masker
    from serving.bank.desk import BankDesk
    from serving.edge.deps import IngestRequest
    from serving.ingest.demo_load import DemoReport
    from serving.ingest.ingest import IngestDeps
    from serving.jobs.anchoring import AnchorSender
    from serving.jobs.knowledge import KnowledgeDeps
    from serving.jobs.ledger import LedgerKeeper

# A context outlives the longest transaction of its role and little more.
_CONTEXT_LIFETIME = timedelta(minutes=2)
_INGEST_CONTEXT_LIFETIME = timedelta(minutes=30)
_LEDGER_CONTEXT_LIFETIME = timedelta(minutes=40)
_INGEST_TIMEOUT_S = 1800.0
DEMO_SCENARIOS_FILE = "demo-scenarios.json"
RECEIPT_KEY_FILE = "receipts.key"
PUBLIC_KEY_FILE = "receipts.pub"
ANCHOR_FOLDER = "anchors"

Transact = Callable[[str], AbstractContextManager[Connection[Any]]]


def _minter(config: ProcessConfig, role: LoginRole, lifetime: timedelta = _CONTEXT_LIFETIME) -> Callable[[str], str]:
    """Return a function that signs a context of `role` for a tenant."""
    key = config.context_key

    def mint(tenant_id: str) -> str:
        return mint_context(key, tenant_id=tenant_id, role=role, expires_at=datetime.now(UTC) + lifetime)

    return mint


def _pool(config: ProcessConfig, role: LoginRole, *, max_size: int = 4) -> Pool:
    return open_pool(config.database.dsn(role, config.passwords[role]), name=f"{config.name}-{role}", max_size=max_size)


def _transact(pool: Pool, mint: Callable[[str], str]) -> Transact:
    @contextmanager
    def transact(tenant_id: str) -> Iterator[Connection[Any]]:
        with unit_of_work(pool, mint(tenant_id)) as connection:
            yield connection

    return transact


def _snapshot(pool: Pool, mint: Callable[[str], str]) -> Transact:
    @contextmanager
    def snapshot(tenant_id: str) -> Iterator[Connection[Any]]:
        with snapshot_of_work(pool, mint(tenant_id)) as connection:
            yield connection

    return snapshot


def _masker(config: ProcessConfig, transact_vault: Transact) -> Masker:
    from masking.detection import build_detector
    from masking.keys import FileKeyProvider
    from masking.masker import Masker
    from masking.vault import Vault

    keys = FileKeyProvider(config.secrets_dir)
    return Masker(detector=build_detector(config.models_dir / "ner"), vault=Vault(keys), keys=keys, transact=transact_vault)


def _ingest_deps(config: ProcessConfig) -> IngestDeps:
    from masking.keys import FileKeyProvider
    from masking.vault import Vault
    from serving.ingest.ingest import IngestDeps

    return IngestDeps(
        transact_jobs=_transact(_pool(config, "jobs"), _minter(config, "jobs", _INGEST_CONTEXT_LIFETIME)),
        transact_vault=_transact(_pool(config, "vault"), _minter(config, "vault", _INGEST_CONTEXT_LIFETIME)),
        vault=Vault(FileKeyProvider(config.secrets_dir)),
    )


def _knowledge_deps(config: ProcessConfig, ingest: IngestDeps) -> KnowledgeDeps:
    from serving.jobs.knowledge import KnowledgeDeps
    from serving.vllm.embeddings import VllmEmbeddings

    embedder = VllmEmbeddings(config.embeddings.endpoint, name=config.embeddings.model) if config.embeddings else None
    return KnowledgeDeps(
        transact_jobs=ingest.transact_jobs, make_masker=lambda: _masker(config, ingest.transact_vault), embedder=embedder
    )


def load_first_data(config: ProcessConfig, now: datetime) -> tuple[DemoReport, int]:
    """Load the demo tenant and its knowledge base. Idempotent. Returns what was loaded and the number of changed articles."""
    from masking.keys import FileKeyProvider
    from serving.ingest.demo_load import DemoDeps, load_demo
    from serving.ingest.demo_logins import DEMO_LOGINS_FILE
    from serving.jobs.demo_settlement import load_demo_settlement
    from serving.jobs.knowledge import index_articles, read_articles

    ingest = _ingest_deps(config)
    demo = DemoDeps(
        ingest=ingest,
        ensure_tenant_keys=FileKeyProvider(config.secrets_dir).ensure_tenant_keys,
        logins_path=config.var_dir / DEMO_LOGINS_FILE,
        scenarios_path=config.var_dir / DEMO_SCENARIOS_FILE,
        tenant_id=config.tenant_id,
    )
    report = load_demo(demo, now)
    load_demo_settlement(ingest.transact_jobs, tenant_id=config.tenant_id, now=now)
    articles = read_articles(config.root_dir / "demo" / "knowledge")
    changed = index_articles(_knowledge_deps(config, ingest), articles, tenant_id=config.tenant_id, now=now)
    return report, changed


def build_jobs(config: ProcessConfig) -> FastAPI:
    """Build the jobs process."""
    from serving.jobs.app import JobsDeps, create_jobs_app
    from serving.jobs.reconciliation import ReconciliationDesk, declare_reconciliation_tasks
    from serving.jobs.tasks import declare_tasks
    from storage.jobs import make_job_app

    ingest = _ingest_deps(config)
    job_app = make_job_app(config.database.dsn("jobs", config.passwords["jobs"]))
    declare_tasks(job_app, _knowledge_deps(config, ingest), tenant_id=config.tenant_id)
    reconciliation = ReconciliationDesk(ingest.transact_jobs, config.var_dir / "ingest", SystemClock())
    declare_reconciliation_tasks(job_app, reconciliation, tenant_id=config.tenant_id)
    deps = JobsDeps(
        ingest=ingest,
        ingest_dir=config.var_dir / "ingest",
        job_app=job_app,
        clock=SystemClock(),
        process_token=config.own_token,
        bank=_bank_desk(config),
        ledger=_ledger_keeper(config),
        reconciliation=reconciliation,
        anchors=_anchor_sender(config),
    )
    return create_jobs_app(deps)


def _anchor_sender(config: ProcessConfig) -> AnchorSender | None:
    from serving.jobs.anchoring import AnchorDeps, AnchorSender

    if config.anchor_url is None:
        return None
    pool = open_pool(config.database.dsn("jobs", config.passwords["jobs"]), name="jobs-anchoring", max_size=1)
    transact = _transact(pool, _minter(config, "jobs"))
    return AnchorSender(AnchorDeps(config.anchor_url, (config.tenant_id,), transact, SystemClock()))


def _ledger_keeper(config: ProcessConfig) -> LedgerKeeper:
    from serving.jobs.ledger import KeeperDeps, LedgerKeeper

    # Its own connections: a check takes its time, and no upkeep waits for an ingest.
    pool = open_pool(config.database.dsn("jobs", config.passwords["jobs"]), name="jobs-ledger", max_size=3)
    mint = _minter(config, "jobs", _LEDGER_CONTEXT_LIFETIME)
    deps = KeeperDeps(
        tenant_ids=(config.tenant_id,),
        transact=_transact(pool, mint),
        snapshot=_snapshot(pool, mint),
        clock=SystemClock(),
        stopwatch_ns=time.monotonic_ns,
    )
    return LedgerKeeper(deps)


def _bank_desk(config: ProcessConfig) -> BankDesk:
    from random import SystemRandom

    from serving.bank.access import open_bank
    from serving.bank.acknowledging import Acknowledger
    from serving.bank.callback import decode_secret
    from serving.bank.desk import BankDesk, DeskDeps
    from serving.bank.file_bank import FileBank
    from serving.bank.relay import Collector, Relay

    access, folder, clock, random = config.bank, config.var_dir / "bank", SystemClock(), SystemRandom()
    # Its own connections: a long ingest must not keep the bank's answers waiting.
    pool = open_pool(config.database.dsn("jobs", config.passwords["jobs"]), name="jobs-bank", max_size=4)
    acknowledgements = Acknowledger(transact=_transact(pool, _minter(config, "jobs")), random=random)

    # What is wrong with the settings is said at the start, and not by a thread.
    open_bank(access, folder=folder).close()

    def open_relay() -> tuple[Relay, Callable[[], None]]:
        bank = open_bank(access, folder=folder)
        relay = Relay(tenant_id=config.tenant_id, bank=bank, acknowledgements=acknowledgements, clock=clock, random=random)
        return relay, bank.close

    collector = Collector(config.tenant_id, FileBank(folder), acknowledgements, clock) if access.adapter == "file" else None
    deps = DeskDeps(
        tenant_id=config.tenant_id,
        adapter=access.adapter,
        open_relay=open_relay,
        collector=collector,
        acknowledgements=acknowledgements,
        callback_secret=decode_secret(access.callback_secret) if access.callback_secret else None,
        clock=clock,
    )
    return BankDesk(deps)


def build_money(config: ProcessConfig) -> FastAPI:
    """Build the money process: the gate, the executor, the signer of the log."""
    from gates.policy.bundle import load_bundle_directory
    from gates.receipts.signing_key import KeyFiles, ensure_signer, publish_verifier_key
    from gates.score.scorecard import load_scorecard
    from gates.submission import Rules
    from serving.money.app import create_money_app
    from serving.money.log_keeper import LogFiles
    from serving.money.service import MoneyDeps

    keys = KeyFiles(seed=config.secrets_dir / RECEIPT_KEY_FILE, public_keys=config.var_dir / PUBLIC_KEY_FILE)
    signer = ensure_signer(keys.seed)
    publish_verifier_key(signer, keys.public_keys)
    key = config.context_key

    def mint(tenant_id: str, role: LoginRole) -> str:
        return mint_context(key, tenant_id=tenant_id, role=role, expires_at=datetime.now(UTC) + _CONTEXT_LIFETIME)

    deps = MoneyDeps(
        gate_pool=_pool(config, "gate"),
        executor_pool=_pool(config, "executor"),
        mint=mint,
        tenant_ids=(config.tenant_id,),
        rules=Rules(scorecard=load_scorecard()),
        starter_bundle=load_bundle_directory(config.root_dir / "gates" / "bundles" / "starter"),
        signer=signer,
        log_files=LogFiles(keys, config.var_dir / ANCHOR_FOLDER),
        clock=SystemClock(),
        process_token=config.own_token,
    )
    return create_money_app(deps)


def build_agents(config: ProcessConfig) -> FastAPI:
    """Build the agents process: role `ai` and the model servers, nothing else."""
    from serving.agents_process.app import create_agents_app
    from serving.agents_process.parts import AgentsDeps, ReadyChat, ReadyEmbeddings

    async def open_pool() -> AsyncPool:
        return await open_async_pool(config.database.dsn("ai", config.passwords["ai"]), name="agents-ai", max_size=8)

    def make_chat() -> ReadyChat | None:
        if config.chat is None:
            return None
        from serving.vllm.factory import make_chat_gateway

        return make_chat_gateway(config.chat.endpoint, name=config.chat.model)

    def make_embeddings() -> ReadyEmbeddings | None:
        if config.embeddings is None:
            return None
        from serving.vllm.embeddings import VllmEmbeddings

        return VllmEmbeddings(config.embeddings.endpoint, name=config.embeddings.model)

    deps = AgentsDeps(
        open_pool=open_pool,
        make_chat=make_chat,
        make_embeddings=make_embeddings,
        clock=SystemClock(),
        monotonic=time.monotonic,
        process_token=config.own_token,
    )
    return create_agents_app(deps)


def build_edge(config: ProcessConfig) -> FastAPI:
    """Build the edge: console, API, vault."""
    from masking.keys import FileKeyProvider
    from masking.unmask import Unmasker
    from serving.edge.agents_client import AgentsClient
    from serving.edge.app import create_edge_app
    from serving.edge.bank_client import BankClient
    from serving.edge.database import EdgeDatabase
    from serving.edge.deps import EdgeDeps, EdgeOptions
    from serving.edge.ledger_client import LedgerClient
    from serving.edge.masking_boundary import MaskingBoundary
    from serving.edge.money_client import MoneyClient
    from serving.edge.reconciliation_client import ReconciliationClient

    keys = FileKeyProvider(config.secrets_dir)
    edge_pool, vault_pool = _pool(config, "edge", max_size=8), _pool(config, "vault", max_size=8)
    transact_vault = _transact(vault_pool, _minter(config, "vault"))
    boundary = MaskingBoundary(
        masker=_masker(config, transact_vault),
        unmasker=Unmasker(keys=keys, transact=transact_vault),
    )

    def close() -> None:
        edge_pool.close()
        vault_pool.close()

    deps = EdgeDeps(
        database=EdgeDatabase(edge_pool, _minter(config, "edge")),
        boundary=boundary,
        agents=AgentsClient(_peer(config, "agents")),
        money=MoneyClient(_peer(config, "money")),
        clock=SystemClock(),
        options=EdgeOptions(
            static_dir=config.root_dir / "static",
            ingest_dir=config.var_dir / "ingest",
            default_tenant_id=config.tenant_id,
            cookie_secure=config.cookie_secure,
            session_lifetime=timedelta(hours=config.session_hours),
        ),
        mint_agent_context=_minter(config, "ai"),
        start_ingest=_start_ingest(config),
        bank=BankClient(_peer(config, "jobs")),
        ledger=LedgerClient(_peer(config, "jobs")),
        reconciliation=ReconciliationClient(_peer(config, "jobs")),
        close=close,
    )
    return create_edge_app(deps)


def _peer(config: ProcessConfig, name: ProcessName) -> Any:
    from serving.edge.process_client import Peer

    return Peer(name=name, socket_path=config.peer_sockets[name], token=config.peer_tokens[name])


def _start_ingest(config: ProcessConfig) -> Callable[[IngestRequest], Mapping[str, Any]]:
    """Return a function that hands a stored upload to the jobs process and waits for its report."""
    from serving.edge.process_client import failure_of, read_json

    peer = _peer(config, "jobs")

    def start(request: IngestRequest) -> Mapping[str, Any]:
        body = {
            "tenant_id": request.tenant_id,
            "file_name": request.file.name,
            "file_format": request.file_format,
            "kind": request.kind,
        }
        transport = httpx.HTTPTransport(uds=str(peer.socket_path))
        headers = {"Authorization": f"Bearer {peer.token}"}
        try:
            with httpx.Client(transport=transport, headers=headers, timeout=_INGEST_TIMEOUT_S, trust_env=False) as client:
                answer = client.post("http://jobs/v1/ingest", json=body)
        except httpx.TransportError as error:
            raise failure_of(peer, error) from error
        return read_json(peer, answer)

    return start
