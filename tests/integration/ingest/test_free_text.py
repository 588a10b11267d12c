"""What strangers wrote into a transaction: who is named or numbered in it stands there as a token, facts stay as they are."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from psycopg import Connection

from masking.classes import PiiClass
from masking.tokens import find_tokens
from serving.ingest.ingest import IngestDeps, IngestReport, ingest_file
from tests.conftest import ConnAs, Tenant
from tests.integration.ingest.conftest import NOW
from tests.unit.ingest.test_reading import ACCOUNT, CARD, CUSTOMER, MERCHANT, TRANSACTION

Ingest = Callable[..., IngestReport]
OTHER = {**CUSTOMER, "customer_id": "cus_2", "name": "Kehinde Ojo", "email": "kehinde@example.org", "phone": "+493012345678"}
OTHERS_ACCOUNT = {**ACCOUNT, "account_id": "acc_2", "customer_id": "cus_2", "number": "70872490"}
# A payee's number has no check digits and stands among words: only the tenant's own numbers know it.
TRANSFER = {key: value for key, value in TRANSACTION.items() if key != "merchant_id"} | {"kind": "transfer_in"}


@pytest.fixture
def ingest(ingest_deps: IngestDeps, tenant: Tenant) -> Ingest:
    def bring_in(kind: str, *rows: dict[str, Any]) -> IngestReport:
        lines = io.BytesIO(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
        return ingest_file(ingest_deps, lines, kind, tenant_id=tenant.tenant_id, now=NOW)

    return bring_in


@pytest.fixture
def bank(ingest: Ingest) -> Ingest:
    ingest("merchants", MERCHANT)
    ingest("customers", CUSTOMER, OTHER)
    ingest("accounts", ACCOUNT, OTHERS_ACCOUNT)
    ingest("cards", CARD)
    return ingest


@pytest.fixture
def jobs(conn_as: ConnAs, tenant: Tenant) -> Connection[Any]:
    return conn_as("jobs", tenant)


def _stored(jobs: Connection[Any], transaction_id: str = "txn_1") -> tuple[str, str | None, Any]:
    row = jobs.execute(
        "SELECT descriptor, reference, decline_trace FROM core.transactions WHERE transaction_id = %s", [transaction_id]
    ).fetchone()
    assert row is not None
    return row[0], row[1], row[2]


def _classes(text: str | None) -> list[str]:
    return [match.pii_class.value for match in find_tokens(text or "") if match.pii_class is not None]


def test_the_customers_own_values_and_any_number_become_tokens(bank: Ingest, jobs: Connection[Any]) -> None:
    rows = [
        {**TRANSFER, "transaction_id": "txn_1", "descriptor": "RENT FROM ZEYNEP OZTURK", "reference": "zeynep@example.com"},
        {**TRANSFER, "transaction_id": "txn_2", "descriptor": "TO DE32 0000 0000 0000 1234 56", "reference": "4111 1111 1111 1111"},  # noqa: E501
        {**TRANSFER, "transaction_id": "txn_3", "descriptor": "Thanks", "reference": "Call +49 30 23125000"},
    ]  # fmt: skip
    report = bank("transactions", *rows)
    assert (report.rows_inserted, report.rows_quarantined) == (3, 0)
    first, second, third = (_stored(jobs, row["transaction_id"]) for row in rows)
    assert _classes(first[0]) == ["PERSON"]
    assert first[0].startswith("RENT FROM <PERSON_")
    assert _classes(first[1]) == ["EMAIL"]
    assert (_classes(second[0]), _classes(second[1])) == (["IBAN"], ["CARD"])
    assert (third[0], _classes(third[1])) == ("Thanks", ["PHONE"])
    name, email, iban = jobs.execute(
        "SELECT name_token, email_token, number_token FROM core.customers JOIN core.accounts USING (customer_id)"
        " WHERE customer_id = 'cus_1'"
    ).fetchone() or ("", "", "")
    assert (first[0], first[1]) == (f"RENT FROM {name}", email)
    assert second[0] == f"TO {iban}"
    assert bank("transactions", *rows).rows_unchanged == 3


def test_her_name_is_found_where_the_model_is_not_asked(bank: Ingest, jobs: Connection[Any]) -> None:
    bank("transactions", {**TRANSFER, "kind": "cash_withdrawal", "descriptor": "CASH MACHINE OZTURK ZEYNEP"})
    descriptor = _stored(jobs)[0]
    assert descriptor.startswith("CASH MACHINE <PERSON_")
    assert len(_classes(descriptor)) == 1


def test_a_number_of_any_customer_is_found_without_a_word_beside_it(bank: Ingest, jobs: Connection[Any]) -> None:
    bank("transactions", {**TRANSACTION, "merchant_id": "mrc_1", "descriptor": "FERNHOLLOW 70872490 GRAZ"})
    assert _classes(_stored(jobs)[0]) == ["ACCOUNT"]


def test_a_stranger_in_a_transfer_is_named_by_a_token(bank: Ingest, jobs: Connection[Any]) -> None:
    bank("transactions", {**TRANSFER, "descriptor": "Loan back from Adebayo Okonkwo", "reference": "Invoice 2026-114"})
    descriptor, reference, _ = _stored(jobs)
    assert _classes(descriptor) == ["PERSON"]
    assert "Okonkwo" not in descriptor
    assert descriptor.startswith("Loan back from ")
    assert reference == "Invoice 2026-114"


@pytest.mark.parametrize(
    ("kind", "descriptor", "reference"),
    [
        ("card_payment", "FERNHOLLOW BOOKS GRAZ", "A3FH4T7T"),
        ("card_payment", "ZEYNEP BAKERY BERLIN", None),
        ("merchant_refund", "REFUND FERNHOLLOW BOOKS GRAZ", "ADFKM7PV"),
        ("direct_debit", "DIRECT DEBIT ROOKWATER BROADBAND", "MANDATE AKAFK8JP"),
    ],
)
def test_what_names_a_merchant_keeps_its_words(
    bank: Ingest, jobs: Connection[Any], kind: str, descriptor: str, reference: str | None
) -> None:
    bank("transactions", {**TRANSACTION, "merchant_id": "mrc_1", "kind": kind, "descriptor": descriptor, "reference": reference})
    assert _stored(jobs)[:2] == (descriptor, reference)


@pytest.mark.parametrize(
    ("kind", "descriptor"),
    [
        ("transfer_in", "Incoming transfer"),
        ("transfer_in", "Standing order to savings"),
        ("transfer_out", "Transfer to new payee"),
        ("payout", "Card sales payout 2026 week 18"),
        ("fee", "Cash withdrawal fee, no. 5 this month"),
        ("cash_withdrawal", "CASH MACHINE"),
    ],
)
def test_plain_words_of_a_transfer_stay(bank: Ingest, jobs: Connection[Any], kind: str, descriptor: str) -> None:
    bank("transactions", {**TRANSFER, "kind": kind, "descriptor": descriptor})
    assert _stored(jobs)[0] == descriptor


def test_a_step_of_an_authorisation_is_masked_too(bank: Ingest, jobs: Connection[Any]) -> None:
    trace = [
        {
            "step": "limit_check",
            "result": "fail",
            "detail": {"limit": "daily_card", "note": "pan 4111111111111111", "used_minor": 5},
        }
    ]
    bank(
        "transactions",
        {**TRANSACTION, "merchant_id": "mrc_1", "status": "declined", "posted_at": None, "decline_code": "limit_exceeded"}
        | {"decline_trace": trace},
    )
    (step,) = _stored(jobs)[2]
    assert (step["detail"]["limit"], step["detail"]["used_minor"]) == ("daily_card", 5)
    assert re.fullmatch(r"pan <CARD_[0-9a-z]{8}-[0-9a-z]{2}>", step["detail"]["note"])


def test_what_a_stranger_wrote_is_shown_at_the_record_and_known_of_nobody(
    bank: Ingest, jobs: Connection[Any], conn_as: ConnAs, tenant: Tenant
) -> None:
    bank("transactions", {**TRANSFER, "descriptor": "Loan back from Adebayo Okonkwo", "reference": "GB29 NWBK 6016 1331 9268 19"})
    tokens = [match.token for text in _stored(jobs)[:2] for match in find_tokens(text or "")]
    held = conn_as("vault", tenant).execute("SELECT subject_id, source FROM vault.pii_values WHERE token = ANY(%s)", [tokens])
    assert held.fetchall() == [("cus_1", "text")] * 2


def test_what_imitates_a_token_stands_for_itself(bank: Ingest, jobs: Connection[Any]) -> None:
    (name_token,) = jobs.execute("SELECT name_token FROM core.customers WHERE customer_id = 'cus_2'").fetchone() or ("",)
    bank("transactions", {**TRANSFER, "descriptor": f"pay {name_token} at once"})
    descriptor = _stored(jobs)[0]
    assert name_token not in descriptor
    assert _classes(descriptor) == ["LITERAL"]


def test_no_value_is_left_outside_the_vault(bank: Ingest, jobs: Connection[Any]) -> None:
    bank("transactions", {**TRANSFER, "descriptor": "from Zeynep Öztürk", "reference": "4111 1111 1111 1111"})
    dumped = str(jobs.execute("SELECT transactions::TEXT FROM core.transactions").fetchall())
    assert not re.search("zeynep|1111|ztürk", dumped, re.IGNORECASE)


def test_nothing_of_an_erased_customer_comes_in_again(
    bank: Ingest, jobs: Connection[Any], ingest_deps: IngestDeps, tenant: Tenant
) -> None:
    _erase(ingest_deps, tenant, "cus_1")
    reports = [
        bank("customers", CUSTOMER, OTHER),
        bank("accounts", {**ACCOUNT, "account_id": "acc_9"}, OTHERS_ACCOUNT),
        bank("transactions", TRANSFER, {**TRANSFER, "transaction_id": "txn_2", "account_id": "acc_2"}),
    ]
    for report in reports:
        assert [problem.reason_code for problem in report.problems] == ["subject_erased"]
        assert report.rows_quarantined == 1
        rows = jobs.execute("SELECT sealed_row FROM core.ingest_quarantine WHERE ingest_id = %s", [report.ingest_id]).fetchall()
        opened = ingest_deps.vault.open_bytes(rows[0][0], tenant_id=tenant.tenant_id, place=f"quarantine|{report.ingest_id}|1")
        assert opened == b""
    assert jobs.execute("SELECT transaction_id FROM core.transactions").fetchall() == [("txn_2",)]


def _erase(deps: IngestDeps, tenant: Tenant, subject_id: str) -> None:
    now = datetime.now(UTC)
    with deps.transact_vault(tenant.tenant_id) as conn:
        conn.execute("SELECT vault.erase_subject('kim', 'asked for it', %s, %s, %s)", [subject_id, now, uuid4()])


def test_a_model_that_is_missing_stops_the_file_and_not_the_masking(
    bank: Ingest, ingest_deps: IngestDeps, tenant: Tenant, jobs: Connection[Any]
) -> None:
    from dataclasses import replace

    from masking.ner import NerModelUnusable

    def no_model() -> Any:
        raise NerModelUnusable("the name model is not there")

    rows = json.dumps({**TRANSFER, "descriptor": "Loan back from Adebayo Okonkwo"}).encode()
    with pytest.raises(NerModelUnusable):
        ingest_file(
            replace(ingest_deps, make_masker=no_model), io.BytesIO(rows), "transactions", tenant_id=tenant.tenant_id, now=NOW
        )
    assert jobs.execute("SELECT count(*) FROM core.transactions").fetchone() == (0,)


def test_only_classes_that_are_values_stand_in_the_texts(bank: Ingest, jobs: Connection[Any]) -> None:
    bank("transactions", {**TRANSFER, "descriptor": "EUR 1,290.00 on 2026-03-04 ref 2026/0815 IBAN DE32000000000000123456"})
    descriptor = _stored(jobs)[0]
    assert descriptor.startswith("EUR 1,290.00 on 2026-03-04 ref 2026/0815 IBAN <IBAN_")
    assert _classes(descriptor) == [PiiClass.IBAN.value]
