"""Incidents over the API and on their page: who reads them, who takes them in hand."""

from __future__ import annotations

from datetime import UTC, datetime

from domain.case import CaseKind
from storage.cases import open_case
from tests.integration.edge.test_access import _hidden, console
from tests.integration.edge.world import EdgeWorld


def open_one(world: EdgeWorld, kind: CaseKind = CaseKind.LEAK_INCIDENT, subject: str = "output") -> str:
    """Open a case as a program of ours does."""
    now = datetime.now(UTC)
    return open_case(
        world.conn_as("gate", world.tenant),
        kind=kind,
        subject=subject,
        facts={"where": "answer"},
        amount_minor=None,
        currency=None,
        now=now,
        due_at=now,
    )


def test_list_show_acknowledge(world: EdgeWorld) -> None:
    case_id = open_one(world)
    open_one(world, CaseKind.INSTRUCTION_FAILED, "evt_1")
    kim = world.sign_in("kim")
    (row,) = kim.get("/api/v1/incidents").json()["items"]
    assert (row["case"]["case_id"], row["acknowledgement"]) == (case_id, None)
    assert row["runbook"] == "docs/runbooks/leak_incident.md"
    assert kim.get("/api/v1/incidents", params={"kind": "log_tampered"}).json() == {"items": []}
    assert kim.get("/api/v1/incidents", params={"kind": "tea"}).status_code == 422
    taken = kim.post(f"/api/v1/incidents/{case_id}/ack", json={"note": "I look at the answer"})
    assert (taken.status_code, taken.json()["acknowledgement"]["acknowledged_by"]) == (200, "opr_kim")
    assert kim.post(f"/api/v1/incidents/{case_id}/ack", json={"note": "again"}).json() == taken.json()
    other = world.sign_in("cleo").post(f"/api/v1/incidents/{case_id}/ack", json={"note": "me"})
    assert (other.status_code, other.json()["code"]) == (409, "already_acknowledged")
    assert kim.get(f"/api/v1/incidents/{case_id}").json() == taken.json()
    assert kim.post(f"/api/v1/cases/{case_id}/close", json={"outcome": "explained"}).status_code == 200
    assert kim.get("/api/v1/incidents").json() == {"items": []}
    assert len(kim.get("/api/v1/incidents", params={"state": "closed"}).json()["items"]) == 1


def test_who_may(world: EdgeWorld) -> None:
    case_id = open_one(world)
    path = f"/api/v1/incidents/{case_id}"
    assert world.sign_in("ada").get("/api/v1/incidents").status_code == 403
    ira = world.sign_in("ira")
    assert ira.get(path).status_code == 200
    assert ira.post(f"{path}/ack", json={"note": "mine"}).status_code == 403
    kim = world.sign_in("kim")
    assert kim.post(f"{path}/ack", json={"note": "  "}).json()["code"] == "note_missing"
    assert kim.post(f"{path}/ack", json={}).status_code == 422
    assert kim.get(f"/api/v1/incidents/cas_{'0' * 32}").json()["code"] == "incident_not_found"
    assert kim.get("/api/v1/incidents/x").status_code == 422


def test_the_page(world: EdgeWorld) -> None:
    case_id = open_one(world)
    kim = console(world, "kim")
    page = kim.get("/incidents").text
    assert case_id in page
    assert "docs/runbooks/leak_incident.md" in page
    sent = {"csrf": _hidden(page, "csrf"), "note": "I look at <b>it</b>"}
    taken = kim.post(f"/incidents/{case_id}/ack", data=sent)
    assert "opr_kim looks after it" in taken.text
    assert "I look at &lt;b&gt;it&lt;/b&gt;" in taken.text
    assert kim.post(f"/incidents/{case_id}/ack", data={**sent, "csrf": "x"}).status_code == 403
    cleo = console(world, "cleo")
    late = cleo.post(f"/incidents/{case_id}/ack", data={"csrf": _hidden(cleo.get("/incidents").text, "csrf"), "note": "me"})
    assert late.status_code == 409
    assert "opr_kim acknowledged it" in late.text
    assert console(world, "ada").get("/incidents").status_code == 403
