"""A tenant's secrets behind a key service: only wrapped ones lie on this machine, and each is unwrapped once a process."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from domain.errors import SetupError, Unavailable
from masking.keys import StoredKeyProvider
from storage.secrets import keep_secret, read_secret
from storage.tenancy import require_tenant_id

SECRET_BYTES = 32


class KeyServiceDown(Unavailable):
    """Say that the key service does not answer: nothing can be masked or shown until it does."""

    code = "key_service_down"


class KeyRefused(SetupError):
    """Say that the key service refuses the key, or that what it wrapped belongs to another tenant or version."""

    code = "key_refused"


class KeyService(Protocol):
    """Wrap and unwrap under a key that never leaves the service. `context` is bound in: the same one opens, no other."""

    def make_data_key(self, key_ref: str, *, context: Mapping[str, str]) -> tuple[bytes, bytes]:
        """Return 32 fresh bytes and the same wrapped. Raises: KeyServiceDown, KeyRefused."""
        ...

    def unwrap(self, key_ref: str, wrapped: bytes, *, context: Mapping[str, str]) -> bytes:
        """Return what was wrapped. Raises: KeyServiceDown, KeyRefused."""
        ...


class KmsKeyStore:
    """Keep wrapped secrets in files `vault_<tenant>.v<version>.kms.json`, each with the name of the key that wraps it."""

    def __init__(self, service: KeyService, folder: Path, *, key_ref: str) -> None:
        self._service = service
        self._folder = folder
        self._key_ref = key_ref

    def read_secrets(self, tenant_id: str) -> Mapping[int, bytes]:
        """Return the secrets by their versions. Raises: KeyServiceDown, KeyRefused, SecretFileInsecure."""
        return {version: self._unwrap(tenant_id, version) for version in self._versions(tenant_id)}

    def add_secret(self, tenant_id: str) -> int:
        """Make the next version. Of two who make it at once the first one's stays. Raises: KeyServiceDown, KeyRefused."""
        version = max(self._versions(tenant_id), default=0) + 1
        _, wrapped = self._service.make_data_key(self._key_ref, context=_context(tenant_id, version))
        kept = {"key_ref": self._key_ref, "wrapped": base64.b64encode(wrapped).decode()}
        keep_secret(self._path(tenant_id, version), json.dumps(kept))
        return version

    def _versions(self, tenant_id: str) -> list[int]:
        shape = re.compile(rf"vault_{re.escape(require_tenant_id(tenant_id))}\.v(\d+)\.kms\.json")
        matches = [shape.fullmatch(path.name) for path in self._folder.glob(f"vault_{tenant_id}.v*.kms.json")]
        return sorted(int(match[1]) for match in matches if match)

    def _path(self, tenant_id: str, version: int) -> Path:
        return self._folder / f"vault_{tenant_id}.v{version}.kms.json"

    def _unwrap(self, tenant_id: str, version: int) -> bytes:
        path = self._path(tenant_id, version)
        try:
            kept = json.loads(read_secret(path))
            key_ref, wrapped = str(kept["key_ref"]), base64.b64decode(kept["wrapped"], validate=True)
        except (ValueError, KeyError, TypeError, binascii.Error) as error:
            raise KeyRefused(f"{path} holds no wrapped key: restore it from the backup") from error
        secret = self._service.unwrap(key_ref, wrapped, context=_context(tenant_id, version))
        if len(secret) != SECRET_BYTES:
            raise KeyRefused(f"the key service unwrapped {path} to {len(secret)} bytes, and a secret has {SECRET_BYTES}")
        return secret


def open_kms_key_provider(service: KeyService, folder: Path, *, key_ref: str) -> StoredKeyProvider:
    """Return a provider over a key service."""
    return StoredKeyProvider(KmsKeyStore(service, folder, key_ref=key_ref))


def _context(tenant_id: str, version: int) -> dict[str, str]:
    return {"purpose": "tellergate vault", "tenant_id": tenant_id, "version": str(version)}
