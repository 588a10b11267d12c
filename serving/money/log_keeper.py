"""The keeper of the receipt log in the money process: who signs, where its heads are anchored, and how the key is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any

from psycopg import Connection

from domain.errors import SetupError
from domain.roles import Role
from gates.people import require_person
from gates.receipts.anchoring import AnchoredHead, anchor_to_file
from gates.receipts.checkpoint import CheckpointSigner
from gates.receipts.log_store import find_log_key
from gates.receipts.rotation import Rotated, rotate_key
from gates.receipts.sequencing import Sequenced, sequence_events
from gates.receipts.signing_key import KeyFiles, ensure_signer, load_signer, publish_verifier_key
from gates.submission import GateScope
from storage.unit_of_work import unit_of_work

_ADMIN = frozenset({Role.ADMIN})
_KEEPERS = frozenset({Role.ADMIN, Role.AUDITOR})
# Who finishes a change of keys that a crash cut off: the person's own record was lost with the transaction.
_RESUMED = "system:resumed"


class NoLogFiles(SetupError):
    """Say that this process has no files for its keys and anchors."""

    code = "no_log_files"


@dataclass(frozen=True, slots=True)
class LogFiles:
    """Hold the files of the log beside the database: its keys, and a folder with an anchor file for each tenant."""

    keys: KeyFiles
    anchors: Path


class LogKeeper:
    """Sequence, anchor, change keys. One at a time: nobody signs with a key that is being retired."""

    def __init__(
        self,
        signer: CheckpointSigner,
        files: LogFiles | None,
        *,
        tenant_ids: tuple[str, ...],
        open_scope: Callable[[str], GateScope],
    ) -> None:
        self._signer = signer
        self._files = files
        self._tenant_ids = tenant_ids
        self._open_scope = open_scope
        self._lock = Lock()

    def read_verifier_keys(self) -> str:
        """Return every key that ever signed, one a line, the oldest first."""
        if self._files is None or not self._files.keys.public_keys.exists():
            return self._signer.verifier_key + "\n"
        return self._files.keys.public_keys.read_text(encoding="ascii")

    def sequence(self, tenant_id: str, *, now: datetime) -> Sequenced:
        """Give waiting events of a tenant their places. Raises: LogTampered, DatabaseUnavailable."""
        with self._hold(now) as signer:
            scope = self._open_scope(tenant_id)
            return sequence_events(scope.pool, scope.context, signer, now=now)

    def anchor(self, tenant_id: str, *, now: datetime) -> AnchoredHead | None:
        """Write the log's head to the tenant's anchor file, if it moved. None while the log is empty. Raises: AnchorMismatch."""
        if self._files is None:
            return None
        scope = self._open_scope(tenant_id)
        with self._lock, unit_of_work(scope.pool, scope.context) as connection:
            anchored = anchor_to_file(connection, self._files.anchors / f"{scope.tenant_id}.jsonl", now=now)
        return None if anchored is None else anchored.head

    def require_keeper(self, tenant_id: str, session_token: str, *, now: datetime) -> None:
        """Require an auditor or an administrator. Raises: NotSignedIn, NotPermitted."""
        scope = self._open_scope(tenant_id)
        with unit_of_work(scope.pool, scope.context) as connection:
            require_person(connection, session_token, now=now, roles=_KEEPERS)

    def rotate(self, tenant_id: str, session_token: str, *, now: datetime) -> Rotated:
        """Change the key of all tenants' logs, as an administrator; the old seed is gone afterwards.

        Safe to repeat: what a crash cut off is finished first. Raises: NotSignedIn, NotPermitted, NoLogFiles, LogTampered.
        """
        scope = self._open_scope(tenant_id)
        with unit_of_work(scope.pool, scope.context) as connection:
            person = require_person(connection, session_token, now=now, roles=_ADMIN)
        if self._files is None:
            raise NoLogFiles("this process has no files for its keys")
        with self._hold(now):
            ensure_signer(self._files.keys.next_seed)
            return self._hand_over(person.operator_id, tenant_id, now)

    @contextmanager
    def _hold(self, now: datetime) -> Iterator[CheckpointSigner]:
        """Keep others out; finish a change of keys that a crash left, before anybody signs."""
        with self._lock:
            if self._files is not None and self._files.keys.next_seed.exists():
                if self._has_begun(load_signer(self._files.keys.next_seed)):
                    self._hand_over(_RESUMED, self._tenant_ids[0], now)
                else:
                    self._files.keys.next_seed.unlink()
            yield self._signer

    def _has_begun(self, following: CheckpointSigner) -> bool:
        for tenant_id in self._tenant_ids:
            with self._work(tenant_id) as connection:
                if find_log_key(connection, following.key_id) is not None:
                    return True
        return False

    def _hand_over(self, operator_id: str, asked_for: str, now: datetime) -> Rotated:
        assert self._files is not None
        keys = self._files.keys
        following = load_signer(keys.next_seed)
        # Before the first note by it: a key that is known too early hurts nobody.
        publish_verifier_key(following, keys.public_keys)
        rotated: dict[str, Rotated] = {}
        for tenant_id in dict.fromkeys((*self._tenant_ids, asked_for)):
            with self._work(tenant_id) as connection:
                rotated[tenant_id] = rotate_key(
                    connection, tenant_id=tenant_id, retired=self._signer, following=following, operator_id=operator_id, now=now
                )
        self._signer = keys.promote_next()
        return rotated[asked_for]

    @contextmanager
    def _work(self, tenant_id: str) -> Iterator[Connection[Any]]:
        scope = self._open_scope(tenant_id)
        with unit_of_work(scope.pool, scope.context) as connection:
            yield connection
