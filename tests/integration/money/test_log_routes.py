"""The log's routes of the money process: the anchored head, a new key, a decision's story."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from domain.ids import make_id
from gates.receipts.signing_key import KeyFiles, ensure_signer, publish_verifier_key
from serving.money.log_keeper import LogFiles
from tests.integration.gates.desk_records import ADA, IRA, KIM, token_of
from tests.integration.money.conftest import Process
from tests.unit.receipts.paper_log import load_verifier

_VERIFIER = load_verifier()


@pytest.fixture
def kept(process: Process, tmp_path: Path) -> Process:
    """The process with files for its log."""
    files = LogFiles(KeyFiles(seed=tmp_path / "receipts.key", public_keys=tmp_path / "receipts.pub"), tmp_path / "anchors")
    signer = ensure_signer(files.keys.seed)
    publish_verifier_key(signer, files.keys.public_keys)
    return Process(process.desk, replace(process.deps, signer=signer, log_files=files), process.clock, signer)


def _decide(process: Process) -> str:
    desk = process.desk
    turn = desk.add_turn([desk.add_charge(1290), desk.add_charge(1290, minutes=1)])
    view = process.post(f"/v1/proposals/{desk.propose(turn)}/decide").json()
    assert view["decision"]["outcome"] == "allow"
    decision_id: str = view["decision"]["decision_id"]
    return decision_id


def _act(process: Process, path: str, operator_id: str) -> Any:
    return process.post(path, session_token=token_of(operator_id, process.desk.tenant.tenant_id))


def test_the_head_is_anchored_and_the_key_is_changed(kept: Process) -> None:
    with kept.client:
        decision_id = _decide(kept)
        anchored = _act(kept, "/v1/log/anchor", IRA).json()
        files = kept.deps.log_files
        assert files is not None
        lines = (files.anchors / f"{kept.desk.tenant.tenant_id}.jsonl").read_text(encoding="ascii").splitlines()
        assert json.loads(lines[-1]) == anchored
        rotated = _act(kept, "/v1/log/rotate-key", KIM).json()
        assert rotated["retired_key_id"] == kept.signer.key_id.hex()
        keys = _VERIFIER.parse_keys(kept.client.get("/v1/public-key").text)
        assert [key.key_id.hex() for key in keys] == [rotated["retired_key_id"], rotated["key_id"]]
        receipt = kept.get(f"/v1/receipts/{decision_id}")
        assert receipt.status_code == 200
        assert _VERIFIER.verify(receipt.content, *keys)["posting"]["amount_minor"] == 1290
        _decide(kept)
        head = _act(kept, "/v1/log/anchor", KIM).json()
        assert head["tree_size"] > rotated["tree_size"]
        assert _VERIFIER.check_checkpoint(head["note"], *keys).signed_by == (keys[1].key_id,)
        assert kept.client.get("/healthz").json() == {"state": "ready", "faults": []}


def test_who_may_not_is_refused_and_nothing_is_done(kept: Process) -> None:
    with kept.client:
        _decide(kept)
        for path, operator_id in (("/v1/log/rotate-key", IRA), ("/v1/log/rotate-key", ADA), ("/v1/log/anchor", ADA)):
            assert _act(kept, path, operator_id).status_code == 403
        assert kept.post("/v1/log/rotate-key", session_token="tgs.x").status_code == 403
        assert kept.post("/v1/log/rotate-key").status_code == 422
        assert len(kept.client.get("/v1/public-key").text.splitlines()) == 1


def test_a_process_without_files_says_so(process: Process) -> None:
    with process.client:
        _decide(process)
        answer = _act(process, "/v1/log/rotate-key", KIM)
        assert answer.json()["code"] == "no_log_files"
        assert _act(process, "/v1/log/anchor", KIM).json()["code"] == "empty_log"


def test_a_log_that_was_cut_degrades_the_process(kept: Process) -> None:
    """An anchor that the log does not continue is a fault that is shown, and nothing is written over it."""
    files = kept.deps.log_files
    assert files is not None
    with kept.client:
        _decide(kept)
        head = _act(kept, "/v1/log/anchor", KIM).json()
        path = files.anchors / f"{kept.desk.tenant.tenant_id}.jsonl"
        taller = json.dumps({**head, "tree_size": head["tree_size"] + 1000}) + "\n"
        path.write_text(taller, encoding="ascii")
        answer = _act(kept, "/v1/log/anchor", KIM)
        assert (answer.status_code, answer.json()["code"]) == (500, "anchor_mismatch")
        assert path.read_text(encoding="ascii") == taller


def test_a_decisions_story(process: Process) -> None:
    with process.client:
        decision_id = _decide(process)
        told = process.get(f"/v1/decisions/{decision_id}/explanation").json()
        assert told["decision"]["decision_id"] == decision_id
        assert any(line.startswith("  It was posted: 1290 minor units of EUR") for line in told["lines"])
        assert process.get(f"/v1/decisions/{make_id('dec', process.desk.now)}/explanation").status_code == 404
        assert process.get("/v1/decisions/dec_x/explanation").status_code == 422
