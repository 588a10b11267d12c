"""The log's head over HTTP: sent when it moved, once it arrived not again, and a deaf receiver is tried until it hears."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import httpx
import pytest

from domain.errors import SetupError
from gates.receipts.sequencing import sequence_events
from masking.guard import Surface
from serving.jobs.anchoring import AnchorDeps, AnchorSender
from serving.settings import read_settings
from storage.pools import open_pool
from storage.unit_of_work import unit_of_work
from tests.conftest import ConnAs, Database, Tenant
from tests.integration.edge.world import MachineClock
from tests.integration.gates.desk import Desk
from tests.unit.receipts.paper_log import SIGNER, load_verifier

_VERIFIER = load_verifier()


class Receiver:
    """An HTTP server of the test's own that keeps what it is sent."""

    def __init__(self) -> None:
        self.status = 204
        self.bodies: list[bytes] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if receiver.status == 204:
                    receiver.bodies.append(body)
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/heads"
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that answers."""
    made = Receiver()
    yield made
    made.stop()


@pytest.fixture
def desk(database: Database, tenant: Tenant, conn_as: ConnAs) -> Iterator[Desk]:
    """An open desk of the real gate."""
    gate = open_pool(database.dsn("gate"), name="webhook-gate", max_size=2)
    executor = open_pool(database.dsn("executor"), name="webhook-executor", max_size=1)
    yield Desk(tenant, conn_as, gate, executor).open()
    gate.close()
    executor.close()


@pytest.fixture
def sender(desk: Desk, database: Database, receiver: Receiver) -> Iterator[AnchorSender]:
    """A sender with the jobs process's rights."""
    pool = open_pool(database.dsn("jobs"), name="webhook-jobs", max_size=1)
    context = desk.tenant.context("jobs")
    yield AnchorSender(
        AnchorDeps(receiver.url, (desk.tenant.tenant_id,), lambda _: unit_of_work(pool, context), MachineClock(), _let_pass)
    )
    pool.close()


def _let_pass(texts: Sequence[str], *, tenant_id: str, surface: Surface) -> None:
    assert texts
    assert tenant_id
    assert surface is Surface.WEBHOOK


def _grow(desk: Desk) -> None:
    desk.decide_refund(desk.add_turn([desk.add_charge()]))
    sequence_events(desk.gate_pool, desk.scope.context, SIGNER, now=desk.now)


def test_a_head_arrives_once_and_again_when_it_moved(desk: Desk, sender: AnchorSender, receiver: Receiver) -> None:
    tenant_id = desk.tenant.tenant_id
    assert sender.send_head(tenant_id) is None
    _grow(desk)
    first = sender.send_head(tenant_id)
    assert first is not None
    assert sender.send_head(tenant_id) is None
    _grow(desk)
    assert sender.send_head(tenant_id) is not None
    sizes = [json.loads(body)["tree_size"] for body in receiver.bodies]
    assert sizes == sorted(set(sizes))
    anchors = _VERIFIER.read_anchors(b"".join(receiver.bodies))
    key = _VERIFIER.parse_key(SIGNER.verifier_key)
    assert [_VERIFIER.check_checkpoint(anchor["note"], key).size for anchor in anchors] == sizes


@pytest.mark.parametrize("status", [500, 404, 302])
def test_what_did_not_arrive_is_sent_again(desk: Desk, sender: AnchorSender, receiver: Receiver, status: int) -> None:
    _grow(desk)
    receiver.status = status
    with pytest.raises(httpx.HTTPStatusError):
        sender.send_head(desk.tenant.tenant_id)
    receiver.status = 204
    assert sender.send_head(desk.tenant.tenant_id) is not None
    assert len(receiver.bodies) == 1


@pytest.mark.parametrize("url", ["http://example.org/x", "ftp://127.0.0.1/x", "https://user:word@example.org/x", "x"])
def test_an_address_that_is_none_stops_the_start(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELLERGATE_ANCHOR_URL", url)
    with pytest.raises(SetupError, match="TELLERGATE_ANCHOR_URL"):
        read_settings()
    monkeypatch.setenv("TELLERGATE_ANCHOR_URL", "https://example.org/heads")
    assert read_settings().anchor_url == "https://example.org/heads"
