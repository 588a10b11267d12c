"""A number of any customer is found in any text, from fingerprints alone; and gone with its owner. Invented values only."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from psycopg import Error as DatabaseError

from masking.classes import PiiClass
from masking.detection import Detector
from masking.erasure import erase_subject
from masking.guard import LeakBlocked, check_outgoing, find_leaks
from masking.masker import Masker, MaskScope
from masking.number_index import NumberIndexes
from masking.vault import PiiItem, Transact
from tests.conftest import ConnAs, Tenant
from tests.doubles.masking_keys import FixedKeyProvider
from tests.integration.masking.conftest import Boundary, make_boundary

TransactFor = Callable[[Tenant], Transact]
# No check digits and no words beside them: only the record can know them.
OTHERS = (
    (PiiClass.ACCOUNT, "7304418829"),
    (PiiClass.CUSTOMER_ID, "KX4471920"),
    (PiiClass.PHONE, "+48 699 123 450"),
    (PiiClass.PASSPORT, "ZL8841207"),
    (PiiClass.EMAIL, "Nadia.Osei@post.example"),
    (PiiClass.IBAN, "GB29 NWBK 6016 1331 9268 19"),
)


@pytest.fixture
def indexes(boundary: Boundary) -> NumberIndexes:
    with boundary.transact(boundary.tenant_id) as conn:
        items = [PiiItem(pii_class, value, "cus_other") for pii_class, value in OTHERS]
        boundary.vault.tokenize_many(conn, items, tenant_id=boundary.tenant_id)
    return NumberIndexes(boundary.transact, boundary.keys)


def _masker(boundary: Boundary, detector: Detector, indexes: NumberIndexes | None) -> Masker:
    return Masker(detector=detector, vault=boundary.vault, keys=boundary.keys, transact=boundary.transact, indexes=indexes)


@pytest.mark.parametrize(
    ("written", "pii_class"),
    [
        ("7304418829", PiiClass.ACCOUNT),
        ("73-0441-8829", PiiClass.ACCOUNT),
        ("pls7304418829thx", PiiClass.ACCOUNT),
        ("kx4471920", PiiClass.CUSTOMER_ID),
        ("KX 4471 920", PiiClass.CUSTOMER_ID),
        ("ZL8841207", PiiClass.PASSPORT),
        ("699 123 450", PiiClass.PHONE),
        ("0048699123450", PiiClass.PHONE),
        ("NADIA.OSEI@POST.EXAMPLE", PiiClass.EMAIL),
        ("gb29nwbk60161331926819", PiiClass.IBAN),
        ("31926819", PiiClass.IBAN),
    ],
)
def test_another_customers_number_is_found_however_it_is_written(
    boundary: Boundary, indexes: NumberIndexes, written: str, pii_class: PiiClass
) -> None:
    text = f"see {written} for it"
    index = indexes.of(boundary.tenant_id)
    assert pii_class in {hit.pii_class for hit in index.find(text)}
    assert find_leaks(text, index=index)
    with pytest.raises(LeakBlocked) as caught:
        check_outgoing(text, index=index)
    assert written not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "paid EUR 730.44 on 2026-03-04, order 7304418828, 49.90 twice",
        "txn_73044188297304418829730441882973 at 10:44:18.829",
        "KX4471921 and ZL88412070 and nadia.osei@post.example.org",
    ],
)
def test_what_is_no_customers_number_is_left_alone(boundary: Boundary, indexes: NumberIndexes, text: str) -> None:
    assert list(indexes.of(boundary.tenant_id).find(text)) == []


def test_the_masker_hides_it_under_the_records_own_token(boundary: Boundary, detector: Detector, indexes: NumberIndexes) -> None:
    text = "The customer wrote KX4471920 on the slip."
    guessed = _masker(boundary, detector, None).mask_message(text, scope=boundary.scope)
    assert "known" not in {span.source for span in guessed.spans}
    message = _masker(boundary, detector, indexes).mask_message(text, scope=boundary.scope)
    (span,) = [span for span in message.spans if span.source == "known"]
    assert (span.pii_class, text[span.start : span.end]) == (PiiClass.CUSTOMER_ID, "KX4471920")
    with boundary.transact(boundary.tenant_id) as conn:
        item = PiiItem(PiiClass.CUSTOMER_ID, "KX4471920", "cus_other")
        assert boundary.vault.tokenize(conn, item, tenant_id=boundary.tenant_id) == span.token


def test_only_a_record_makes_a_value_known_in_the_tenant(boundary: Boundary, indexes: NumberIndexes) -> None:
    before = indexes.of(boundary.tenant_id).version
    with boundary.transact(boundary.tenant_id) as conn:
        item = PiiItem(PiiClass.ACCOUNT, "5550001112", "cus_other")
        boundary.vault.tokenize(conn, item, tenant_id=boundary.tenant_id, source="message")
    indexes.refresh(boundary.tenant_id)
    assert indexes.of(boundary.tenant_id).version == before
    with boundary.transact(boundary.tenant_id) as conn:
        boundary.vault.tokenize(conn, item, tenant_id=boundary.tenant_id)
    assert not list(indexes.of(boundary.tenant_id).find("5550001112"))
    indexes.refresh(boundary.tenant_id)
    assert list(indexes.of(boundary.tenant_id).find("5550001112"))


def test_the_prints_of_an_erased_customer_are_gone(boundary: Boundary, indexes: NumberIndexes) -> None:
    assert list(indexes.of(boundary.tenant_id).find("7304418829"))
    erase_subject(
        boundary.transact,
        tenant_id=boundary.tenant_id,
        subject_id="cus_other",
        actor="ada",
        reason="asked in writing",
        now=datetime(2026, 3, 4, tzinfo=UTC),
    )
    indexes.forget(boundary.tenant_id)
    index = indexes.of(boundary.tenant_id)
    assert not len(index.prints)
    assert list(index.find("7304418829")) == []


def test_another_tenant_and_another_key_know_nothing_of_it(
    boundary: Boundary, indexes: NumberIndexes, detector: Detector, other_tenant: Tenant, transact_for: TransactFor
) -> None:
    assert len(indexes.of(boundary.tenant_id).prints)
    stranger = make_boundary(other_tenant, detector, transact_for(other_tenant))
    theirs = NumberIndexes(stranger.transact, stranger.keys).of(stranger.tenant_id)
    assert not len(theirs.prints)
    index = indexes.of(boundary.tenant_id)
    assert b"7304418829" not in index.prints.tobytes()
    assert "guard" not in repr(index)
    assert str(FixedKeyProvider().tenant_keys(boundary.tenant_id).guard) not in repr(index)


def test_no_other_role_reads_the_prints(conn_as: ConnAs, tenant: Tenant) -> None:
    for role in ("edge", "ai", "gate", "executor", "importer", "jobs", "auditor"):
        with pytest.raises(DatabaseError):
            conn_as(role, tenant).execute("SELECT count(*) FROM vault.number_prints")
    with pytest.raises(DatabaseError):
        conn_as("vault", tenant).execute("DELETE FROM vault.number_prints")


def test_a_record_without_a_conversation_grants_nothing(boundary: Boundary, conn_as: ConnAs, tenant: Tenant) -> None:
    scope = MaskScope(boundary.tenant_id, None, "cus_one")
    message = boundary.masker.mask_message("call +48 601 234 567", scope=scope)
    assert message.masked.tokens
    row = conn_as("vault", tenant).execute("SELECT count(*) FROM vault.pii_grants").fetchone()
    assert row == (0,)
