"""Who gets in, what he may open, and that forged requests stay out."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import httpx
import pytest

from serving.edge.request_limits import CONTENT_SECURITY_POLICY
from tests.integration.edge.world import ANA, ANA_EMAIL, ANA_IBAN, ANA_NAME, PASSWORD, STRANGER, EdgeWorld


def console(world: EdgeWorld, username: str) -> httpx.Client:
    """Sign in on the page, as a person does."""
    browser = world.browser()
    entry = _hidden(browser.get("/login").text, "entry")
    answer = browser.post("/login", data={"username": username, "password": PASSWORD, "entry": entry})
    assert answer.status_code == 303, answer.text
    return browser


def _hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None, name
    return found.group(1)


def test_the_cookie_is_out_of_reach_and_ends_with_the_session(world: EdgeWorld) -> None:
    browser = world.browser()
    entry = _hidden(browser.get("/login").text, "entry")
    answer = browser.post("/login", data={"username": "ada", "password": PASSWORD, "entry": entry})
    cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith("tg_session="))
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Path=/" in cookie
    page = browser.get("/customers")
    assert page.status_code == 200
    token = browser.cookies["tg_session"]
    assert browser.post("/logout", data={"csrf": _hidden(page.text, "csrf")}).status_code == 303
    browser.cookies.set("tg_session", token)
    left = browser.get("/customers")
    assert (left.status_code, left.headers["location"]) == (303, "/login?ended=1&next=/customers")
    fragment = browser.get("/customers", headers={"HX-Request": "true"})
    assert (fragment.status_code, fragment.headers["HX-Redirect"]) == (401, "/login?ended=1")


def test_an_expired_session_leads_to_the_sign_in(world: EdgeWorld) -> None:
    browser = console(world, "ada")
    world.conn_as("edge", world.tenant).execute("UPDATE core.sessions SET revoked_at = %s", [datetime.now(UTC)])
    assert browser.get(f"/customers/{ANA}").headers["location"].startswith("/login")


def test_wrong_credentials_get_one_answer_and_then_a_pause(world: EdgeWorld) -> None:
    client = world.browser()
    answers = [
        client.post("/api/v1/sessions", json={"username": username, "password": password, "tenant_id": tenant_id})
        for username, password, tenant_id in (
            ("nobody", PASSWORD, None),
            ("ada", "wrong", None),
            ("ada", PASSWORD, "another-bank"),
            ("ada", PASSWORD, "NOT A TENANT"),
        )
    ]
    assert {(answer.status_code, answer.json()["detail"]) for answer in answers} == {
        (401, "the workspace, name or password is not right")
    }
    for _ in range(4):
        client.post("/api/v1/sessions", json={"username": "ada", "password": "wrong"})
    paused = client.post("/api/v1/sessions", json={"username": "ada", "password": PASSWORD})
    assert paused.status_code == 429
    assert int(paused.headers["Retry-After"]) > 0
    assert world.sign_in("ben")


def test_a_person_who_left_cannot_sign_in(world: EdgeWorld) -> None:
    world.conn_as("jobs", world.tenant).execute("UPDATE core.operators SET active = FALSE WHERE username = 'ben'")
    assert world.browser().post("/api/v1/sessions", json={"username": "ben", "password": PASSWORD}).status_code == 401


def test_changing_requests_need_the_pages_own_token(world: EdgeWorld) -> None:
    browser = console(world, "ada")
    forged = browser.post(f"/customers/{ANA}/messages", data={"text": "hello", "key": "k", "csrf": "x"})
    assert forged.status_code == 403
    assert browser.post("/logout", data={}).status_code == 403
    assert browser.post("/api/v1/conversations", json={"customer_id": ANA}).status_code == 403
    assert browser.post("/login", data={"username": "ada", "password": PASSWORD, "entry": "x"}).status_code == 403
    csrf = _hidden(browser.get("/customers").text, "csrf")
    made = browser.post("/api/v1/conversations", json={"customer_id": ANA}, headers={"X-CSRF-Token": csrf})
    assert made.status_code == 201
    assert world.rows("SELECT count(*) FROM core.messages") == [(0,)]


@pytest.mark.parametrize(
    ("username", "allowed"),
    [
        ("ada", {"/customers", f"/customers/{ANA}"}),
        ("cleo", {"/customers", f"/customers/{ANA}", "/approvals"}),
        ("ira", {"/approvals"}),
        ("gus", set()),
    ],
)
def test_each_role_opens_its_own_screens(world: EdgeWorld, username: str, allowed: set[str]) -> None:
    browser = console(world, username)
    pages = {path: browser.get(path) for path in ("/customers", f"/customers/{ANA}", "/approvals")}
    assert {path for path, page in pages.items() if page.status_code == 200} == allowed
    for path in pages.keys() - allowed:
        assert pages[path].status_code == 403
        assert "Not permitted" in pages[path].text
        assert "/logout" in pages[path].text


def test_only_chat_roles_write(world: EdgeWorld) -> None:
    for username in ("cleo", "ira", "kim"):
        assert world.sign_in(username).post("/api/v1/conversations", json={"customer_id": ANA}).status_code == 403


def test_the_picker_finds_by_name_and_id_and_keeps_reveals_on_record(world: EdgeWorld) -> None:
    client = world.sign_in()
    for query in ("lucia ferr", "FERREYRA", ANA, "ana"):
        found = client.get("/api/v1/customers", params={"q": query}).json()
        assert [one["customer_id"] for one in found["items"]] == [ANA], query
    assert client.get("/api/v1/customers", params={"q": "zz"}).json() == {"items": [], "total": 0, "offset": 0}
    both = client.get("/api/v1/customers", params={"limit": 1}).json()
    assert (both["total"], len(both["items"])) == (2, 1)
    reveals = world.conn_as("vault", world.tenant).execute(
        "SELECT DISTINCT actor, purpose, shown FROM vault.pii_reveals WHERE scope = 'record'"
    )
    assert ("opr_ada", "customer_list", "plain") in reveals.fetchall()


def test_what_a_role_sees_of_a_customer(world: EdgeWorld) -> None:
    page = console(world, "ada").get(f"/customers/{ANA}").text
    assert ANA_NAME in page
    assert ANA_EMAIL in page
    assert ANA_IBAN not in page
    assert "•••• 3000" in page
    approver = console(world, "cleo").get(f"/customers/{ANA}").text
    assert ANA_NAME in approver
    assert ANA_EMAIL not in approver


def test_every_answer_carries_the_strict_headers(world: EdgeWorld) -> None:
    browser = console(world, "ada")
    for path in ("/login", f"/customers/{ANA}", "/nowhere", "/static/src/console.css", "/api/v1/openapi.json", "/livez"):
        headers = browser.get(path).headers
        assert headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
    assert browser.get(f"/customers/{ANA}").headers["Cache-Control"] == "no-store"
    assert "unsafe" not in CONTENT_SECURITY_POLICY


def test_every_operation_of_the_api_has_a_name(world: EdgeWorld) -> None:
    paths = world.browser().get("/api/v1/openapi.json").json()["paths"]
    operations = [operation["operationId"] for methods in paths.values() for operation in methods.values()]
    assert len(operations) == len(set(operations))
    assert {"createSession", "sendMessage", "approveReview", "getReceipt", "ingestFile", "getReady"} <= set(operations)


def test_a_strangers_transaction_is_no_record_of_this_customer(world: EdgeWorld) -> None:
    browser = console(world, "ada")
    assert browser.get(f"/customers/{ANA}/transactions/txn_abcdefabcdef").status_code == 404
    assert browser.get(f"/customers/{STRANGER}/transactions/txn_abcdefabcdef").status_code == 200
    assert browser.get("/passages/refund-policy/2").status_code == 200
    assert browser.get("/passages/refund-policy/x").status_code == 404
    assert console(world, "ira").get("/passages/refund-policy/2").status_code == 404


def test_an_upload_is_handed_on_and_not_kept(world: EdgeWorld) -> None:
    kim = world.sign_in("kim")
    rows = b'{"merchant_id": "mrc_9"}\n{"merchant_id": "mrc_8"}\n'
    answer = kim.post("/api/v1/ingest?kind=merchants", content=rows, headers={"Content-Type": "application/x-ndjson"})
    assert answer.json() == {"rows_read": 2, "rows_quarantined": 0}
    (asked,) = world.ingested
    assert (asked.kind, asked.file_format, asked.operator_id) == ("merchants", "jsonl", "opr_kim")
    assert list(asked.file.parent.iterdir()) == []
    assert kim.post("/api/v1/ingest?kind=merchants", content=rows).json()["code"] == "unknown_format"
    assert kim.post("/api/v1/ingest?kind=merchants&format=csv", content=b"").json()["code"] == "empty_file"
    assert world.sign_in("ada").post("/api/v1/ingest?kind=merchants&format=csv", content=rows).status_code == 403
