"""How this installation reaches its key service, as its settings say; without any, secrets lie in files of 0600."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from masking.keys import StoredKeyProvider

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class KeyServiceAccess(BaseModel):
    """Hold what the operator of the machine set. No `base_url`: files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str | None = None
    token: str | None = Field(default=None, repr=False)
    key: str = Field(default="tellergate-vault", pattern=r"^[A-Za-z0-9_-]{1,64}$")

    @model_validator(mode="after")
    def _whole(self) -> KeyServiceAccess:
        if self.base_url is None:
            if self.token is not None:
                raise ValueError("TELLERGATE_KMS_TOKEN has a use with TELLERGATE_KMS_URL only")
            return self
        parts = urlsplit(self.base_url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise ValueError("TELLERGATE_KMS_URL must be https://… (http:// only to this machine itself)")
        if not parts.hostname or parts.username or parts.query or parts.fragment:
            raise ValueError("TELLERGATE_KMS_URL must be a bare base URL: a host, a path, nothing else")
        if not self.token or not (self.token.isascii() and self.token.isprintable()):
            raise ValueError("TELLERGATE_KMS_URL needs TELLERGATE_KMS_TOKEN: printable ASCII")
        return self


def open_key_provider(access: KeyServiceAccess, *, secrets_dir: Path) -> StoredKeyProvider:
    """Make the provider that the settings mean; it asks nobody before its first use."""
    from masking.key_services import open_kms_key_provider
    from masking.keys import FileKeyProvider
    from serving.key_service.transit import TransitKeyService

    if access.base_url is None:
        return FileKeyProvider(secrets_dir)
    service = TransitKeyService(base_url=access.base_url, token=access.token or "")
    return open_kms_key_provider(service, secrets_dir, key_ref=access.key)
