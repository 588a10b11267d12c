"""The planted values on every surface of a whole service: none holds one, whatever people did with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from demo.canaries import CANARIES, CANARY_CUSTOMER, CANARY_MESSAGE, value_of
from serving.cli.leak_scan import Searcher
from tests.acceptance.service import Service

pytestmark = pytest.mark.slow
_PATHS = (
    "/customers", f"/customers/{CANARY_CUSTOMER}", f"/customers/{CANARY_CUSTOMER}/transactions/txn_ca7a9700c0d0", "/approvals",
    "/incidents", "/operations", "/api/v1/events", f"/api/v1/customers/{CANARY_CUSTOMER}", "/api/v1/customers", "/metrics",
)  # fmt: skip


@pytest.fixture
def service(small_service: Service) -> Service:
    small_service.start()
    return small_service


def _scan(service: Service) -> tuple[int, list[dict[str, Any]]]:
    run = service.cli("leaks", "scan", "--json")
    assert run.status in {0, 1}, run.out + run.err
    assert run.json["columns"] > 100
    assert run.json["files"] > 5
    assert not Searcher().count([run.out.encode(), run.err.encode()]), "the scan itself told a value"
    found: list[dict[str, Any]] = run.json["found"]
    return run.status, found


def test_no_surface_holds_a_planted_value(service: Service, tmp_path: Path) -> None:
    assert _scan(service) == (0, [])
    answer = service.ask(CANARY_CUSTOMER, CANARY_MESSAGE)
    assert "message_id" in answer
    _misuse(service, tmp_path)
    assert _scan(service) == (0, [])

    with service.api("ada") as entitled:
        assert value_of("PERSON") in entitled.get(f"/api/v1/customers/{CANARY_CUSTOMER}").text
        assert value_of("CARD") not in entitled.get(f"/api/v1/customers/{CANARY_CUSTOMER}").text
    # An auditor and an administrator have no right to any value.
    for username in ("ira", "kim"):
        with service.api(username) as without_right:
            for path in (*_PATHS, f"/api/v1/messages/{answer['message_id']}/answer"):
                shown = without_right.get(path, follow_redirects=True)
                assert not Searcher().count([shown.content, str(shown.headers).encode()]), f"{username} {path}"

    # What stands there is seen, and said without the value.
    (service.var_dir / "log" / "forgotten.log").write_text(f"debug: {value_of('CARD')}\n")
    assert _scan(service) == (1, [{"surface": "file", "place": "log/forgotten.log", "class": "CARD", "count": 1}])


def _misuse(service: Service, folder: Path) -> None:
    """Bring the values in where nobody expects them: paths, queries, ids, bad files, keys, wrong bodies."""
    rows = folder / "transactions.jsonl"
    row = {"transaction_id": value_of("CARD"), "descriptor": CANARY_MESSAGE, value_of("IBAN"): value_of("EMAIL")}
    rows.write_text(json.dumps(row) + "\n" + CANARY_MESSAGE + "\n")
    service.cli("ingest", str(rows), "--kind", "transactions", "--as", "kim")
    with service.api("ada") as client:
        for canary in CANARIES:
            value = canary.value
            requests: tuple[tuple[str, str, dict[str, Any]], ...] = (
                ("GET", f"/api/v1/customers/{quote(value, safe='')}", {}),
                ("GET", "/api/v1/customers", {"params": {"q": value}}),
                ("POST", "/api/v1/conversations", {"json": {"customer_id": value[:64]}}),
                ("POST", "/api/v1/conversations", {"json": {value: value}}),
                ("GET", "/api/v1/receipts", {"headers": {"X-Request-Id": value.encode()}}),
            )
            for method, path, more in requests:
                assert client.request(method, path, **more).status_code < 500
