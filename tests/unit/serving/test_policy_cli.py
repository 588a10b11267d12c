"""`policy validate | test | diff | seal`: what they print and how they end."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gates.policy.bundle import seal_bundle_directory
from serving.cli.app import app

STARTER = Path(__file__).resolve().parents[3] / "gates" / "bundles" / "starter"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(STARTER, tmp_path / "bundle"))


def _run(*arguments: str) -> tuple[int, Any]:
    result = CliRunner().invoke(app, ["policy", *arguments, "--json"])
    return result.exit_code, json.loads(result.stdout)


def _edit(folder: Path, name: str, old: str, new: str) -> None:
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))


def test_the_starter_is_sound_and_answers_its_own_tests() -> None:
    code, report = _run("validate", str(STARTER))
    assert (code, report["findings"]) == (0, [])
    code, report = _run("test", str(STARTER))
    assert (code, report["failed"]) == (0, 0)
    assert report["passed"] >= 3 * 11


def test_an_edit_is_a_finding_until_it_is_sealed_and_tested(folder: Path) -> None:
    _edit(folder, "restrictions.cedar", "context.beneficiary.age_hours < 72", "context.beneficiary.age_hours < 48")
    code, report = _run("validate", str(folder))
    assert (code, [finding["code"] for finding in report["findings"]]) == (1, ["invalid_policy_bundle"])
    code, sealed = _run("seal", str(folder))
    assert code == 0
    code, report = _run("validate", str(folder))
    assert (code, report["sha256"]) == (1, sealed["sha256"])
    assert [finding["code"] for finding in report["findings"]] == ["test_failed"]
    code, report = _run("test", str(folder))
    assert (code, report["failed"]) == (1, 1)
    (failed,) = [case for case in report["cases"] if not case["passed"]]
    assert (failed["name"], failed["got"][0]) == ("payment to a payee on record for 71 hours", "allow")


def test_a_bundle_without_sentences_or_tests_has_findings(folder: Path) -> None:
    _edit(folder, "restrictions.cedar", '@reason("fan_out")', '@reason("many_payments")')
    _edit(folder, "restrictions.cedar", '@reason("split_amounts")\n@approvals("1")', '@reason("split_amounts")')
    (folder / "tests.jsonl").unlink()
    seal_bundle_directory(folder)
    code, report = _run("validate", str(folder))
    assert code == 1
    assert {finding["code"] for finding in report["findings"]} == {"unexplained_reason", "review_nobody_can_lift", "no_tests"}
    assert _run("test", str(folder))[0] == 1


def test_a_kind_that_no_test_tries_is_a_finding(folder: Path) -> None:
    lines = (folder / "tests.jsonl").read_text().splitlines(keepends=True)
    (folder / "tests.jsonl").write_text("".join(line for line in lines if '"kind":"payment"' not in line))
    seal_bundle_directory(folder)
    code, report = _run("validate", str(folder))
    assert (code, [finding["code"] for finding in report["findings"]]) == (1, ["untested_kind"])


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"name": "x"}', '{"name": "x", "input": {"proposal": 1, "facts": 1}, "expect": {}}']
)
def test_a_line_that_is_no_test_is_named(folder: Path, line: str) -> None:
    with (folder / "tests.jsonl").open("a") as file:
        file.write(line + "\n")
    seal_bundle_directory(folder)
    number = len((folder / "tests.jsonl").read_text().splitlines())
    code, report = _run("validate", str(folder))
    assert (code, [finding["code"] for finding in report["findings"]]) == (1, ["invalid_policy_bundle"])
    assert f"tests.jsonl line {number}" in report["findings"][0]["message"]


def test_a_moved_limit_is_found_where_it_stands(folder: Path) -> None:
    _edit(folder, "restrictions.cedar", "context.proposed.amount_minor > 100000", "context.proposed.amount_minor > 120000")
    _edit(folder, "bundle.json", '"review_lifetime_s": 86400', '"review_lifetime_s": 3600')
    seal_bundle_directory(folder)
    assert _run("diff", str(STARTER), str(STARTER), "--count", "50")[0] == 0
    code, found = _run("diff", str(STARTER), str(folder), "--count", "800")
    assert code == 1
    assert [rule["policy_id"] for rule in found["rules"]] == ["review-four-eyes"]
    assert found["settings"] == {"review_lifetime_s": [86400, 3600]}
    assert {(change["before"], change["after"]) for change in found["outcomes"]} == {("review", "allow")}
    assert all("four_eyes_needed" in example["before"] for example in found["examples"])
    again = _run("diff", str(STARTER), str(folder), "--count", "800")
    assert again == (code, found)


def test_an_added_and_a_removed_rule_are_named(folder: Path) -> None:
    _edit(folder, "restrictions.cedar", '@id("review-fan-out")', '@id("review-fan")')
    seal_bundle_directory(folder)
    code, found = _run("diff", str(STARTER), str(folder), "--count", "1")
    assert code == 1
    assert [(rule["policy_id"], rule["before"] is None, rule["after"] is None) for rule in found["rules"]] == [
        ("review-fan", True, False),
        ("review-fan-out", False, True),
    ]


@pytest.mark.parametrize("command", ["validate", "test", "diff", "seal", "propose"])
def test_what_cannot_be_read_ends_with_2(tmp_path: Path, command: str) -> None:
    paths = [str(tmp_path / "nothing")] * (2 if command == "diff" else 1)
    code, answer = _run(command, *paths)
    assert (code, answer["error"]["code"]) == (
        2,
        "unreadable_bundle" if command in {"validate", "seal"} else "invalid_policy_bundle",
    )


def test_contradicting_options_are_refused() -> None:
    code, answer = _run("activate", "f" * 12, "--shadow", "--canary", "5")
    assert (code, answer["error"]["code"]) == (2, "invalid_request")
    code, answer = _run("approve", "change-1")
    assert (code, answer["error"]["code"]) == (2, "invalid_id")
