"""What an administrator does with the vault: erase a customer, rotate the key, read and check who was shown what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg

from domain.errors import Unavailable
from masking.erasure import Erasure, erase_subject
from masking.reveals import ChainCheck, Reveal, list_reveals, verify_reveals
from masking.rotation import GrowingKeys, RotationStep, rotate_keys
from masking.vault import Transact
from storage.unit_of_work import DatabaseUnavailable


class VaultBusy(Unavailable):
    """Say that others write to the vault for longer than one may wait: nothing was done."""

    code = "vault_busy"


@dataclass(frozen=True, slots=True)
class VaultKeeper:
    """Hold the vault's upkeep. `forget_subject` drops what this process keeps in memory of a customer."""

    transact: Transact
    keys: GrowingKeys
    forget_subject: Callable[[str, str], None]

    def erase(self, *, tenant_id: str, subject_id: str, actor: str, reason: str, now: datetime) -> tuple[Erasure, bool]:
        """Erase a customer; say whether this call did it. Idempotent. Raises: UnusableReason, NotText, VaultBusy."""
        with _saying_busy():
            erased = erase_subject(self.transact, tenant_id=tenant_id, subject_id=subject_id, actor=actor, reason=reason, now=now)
        self.forget_subject(tenant_id, subject_id)
        return erased

    def rotate(self, *, tenant_id: str, actor: str, now: datetime, only_continue: bool) -> RotationStep:
        """Move some data keys to the last key, a new one unless some still wait. Raises: TenantKeyMissing, VaultBusy."""
        with _saying_busy():
            return rotate_keys(self.transact, self.keys, tenant_id=tenant_id, actor=actor, now=now, only_continue=only_continue)

    def reveals(
        self, *, tenant_id: str, subject_id: str | None, actor: str | None, before: str | None, limit: int
    ) -> Sequence[Reveal]:
        """Return audit rows, the newest first. Raises: UnusableCursor."""
        return list_reveals(self.transact, tenant_id=tenant_id, subject_id=subject_id, actor=actor, before=before, limit=limit)

    def verify(self, *, tenant_id: str) -> ChainCheck:
        """Walk the chain of audit rows."""
        return verify_reveals(self.transact, tenant_id=tenant_id)


@contextmanager
def _saying_busy() -> Iterator[None]:
    try:
        yield
    except (psycopg.OperationalError, DatabaseUnavailable) as error:
        # A pool's unit of work tells every failure of the database in its own words.
        cause = error.__cause__ if isinstance(error, DatabaseUnavailable) else error
        if not isinstance(cause, psycopg.errors.LockNotAvailable | psycopg.errors.DeadlockDetected):
            raise
        raise VaultBusy("others are writing to the vault: nothing was done, try again in some seconds") from error
