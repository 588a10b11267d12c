"""The tenant's keys: one secret a tenant and version, everything else derived from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
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
    """Hold what a tenant's vault needs. All but `wraps` stays on version 1: it is identity, not secrecy of storage.

    `wraps` maps a version to the key that wraps data keys; the highest is used for new ones. `guard` keys the fingerprints by
    which a leak is recognised without the value.
    """

    tenant_id: str
    token: bytes = field(repr=False)
    fingerprint: bytes = field(repr=False)
    cache: bytes = field(repr=False)
    seal: bytes = field(repr=False)
    guard: bytes = field(repr=False)
    wraps: Mapping[int, bytes] = field(repr=False)

    @property
    def wrap_version(self) -> int:
        """Return the version that wraps new data keys."""
        return max(self.wraps)


class KeyProvider(Protocol):
    """Give a tenant's keys."""

    def tenant_keys(self, tenant_id: str, *, at_least: int = 1) -> TenantKeys:
        """Return the keys; those of wrap version `at_least` and older are among them. Raises: TenantKeyMissing."""
        ...


class KeyStore(Protocol):
    """Keep a tenant's secrets: 32 bytes a version. Version 1 is the tenant's identity and is kept for ever."""

    def read_secrets(self, tenant_id: str) -> Mapping[int, bytes]:
        """Return the secrets by their versions; empty when there is none. Raises: SecretFileInsecure."""
        ...

    def add_secret(self, tenant_id: str) -> int:
        """Make the next version and return its number. What is there stays."""
        ...


class FileKeyStore:
    """Keep secrets in files `vault_<tenant>.v<version>.key`, mode 0600."""

    def __init__(self, secrets_dir: Path) -> None:
        self._secrets_dir = secrets_dir

    def read_secrets(self, tenant_id: str) -> Mapping[int, bytes]:
        """Return the secrets by their versions. Raises: SecretFileInsecure."""
        shape = re.compile(rf"vault_{re.escape(require_tenant_id(tenant_id))}\.v(\d+)\.key")
        matches = [shape.fullmatch(path.name) for path in self._secrets_dir.glob(f"vault_{tenant_id}.v*.key")]
        versions = sorted(int(match[1]) for match in matches if match)
        return {version: bytes.fromhex(read_secret(self._path(tenant_id, version))) for version in versions}

    def add_secret(self, tenant_id: str) -> int:
        """Make the next version and return its number; of two who make it at once, the second finds the first one's."""
        version = max(self.read_secrets(tenant_id), default=0) + 1
        ensure_secret(self._path(tenant_id, version))
        return version

    def _path(self, tenant_id: str, version: int) -> Path:
        return self._secrets_dir / f"vault_{tenant_id}.v{version}.key"


class StoredKeyProvider:
    """Derive a tenant's keys from what a store keeps. Read once, and again when a row names a later version."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._held: dict[str, TenantKeys] = {}
        self._lock = Lock()

    def tenant_keys(self, tenant_id: str, *, at_least: int = 1) -> TenantKeys:
        """Return the keys. Raises: TenantKeyMissing, SecretFileInsecure."""
        held = self._held.get(tenant_id)
        if held is not None and held.wrap_version >= at_least:
            return held
        with self._lock:
            keys = self._held[tenant_id] = self._read(require_tenant_id(tenant_id))
        if keys.wrap_version < at_least:
            raise TenantKeyMissing(
                f"tenant {tenant_id}: data keys are wrapped by version {at_least} of its key, and the last one here is"
                f" {keys.wrap_version}: restore the later version"
            )
        return keys

    def ensure_tenant_keys(self, tenant_id: str) -> TenantKeys:
        """Make version 1 if the tenant has no key yet. Idempotent; for set-up and loading only."""
        if not self._store.read_secrets(require_tenant_id(tenant_id)):
            self._store.add_secret(tenant_id)
        return self.tenant_keys(tenant_id)

    def add_version(self, tenant_id: str) -> int:
        """Make the version after the last one in use here, which wraps data keys from now on, and return its number.

        One that is there already, from a rotation that was cut short, is taken. Raises: TenantKeyMissing.
        """
        used = self.tenant_keys(tenant_id).wrap_version
        last = max(self._store.read_secrets(tenant_id))
        if last == used:
            last = self._store.add_secret(tenant_id)
        return self.tenant_keys(tenant_id, at_least=last).wrap_version

    def _read(self, tenant_id: str) -> TenantKeys:
        secrets = self._store.read_secrets(tenant_id)
        if 1 not in secrets:
            later = f"; {len(secrets)} later versions are here, and cannot stand in for it" if secrets else ""
            raise TenantKeyMissing(
                f"tenant {tenant_id} has no vault key of version 1, which is its identity for ever{later}:"
                " load the tenant, or restore its key"
            )
        return TenantKeys(
            tenant_id=tenant_id,
            token=_derive(secrets[1], "token"),
            fingerprint=_derive(secrets[1], "fingerprint"),
            cache=_derive(secrets[1], "cache"),
            seal=_derive(secrets[1], "seal"),
            guard=_derive(secrets[1], "guard"),
            wraps={version: _derive(secret, "wrap") for version, secret in secrets.items()},
        )


class FileKeyProvider(StoredKeyProvider):
    """Take the keys from files of 0600."""

    def __init__(self, secrets_dir: Path) -> None:
        super().__init__(FileKeyStore(secrets_dir))


def _derive(secret: bytes, purpose: str) -> bytes:
    """Source: RFC 5869; the secret is uniform, so no salt is needed."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"tellergate/vault/{purpose}".encode()).derive(secret)
