"""Vault keys made in memory, for tests that need no files."""

from __future__ import annotations

import hashlib

from masking.keys import TenantKeys


class FixedKeyProvider:
    """Derive every key from the tenant id and `salt`: the same in each run."""

    def __init__(self, salt: str = "") -> None:
        self._salt = salt

    def tenant_keys(self, tenant_id: str) -> TenantKeys:
        """Return keys."""

        def key(purpose: str) -> bytes:
            return hashlib.sha256(f"{self._salt}|{tenant_id}|{purpose}".encode()).digest()

        return TenantKeys(
            tenant_id=tenant_id,
            token=key("token"),
            fingerprint=key("fingerprint"),
            cache=key("cache"),
            seal=key("seal"),
            wraps={1: key("wrap-1")},
        )
