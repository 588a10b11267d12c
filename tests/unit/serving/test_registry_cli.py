"""`registry` before it asks the service: what a path is taken for, and what is refused with what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from serving.cli.app import app
from serving.cli.registry import _read_candidate
from storage.artifact_files import hash_path

ROOT = Path(__file__).resolve().parents[3]
STARTER = ROOT / "gates" / "bundles" / "starter"
SCORECARD = ROOT / "gates" / "score" / "scorecards" / "refund.v1.json"


def test_a_path_is_taken_for_what_it_is(tmp_path: Path) -> None:
    route, body = _read_candidate(STARTER, kind=None, name=None, label=None)
    assert (route, set(body)) == ("/api/v1/policies", {"manifest", "files"})
    trained = tmp_path / "refund.json"
    trained.write_bytes(SCORECARD.read_bytes())
    trained.with_suffix(".lineage.json").write_text('{"training_data_sha256": "ab"}')
    route, body = _read_candidate(trained, kind=None, name=None, label=None)
    assert (route, body["content"]["name"]) == ("/api/v1/registry/models", "refund")
    assert body["lineage"] == {"training_data_sha256": "ab"}
    route, body = _read_candidate(tmp_path, kind="ner", name="names", label=None)
    told = {"kind": "ner", "name": "names", "label": tmp_path.name, "sha256": hash_path(tmp_path), "location": tmp_path.name}
    assert (route, body) == ("/api/v1/registry/files", told)
    _, body = _read_candidate(trained, kind="list", name="sanctions", label="week 47")
    assert (body["label"], body["location"]) == ("week 47", "refund.json")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["propose", "nothing-here"], "unreadable_artifact"),
        (["propose", "nothing-here", "--kind", "ner", "--name", "names"], "unreadable_artifact"),
        (["propose", "odd.json"], "unknown_format"),
        (["propose", "odd.json", "--kind", "ner"], "invalid_request"),
        (["propose", "torn.json"], "unreadable_artifact"),
        (["activate", "score", "refund", "a" * 12, "--shadow", "--canary", "5"], "invalid_request"),
        (["approve", "chg_x"], "invalid_id"),
    ],
)
def test_bad_input_ends_with_2_and_says_what(
    arguments: list[str], code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd.json").write_text('{"format": "something-else/1"}')
    (tmp_path / "torn.json").write_text('{"format": ')
    answer = CliRunner().invoke(app, ["registry", *arguments, "--json"])
    assert answer.exit_code == 2, answer.output
    assert json.loads(answer.stdout)["error"]["code"] == code
