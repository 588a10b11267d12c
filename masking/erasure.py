"""Erase a subject: one data key goes, and with it every value, written form and fingerprint that hung on it.

Decisions and receipts hold tokens, so they stay as they are and verify. Copies in old backups stay readable until these go.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from psycopg.rows import class_row

from domain.errors import BrokenInvariant, InvalidInput
from domain.ids import make_uuid7
from masking.input_text import require_text
from masking.patterns import find_patterns
from masking.vault import Transact
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "upkeep.sql")
_MAX_REASON_CHARACTERS = 500


class UnusableReason(InvalidInput):
    """Say that a reason is empty, too long, or holds a value that would outlive the erasure."""

    code = "unusable_reason"


@dataclass(frozen=True, slots=True)
class Erasure:
    """Hold the tombstone of a subject: who erased him why, and how much that took. No value is in here."""

    subject_id: str
    erased_at: datetime
    actor: str
    reason: str
    values_erased: int
    surfaces_erased: int
    event_id: UUID


def erase_subject(
    transact: Transact, *, tenant_id: str, subject_id: str, actor: str, reason: str, now: datetime
) -> tuple[Erasure, bool]:
    """Erase a subject; return the tombstone and whether this call made it. Idempotent. All of it or nothing.

    Writes the event `subject.erased`. Raises: UnusableReason, NotText, psycopg.Error.
    """
    event_id = make_uuid7(now)
    asked = {"actor": actor, "reason": require_reason(reason), "subject_id": subject_id, "now": now, "event_id": event_id}
    with transact(tenant_id) as conn, conn.cursor(row_factory=class_row(Erasure)) as cursor:
        erasure = cursor.execute(_QUERIES["erase_subject"], asked).fetchone()
    if erasure is None:
        raise BrokenInvariant(f"erasing {subject_id} left no tombstone")
    return erasure, erasure.event_id == event_id


def require_reason(reason: str) -> str:
    """Return the reason without spaces around it. Raises: UnusableReason, NotText."""
    require_text(reason)
    reason = reason.strip()
    if not 1 <= len(reason) <= _MAX_REASON_CHARACTERS:
        raise UnusableReason(f"a reason has 1 to {_MAX_REASON_CHARACTERS} characters")
    hit = next(iter(find_patterns(reason)), None)
    if hit is not None:
        raise UnusableReason(f"the reason holds a value ({hit.pii_class.value}) that would outlive the erasure: leave it out")
    return reason
