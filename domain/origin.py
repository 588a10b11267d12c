"""Where a value came from. Computed by code from grants and records; nobody claims an origin."""

from __future__ import annotations

from enum import StrEnum


class Origin(StrEnum):
    """Name the source of a value that reaches the gate."""

    LEDGER = "ledger"
    """Our own records or ledger."""
    KYC_VERIFIED = "kyc_verified"
    """A document field that passed verification."""
    STAFF = "staff"
    """Typed by the signed-in operator."""
    CUSTOMER_TEXT = "customer_text"
    """Quoted or forwarded words of a customer."""
    DOCUMENT = "document"
    """Read from an uploaded file."""
    KNOWLEDGE_BASE = "knowledge_base"
    """Read from an article."""
    DERIVED = "derived"
    """Computed by a named rule from trusted values."""
    MODEL = "model"
    """Found nowhere: the model made it up."""


TRUSTED_ORIGINS = frozenset({Origin.LEDGER, Origin.KYC_VERIFIED, Origin.STAFF, Origin.DERIVED})
