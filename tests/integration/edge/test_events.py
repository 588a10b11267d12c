"""The log as an auditor follows it: each event once, in its order, across disconnects; over the API and from a terminal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.event import Event
from domain.ids import make_id
from serving.edge.app import create_edge_app
from serving.supervisor.plan import SOCKET_NAMES
from storage.events import append_event
from tests.conftest import ConnAs, Tenant
from tests.integration.edge.served import Served
from tests.integration.edge.world import ANA_EMAIL, ANA_IBAN, ANA_NAME, ROOT, EdgeWorld

_HANG_S = 60.0


def append(world: EdgeWorld, count: int, event_type: str = "case.opened") -> list[str]:
    """Append events as the jobs process does; the money process places them."""
    connection, now, ids = world.conn_as("jobs", world.tenant), datetime.now(UTC), []
    with connection.transaction():
        for _ in range(count):
            event_id = make_id("evt", now)
            append_event(
                connection,
                Event(
                    event_id=event_id, event_type=event_type, source="test", subject="cas_1", tenant_id=world.tenant.tenant_id,
                    occurred_at=now, recorded_at=now, amount_minor=4990, currency="EUR", data={"n": 1},
                ),
            )  # fmt: skip
            ids.append(event_id)
    return ids


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _HANG_S
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.05)


def wait_until_placed(world: EdgeWorld, event_id: str) -> int:
    """Return the position of an event as soon as it has one."""
    query = "SELECT position FROM core.event_positions WHERE event_id = %s"
    connection, key = world.conn_as("edge", world.tenant), [event_id.removeprefix("evt_")]
    wait_for(lambda: connection.execute(query, key).fetchone() is not None)
    row = connection.execute(query, key).fetchone()
    assert row is not None
    return int(row[0])


def test_pages_hold_each_event_once_in_order(world: EdgeWorld) -> None:
    ids = append(world, 7) + append(world, 3, "instruction.sent")
    last = wait_until_placed(world, ids[-1])
    auditor = world.sign_in("ira")
    seen, after = [], -1
    while after < last:
        page = auditor.get("/api/v1/events", params={"after": after, "limit": 4}).json()
        assert len(page["items"]) <= 4
        seen += page["items"]
        after = page["next_after"]
    assert [one["position"] for one in seen] == list(range(last + 1))
    assert [one["id"] for one in seen if one["source"] == "test"] == ids
    one = seen[-1]
    assert (one["specversion"], one["type"], one["subject"]) == ("1.0", "instruction.sent", "cas_1")
    assert (one["event_id"], one["event_type"], one["amount_minor"]) == (one["id"], one["type"], 4990)
    assert one["time"] == one["occurred_at"]


def test_a_type_is_the_beginning_of_a_type_and_the_cursor_passes_what_it_leaves_out(world: EdgeWorld) -> None:
    append(world, 6, "case.opened")
    (wanted,) = append(world, 1, "instruction.sent")
    last = wait_until_placed(world, wanted)
    auditor = world.sign_in("ira")
    page = auditor.get("/api/v1/events", params={"type": "instruction.", "limit": 2}).json()
    assert (page["items"], page["next_after"]) == ([], 1)
    page = auditor.get("/api/v1/events", params={"type": "instruction.", "after": last - 2, "wait_s": 3}).json()
    assert [one["id"] for one in page["items"]] == [wanted]
    waited = auditor.get("/api/v1/events", params={"type": "instruction.", "limit": 2, "wait_s": 3}).json()
    assert [one["id"] for one in waited["items"]] == [wanted]
    nothing = auditor.get("/api/v1/events", params={"type": "instruction.sent.", "after": last}).json()
    assert (nothing["items"], nothing["next_after"]) == ([], nothing["last_position"])


def test_who_waits_gets_the_next_event_as_soon_as_it_is_placed(world: EdgeWorld) -> None:
    last = wait_until_placed(world, append(world, 1)[0])
    auditor, answers = world.sign_in("ira"), []

    def wait() -> None:
        answers.append(auditor.get("/api/v1/events", params={"after": last, "wait_s": 3}).json())

    thread = threading.Thread(target=wait)
    thread.start()
    (event_id,) = append(world, 1)
    thread.join(_HANG_S)
    assert [one["id"] for one in answers[0]["items"]] == [event_id]


@pytest.mark.parametrize("after", ["-2", "x", "1.5", "", "NaN", str(2**53), str(2**70), "1000000"])
def test_a_bad_cursor_is_a_clear_error(world: EdgeWorld, after: str) -> None:
    wait_until_placed(world, append(world, 1)[0])
    answer = world.sign_in("ira").get("/api/v1/events", params={"after": after})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    expected = "cursor_beyond_log" if after == "1000000" else "invalid_request"
    assert answer.json()["code"] == expected


@pytest.mark.parametrize(
    "query", [{"type": "Ledger"}, {"type": "a%"}, {"limit": "0"}, {"limit": "1001"}, {"wait_s": "4"}, {"wait_s": "-1"}]
)
def test_other_bad_input(world: EdgeWorld, query: dict[str, str]) -> None:
    assert world.sign_in("ira").get("/api/v1/events", params=query).status_code == 422


def test_only_auditors_and_admins_read_the_log(world: EdgeWorld) -> None:
    for username, status in {"ira": 200, "kim": 200, "ada": 403, "ben": 403, "cleo": 403, "gus": 403}.items():
        assert world.sign_in(username).get("/api/v1/events").status_code == status
    assert world.browser().get("/api/v1/events").status_code == 401


def test_another_tenants_events_are_not_in_it(world: EdgeWorld, conn_as: ConnAs, other_tenant: Tenant) -> None:
    stranger = conn_as("gate", other_tenant)
    stranger.execute(
        "INSERT INTO core.events (tenant_id, event_id, event_type, source, subject, occurred_at, recorded_at, data)"
        " VALUES (%s, gen_random_uuid(), 'case.opened', 'stranger', 's', now(), now(), '{}')",
        [other_tenant.tenant_id],
    )
    wait_for(lambda: bool(stranger.execute("SELECT FROM core.event_positions").fetchall()))
    wait_until_placed(world, append(world, 1)[0])
    sources = {one["source"] for one in world.sign_in("ira").get("/api/v1/events").json()["items"]}
    assert "test" in sources
    assert "stranger" not in sources


def test_no_regulated_value_is_in_it(world: EdgeWorld) -> None:
    world.ask(world.sign_in("ada"), f"{ANA_NAME} ({ANA_EMAIL}, {ANA_IBAN}) says she was charged twice. Is that so?")
    wait_until_placed(world, append(world, 1)[0])
    text = world.sign_in("ira").get("/api/v1/events").text
    assert "message.received" in text
    for value in (*ANA_NAME.split(), ANA_EMAIL, ANA_IBAN, "901820"):
        assert value.lower() not in text.lower()


class Terminal:
    """A command as a real process against this edge's socket."""

    def __init__(self, world: EdgeWorld, command: str = "events") -> None:
        self.world = world
        self.command = command
        self.run_dir = world.folder / "run"
        self.run_dir.mkdir()
        token = world.sign_in("ira").headers["Authorization"].removeprefix("Bearer ")
        self.environment = {
            **os.environ, "TELLERGATE_VAR_DIR": str(world.folder), "TELLERGATE_TOKEN": token, "PYTHONPATH": str(ROOT),
        }  # fmt: skip
        self.edge: Served | None = None
        self.processes: list[subprocess.Popen[str]] = []

    def serve(self) -> None:
        """Open the socket that the CLI speaks to."""
        self.edge = Served(create_edge_app(replace(self.world.deps)), uds=self.run_dir / SOCKET_NAMES["edge"])

    def unserve(self) -> None:
        """Close it. Idempotent."""
        if self.edge is not None:
            self.edge.stop()
            self.edge = None

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the command."""
        command = (sys.executable, "-m", "serving.cli", self.command, *arguments)
        process = subprocess.Popen(
            command, cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.processes.append(process)
        return process

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run the command to its end."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=_HANG_S)
        return process.returncode, out, err

    def shell(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run it in a pipe."""
        return subprocess.run(
            ("bash", "-o", "pipefail", "-c", line.replace("EVENTS", f"{sys.executable} -m serving.cli events")),
            cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=_HANG_S, check=False,
        )  # fmt: skip

    def close(self) -> None:
        """Leave nothing behind."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate(timeout=_HANG_S)
        self.unserve()


@pytest.fixture
def terminal(world: EdgeWorld) -> Iterator[Terminal]:
    """A terminal of the auditor."""
    opened = Terminal(world)
    opened.serve()
    yield opened
    opened.close()


def read_lines(process: subprocess.Popen[str], count: int) -> list[dict[str, Any]]:
    """Read so many lines; a hang is the test's time limit."""
    assert process.stdout is not None
    return [json.loads(process.stdout.readline()) for _ in range(count)]


def test_following_misses_and_repeats_nothing_across_a_restart_and_ends_well(world: EdgeWorld, terminal: Terminal) -> None:
    first = append(world, 5)
    start = wait_until_placed(world, first[-1])
    follower = terminal.start("--follow", "--jsonl", "--after", str(start - 5), "--type", "case.")
    lines = read_lines(follower, 5)
    for _ in range(3):
        terminal.unserve()
        first += append(world, 4)
        terminal.serve()
        lines += read_lines(follower, 4)
    assert [one["id"] for one in lines] == first
    follower.send_signal(signal.SIGINT)
    out, err = follower.communicate(timeout=_HANG_S)
    assert (follower.returncode, out) == (0, "")
    assert "Traceback" not in err
    assert "connected again" in err


def test_without_following_it_ends_with_the_log(world: EdgeWorld, terminal: Terminal) -> None:
    last = wait_until_placed(world, append(world, 3)[-1])
    status, out, err = terminal.run("--jsonl")
    assert (status, err) == (0, "")
    assert [json.loads(line)["position"] for line in out.splitlines()] == list(range(last + 1))
    status, out, _ = terminal.run("--after", str(last - 1))
    assert status == 0
    assert out.split()[0] == str(last)
    assert "4990 EUR minor units" in out
    assert terminal.run("--after", str(last)) == (0, "", "")


@pytest.mark.parametrize("follow", ["", "--follow"])
def test_a_reader_that_has_enough_ends_it_quietly(world: EdgeWorld, terminal: Terminal, follow: str) -> None:
    wait_until_placed(world, append(world, 40)[-1])
    done = terminal.shell(f"EVENTS {follow} --jsonl | head -n 2")
    assert done.stderr == ""
    assert done.returncode == 0
    assert [json.loads(line)["position"] for line in done.stdout.splitlines()] == [0, 1]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--after", "x"), "invalid_cursor"), (("--after", "-2"), "invalid_cursor"), (("--after", ""), "invalid_cursor"),
        (("--after", "9" * 30), "invalid_cursor"), (("--after", "1e3"), "invalid_cursor"), (("--after", "٣"), "invalid_cursor"),
        (("--after", "999999"), "cursor_beyond_log"), (("--follow", "--after", "999999"), "cursor_beyond_log"),
        (("--type", "Ledger%"), "invalid_type"), (("--as", "ada"), "token_of_somebody_else"),
    ],
)  # fmt: skip
def test_bad_input_at_the_terminal(world: EdgeWorld, terminal: Terminal, arguments: tuple[str, ...], code: str) -> None:
    wait_until_placed(world, append(world, 1)[-1])
    status, out, err = terminal.run("--jsonl", *arguments)
    assert (status, out) == (2, "")
    assert f"[{code}]" in err
    assert "Traceback" not in err


def test_with_no_service_it_says_so_and_ends(terminal: Terminal) -> None:
    terminal.unserve()
    for arguments in ((), ("--follow",)):
        status, out, err = terminal.run(*arguments)
        assert (status, out) == (1, "")
        assert "[service_down]" in err


def test_a_position_whose_event_cannot_be_read_is_no_silent_gap(world: EdgeWorld) -> None:
    last = wait_until_placed(world, append(world, 2)[-1])
    gate = world.conn_as("gate", world.tenant)
    gate.execute(
        "INSERT INTO core.event_positions (tenant_id, position, event_id, leaf_hash) VALUES (%s, %s, gen_random_uuid(), %s)",
        [world.tenant.tenant_id, last + 1, b"\0" * 32],
    )
    answer = world.sign_in("ira").get("/api/v1/events", params={"after": last - 1})
    assert (answer.status_code, answer.json()["code"]) == (500, "log_has_gap")
    assert world.sign_in("ira").get("/api/v1/events", params={"after": last - 2, "limit": 2}).status_code == 200


def test_postings_stand_in_the_log_beside_what_caused_them(world: EdgeWorld) -> None:
    answer = world.ask(world.sign_in("ada"), "The customer says she was charged twice. Is that so?").json()
    assert answer["posting"] is not None, answer
    wait_until_placed(world, append(world, 1)[0])
    placed = world.sign_in("ira").get("/api/v1/events").json()["items"]
    (posting,) = [one for one in placed if one["type"] == "ledger.transfer_posted"]
    assert posting["amount_minor"] == answer["posting"]["amount_minor"]
    assert [one["position"] for one in placed] == list(range(len(placed)))
