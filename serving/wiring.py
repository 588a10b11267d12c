"""The one place that joins planes: each function builds the parts of one process from what the supervisor told it.

Imports stand inside the functions, so that a process loads what it needs and no more (presidio alone takes two seconds).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
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

    from masking.detection import Detects
    from masking.guard import Surface
    from masking.keys import StoredKeyProvider
    from masking.masker import Masker
    from masking.meter import MaskMeter
    from masking.number_index import NumberIndexes
    from serving.bank.desk import BankDesk
    from serving.edge.deps import IngestRequest
    from serving.ingest.demo_load import DemoReport
    from serving.ingest.ingest import IngestDeps
    from serving.jobs.anchoring import AnchorSender
    from serving.jobs.knowledge import KnowledgeDeps
    from serving.jobs.leaks import LeakDesk
    from serving.jobs.ledger import LedgerKeeper
    from serving.key_service.access import KeyServiceAccess
    from serving.leak_watch import RecordWatch

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


def _masker(config: ProcessConfig, transact_vault: Transact, *, indexes: NumberIndexes, meter: MaskMeter | None = None) -> Masker:
    from masking.masker import Masker
    from masking.vault import Vault
    from serving.artifacts import NAMES, NER, require_artifact

    keys = _key_provider(config.secrets_dir, config.key_service)
    ner_folder = config.models_dir / "ner"
    require_artifact(config.artifacts, kind=NER, name=NAMES, path=ner_folder)
    detector: Detects
    if config.masking_processes:
        from masking.detector_pool import DetectorPool

        detector = DetectorPool(ner_folder, config.masking_processes)
    else:
        from masking.detection import build_detector

        detector = build_detector(ner_folder)
    return Masker(
        detector=detector,
        vault=Vault(keys),
        keys=keys,
        transact=transact_vault,
        indexes=indexes,
        meter=meter,
        monotonic=time.monotonic,
    )


@cache
def _key_provider(secrets_dir: Path, access: KeyServiceAccess) -> StoredKeyProvider:
    """Return the process's one provider: a key service is asked once for a key, and a rotation is seen everywhere at once."""
    from serving.key_service.access import open_key_provider

    return open_key_provider(access, secrets_dir=secrets_dir)


def _number_indexes(config: ProcessConfig, transact_vault: Transact) -> NumberIndexes:
    from masking.number_index import NumberIndexes

    return NumberIndexes(transact_vault, _key_provider(config.secrets_dir, config.key_service))


def _record_watch(config: ProcessConfig, role: LoginRole, indexes: NumberIndexes, forget: Callable[[str], None]) -> RecordWatch:
    """Return what keeps the index current, and tell `forget` of each change. Its own connection: no upload keeps it waiting."""
    from serving.leak_watch import RecordWatch, WatchDeps

    pool = open_pool(config.database.dsn(role, config.passwords[role]), name=f"{config.name}-watch", max_size=1)
    return RecordWatch(WatchDeps((config.tenant_id,), _transact(pool, _minter(config, role)), indexes, (forget,)))


def _guard_output(config: ProcessConfig, transact: Transact, indexes: NumberIndexes | None) -> None:
    """Let the log's guard know this process's index, and open incidents in its name."""
    from serving.log_guard import OUTPUT_GUARD
    from storage.leaks import report_leak

    def report(surface: Surface, classes: Sequence[str], place: str) -> None:
        with transact(config.tenant_id) as connection:
            report_leak(connection, surface=surface.value, classes=classes, place=place, now=SystemClock().now())

    OUTPUT_GUARD.join(index_of=lambda: None if indexes is None else indexes.find_loaded(config.tenant_id), report=report)


def _masker_or_refusal(
    config: ProcessConfig, transact_vault: Transact, *, indexes: NumberIndexes, meter: MaskMeter | None = None
) -> Masker:
    from serving.edge.refusing_masker import refuse_masking
    from storage.registry import UnapprovedArtifact

    try:
        return _masker(config, transact_vault, indexes=indexes, meter=meter)
    except UnapprovedArtifact as error:
        # Reading goes on; a text that cannot be masked is not taken.
        return refuse_masking(error)


def _ingest_deps(config: ProcessConfig) -> IngestDeps:
    from masking.vault import Vault
    from serving.ingest.ingest import IngestDeps

    transact_vault = _transact(_pool(config, "vault"), _minter(config, "vault", _INGEST_CONTEXT_LIFETIME))
    indexes = _number_indexes(config, transact_vault)
    return IngestDeps(
        transact_jobs=_transact(_pool(config, "jobs"), _minter(config, "jobs", _INGEST_CONTEXT_LIFETIME)),
        transact_vault=transact_vault,
        vault=Vault(_key_provider(config.secrets_dir, config.key_service)),
        # One for a process: it takes seconds, and only texts ask for it.
        make_masker=cache(lambda: _masker_or_refusal(config, transact_vault, indexes=indexes)),
        indexes=indexes,
    )


def _leak_desk(config: ProcessConfig, indexes: NumberIndexes) -> LeakDesk:
    from serving.jobs.leaks import LeakDesk

    # Its own connections: no upload keeps a prompt waiting.
    pool = open_pool(config.database.dsn("jobs", config.passwords["jobs"]), name="jobs-leaks", max_size=2)
    return LeakDesk(config.tenant_id, indexes, _transact(pool, _minter(config, "jobs")), SystemClock())


def _knowledge_deps(config: ProcessConfig, ingest: IngestDeps, leaks: LeakDesk | None = None) -> KnowledgeDeps:
    """Join the parts of indexing. Without a desk that checks texts nothing is embedded."""
    from masking.guard import Surface
    from serving.jobs.knowledge import KnowledgeDeps
    from serving.vllm.embeddings import VllmEmbeddings
    from serving.vllm.guarding import GuardedEmbeddings

    embedder = None
    if config.embeddings is not None and leaks is not None:
        embedder = GuardedEmbeddings(
            VllmEmbeddings(config.embeddings.endpoint, name=config.embeddings.model),
            tenant_id=config.tenant_id,
            check_batch=lambda texts: leaks.require_clean(texts, tenant_id=config.tenant_id, surface=Surface.EMBEDDING),
        )
    return KnowledgeDeps(transact_jobs=ingest.transact_jobs, make_masker=ingest.make_masker, embedder=embedder)


def load_first_data(config: ProcessConfig, now: datetime) -> tuple[DemoReport, int]:
    """Load the demo tenant and its knowledge base. Idempotent. Returns what was loaded and the number of changed articles."""
    from serving.edge.boundary import MaskingFailed
    from serving.ingest.demo_load import DemoDeps, load_demo
    from serving.ingest.demo_logins import DEMO_LOGINS_FILE
    from serving.jobs.demo_settlement import load_demo_settlement
    from serving.jobs.knowledge import index_articles, read_articles
    from storage.registry import UnapprovedArtifact

    ingest = _ingest_deps(config)
    demo = DemoDeps(
        ingest=ingest,
        ensure_tenant_keys=_key_provider(config.secrets_dir, config.key_service).ensure_tenant_keys,
        logins_path=config.var_dir / DEMO_LOGINS_FILE,
        scenarios_path=config.var_dir / DEMO_SCENARIOS_FILE,
        tenant_id=config.tenant_id,
    )
    report = load_demo(demo, now)
    load_demo_settlement(ingest.transact_jobs, tenant_id=config.tenant_id, now=now)
    articles = read_articles(config.root_dir / "demo" / "knowledge")
    try:
        changed = index_articles(_knowledge_deps(config, ingest), articles, tenant_id=config.tenant_id, now=now)
    except MaskingFailed as error:
        if error.code != UnapprovedArtifact.code:
            raise
        # The supervisor said it; what is indexed stays, and everything that needs no masking goes on.
        changed = 0
    return report, changed


def build_jobs(config: ProcessConfig) -> FastAPI:
    """Build the jobs process."""
    from serving.jobs.app import JobsDeps, create_jobs_app
    from serving.jobs.reconciliation import ReconciliationDesk, declare_reconciliation_tasks
    from serving.jobs.tasks import declare_tasks
    from storage.jobs import make_job_app

    ingest = _ingest_deps(config)
    job_app = make_job_app(config.database.dsn("jobs", config.passwords["jobs"]))
    indexes = ingest.indexes or _number_indexes(config, ingest.transact_vault)
    leaks = _leak_desk(config, indexes)
    _guard_output(config, leaks.transact, indexes)
    declare_tasks(job_app, _knowledge_deps(config, ingest, leaks), tenant_id=config.tenant_id)
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
        anchors=_anchor_sender(config, leaks),
        leaks=leaks,
        watch=_record_watch(config, "jobs", indexes, _forget_masked(ingest.make_masker)),
    )
    return create_jobs_app(deps)


def _forget_masked(make_masker: Callable[[], Masker]) -> Callable[[str], None]:
    """Return a function that lets the masker forget a tenant, where one was made."""
    cache_info = getattr(make_masker, "cache_info", None)

    def forget(tenant_id: str) -> None:
        from masking.masker import Masker

        masker = make_masker() if cache_info is not None and cache_info().currsize else None
        if isinstance(masker, Masker):
            masker.forget_tenant(tenant_id)

    return forget


def _anchor_sender(config: ProcessConfig, leaks: LeakDesk) -> AnchorSender | None:
    from serving.jobs.anchoring import AnchorDeps, AnchorSender

    if config.anchor_url is None:
        return None
    pool = open_pool(config.database.dsn("jobs", config.passwords["jobs"]), name="jobs-anchoring", max_size=1)
    transact = _transact(pool, _minter(config, "jobs"))
    return AnchorSender(AnchorDeps(config.anchor_url, (config.tenant_id,), transact, SystemClock(), leaks.require_clean))


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
    from serving.money.service import CONNECTIONS, MoneyDeps

    keys = KeyFiles(seed=config.secrets_dir / RECEIPT_KEY_FILE, public_keys=config.var_dir / PUBLIC_KEY_FILE)
    signer = ensure_signer(keys.seed)
    publish_verifier_key(signer, keys.public_keys)
    key = config.context_key

    def mint(tenant_id: str, role: LoginRole) -> str:
        return mint_context(key, tenant_id=tenant_id, role=role, expires_at=datetime.now(UTC) + _CONTEXT_LIFETIME)

    gate_pool = _pool(config, "gate", max_size=CONNECTIONS)
    _guard_output(config, _transact(gate_pool, _minter(config, "gate")), None)
    deps = MoneyDeps(
        gate_pool=gate_pool,
        executor_pool=_pool(config, "executor", max_size=CONNECTIONS),
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
    from prompts.library import PromptLibrary
    from serving.agents_process.app import create_agents_app
    from serving.agents_process.parts import AgentsDeps, ReadyChat, ReadyEmbeddings
    from serving.leak_client import LeakClient
    from serving.log_guard import OUTPUT_GUARD

    guard = LeakClient(_peer(config, "jobs"))
    # It may sign no context, so the jobs process opens its incidents.
    OUTPUT_GUARD.join(
        report=lambda surface, classes, place: guard.report(
            tenant_id=config.tenant_id, surface=surface, classes=classes, place=place
        )
    )

    async def open_pool() -> AsyncPool:
        return await open_async_pool(config.database.dsn("ai", config.passwords["ai"]), name="agents-ai", max_size=8)

    def make_chat() -> ReadyChat | None:
        if config.chat is None:
            return None
        from serving.vllm.factory import make_chat_gateway

        return make_chat_gateway(config.chat.endpoint, name=config.chat.model, guard=guard)

    def make_embeddings() -> ReadyEmbeddings | None:
        if config.embeddings is None:
            return None
        from serving.vllm.embeddings import VllmEmbeddings
        from serving.vllm.guarding import GuardedEmbeddings

        inner = VllmEmbeddings(config.embeddings.endpoint, name=config.embeddings.model)
        return GuardedEmbeddings(inner, tenant_id=config.tenant_id, guard=guard)

    def load_prompts() -> PromptLibrary | None:
        from serving.artifacts import load_approved_prompts

        return load_approved_prompts(config.artifacts)

    deps = AgentsDeps(
        open_pool=open_pool,
        load_prompts=load_prompts,
        make_chat=make_chat,
        make_embeddings=make_embeddings,
        clock=SystemClock(),
        monotonic=time.monotonic,
        process_token=config.own_token,
    )
    return create_agents_app(deps)


def build_edge(config: ProcessConfig) -> FastAPI:
    """Build the edge: console, API, vault."""
    from masking.masker import Masker
    from masking.unmask import Unmasker
    from serving.edge.agents_client import AgentsClient
    from serving.edge.app import create_edge_app
    from serving.edge.bank_client import BankClient
    from serving.edge.database import EdgeDatabase
    from serving.edge.deps import EdgeDeps, EdgeOptions
    from serving.edge.ledger_client import LedgerClient
    from serving.edge.masking_boundary import MaskingBoundary
    from serving.edge.metrics import MaskingMetrics
    from serving.edge.money_client import MoneyClient
    from serving.edge.reconciliation_client import ReconciliationClient
    from serving.edge.vault_keeper import VaultKeeper
    from serving.edge.viewing import ViewingRules

    keys = _key_provider(config.secrets_dir, config.key_service)
    edge_pool, vault_pool = _pool(config, "edge", max_size=8), _pool(config, "vault", max_size=8)
    transact_vault = _transact(vault_pool, _minter(config, "vault"))
    indexes, meter = _number_indexes(config, transact_vault), MaskingMetrics()
    masker = _masker_or_refusal(config, transact_vault, indexes=indexes, meter=meter)
    watch = _record_watch(config, "edge", indexes, masker.forget_tenant if isinstance(masker, Masker) else _forget_nothing)
    watch.start()
    edge_transact = _transact(edge_pool, _minter(config, "edge"))
    _guard_output(config, edge_transact, indexes)
    boundary = MaskingBoundary(
        masker=masker,
        unmasker=Unmasker(keys=keys, transact=transact_vault),
    )

    def close() -> None:
        watch.stop()
        if isinstance(masker, Masker):
            masker.close()
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
            viewing=ViewingRules(config.office_networks, config.device_header, config.sensitive_segments),
        ),
        mint_agent_context=_minter(config, "ai"),
        start_ingest=_start_ingest(config),
        bank=BankClient(_peer(config, "jobs")),
        ledger=LedgerClient(_peer(config, "jobs")),
        reconciliation=ReconciliationClient(_peer(config, "jobs")),
        vault=VaultKeeper(transact_vault, keys, masker.forget_subject if isinstance(masker, Masker) else _forget_nobody),
        number_index_of=indexes.of,
        metrics=meter,
        close=close,
    )
    return create_edge_app(deps)


def _forget_nothing(_: str) -> None:
    """Stand in where there is no masker: nothing is kept there."""


def _forget_nobody(tenant_id: str, subject_id: str) -> None:
    """As above, for one customer."""


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
