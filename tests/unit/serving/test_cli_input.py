"""What a shell can hand over, and what the CLI says to it: exit 2, one line or one JSON object, never a traceback."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from domain.errors import InvalidInput, Unavailable
from serving.cli import client as client_module
from serving.cli.app import app
from serving.cli.arguments import read_message, require_header_value, require_printable
from serving.cli.client import ApiClient
from serving.cli.ingest import IngestOrder, format_of, is_all_bad, run_ingest
from serving.settings import Settings
from serving.supervisor.plan import SOCKET_NAMES

_BROKEN = "caf\udce9"
"""What Python makes of an argument with the byte E9."""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("TELLERGATE_VAR_DIR", str(tmp_path))
    monkeypatch.delenv("TELLERGATE_TOKEN", raising=False)
    return Settings()


class _FakeInput:
    def __init__(self, raw: bytes) -> None:
        self.buffer = io.BytesIO(raw)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "empty_message"),
        (b" \n", "empty_message"),
        (b"x" * 102_401, "message_too_long"),
        (b"x" * 3_000_000, "message_too_long"),
        (b"refund \x00 it", "message_not_text"),
        (b"caf\xe9", "message_not_text"),
        (bytes(range(256)), "message_not_text"),
    ],
    ids=["empty", "blank", "long", "endless", "NUL", "latin-1", "binary"],
)
def test_standard_input_that_is_no_message(monkeypatch: pytest.MonkeyPatch, raw: bytes, code: str) -> None:
    monkeypatch.setattr(sys, "stdin", _FakeInput(raw))
    with pytest.raises(InvalidInput) as caught:
        read_message("-")
    assert caught.value.code == code


def test_standard_input_that_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", _FakeInput("Łukasz asks: twice?\n".encode()))
    assert read_message("-") == "Łukasz asks: twice?"


@pytest.mark.parametrize("value", ["", "a\nb", "x" * 256, _BROKEN, "\x1b[2J"])
def test_values_that_no_request_can_hold(value: str) -> None:
    with pytest.raises(InvalidInput, match="--customer"):
        require_printable("--customer", value)


def test_a_header_is_ascii() -> None:
    assert require_header_value("--idempotency-key", "k-1") == "k-1"
    with pytest.raises(InvalidInput, match="ASCII"):
        require_header_value("--idempotency-key", "é")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--customer", _BROKEN, "--message", "hi"),
        ("--customer", "cus_1", "--message", _BROKEN),
        ("--customer", "cus_1", "--message", "hi", "--idempotency-key", ""),
        ("--customer", "cus_1", "--message", "hi", "--conversation", "../../customers"),
        ("--customer", "cus_1", "--message", "hi", "--as", "a\nb"),
    ],
)
def test_ask_refuses_it_before_it_starts_anything(settings: Settings, arguments: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, ["ask", *arguments, "--json"])
    assert done.exit_code == 2
    error = json.loads(done.stdout)["error"]
    assert error["code"]
    assert error["detail"]
    assert list(settings.var_dir.iterdir()) == []


def _answering(monkeypatch: pytest.MonkeyPatch, settings: Settings, answer: Any) -> ApiClient:
    class Transport(httpx.MockTransport):
        def __init__(self, uds: str) -> None:
            assert uds.endswith(SOCKET_NAMES["edge"])
            super().__init__(answer)

    monkeypatch.setattr(httpx, "HTTPTransport", Transport)
    return ApiClient(settings)


def test_a_token_that_ended_says_what_to_do(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setenv("TELLERGATE_TOKEN", "tgs.demo.old")
    client = _answering(monkeypatch, settings, lambda _: httpx.Response(401, json={"code": "not_signed_in", "detail": "sign in"}))
    with pytest.raises(InvalidInput, match="TELLERGATE_TOKEN is wrong") as caught:
        client.sign_in("ada")
    assert caught.value.code == "token_refused"


def test_a_token_of_somebody_else_is_not_used_for_the_person_named(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setenv("TELLERGATE_TOKEN", "tgs.demo.adas")
    client = _answering(monkeypatch, settings, lambda _: httpx.Response(200, json={"username": "ada"}))
    client.sign_in("ada", must_be="ada")
    client.sign_in("kim")
    with pytest.raises(InvalidInput, match=r"'ada'.*'ben'"):
        client.sign_in("ben", must_be="ben")


@pytest.mark.parametrize("token", ["a\nb", "é", "\udce9"])
def test_a_token_that_is_none(monkeypatch: pytest.MonkeyPatch, settings: Settings, token: str) -> None:
    monkeypatch.setattr(client_module, "read_session_token", lambda: token)
    with pytest.raises(InvalidInput, match="TELLERGATE_TOKEN"):
        ApiClient(settings).sign_in("ada")


def _raising(monkeypatch: pytest.MonkeyPatch, settings: Settings, error: type[httpx.TransportError]) -> ApiClient:
    def fail(request: httpx.Request) -> httpx.Response:
        raise error("gone", request=request)

    return _answering(monkeypatch, settings, fail)


def test_no_service_a_starting_one_and_a_broken_answer_are_told_apart(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    codes = []
    for error, running in ((httpx.ConnectError, False), (httpx.ConnectError, True), (httpx.RemoteProtocolError, True)):
        monkeypatch.setattr(client_module, "is_running", lambda _, running=running: running)
        with pytest.raises(Unavailable) as caught:
            _raising(monkeypatch, settings, error).call("POST", "/api/v1/conversations")
        codes.append(caught.value.code)
    assert codes == ["service_down", "service_starting", "service_unclear"]
    assert "nothing is done twice" in caught.value.message


@pytest.mark.parametrize(("name", "expected"), [("a.csv", "csv"), ("A.CSV", "csv"), ("a.jsonl", "jsonl"), ("a.ndjson", "jsonl")])
def test_a_files_name_says_its_format(name: str, expected: str) -> None:
    assert format_of(Path(name)) == expected


def test_a_name_that_says_nothing_asks_for_the_format() -> None:
    with pytest.raises(InvalidInput, match="--format jsonl or --format csv"):
        format_of(Path("rows.dat"))


def test_an_upload_says_its_format(monkeypatch: pytest.MonkeyPatch, settings: Settings, tmp_path: Path) -> None:
    monkeypatch.setenv("TELLERGATE_TOKEN", "tgs.demo.kims")
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"username": "kim", "rows_read": 1})

    _answering(monkeypatch, settings, answer)
    file = tmp_path / "rows.csv"
    file.write_text("merchant_id\nmrc_1\n")
    assert run_ingest(settings, IngestOrder(file=file, kind="merchants"))["rows_read"] == 1
    assert dict(seen[-1].url.params) == {"kind": "merchants", "format": "csv"}
    with pytest.raises(InvalidInput, match="Is a directory"):
        run_ingest(settings, IngestOrder(file=tmp_path, kind="merchants", file_format="csv"))


def test_a_file_without_a_good_row_is_wrong_input() -> None:
    assert is_all_bad({"rows_read": 2, "rows_quarantined": 2})
    assert not is_all_bad({"rows_read": 2, "rows_quarantined": 1})
    assert not is_all_bad({"rows_read": 0, "rows_quarantined": 0})


def test_the_features_of_another_workspace_are_not_rebuilt_by_mistake() -> None:
    answer = CliRunner().invoke(app, ["features", "rebuild", "--tenant", "another-bank", "--json"])
    assert (answer.exit_code, json.loads(answer.stdout)["error"]["code"]) == (2, "other_tenant")
