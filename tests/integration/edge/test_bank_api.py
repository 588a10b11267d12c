"""The bank's callbacks come in at the edge, which checks nothing; the jobs process judges them; what they did can be read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from psycopg import Connection

from serving.bank.acknowledging import Acknowledger
from serving.bank.callback import decode_secret, sign_callback
from serving.bank.desk import BankDesk, DeskDeps
from serving.edge.bank_client import BankClient
from serving.edge.process_client import Peer
from serving.jobs.app import JobsDeps, create_jobs_app
from storage.jobs import make_job_app
from storage.outbox import enqueue_instruction, find_instruction
from storage.pools import open_pool
from storage.unit_of_work import unit_of_work
from tests.integration.edge.served import Served
from tests.integration.edge.test_events import Terminal
from tests.integration.edge.world import EdgeWorld, MachineClock

SECRET_TEXT = "whsec_" + "dGhpcy1pcy1hLXRlc3Qtc2VjcmV0LW9mLTMyLWJ5dGVz"
SECRET = decode_secret(SECRET_TEXT)
TOKEN = "jobs-token"


def _no_relay() -> Any:
    raise AssertionError("no sender runs in this test")


@dataclass(slots=True)
class Bank:
    """The bank's side: it calls back."""

    world: EdgeWorld
    jobs: Served
    executor: Connection[Any]
    observer: Connection[Any]

    def instruct(self) -> UUID:
        """Have one instruction written."""
        instruction_id, tenant = uuid4(), self.world.tenant
        enqueue_instruction(
            self.executor,
            tenant_id=tenant.tenant_id,
            instruction_id=instruction_id,
            kind="refund",
            reference=f"dec_{instruction_id.hex}",
            payload={"transfer_id": f"tfr_{instruction_id.hex}", "amount_minor": 4990, "currency": "EUR"},
            now=datetime.now(UTC),
        )
        return instruction_id

    def call_back(self, instruction_id: UUID, status: str = "confirmed", **override: Any) -> httpx.Response:
        """Send a signed acknowledgement. `override`: age_s, secret, tenant_id, body, signature, headers, more fields."""
        more = override.get("more", {})
        said = {"format": "tellergate-acknowledgement/1", "instruction_id": f"ins_{instruction_id.hex}", "status": status, **more}
        body = override.get("body", json.dumps(said).encode())
        moment = datetime.now(UTC) - timedelta(seconds=override.get("age_s", 0))
        timestamp = str(int(moment.timestamp()))
        signed = sign_callback(override.get("secret", SECRET), message_id="msg_1", timestamp=timestamp, body=body)
        headers = {
            "webhook-id": "msg_1",
            "webhook-timestamp": timestamp,
            "webhook-signature": override.get("signature", f"v1,old {signed}"),
            "content-type": "application/json",
            **override.get("headers", {}),
        }
        tenant_id = override.get("tenant_id", self.world.tenant.tenant_id)
        sent = {name: value for name, value in headers.items() if value is not None}
        return self.world.browser().post(f"/api/v1/bank/{tenant_id}/acknowledgements", content=body, headers=sent)

    def state_of(self, instruction_id: UUID) -> str:
        """Return where it stands."""
        return find_instruction(self.observer, instruction_id).state


@pytest.fixture
def bank(world: EdgeWorld) -> Iterator[Bank]:
    """A jobs process behind the edge, and a bank before it."""
    pool = open_pool(world.database.dsn("jobs"), name="test-jobs-bank", max_size=2)
    acknowledgements = Acknowledger(transact=lambda _: unit_of_work(pool, world.tenant.context("jobs")), random=Random(3))
    desk = BankDesk(
        DeskDeps(
            tenant_id=world.tenant.tenant_id, adapter="http", open_relay=_no_relay, collector=None,
            acknowledgements=acknowledgements, callback_secret=SECRET, clock=MachineClock(), senders=0,
        )
    )  # fmt: skip
    deps = JobsDeps(
        ingest=None,  # type: ignore[arg-type]
        ingest_dir=world.folder,
        job_app=make_job_app(world.database.dsn("jobs")),
        clock=MachineClock(),
        process_token=TOKEN,
        bank=desk,
    )
    socket_path = world.folder / "jobs.sock"
    jobs = Served(create_jobs_app(deps), uds=socket_path)
    world.stop("edge")
    world.deps = replace(world.deps, bank=BankClient(Peer("jobs", socket_path, TOKEN)))
    world.start("edge")
    yield Bank(world, jobs, world.conn_as("executor", world.tenant), world.conn_as("jobs", world.tenant))
    jobs.stop()
    pool.close()


def test_a_signed_callback_settles_its_instruction_and_a_repeated_one_does_no_harm(bank: Bank) -> None:
    instruction_id = bank.instruct()
    effects = [bank.call_back(instruction_id, status).json()["effect"] for status in ("confirmed", "accepted", "confirmed")]
    assert effects == ["confirmed", "none", "none"]
    assert bank.state_of(instruction_id) == "confirmed"


@pytest.mark.parametrize(
    "override",
    [
        {"secret": b"another secret of some length"}, {"signature": ""}, {"signature": "v1,"}, {"signature": "v1,ä"},
        {"age_s": 301}, {"age_s": -302}, {"headers": {"webhook-timestamp": "now"}}, {"headers": {"webhook-timestamp": "9" * 20}},
        {"headers": {"webhook-id": "msg_2"}},
    ],
)  # fmt: skip
def test_what_is_not_the_banks_stays_out(bank: Bank, override: dict[str, Any]) -> None:
    instruction_id = bank.instruct()
    if override.get("signature") == "v1,ä":
        override = {"headers": {"webhook-signature": "v1,ä".encode()}}
    answer = bank.call_back(instruction_id, **override)
    assert (answer.status_code, answer.json()["code"]) == (403, "callback_refused")
    assert bank.state_of(instruction_id) == "pending"


@pytest.mark.parametrize(
    ("override", "status", "code"),
    [
        ({"body": b""}, 422, "unreadable_acknowledgement"), ({"body": b"{"}, 422, "unreadable_acknowledgement"),
        ({"body": b"[" * 8000}, 422, "unreadable_acknowledgement"), ({"body": b"x" * 9000}, 413, "body_too_large"),
        ({"more": {"status": "done"}}, 422, "unreadable_acknowledgement"),
        ({"more": {"status": "refused"}}, 422, "unreadable_acknowledgement"),
        ({"more": {"amount_minor": 4990}}, 422, "unreadable_acknowledgement"),
        ({"more": {"amount_minor": "4990", "currency": "EUR"}}, 422, "unreadable_acknowledgement"),
        ({"more": {"amount_minor": 0, "currency": "EUR"}}, 422, "unreadable_acknowledgement"),
        ({"more": {"amount_minor": 2**63, "currency": "EUR"}}, 422, "unreadable_acknowledgement"),
        ({"more": {"amount_minor": 4990, "currency": "XXX"}}, 422, "unreadable_acknowledgement"),
        ({"more": {"bank_reference": "a b"}}, 422, "unreadable_acknowledgement"),
        ({"more": {"instruction_id": "ins_" + "0" * 32}}, 404, "unknown_instruction"),
        ({"tenant_id": "another-bank"}, 404, "callbacks_off"), ({"tenant_id": "NO"}, 422, "invalid_request"),
        ({"headers": {"webhook-id": None}}, 422, "invalid_request"),
    ],
)  # fmt: skip
def test_bad_callbacks_are_error_objects_and_change_nothing(bank: Bank, override: dict[str, Any], status: int, code: str) -> None:
    instruction_id = bank.instruct()
    answer = bank.call_back(instruction_id, **override)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert bank.state_of(instruction_id) == "pending"


def test_without_the_jobs_process_the_bank_is_told_to_come_again(bank: Bank) -> None:
    instruction_id = bank.instruct()
    bank.jobs.stop()
    answer = bank.call_back(instruction_id)
    assert (answer.status_code, answer.json()["code"]) == (503, "jobs_down")
    status = bank.world.sign_in("ira").get("/api/v1/bank/status").json()
    assert (status["relay"], status["states"][0]["count"]) == ("down", 1)


def test_what_was_said_can_be_read_by_those_who_may(bank: Bank) -> None:
    ids = [bank.instruct() for _ in range(3)]
    refused = {"reason_code": "account_closed", "bank_reference": "B-7"}
    for instruction_id in ids:
        bank.call_back(instruction_id, "refused", more=refused)
    auditor = bank.world.sign_in("ira")
    status = auditor.get("/api/v1/bank/status").json()
    assert (status["relay"], status["adapter"], status["states"][0]["state"]) == ("up", "http", "failed")
    page = auditor.get("/api/v1/bank/instructions", params={"limit": 2}).json()
    rest = auditor.get("/api/v1/bank/instructions", params={"limit": 2, "after": page["next_after"]}).json()
    listed = [row["instruction_id"] for row in (*page["items"], *rest["items"])]
    assert listed == [f"ins_{one.hex}" for one in ids]
    assert rest["next_after"] is None
    one = auditor.get(f"/api/v1/bank/instructions/{listed[0]}").json()
    assert (one["state"], one["failure"], one["amount_minor"]) == ("failed", "account_closed", 4990)
    assert [(said["status"], said["channel"], said["effect"]) for said in one["acknowledgements"]] == [
        ("refused", "callback", "failed")
    ]
    for path in ("instructions/ins_x", "instructions?state=lost", "instructions?after=x", "instructions?limit=0"):
        assert auditor.get(f"/api/v1/bank/{path}").status_code == 422
    assert auditor.get(f"/api/v1/bank/instructions/ins_{'0' * 32}").status_code == 404
    for username in ("ada", "gus"):
        for path in ("status", "instructions", f"instructions/{listed[0]}"):
            assert bank.world.sign_in(username).get(f"/api/v1/bank/{path}").status_code == 403


def test_the_same_at_a_terminal(bank: Bank) -> None:
    instruction_id = bank.instruct()
    bank.call_back(instruction_id, "refused", more={"reason_code": "account_closed"})
    outside = f"ins_{instruction_id.hex}"
    terminal = Terminal(bank.world, "bank")
    terminal.serve()
    try:
        assert json.loads(terminal.run("status", "--json")[1])["states"][0]["count"] == 1
        status, out, _ = terminal.run("status")
        assert (status, "failed: 1" in out) == (0, True)
        assert outside in terminal.run("instructions")[1]
        assert json.loads(terminal.run("instructions", "--state", "sent", "--json")[1]) == {"items": [], "next_after": None}
        assert "refused (account_closed) by callback: failed" in terminal.run("show", outside)[1]
        for arguments, code in (
            (("show", "ins_1"), "invalid_id"), (("show", f"ins_{'0' * 32}"), "unknown_instruction"),
            (("instructions", "--after", "x"), "invalid_id"), (("status", "--as", "ada"), "token_of_somebody_else"),
        ):  # fmt: skip
            status, out, err = terminal.run(*arguments)
            assert (status, out) == (2, "")
            assert f"[{code}]" in err
        assert terminal.run("instructions", "--state", "lost")[0] == 2
    finally:
        terminal.close()
