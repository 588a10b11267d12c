"""Files, keys and conversations that do not fit, from a terminal: what came in, what stayed out, and how the command ended."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.service import ROOT, Service

pytestmark = pytest.mark.slow
_HEADER = "merchant_id,name,category_code,country\n"


def test_ingest_takes_the_good_rows_names_the_bad_ones_and_is_idempotent(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "merchants.csv"
    file.write_text(_HEADER + 'mrc_aaaaaaaaaaaa,"Shop, first",5411,FR\nmrc_aaaaaaaaaaab,Shop,5411,France\n')
    first = service.cli("ingest", str(file), "--kind", "merchants", "--json")
    assert first.status == 0, first.out + first.err
    assert (first.json["rows_inserted"], first.json["rows_quarantined"]) == (1, 1)
    assert [(problem["line"], problem["reason_code"]) for problem in first.json["problems"]] == [(3, "bad_value")]
    again = service.cli("ingest", str(file), "--kind", "merchants", "--json")
    assert (again.json["rows_inserted"], again.json["rows_changed"], again.json["rows_unchanged"]) == (0, 0, 1)
    rows = tmp_path / "merchants.jsonl"
    rows.write_text(
        json.dumps({"merchant_id": "mrc_aaaaaaaaaaac", "name": "Shop", "category_code": "5411", "country": "FR"}) + "\n"
    )
    assert service.cli("ingest", str(rows), "--kind", "merchants", "--json").json["rows_inserted"] == 1


@pytest.mark.parametrize(
    ("name", "content", "arguments", "said"),
    [
        ("a.jsonl", bytes(range(256)) * 8, ("--kind", "merchants"), "is not UTF-8 text"),
        ("a.csv", b"PK\x03\x04" + bytes(99), ("--kind", "merchants"), "a zip archive or a spreadsheet"),
        ("a.csv", b"", ("--kind", "merchants"), "the file is empty"),
        ("a.dat", b"{}", ("--kind", "merchants"), "--format"),
        ("a.jsonl", b"{}\n", ("--kind", "wishes"), "unknown kind"),
        ("a.jsonl", b"{}\n", ("--kind", "merchants", "--as", "ada"), "needs the role admin"),
    ],
    ids=["binary", "zip", "empty", "no format", "unknown kind", "no right"],
)
def test_a_file_without_anything_good_is_exit_2_and_says_why(
    service: Service, tmp_path: Path, name: str, content: bytes, arguments: tuple[str, ...], said: str
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    run = service.cli("ingest", str(file), *arguments)
    assert run.status == 2
    assert said in run.out + run.err
    assert "Traceback" not in run.err


def test_the_same_command_with_the_same_key_is_the_same_message(service: Service) -> None:
    command = ("ask", "--customer", service.scenarios["payout_pending"]["customer_id"], "--idempotency-key", "again-1", "--json")
    first = service.cli(*command, "--message", "How long does a payout take to arrive?")
    second = service.cli(*command, "--message", "How long does a payout take to arrive?")
    assert (first.status, second.status) == (0, 0)
    assert second.json["message_id"] == first.json["message_id"]
    other = service.cli(*command, "--message", "And a refund?")
    assert (other.status, other.json["error"]["code"]) == (2, "idempotency_key_reused")


def test_a_conversation_about_another_customer_is_refused(service: Service) -> None:
    answer = service.ask(service.scenarios["payout_pending"]["customer_id"], "How long does a payout take to arrive?")
    other = service.scenarios["payout_settled"]["customer_id"]
    run = service.cli("ask", "--customer", other, "--conversation", answer["conversation_id"], "--message", "hi", "--json")
    assert (run.status, run.json["error"]["code"]) == (2, "other_customer")


def test_bytes_that_are_no_text_are_one_clear_line(service: Service) -> None:
    customer_id = service.scenarios["payout_pending"]["customer_id"]
    done = subprocess.run(
        (sys.executable, "-m", "serving.cli", "ask", "--customer", customer_id, "--message", "-", "--json"),
        cwd=ROOT, env=service.environment, input=bytes(range(256)), capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == "message_not_text"
    assert b"Traceback" not in done.stderr
