"""The standalone verifier: what it accepts, and each link that it must not take from a valid signature alone."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.canonical import canonical_bytes
from gates.receipts.checkpoint import CheckpointSigner
from gates.receipts.export import render_receipt
from tests.unit.receipts.paper_log import SIGNER, VERIFIER_FILE, load_verifier, make_file, make_receipt, make_records

_VERIFIER = load_verifier()
_KEY = _VERIFIER.parse_key(SIGNER.verifier_key)
_GOLDEN = Path(__file__).parents[2] / "golden" / "receipts"


def _refusal(content: bytes, key: Any = _KEY) -> str:
    with pytest.raises(_VERIFIER.Refused) as caught:
        _VERIFIER.verify(content, key)
    return str(caught.value)


@pytest.mark.parametrize("approved", [False, True])
def test_a_good_receipt_is_verified(approved: bool) -> None:
    proved = _VERIFIER.verify(make_file(make_records(approved=approved)), _KEY)
    assert proved["decision"]["outcome"] == "allow"
    assert proved["decision"]["decisions_in_chain"] == (2 if approved else 1)
    assert proved["posting"]["amount_minor"] == 4990


@pytest.mark.parametrize("name", ["allowed", "approved"])
def test_golden_receipts_stay_valid_and_are_still_written_the_same(name: str) -> None:
    """Bytes that were signed once must verify for ever; what we sign today must be those bytes."""
    content = (_GOLDEN / f"{name}.json").read_bytes()
    key = _VERIFIER.parse_key((_GOLDEN / "receipts.pub").read_text(encoding="ascii"))
    assert _VERIFIER.verify(content, key)["verified"] is True
    assert make_file(make_records(approved=name == "approved")) == content


def test_the_verifier_needs_the_standard_library_and_cryptography_only() -> None:
    tree = ast.parse(VERIFIER_FILE.read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    roots = {name.partition(".")[0] for name in imported}
    assert roots - {"cryptography"} <= sys.stdlib_module_names


def _at(records: list[dict[str, Any]], event_type: str) -> dict[str, Any]:
    return next(record for record in reversed(records) if record["event_type"] == event_type)


def _set(event_type: str, path: str, value: Any) -> Callable[[list[dict[str, Any]]], None]:
    """Make a change of one field (`data.x` or an attribute) of the last record of a type."""

    def change(records: list[dict[str, Any]]) -> None:
        target: Any = _at(records, event_type)
        *parents, name = path.split(".")
        for parent in parents:
            target = target[parent]
        if value is ...:
            del target[name]
        else:
            target[name] = value

    return change


def _drop(event_type: str) -> Callable[[list[dict[str, Any]]], None]:
    def change(records: list[dict[str, Any]]) -> None:
        records.remove(_at(records, event_type))

    return change


def _swap(left: int, right: int) -> Callable[[list[dict[str, Any]]], None]:
    def change(records: list[dict[str, Any]]) -> None:
        records[left], records[right] = records[right], records[left]

    return change


def _double(event_type: str) -> Callable[[list[dict[str, Any]]], None]:
    def change(records: list[dict[str, Any]]) -> None:
        records.append({**_at(records, event_type), "event_id": "evt_" + "9" * 32})

    return change


_POSTING, _DECISION, _REVIEW = "ledger.transfer_posted", "gate.decided", "review.approved"
_PROPOSAL, _MESSAGE = "proposal.submitted", "message.received"
# Each is logged and signed with the right key: only the links can tell.
_BROKEN: list[tuple[Callable[[list[dict[str, Any]]], None], str]] = [
    (_set(_POSTING, "data.amount_minor", 499000), "posting and action: amount_minor differs"),
    (_set(_POSTING, "data.amount_minor", "4990"), "posting and action: amount_minor differs"),
    (_set(_POSTING, "amount_minor", 1), "posting's event and action: amount_minor differs"),
    (_set(_POSTING, "data.currency", "USD"), "posting and action: currency differs"),
    (_set(_POSTING, "data.account_id", "acc_evil"), "posting and action: account_id differs"),
    (_set(_POSTING, "data.transaction_id", "txn_other"), "posting and action: transaction_id differs"),
    (_set(_POSTING, "data.credit", "customer:acc_evil"), "the posting credits another account"),
    (_set(_POSTING, "data.debit", "house:fees:EUR"), "the posting debits another account"),
    (_set(_POSTING, "data.decision_id", "dec_other"), "posting and decision: decision_id differs"),
    (_set(_POSTING, "data.decision_event_id", "evt_other"), "the posting names another decision event"),
    (_set(_POSTING, "data.action_digest", "0" * 64), "posting and decision: action_digest differs"),
    (_set(_POSTING, "data.transfer_digest", "0" * 64), "the posting's digest is not that of the decision"),
    (_set(_POSTING, "data.credit_balance_after_minor", ...), "the posting's credit_balance_after_minor is no integer"),
    (_set(_POSTING, "data.credit_balance_after_minor", None), "the posting's credit_balance_after_minor is no integer"),
    (_set(_POSTING, "data.debit_balance_after_minor", ...), "the posting has no debit_balance_after_minor"),
    (_set(_POSTING, "data.debit_balance_after_minor", "-9990"), "the posting's debit_balance_after_minor is no integer"),
    (_set(_POSTING, "data.debit_balance_after_minor", True), "the posting's debit_balance_after_minor is no integer"),
    (_set(_POSTING, "data.debit_version", None), "the posting's debit_version is no integer"),
    (_set(_POSTING, "occurred_at", "2026-03-02T12:01:01.000000Z"), "the decision was not alive when it was posted"),
    (_set(_POSTING, "occurred_at", "2026-03-02T12:00:00.000000Z"), "the decision was not alive when it was posted"),
    (_set(_POSTING, "occurred_at", "yesterday"), "an event's occurred_at is no UTC time"),
    (_set(_POSTING, "tenant_id", "other"), "records of more than one tenant"),
    (_set(_POSTING, "event_type", "ledger.gift"), "a record of the unknown type ledger.gift"),
    (_set(_POSTING, "subject", "tfr_other"), "the posting's subject differs"),
    (_set(_POSTING, "event_id", "evt_" + "8" * 32), "the posting's event is another transfer's"),
    (_double(_POSTING), "more than one posting"),
    (_set(_DECISION, "data.outcome", "deny"), "a posting without a decision that allows it"),
    (_set(_DECISION, "data.outcome", "review"), "a posting without a decision that allows it"),
    (_set(_DECISION, "data.outcome", "perhaps"), "a decision with an unknown outcome"),
    (_set(_DECISION, "data.action.amount_minor", 499000), "a decision's action does not give its digest"),
    (_set(_DECISION, "data.action_digest", "0" * 64), "a decision's action does not give its digest"),
    (_set(_DECISION, "data.action", None), "a decision without an action"),
    (_set(_DECISION, "data.proposal_digest", "0" * 64), "decision and proposal: proposal_digest differs"),
    (_set(_DECISION, "data.proposal_id", "prp_other"), "decision and proposal: proposal_id differs"),
    (_set(_DECISION, "data.proposal_event_id", "evt_other"), "a decision names another proposal event"),
    (_set(_DECISION, "amount_minor", 1), "decision's event and action: amount_minor differs"),
    (_set(_DECISION, "data.approval_id", ...), "a decision that does not say whether a person answered"),
    (_set(_DECISION, "data.expires_at", "never"), "the decision's expires_at is no UTC time"),
    (_set(_PROPOSAL, "data.message_event_id", "evt_other"), "the proposal names another message event"),
    (_set(_PROPOSAL, "data.message_event_id", None), "a message that the proposal does not name"),
    (_set(_PROPOSAL, "data.message_event_id", ...), "the proposal does not say which message it answers"),
    (_set(_PROPOSAL, "data.conversation_id", "cnv_other"), "message and proposal: conversation_id differs"),
    (_set(_PROPOSAL, "subject", "prp_other"), "the proposal's subject differs"),
    (_drop(_PROPOSAL), "proposal or decision missing or double"),
    (_drop(_MESSAGE), "the proposal's message is missing"),
    (_swap(0, 1), "the log does not begin with message, proposal, decision"),
]
_BROKEN_APPROVALS: list[tuple[Callable[[list[dict[str, Any]]], None], str]] = [
    (_set(_REVIEW, "data.action_digest", "0" * 64), "answer and reviewed decision: action_digest differs"),
    (_set(_REVIEW, "data.decision_id", "dec_other"), "the answer that a decision names is missing"),
    (_set(_REVIEW, "data.approval_id", "apr_other"), "the answer that a decision names is missing"),
    (_set(_REVIEW, "event_type", "review.refused"), "a refusal that did not end in a deny"),
    (_set(_REVIEW, "event_type", "review.forgotten"), "a record of the unknown type review.forgotten"),
    (_set(_REVIEW, "data.operator_id", "opr_ada"), "the approver is who asked"),
    (_set(_REVIEW, "data.operator_id", None), "an answer by nobody"),
    (_set(_REVIEW, "subject", "rev_other"), "a review's subject differs"),
    (_drop(_REVIEW), "the answer that a decision names is missing"),
    (_set(_DECISION, "data.previous_decision_id", None), "the chain of decisions is broken"),
    (_set(_DECISION, "data.previous_decision_id", ...), "the chain of decisions is broken"),
    (_drop(_DECISION), "a posting without a decision that allows it"),
    (_swap(-1, -2), "a record after the posting"),
    (_swap(2, 4), "the chain of decisions is broken"),
]


def test_a_rolled_up_house_account_has_no_balance_after_a_posting() -> None:
    records = make_records()
    _set(_POSTING, "data.debit_balance_after_minor", None)(records)
    proved = _VERIFIER.verify(make_file(records), _KEY)
    assert (proved["posting"]["debit_balance_after_minor"], proved["posting"]["credit_balance_after_minor"]) == (None, 4990)
    assert any("(rolled up) and 4990" in line for line in _VERIFIER.write_lines(proved))


@pytest.mark.parametrize("approved", [False, True])
@pytest.mark.parametrize(("change", "reason"), _BROKEN)
def test_a_broken_link_is_refused_though_it_is_signed(
    change: Callable[[list[dict[str, Any]]], None], reason: str, approved: bool
) -> None:
    records = make_records(approved=approved)
    change(records)
    assert _refusal(make_file(records)) == reason


@pytest.mark.parametrize(("change", "reason"), _BROKEN_APPROVALS)
def test_a_broken_approval_is_refused_though_it_is_signed(change: Callable[[list[dict[str, Any]]], None], reason: str) -> None:
    records = make_records(approved=True)
    change(records)
    assert _refusal(make_file(records)) == reason


def test_another_key_another_tenant_and_a_foreign_checkpoint_are_refused() -> None:
    stranger = CheckpointSigner(Ed25519PrivateKey.from_private_bytes(b"\x07" * 32))
    records = make_records()
    assert (
        _refusal(render_receipt(make_receipt(records, signer=stranger))) == "the checkpoint is not signed by the key tellergate"
    )
    assert _refusal(make_file(records), _VERIFIER.parse_key(stranger.verifier_key)).startswith("the checkpoint is not signed by")
    assert _refusal(render_receipt(make_receipt(records, tenant="other"))) == "the checkpoint is of another tenant's log"
    same_id = _VERIFIER.VerifierKey(_KEY.name, _KEY.key_id, stranger.public_key)
    assert _refusal(make_file(records), same_id) == "the checkpoint's signature is not valid"


def test_a_checkpoint_of_another_tree_is_refused() -> None:
    receipt = make_receipt(make_records())
    other = make_receipt(make_records(approved=True))
    assert _refusal(render_receipt(receipt.model_copy(update={"checkpoint": other.checkpoint}))).startswith("record 3")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"{}\n",
        b"[]\n",
        b"null\n",
        b"\xff\xfe",
        b"[" * 100_000,
        b"1.5\n",
        b"NaN\n",
        b"9007199254740992\n",
        b'"\\ud800"\n',
        b"[" + b"9" * 5000 + b"]\n",
        b" " * (4 * 1024 * 1024 + 1),
    ],
)
def test_what_is_no_receipt_is_refused(content: bytes) -> None:
    _refusal(content)


@pytest.mark.parametrize(
    "value",
    [
        {"b": 1, "a": [True, False, None, -0, 2**53 - 1, -(2**53) + 1]},
        {"\u20ac": "Euro", "\r": "\r", "\ufb33": "\u05d3", "1": "one", "\U0001f600": "smile", "\x80": "c", "\xf6": "o"},
        {"text": '\x00\x1f\x7f"\\/\b\f\n\r\t\u2028\U0001f600\xe9'},
        {"nested": {"z": {}, "a": []}},
    ],
)
def test_its_canonical_json_is_that_of_the_records(value: dict[str, Any]) -> None:
    assert _VERIFIER.write_canonical(value).encode() == canonical_bytes(value)


@pytest.mark.parametrize("line", ["", "tellergate", "tellergate+00000000+AAAA", "a+b+c+d", SIGNER.verifier_key.replace("+", " ")])
def test_what_is_no_key_is_unusable(line: str) -> None:
    with pytest.raises(_VERIFIER.Unusable):
        _VERIFIER.parse_key(line)


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(VERIFIER_FILE), *arguments]
    return subprocess.run(command, cwd=folder, env={}, capture_output=True, text=True, timeout=30, check=False)


def test_the_command_line(tmp_path: Path) -> None:
    content = make_file(make_records(approved=True))
    (tmp_path / "good.json").write_bytes(content)
    (tmp_path / "bad.json").write_bytes(content.replace(b"4990", b"4991"))
    (tmp_path / "key.pub").write_text(SIGNER.verifier_key + "\n", encoding="ascii")
    good = _run(tmp_path, "good.json", "--key", "key.pub")
    assert (good.returncode, good.stderr) == (0, "")
    assert "review     review.approved by opr_cleo" in good.stdout
    assert "house:refunds:EUR -> customer:acc_00ff00ff00ff, 4990 minor units of EUR" in good.stdout
    bad = _run(tmp_path, "bad.json", "--key", "key.pub", "--json")
    assert (bad.returncode, json.loads(bad.stdout)["verified"]) == (1, False)
    missing = _run(tmp_path, "none.json", "--key", "key.pub")
    assert (missing.returncode, missing.stderr) == (2, "error      cannot read none.json: No such file or directory\n")
    assert _run(tmp_path, "good.json", "--key", "good.json").returncode == 2
    assert _run(tmp_path, "good.json").returncode == 2


def test_control_characters_of_a_record_do_not_reach_the_terminal() -> None:
    assert _VERIFIER.printable("a\x1b[2Jb\u202ec\xe9") == "a\\x1b[2Jb\\u202ec\xe9"
