"""Which processes there are, with what each may know."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from serving.bank.access import BankAccess
from serving.key_service.access import KeyServiceAccess
from serving.launch import HOLDS_CONTEXT_KEY, PEERS_OF, ROLES_OF, NamedModel, ProcessConfig, ProcessName
from serving.settings import ROOT_DIR, Settings, make_bank_access, make_child_environment, make_key_service_access
from serving.supervisor.parts import PartSpec, answers_http
from storage.roles import read_role_password
from storage.server_address import ServerAddress
from storage.tenancy import read_context_key

PROCESSES: tuple[ProcessName, ...] = ("money", "agents", "jobs", "edge")
# The gate's decisions must not wait behind a model that fills both cores.
_NICENESS: Mapping[ProcessName, int] = {"money": 0, "edge": 0, "agents": 2, "jobs": 5}
SOCKET_NAMES: Mapping[ProcessName, str] = {
    "money": "money.sock",
    "agents": "agents.sock",
    "jobs": "jobs.sock",
    "edge": "api.sock",
}


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Hold the two model servers, None where there is none."""

    chat: NamedModel | None
    embeddings: NamedModel | None


def plan_processes(
    settings: Settings, *, socket_dir: Path, database: ServerAddress, endpoints: Endpoints, artifacts: Mapping[str, str]
) -> tuple[PartSpec, ...]:
    """Return the specs of our own processes. Tokens between them are made anew at each start and never touch the disk.

    `artifacts` are the hashes of what was admitted, by kind and name.
    """
    tokens = {name: secrets.token_hex(32) for name in PROCESSES}
    plan = _Plan(settings, socket_dir, database, endpoints, tokens, artifacts)
    return tuple(_spec_of(settings, plan.config_of(name)) for name in PROCESSES)


def plan_first_load(
    settings: Settings, *, socket_dir: Path, database: ServerAddress, artifacts: Mapping[str, str]
) -> ProcessConfig:
    """Return the configuration of the one-shot process that loads the demo tenant: that of the jobs process, with no peers."""
    plan = _Plan(settings, socket_dir, database, Endpoints(chat=None, embeddings=None), {"jobs": ""}, artifacts)
    return plan.config_of("jobs")


_FEW_CORES = 2


@dataclass(frozen=True, slots=True)
class _Plan:
    settings: Settings
    socket_dir: Path
    database: ServerAddress
    endpoints: Endpoints
    tokens: Mapping[ProcessName, str]
    artifacts: Mapping[str, str]

    def config_of(self, name: ProcessName) -> ProcessConfig:
        settings = self.settings
        return ProcessConfig(
            name=name,
            tenant_id=settings.tenant_id,
            root_dir=ROOT_DIR,
            var_dir=settings.var_dir,
            models_dir=settings.models_dir,
            socket_path=self.socket_dir / SOCKET_NAMES[name],
            own_token=self.tokens[name],
            peer_sockets={peer: self.socket_dir / SOCKET_NAMES[peer] for peer in PEERS_OF[name]},
            peer_tokens={peer: self.tokens[peer] for peer in PEERS_OF[name]},
            database=self.database,
            passwords={role: read_role_password(settings.secrets_dir, role) for role in ROLES_OF[name]},
            context_key_hex=self._context_key() if name in HOLDS_CONTEXT_KEY else None,
            chat=self.endpoints.chat if name == "agents" else None,
            embeddings=self.endpoints.embeddings if name in ("agents", "jobs") else None,
            bank=make_bank_access(settings) if name == "jobs" else BankAccess(),
            anchor_url=settings.anchor_url if name == "jobs" else None,
            key_service=make_key_service_access(settings) if "vault" in ROLES_OF[name] else KeyServiceAccess(),
            artifacts=dict(self.artifacts),
            host=settings.host,
            port=settings.port,
            masking_processes=count_masking_processes(settings) if name == "edge" else 0,
            cookie_secure=settings.cookie_secure,
            session_hours=settings.session_hours,
            office_networks=settings.office_networks,
            device_header=settings.device_header,
            sensitive_segments=settings.sensitive_segments,
        )

    def _context_key(self) -> str:
        return read_context_key(self.settings.secrets_dir).hex()


def count_masking_processes(settings: Settings) -> int:
    """Return how many processes look for values, as chosen or by the machine's cores."""
    if settings.masking_processes is not None:
        return settings.masking_processes
    return 1 if len(os.sched_getaffinity(0)) > _FEW_CORES else 0


def _spec_of(settings: Settings, config: ProcessConfig) -> PartSpec:
    return PartSpec(
        name=config.name,
        argv=(sys.executable, "-m", f"serving.processes.{config.name}"),
        environment=make_child_environment(),
        log_file=settings.log_dir / f"{config.name}.log",
        is_ready=partial(answers_http, config.socket_path, "/livez" if config.name == "edge" else "/healthz"),
        standard_input=config.model_dump_json().encode(),
        niceness=_NICENESS[config.name],
        socket_path=config.socket_path,
    )
