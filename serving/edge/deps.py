"""Everything the edge needs, already built. `serving.wiring` makes it; tests make their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from domain.clock import Clock
from masking.number_index import NumberIndex
from serving.edge.agents_client import AgentsClient
from serving.edge.bank_client import BankClient
from serving.edge.boundary import Boundary
from serving.edge.database import EdgeDatabase
from serving.edge.ledger_client import LedgerClient
from serving.edge.metrics import MaskingMetrics
from serving.edge.money_client import MoneyClient
from serving.edge.reconciliation_client import ReconciliationClient
from serving.edge.vault_keeper import VaultKeeper
from serving.edge.viewing import ViewingRules


@dataclass(frozen=True, slots=True)
class EdgeOptions:
    """Hold what the operator of the machine chose."""

    static_dir: Path
    ingest_dir: Path
    default_tenant_id: str
    cookie_secure: bool = False
    session_lifetime: timedelta = timedelta(hours=10)
    max_ingest_bytes: int = 512 * 1024 * 1024
    receipt_key_hint: str = "var/receipts.pub"
    viewing: ViewingRules = field(default_factory=ViewingRules)


@dataclass(frozen=True, slots=True)
class IngestRequest:
    """Name a stored upload and who sent it."""

    tenant_id: str
    operator_id: str
    kind: str
    file: Path
    file_format: str


@dataclass(frozen=True, slots=True)
class EdgeDeps:
    """Hold the parts. `start_ingest` loads a stored upload and returns its report; it may take a while and runs in a thread.

    `mint_agent_context` signs a short-lived tenant context for role `ai`.
    """

    database: EdgeDatabase
    boundary: Boundary
    agents: AgentsClient
    money: MoneyClient
    clock: Clock
    options: EdgeOptions
    mint_agent_context: Callable[[str], str]
    start_ingest: Callable[[IngestRequest], Mapping[str, Any]]
    bank: BankClient | None = None
    ledger: LedgerClient | None = None
    reconciliation: ReconciliationClient | None = None
    vault: VaultKeeper | None = None
    number_index_of: Callable[[str], NumberIndex | None] = field(default=lambda _: None)
    metrics: MaskingMetrics = field(default_factory=MaskingMetrics)
    close: Callable[[], None] = field(default=lambda: None)
