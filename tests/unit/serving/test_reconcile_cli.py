"""`reconcile FILE` and its commands: what is typed becomes the right request, and what is wrong is said before one is made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from domain.errors import InvalidInput
from serving.cli import calls, reconcile, settlement
from serving.cli.app import app
from serving.cli.settlement import require_reference

REPORT: dict[str, Any] = {
    "file_id": "stf_1", "sha256": "0", "already_imported": False, "matched": {"exact_reference": 2}, "breaks": {"ambiguous": 1},
    "settled_cases": 1, "quarantined_lines": 2,
    "quarantined": [{"line_number": 4, "reason_code": "bad_date", "reason": "no day"}],
    "statements": [
        {"account": "…3000", "code": "house:bank:EUR", "currency": "EUR", "lines": 3, "repeated": 1, "not_booked": 0}
    ],
}  # fmt: skip


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would have gone over the wire."""
    seen: list[Any] = []

    def upload(_: Any, path: str, file: Path, *, query: dict[str, Any], username: str | None) -> dict[str, Any]:
        seen.append((path, file.name, query, username))
        return REPORT

    def ask(_: Any, method: str, path: str, as_user: str | None, **options: Any) -> dict[str, Any]:
        seen.append((method, path, as_user, options))
        return {"items": [], "next_after": None, "accounts": [], "breaks": [], "ageing": [], "batches": []}

    monkeypatch.setattr(reconcile, "upload", upload)
    for module in (calls, settlement):
        monkeypatch.setattr(module, "ask_as", ask)
    return seen


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize("words", [("reconcile",), ("reconcile", "import")])
def test_a_file_is_imported_with_or_without_the_word(words: tuple[str, ...], sent: list[Any]) -> None:
    done = run(*words, "bank.xml", "--account", "house:bank:EUR", "--mirrored", "--as", "kim")
    assert done.exit_code == 0, done.output
    query = {"format": "camt053", "account": "house:bank:EUR", "mirrored": "true"}
    assert sent == [("/api/v1/statements", "bank.xml", query, "kim")]
    assert "…3000 is house:bank:EUR EUR: 3 lines, 1 known from an earlier file" in done.output
    assert "line 4: no day [bad_date]" in done.output
    assert "and 1 more" in done.output


def test_options_may_come_first_and_the_report_may_be_json(sent: list[Any]) -> None:
    done = run("reconcile", "--decimal-comma", "--json", "bank.csv")
    assert json.loads(done.output) == REPORT
    assert sent[0][2] == {"format": "csv", "decimal_comma": "true"}


@pytest.mark.parametrize(
    ("arguments", "request_made"),
    [
        (("reconcile", "status"), ("GET", "/api/v1/reconciliation/status", None, {})),
        (
            ("reconcile", "breaks", "--kind", "ambiguous", "--as", "ira"),
            ("GET", "/api/v1/reconciliation/breaks", "ira", {"params": {"kind": "ambiguous"}}),
        ),
        (("cases", "list", "--state", "all"), ("GET", "/api/v1/cases", None, {"params": {"state": "all"}})),
        (("settlement", "explain", "txn_1"), ("GET", "/api/v1/settlement/explanations/txn_1", None, {})),
    ],
)
def test_commands_become_requests(arguments: tuple[str, ...], request_made: Any, sent: list[Any]) -> None:
    assert run(*arguments).exit_code == 0
    assert sent == [request_made]


@pytest.mark.parametrize(
    "arguments",
    [
        ("reconcile", "bank.txt"),
        ("reconcile", "stauts"),
        ("reconcile", "unmatch", "x", "--reason", "y"),
        ("reconcile", "bank.csv", "--account", "a\nb"),
        ("cases", "show", "x"),
        ("cases", "close", "cas_1", "--outcome", "matched_later"),
        ("settlement", "import", "batches.xls"),
        ("settlement", "explain", "a/b"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_asked(arguments: tuple[str, ...], sent: list[Any]) -> None:
    assert run(*arguments).exit_code == 2
    assert sent == []


@pytest.mark.parametrize("text", ["", "a b", "../x", "é", "x" * 65, "-a"])
def test_a_reference_that_cannot_stand_in_a_path(text: str) -> None:
    with pytest.raises(InvalidInput):
        require_reference(text)


def test_a_file_that_is_not_there_is_wrong_input(tmp_path: Path) -> None:
    done = run("reconcile", str(tmp_path / "none.csv"))
    assert done.exit_code == 2
