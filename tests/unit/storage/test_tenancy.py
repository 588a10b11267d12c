"""Minting a tenant context."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.clock import NaiveTime
from storage.tenancy import InvalidTenantId, mint_context, require_tenant_id

KEY = bytes(range(32))
EXPIRY = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_context_names_tenant_role_and_expiry_and_is_signed() -> None:
    signed = f"v1.demo.edge.{int(EXPIRY.timestamp())}"
    mac = hmac.new(KEY, signed.encode(), hashlib.sha256).hexdigest()
    assert mint_context(KEY, tenant_id="demo", role="edge", expires_at=EXPIRY) == f"{signed}.{mac}"


@pytest.mark.parametrize("bad", ["", "Demo", "a" * 41, "a.b", "a b", "a\n", "ä", "demo.edge", "a_b", "a'b"])
def test_other_texts_are_no_tenant(bad: str) -> None:
    with pytest.raises(InvalidTenantId):
        mint_context(KEY, tenant_id=bad, role="edge", expires_at=EXPIRY)


@given(st.text(max_size=60))
def test_a_tenant_id_never_holds_a_separator(text: str) -> None:
    try:
        accepted = require_tenant_id(text)
    except InvalidTenantId:
        return
    assert accepted == text
    assert 1 <= len(text) <= 40
    assert set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(NaiveTime):
        mint_context(KEY, tenant_id="demo", role="edge", expires_at=datetime(2026, 1, 1))  # noqa: DTZ001
