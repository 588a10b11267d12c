"""The one place that reads the environment. Read once at start; frozen; units in the names.

Every variable is `TELLERGATE_<FIELD>`. Child processes do not read it: the supervisor hands each one what it may know.
"""

from __future__ import annotations

import os
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from agents.offline import offline_environment
from domain.errors import SetupError
from serving.bank.access import BankAccess
from serving.key_service.access import KeyServiceAccess

ROOT_DIR = Path(__file__).resolve().parents[1]

OFFLINE_ENVIRONMENT: dict[str, str] = {
    **offline_environment(),
    "GUARDRAILS_METRICS": "false",
    "OTEL_SDK_DISABLED": "true",
    "ANONYMIZED_TELEMETRY": "False",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_NUM_THREADS": "1",
}
"""What every process of ours runs with: no library reaches for the network when it is imported or used."""

# Only what a program needs to run; everything else is handed over by name.
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE")
_TOKEN_VARIABLE = "TELLERGATE_TOKEN"  # noqa: S105 - the name of a variable, not a secret


class Settings(BaseSettings):
    """Hold what the operator of the machine may choose."""

    model_config = SettingsConfigDict(env_prefix="TELLERGATE_", frozen=True, extra="ignore", validate_default=True)

    mode: Literal["demo", "production"] = "demo"
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8460
    var_dir: Path = ROOT_DIR / "var"
    backup_dir: Path = Path("backup")
    """Base backups and the archive of the log; on another disk it outlives this one. Relative: below `var_dir`."""
    wal_archive_timeout_s: Annotated[int, Field(ge=1, le=3600)] = 60
    """How long a commit may wait, at little load, until the log that holds it is archived."""
    models_dir: Path = Path("models")
    """Your own models, folders `chat`, `embedding`, `ner`. Unset: where set-up put the starter models, below `var_dir`."""
    tenant_id: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")] = "demo"
    database_dsn: str | None = Field(default=None, repr=False)
    """An administrator's DSN of an outside PostgreSQL 16+ with pgvector. Unset: the embedded server."""
    vllm: Literal["cpu", "gpu", "none"] = "cpu"
    """Which build of vLLM was set up; `none`: templates write every answer."""
    with_model: bool = True
    with_embeddings: bool = True
    bank_url: str | None = None
    """Base URL of the bank's API, the one place that instructions go to. Unset: files below `var_dir`, and nothing leaves."""
    bank_token: str | None = Field(default=None, repr=False)
    bank_ca_file: Path | None = None
    """Certificates to trust instead of the machine's own, for the bank's API only."""
    bank_callback_secret: str | None = Field(default=None, repr=False)
    """`whsec_…`; the bank signs its callbacks with it. Unset: no callbacks."""
    anchor_url: str | None = None
    """Where the receipt log's head is sent by POST when it moves, beside `var/anchors/`. Unset: nowhere."""
    kms_url: str | None = None
    """Base URL of a key service with HashiCorp's Transit API, which keeps the tenants' keys. Unset: files below `var_dir`."""
    kms_token: str | None = Field(default=None, repr=False)
    kms_key: str = "tellergate-vault"
    masking_processes: Annotated[int, Field(ge=0, le=16)] | None = None
    """Processes that look for values in what people type. 0: the edge itself does. Unset: one, and none on one or two cores."""
    cookie_secure: bool = False
    session_hours: Annotated[int, Field(ge=1, le=24)] = 10
    office_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = ()
    """Networks such as `10.1.0.0/16,2001:db8::/48` that count as the office. Empty: every address does."""
    device_header: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")] = None
    """A header that the proxy in front sets for devices that it knows, and takes off otherwise. Unset: every device is known."""
    sensitive_segments: Annotated[frozenset[str], NoDecode] = frozenset()
    """Segments of customers, by commas, whose papers nobody is shown in full."""

    @field_validator("var_dir")
    @classmethod
    def _absolute(cls, folder: Path) -> Path:
        return folder if folder.is_absolute() else ROOT_DIR / folder

    @field_validator("office_networks", "sensitive_segments", mode="before")
    @classmethod
    def _by_commas(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("models_dir", "backup_dir")
    @classmethod
    def _below_var(cls, folder: Path, info: ValidationInfo) -> Path:
        return folder if folder.is_absolute() else Path(info.data.get("var_dir", ROOT_DIR / "var")) / folder

    @model_validator(mode="after")
    def _safe_for_production(self) -> Settings:
        if self.mode == "production" and self.database_dsn is None:
            raise ValueError("production mode needs TELLERGATE_DATABASE_DSN: the embedded server is for one machine")
        if self.mode == "production" and not self.cookie_secure:
            raise ValueError("production mode needs TELLERGATE_COOKIE_SECURE=true behind TLS")
        return self

    @field_validator("anchor_url")
    @classmethod
    def _outside(cls, url: str | None) -> str | None:
        parts = urlsplit(url or "")
        if url is not None and not (
            parts.hostname
            and not parts.username
            and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in {"127.0.0.1", "::1", "localhost"}))
        ):
            raise ValueError(
                "TELLERGATE_ANCHOR_URL must be https://… (http:// only to this machine itself), without a user in it"
            )
        return url

    @model_validator(mode="after")
    def _reachable_outside(self) -> Settings:
        try:
            make_bank_access(self)
            make_key_service_access(self)
        except ValidationError as error:
            # Without the input: it holds the token.
            faults = (fault["msg"].removeprefix("Value error, ") for fault in error.errors(include_input=False))
            raise ValueError("; ".join(faults)) from None
        return self

    @property
    def secrets_dir(self) -> Path:
        """Return the folder of 0600 secret files."""
        return self.var_dir / "secrets"

    @property
    def run_dir(self) -> Path:
        """Return the folder of sockets, locks and the state of the parts."""
        return self.var_dir / "run"

    @property
    def log_dir(self) -> Path:
        """Return the folder of the processes' logs."""
        return self.var_dir / "log"


def make_bank_access(settings: Settings) -> BankAccess:
    """Return what the jobs process is told of the bank. Raises: pydantic.ValidationError."""
    return BankAccess(
        base_url=settings.bank_url,
        token=settings.bank_token,
        ca_file=settings.bank_ca_file,
        callback_secret=settings.bank_callback_secret,
    )


def make_key_service_access(settings: Settings) -> KeyServiceAccess:
    """Return what the processes that hold the vault's role are told of the key service. Raises: pydantic.ValidationError."""
    return KeyServiceAccess(base_url=settings.kms_url, token=settings.kms_token, key=settings.kms_key)


def read_settings() -> Settings:
    """Read the environment. Raises: SetupError that names each variable that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        faults = "; ".join(_describe(fault["loc"], fault["msg"]) for fault in error.errors(include_input=False))
        raise SetupError(f"settings: {faults}", code="invalid_settings") from None


def _describe(location: tuple[int | str, ...], message: str) -> str:
    if not location:
        return message
    return f"TELLERGATE_{str(location[0]).upper()}: {message}"


def read_session_token() -> str:
    """Return the session token that a script handed over in TELLERGATE_TOKEN, "" if there is none."""
    return os.environ.get(_TOKEN_VARIABLE, "")


def make_child_environment() -> dict[str, str]:
    """Return a clean environment for our processes: nothing secret, and every library told to stay offline."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return {**kept, **OFFLINE_ENVIRONMENT, "PYTHONPATH": str(ROOT_DIR), "PYTHONUNBUFFERED": "1"}
