"""Features over the money process: a customer's, and the rebuild by an administrator, which the log tells of."""

from __future__ import annotations

from datetime import timedelta

from gates.features import fold_hours
from storage.unit_of_work import unit_of_work
from tests.integration.gates.desk_records import ADA, CUSTOMER, KIM, token_of
from tests.integration.money.conftest import Process


def _refund_one(process: Process) -> None:
    desk = process.desk
    first = desk.add_charge()
    desk.add_charge(minutes=1)
    answer = process.post(f"/v1/proposals/{desk.propose(desk.add_turn([first]))}/decide")
    assert answer.json()["decision"]["outcome"] == "allow", answer.text


def test_a_customer_s_features_and_how_long_a_read_takes(process: Process) -> None:
    _refund_one(process)
    answer = process.get(f"/v1/features/{CUSTOMER}").json()
    assert [(item["window"], item["currency"], item["acts"], item["amount_minor"]) for item in answer["items"]] == [
        (window, "EUR", 1, 1290) for window in ("1h", "24h", "7d", "30d")
    ]
    assert 0 < answer["read_p50_us"] <= answer["read_p95_us"]
    assert process.get("/v1/features/cus_nobody").status_code == 404


def test_an_administrator_has_them_rebuilt_and_the_log_says_so(process: Process) -> None:
    _refund_one(process)
    desk = process.desk
    with unit_of_work(desk.gate_pool, desk.tenant.context("gate")) as gate:
        fold_hours(gate, process.clock.now() + timedelta(hours=2))
    refused = process.post("/v1/features/rebuild", session_token=token_of(ADA, desk.tenant.tenant_id))
    assert (refused.status_code, refused.json()["code"]) == (403, "not_permitted")
    rebuilt = process.post("/v1/features/rebuild", session_token=token_of(KIM, desk.tenant.tenant_id)).json()
    assert (rebuilt["acts"], rebuilt["equal"]) == (1, True)
    told = desk.role("auditor").execute("SELECT data FROM core.events WHERE event_type = 'gate.features_rebuilt'").fetchall()
    assert [row[0]["hash_after"] for row in told] == [rebuilt["hash_after"]]
    assert told[0][0]["asked_by"] == KIM
