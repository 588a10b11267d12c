"""What a child process is told by the supervisor: its own passwords, token and peers, and nothing else.

It travels as one JSON object on standard input, so that no secret stands in an environment, an argument or a file that
a process has no use for.
"""

from __future__ import annotations

import sys
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.errors import SetupError
from serving.bank.access import BankAccess
from serving.key_service.access import KeyServiceAccess
from serving.vllm.endpoint import ModelEndpoint
from storage.roles import LoginRole
from storage.server_address import ServerAddress

ProcessName = Literal["edge", "agents", "money", "jobs"]

ROLES_OF: dict[ProcessName, tuple[LoginRole, ...]] = {
    "edge": ("edge", "vault"),
    "agents": ("ai",),
    "money": ("gate", "executor"),
    "jobs": ("jobs", "vault"),
}
HOLDS_CONTEXT_KEY: frozenset[ProcessName] = frozenset({"edge", "money", "jobs"})
PEERS_OF: dict[ProcessName, tuple[ProcessName, ...]] = {
    "edge": ("agents", "money", "jobs"),
    "agents": ("jobs",),
    "money": (),
    "jobs": (),
}


class NamedModel(BaseModel):
    """Say where a model server answers; `model` is the name that records hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    endpoint: ModelEndpoint = Field(repr=False)


class ProcessConfig(BaseModel):
    """Hold everything that one process knows of the machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ProcessName
    tenant_id: str
    root_dir: Path
    var_dir: Path
    models_dir: Path
    socket_path: Path
    own_token: str = Field(repr=False)
    peer_sockets: dict[ProcessName, Path]
    peer_tokens: dict[ProcessName, str] = Field(repr=False)
    database: ServerAddress
    passwords: dict[LoginRole, str] = Field(repr=False)
    context_key_hex: str | None = Field(default=None, repr=False)
    chat: NamedModel | None = None
    embeddings: NamedModel | None = None
    bank: BankAccess = BankAccess()
    anchor_url: str | None = None
    key_service: KeyServiceAccess = KeyServiceAccess()
    artifacts: dict[str, str] = {}
    """The hash of each approved content, by kind and name: what is not among them may not be loaded."""
    host: str = "127.0.0.1"
    port: int = 8460
    masking_processes: int = 0
    cookie_secure: bool = False
    session_hours: int = 10
    office_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    device_header: str | None = None
    sensitive_segments: frozenset[str] = frozenset()

    @property
    def secrets_dir(self) -> Path:
        """Return the folder of the tenant keys and the signing key."""
        return self.var_dir / "secrets"

    @property
    def context_key(self) -> bytes:
        """Return the key that signs tenant contexts. Raises: SetupError for a process that must not hold it."""
        if self.context_key_hex is None:
            raise SetupError(f"the {self.name} process holds no tenant context key", code="no_context_key")
        return bytes.fromhex(self.context_key_hex)


def read_process_config(name: ProcessName) -> ProcessConfig:
    """Read the configuration from standard input. Raises: SetupError."""
    try:
        config = ProcessConfig.model_validate_json(sys.stdin.read())
    except ValidationError as error:
        raise SetupError(
            f"the {name} process was started without its configuration: start everything with ./tellergate up",
            code="no_process_config",
        ) from error
    if config.name != name:
        raise SetupError(f"configuration of {config.name} handed to {name}", code="wrong_process_config")
    return config
