"""`decide`: a line in, a line out, in order; a bad line is an answer of its own and the rest goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from domain.decision import Decision
from domain.proposal import ActionKind
from gates.examples import example_document
from serving.cli.app import app
from serving.cli.json_lines import MAX_LINE_BYTES, MalformedJson, read_document

_PAYMENT = json.dumps(example_document(ActionKind.PAYMENT))


def _run(text: str | bytes, *options: str) -> Result:
    return CliRunner().invoke(app, ["decide", *options], input=text)


def _answers(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_lines_are_answered_in_their_order_and_bad_ones_named() -> None:
    result = _run(f'{_PAYMENT}\n\n{{"a":\n[]\n{_PAYMENT}\n{{}}\n', "--jsonl")
    answers = _answers(result)
    assert [answer.get("outcome") or (answer["error"]["code"], answer["error"]["line"]) for answer in answers] == [
        "allow", ("malformed_json", 3), ("malformed_json", 4), "allow", ("invalid_input", 6),
    ]  # fmt: skip
    assert result.exit_code == 2
    assert answers[0] == answers[3]
    assert Decision.model_validate(answers[0]).action.beneficiary_id == "ben_example"


def test_all_well_is_exit_0_whatever_was_decided() -> None:
    denied = {**example_document(ActionKind.PAYMENT), "proposal": None}
    result = _run(f"{_PAYMENT}\n{json.dumps(denied)}", "--jsonl")
    assert [answer["outcome"] for answer in _answers(result)] == ["allow", "deny"]
    assert result.exit_code == 0


def test_one_document_for_people_and_for_programs() -> None:
    plain = _run(_PAYMENT)
    assert plain.stdout.startswith("allow  payment  under starter@")
    assert "beneficiary from staff" in plain.stdout
    assert json.loads(_run(_PAYMENT, "--json").stdout)["outcome"] == "allow"
    assert _run("{", "--json").exit_code == 2


@pytest.mark.parametrize("kind", list(ActionKind))
def test_an_example_of_each_kind_can_be_piped_in(kind: ActionKind) -> None:
    example = _run("", "--example", kind.value)
    assert _answers(_run(example.stdout, "--jsonl"))[0]["action"]["kind"] == kind.value


def test_no_example_of_an_unknown_kind() -> None:
    assert _run("", "--example", "bribe").exit_code == 2


def test_a_broken_bundle_decides_nothing(tmp_path: Path) -> None:
    result = _run(_PAYMENT, "--jsonl", "--policy", str(tmp_path))
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"]["code"] == "invalid_policy_bundle"


@pytest.mark.parametrize(
    "line",
    [
        b'{"a":1,"a":2}', b'{"a":NaN}', b'{"a":Infinity}', b"\xff\xfe", b"[1]", b'"x"', b"null", b"[" * 100_000,
        b'{"a":' + b"9" * 5000 + b"}", b" " * (MAX_LINE_BYTES + 1), b'{"a":1} {"b":2}',
    ],
)  # fmt: skip
def test_what_two_readers_could_read_differently_is_refused(line: bytes) -> None:
    with pytest.raises(MalformedJson):
        read_document(line)
