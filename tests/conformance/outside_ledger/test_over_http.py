"""Over HTTP an answer can be lost or be nonsense: the same ids again give the result, once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest

from domain.errors import InvalidInput
from domain.transfer import ResultCode
from ledger.outside.port import OutsideLedgerUnavailable
from serving.outside_ledger.client import HttpLedger
from serving.outside_ledger.wire import render_request
from tests.conformance.ledger.scene import ALICE, BOB, PURSE, make_request, unknown_id
from tests.conformance.outside_ledger.conftest import TOKEN, Outside


def test_a_lost_answer_is_asked_for_again_with_the_same_id(over_http: Outside) -> None:
    assert over_http.loses is not None
    accepted, refused = make_request(amount_minor=4990), make_request(debit=PURSE)
    over_http.allow(accepted, refused)
    over_http.loses.to_lose = 2
    for _ in range(2):
        with pytest.raises(OutsideLedgerUnavailable):
            over_http.door.apply([accepted, refused])
    results = over_http.door.apply([accepted, refused])
    assert [result.code for result in results] == [ResultCode.ALREADY_ACCEPTED, ResultCode.REFUSED_BEFORE]
    assert results[1].refused_code is ResultCode.LIMIT_EXCEEDED
    assert over_http.balance(BOB).balance_minor == 4990


def test_each_question_says_that_it_got_no_answer(over_http: Outside) -> None:
    assert over_http.loses is not None
    questions: list[Any] = [
        lambda: over_http.door.open_account("customer:new", "EUR"), lambda: over_http.door.find_balance(ALICE, "EUR"),
        lambda: over_http.door.find_transfer(unknown_id()),
        lambda: over_http.door.list_entries(ALICE, "EUR", after=None, limit=9),
    ]  # fmt: skip
    for question in questions:
        over_http.loses.to_lose = 1
        with pytest.raises(OutsideLedgerUnavailable):
            question()
        question()


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"amount_minor": 1.5}, "requests[1].amount_minor"), ({"amount_minor": "100"}, "requests[1].amount_minor"),
        ({"amount_minor": None}, "requests[1].amount_minor"), ({"amount_minor": True}, "requests[1].amount_minor"),
        ({"currency": "euro"}, "requests[1].currency"), ({"transfer_id": "7"}, "requests[1].transfer_id"),
        ({"kind": "steal"}, "requests[1].kind"), ({"code": "loot"}, "requests[1].code"), ({"debit": "x|y"}, "requests[1].debit"),
        ({"occurred_at": "2026-03-01T12:00:00"}, "requests[1].occurred_at"), ({"tenant_id": "other"}, "requests[1].tenant_id"),
    ],
)  # fmt: skip
def test_malformed_requests_are_refused_whole_and_named(over_http: Outside, fields: dict[str, Any], place: str) -> None:
    good = make_request()
    over_http.allow(good)
    body = {"requests": [render_request(good), {**render_request(make_request()), **fields}]}
    answer = httpx.post(f"{over_http.url}/transfers", json=body, headers={"Authorization": f"Bearer {TOKEN}"})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert place in answer.json()["detail"]
    assert over_http.balance(BOB).version == 0


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"requests": 7}', b'{"requests": [7]}', b'{"requests": [NaN]}', b"\xff"])
def test_what_is_no_body_is_refused(over_http: Outside, content: bytes) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    answer = httpx.post(f"{over_http.url}/transfers", content=content, headers=headers)
    assert answer.status_code == answer.json()["status"]
    assert answer.status_code == (400 if content == b"\xff" else 422)


def test_without_the_token_nothing_is_said(over_http: Outside) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        for path in (f"balances?code={ALICE}&currency=EUR", f"transfers/{unknown_id()}", f"entries?code={ALICE}&currency=EUR"):
            assert httpx.get(f"{over_http.url}/{path}", headers=headers).status_code == 403
    stranger = HttpLedger(base_url=over_http.url, token="wrong")
    with pytest.raises(OutsideLedgerUnavailable):
        stranger.find_balance(ALICE, "EUR")
    stranger.close()


@contextmanager
def answering(status: int, body: object) -> Iterator[HttpLedger]:
    """A ledger that gives one answer to everything."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    client = HttpLedger(base_url=f"http://127.0.0.1:{server.server_address[1]}", token=TOKEN, deadline_s=5)
    try:
        yield client
    finally:
        client.close()
        server.shutdown()
        server.server_close()
        thread.join(10)


REQUEST = make_request()
RESULT = {"transfer_id": str(REQUEST.transfer_id), "code": "accepted"}
BALANCE = dict.fromkeys(
    ("balance_minor", "debits_posted_minor", "credits_posted_minor", "debits_pending_minor", "credits_pending_minor", "version"),
    0,
)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>"), (200, []), (200, {}), (200, {"results": []}), (200, {"results": [{**RESULT, "code": "paid"}]}),
        (200, {"results": [{**RESULT, "transfer_id": str(unknown_id())}]}), (200, {"results": [RESULT, RESULT]}),
        (200, {"results": [{**RESULT, "amount_minor": 1.0}]}), (200, {"results": [{**RESULT, "amount_minor": "1"}]}),
        (200, b"[" * 100_000), (201, {"results": [RESULT]}), (302, {}), (401, {}), (404, {}), (409, {"code": "account_exists"}),
        (500, {"code": "x"}), (503, {}), (422, b""),
    ],
)  # fmt: skip
def test_an_answer_that_is_not_the_protocols_is_no_answer(status: int, body: object) -> None:
    with answering(status, body) as client, pytest.raises(OutsideLedgerUnavailable):
        client.apply([REQUEST])


@pytest.mark.parametrize("body", [{**BALANCE, "code": BOB, "currency": "EUR"}, {**BALANCE, "code": ALICE, "currency": "USD"}, {}])
def test_another_accounts_balance_is_no_answer(body: object) -> None:
    with answering(200, body) as client, pytest.raises(OutsideLedgerUnavailable):
        client.find_balance(ALICE, "EUR")


def test_a_bare_404_is_not_taken_for_the_ledgers_word() -> None:
    with answering(404, {"detail": "nginx"}) as client:
        with pytest.raises(OutsideLedgerUnavailable):
            client.find_transfer(REQUEST.transfer_id)
        with pytest.raises(OutsideLedgerUnavailable):
            client.find_balance(ALICE, "EUR")


def test_a_refused_request_keeps_its_code() -> None:
    with answering(422, {"code": "invalid_transfer"}) as client, pytest.raises(InvalidInput) as raised:
        client.apply([REQUEST])
    assert raised.value.code == "invalid_transfer"
