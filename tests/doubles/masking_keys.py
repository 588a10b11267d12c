"""Vault keys made in memory, for tests that need no files."""

from __future__ import annotations

import hashlib

from masking.keys import TenantKeys


class FixedKeyProvider:
    """Derive every key from the tenant id and `salt`: the same in each run."""

    def __init__(self, salt: str = "") -> None:
        self._salt = salt
        self._last: dict[str, int] = {}

    def tenant_keys(self, tenant_id: str, *, at_least: int = 1) -> TenantKeys:
        """Return keys; a later version is derived when it is asked for."""
        last = self._last[tenant_id] = max(self._last.get(tenant_id, 1), at_least)

        def key(purpose: str) -> bytes:
            return hashlib.sha256(f"{self._salt}|{tenant_id}|{purpose}".encode()).digest()

        return TenantKeys(
            tenant_id=tenant_id,
            token=key("token"),
            fingerprint=key("fingerprint"),
            cache=key("cache"),
            seal=key("seal"),
            guard=key("guard"),
            wraps={version: key(f"wrap-{version}") for version in range(1, last + 1)},
        )

    def add_version(self, tenant_id: str) -> int:
        """Derive one more."""
        return self.tenant_keys(tenant_id, at_least=self._last.get(tenant_id, 1) + 1).wrap_version
