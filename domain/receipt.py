"""What an auditor holds: records, their places in the tree, and one signed checkpoint.

The standalone verifier (`gates/standalone/verify_receipt.py`) reads this JSON with no import of ours;
docs/schemas/receipt.md says it in words.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LoggedRecord(_Frozen):
    """Hold one record, its index in the log and the audit path (hex, leaf to root). Source: RFC 6962 section 2.1."""

    record: dict[str, Any]
    index: int
    path: tuple[str, ...]


class Receipt(_Frozen):
    """Hold everything that is needed to check a decision offline with a public key.

    `checkpoint` is a C2SP signed note over origin, tree size and root; `records` are in order of their index.
    """

    format: Literal["tellergate-receipt/1"] = "tellergate-receipt/1"
    decision_id: str
    checkpoint: str
    records: tuple[LoggedRecord, ...]
