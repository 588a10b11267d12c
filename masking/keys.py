"""The tenant's keys: one secret a tenant and version, everything else derived from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from domain.errors import SetupError
from storage.secrets import ensure_secret, read_secret
from storage.tenancy import require_tenant_id


class TenantKeyMissing(SetupError):
    """Say that a tenant has no vault key, so nothing of it can be masked or shown."""

    code = "tenant_key_missing"


@dataclass(frozen=True, slots=True)
class TenantKeys:
    """Hold what a tenant's vault needs. Tokens and fingerprints stay on version 1: they are identity, not secrecy of storage.

    `wraps` maps a version to the key that wraps data keys; the highest is used for new ones.
    """

    tenant_id: str
    token: bytes = field(repr=False)
    fingerprint: bytes = field(repr=False)
    cache: bytes = field(repr=False)
    seal: bytes = field(repr=False)
    wraps: Mapping[int, bytes] = field(repr=False)

    @property
    def wrap_version(self) -> int:
        """Return the version that wraps new data keys."""
        return max(self.wraps)


class KeyProvider(Protocol):
    """Give a tenant's keys: from files here, from a key service elsewhere."""

    def tenant_keys(self, tenant_id: str) -> TenantKeys:
        """Return the keys. Raises: TenantKeyMissing."""
        ...


class FileKeyProvider:
    """Keep tenant keys in files `vault_<tenant>.v<version>.key`, mode 0600."""

    def __init__(self, secrets_dir: Path) -> None:
        self._secrets_dir = secrets_dir
        self._held: dict[str, TenantKeys] = {}

    def tenant_keys(self, tenant_id: str) -> TenantKeys:
        """Return the keys, read once. Raises: TenantKeyMissing, SecretFileInsecure."""
        held = self._held.get(tenant_id)
        if held is None:
            held = self._held[tenant_id] = self._read(require_tenant_id(tenant_id))
        return held

    def ensure_tenant_keys(self, tenant_id: str) -> TenantKeys:
        """Make version 1 if the tenant has no key yet. Idempotent; for set-up and loading only."""
        ensure_secret(self._path(require_tenant_id(tenant_id), 1))
        return self.tenant_keys(tenant_id)

    def _path(self, tenant_id: str, version: int) -> Path:
        return self._secrets_dir / f"vault_{tenant_id}.v{version}.key"

    def _read(self, tenant_id: str) -> TenantKeys:
        shape = re.compile(rf"vault_{re.escape(tenant_id)}\.v(\d+)\.key")
        matches = [shape.fullmatch(path.name) for path in self._secrets_dir.glob(f"vault_{tenant_id}.v*.key")]
        versions = sorted(int(match[1]) for match in matches if match)
        if not versions or versions[0] != 1:
            raise TenantKeyMissing(
                f"tenant {tenant_id} has no vault key in {self._secrets_dir}: load the tenant, or restore its key"
            )
        secrets = {version: bytes.fromhex(read_secret(self._path(tenant_id, version))) for version in versions}
        return TenantKeys(
            tenant_id=tenant_id,
            token=_derive(secrets[1], "token"),
            fingerprint=_derive(secrets[1], "fingerprint"),
            cache=_derive(secrets[1], "cache"),
            seal=_derive(secrets[1], "seal"),
            wraps={version: _derive(secret, "wrap") for version, secret in secrets.items()},
        )


def _derive(secret: bytes, purpose: str) -> bytes:
    """Source: RFC 5869; the secret is uniform, so no salt is needed."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"tellergate/vault/{purpose}".encode()).derive(secret)
