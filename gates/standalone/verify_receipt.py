#!/usr/bin/env python3
"""Verify a Tellergate receipt offline: `python verify_receipt.py RECEIPT --key PUBKEY [--json]`.

One file, on purpose: standard library and `cryptography` only, nothing of the project that made it, no network, no clock.
Exit status: 0 verified, 1 refused, 2 could not try (a file that cannot be read, a key that is none).

What is checked, in this order: the file is exactly the canonical JSON (RFC 8785) of a receipt and a newline; the checkpoint is a
C2SP signed note of this key for the records' tenant; each record is a leaf of that tree (RFC 6962); the records name each other
(message, proposal, decisions, approvals, posting), and the last decision allows exactly what was posted.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FORMAT = "tellergate-receipt/1"
MAX_BYTES = 4 * 1024 * 1024
MAX_EXACT = 2**53 - 1
RECORD_FIELDS = {
    "account_id", "amount_minor", "currency", "data", "event_id", "event_type", "idempotency_key", "model_score_ref",
    "occurred_at", "policy_decision", "policy_version", "recorded_at", "source", "subject", "tenant_id", "trace_id",
}  # fmt: skip
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
SHORT_ESCAPES = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}


class Refused(Exception):
    """Say why a receipt does not hold."""


class Unusable(Exception):
    """Say why the verification could not be tried."""


class VerifierKey(NamedTuple):
    """Hold a public key, its name and the four bytes that name it in a signature."""

    name: str
    key_id: bytes
    public_key: bytes


class Head(NamedTuple):
    """Hold what a checkpoint says."""

    origin: str
    size: int
    root: bytes


def require(condition: object, message: str) -> None:
    """Refuse unless the condition holds."""
    if not condition:
        raise Refused(message)


# Canonical JSON (RFC 8785, without fractions) ------------------------------------------------------------------------------


def write_canonical(value: Any) -> str:
    """Write strings, integers, booleans, null, lists and objects in their one form."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        require(abs(value) <= MAX_EXACT, "an integer is too large to be exact")
        return str(value)
    if isinstance(value, str):
        return _write_string(value)
    if isinstance(value, list):
        return "[" + ",".join(write_canonical(item) for item in value) + "]"
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(f"{_write_string(name)}:{write_canonical(value[name])}" for name in names) + "}"
    raise Refused("a value has no canonical form")


def _write_string(text: str) -> str:
    escaped = (SHORT_ESCAPES.get(ord(char)) or (f"\\u{ord(char):04x}" if ord(char) < 32 else char) for char in text)
    return '"' + "".join(escaped) + '"'


def _no_fraction(_: str) -> NoReturn:
    raise Refused("a number with a fraction or an exponent")


def read_canonical(content: bytes) -> Any:
    """Read JSON, and refuse every form of it but the canonical one followed by one newline."""
    require(len(content) <= MAX_BYTES, "the file is too large for a receipt")
    try:
        value = json.loads(content.decode("utf-8"), parse_float=_no_fraction, parse_constant=_no_fraction)
        canonical = write_canonical(value).encode("utf-8") + b"\n"
    except (ValueError, RecursionError) as error:
        raise Refused("not JSON of a receipt") from error
    require(canonical == content, "the bytes are not the canonical form (RFC 8785 and one newline)")
    return value


def digest_of(value: Any) -> str:
    """Return the SHA-256 of the canonical bytes, as hex."""
    return hashlib.sha256(write_canonical(value).encode("utf-8")).hexdigest()


# Key, checkpoint, tree -----------------------------------------------------------------------------------------------------


def decode_base64(text: str) -> bytes:
    """Decode base64 in its one form: padded, no spare bits set."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise Refused("not base64") from error
    require(base64.b64encode(raw).decode() == text, "not the one form of base64")
    return raw


def parse_key(line: str) -> VerifierKey:
    """Read `name+hex id+base64 key`. Source: c2sp.org/signed-note, verifier keys."""
    name, _, rest = line.strip().partition("+")
    key_id, _, encoded = rest.partition("+")
    try:
        raw = decode_base64(encoded)
    except Refused as error:
        raise Unusable("the key is not of the form name+id+base64") from error
    if not name or len(raw) != 33 or raw[:1] != b"\x01":
        raise Unusable("the key is no Ed25519 verifier key of the form name+id+base64")
    expected = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
    if key_id != expected.hex():
        raise Unusable("the key's id does not belong to its name and bytes")
    return VerifierKey(name=name, key_id=expected, public_key=raw[1:])


def check_checkpoint(note: str, key: VerifierKey) -> Head:
    """Verify a signed note with exactly one signature, ours, and read its three lines."""
    match = re.fullmatch(r"([^\n]+)\n(0|[1-9][0-9]{0,17})\n([^\n]+)\n\n\N{EM DASH} ([^ \n+]+) ([^ \n]+)\n", note, re.ASCII)
    if match is None:
        raise Refused("the checkpoint is not a signed note of three lines with one signature")
    origin, size, root, name, encoded = match.groups()
    signature = decode_base64(encoded)
    require(name == key.name and signature[:4] == key.key_id, f"the checkpoint is not signed by the key {key.name}")
    text = note[: match.end(3) + 1].encode("utf-8")
    try:
        Ed25519PublicKey.from_public_bytes(key.public_key).verify(signature[4:], text)
    except (InvalidSignature, ValueError) as error:
        raise Refused("the checkpoint's signature is not valid") from error
    root_hash = decode_base64(root)
    require(len(root_hash) == 32, "the root is no SHA-256")
    return Head(origin=origin, size=int(size), root=root_hash)


def check_path(record: Any, index: int, path: list[str], head: Head) -> None:
    """Walk from a record's leaf to the root. Source: RFC 9162 section 2.1.3.2."""
    require(0 <= index < head.size, f"record {index} lies outside of the signed tree of {head.size}")
    node, last = index, head.size - 1
    digest = hashlib.sha256(b"\x00" + write_canonical(record).encode("utf-8")).digest()
    for text in path:
        require(isinstance(text, str) and re.fullmatch("[0-9a-f]{64}", text), f"record {index}: no hash in its path")
        require(last > 0, f"record {index}: its path is too long")
        sibling = bytes.fromhex(text)
        if node & 1 or node == last:
            digest = hashlib.sha256(b"\x01" + sibling + digest).digest()
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            digest = hashlib.sha256(b"\x01" + digest + sibling).digest()
        node, last = node >> 1, last >> 1
    require(last == 0, f"record {index}: its path is too short")
    require(digest == head.root, f"record {index} is not in the signed tree")


# Records and their links ---------------------------------------------------------------------------------------------------


def check_shape(receipt: Any) -> list[dict[str, Any]]:
    """Return the records of a well-formed receipt, in their order."""
    require(isinstance(receipt, dict), "a receipt is an object")
    require(set(receipt) == {"format", "decision_id", "checkpoint", "records"}, "a receipt has other fields")
    require(receipt["format"] == FORMAT, f"the format is not {FORMAT}")
    require(isinstance(receipt["decision_id"], str) and isinstance(receipt["checkpoint"], str), "a field is no text")
    logged = receipt["records"]
    require(isinstance(logged, list) and logged, "there are no records")
    previous = -1
    for entry in logged:
        require(isinstance(entry, dict) and set(entry) == {"record", "index", "path"}, "a record has other fields")
        require(type(entry["index"]) is int and entry["index"] > previous, "records are not in the order of the log")
        require(isinstance(entry["path"], list), "a path is no list")
        previous = entry["index"]
        record = entry["record"]
        require(isinstance(record, dict) and set(record) == RECORD_FIELDS, "an event has other fields")
        require(isinstance(record["data"], dict), "an event's data is no object")
        for name in ("event_id", "event_type", "subject", "tenant_id"):
            require(isinstance(record[name], str), f"an event's {name} is no text")
        for name in ("occurred_at", "recorded_at"):
            require(isinstance(record[name], str) and TIME.fullmatch(record[name]), f"an event's {name} is no UTC time")
    return [entry["record"] for entry in logged]


def same(left: dict[str, Any], right: dict[str, Any], *names: str, what: str) -> None:
    """Require both to hold these fields, not null, with equal values of one type."""
    for name in names:
        value = left.get(name)
        require(
            value is not None and type(value) is type(right.get(name)) and value == right.get(name), f"{what}: {name} differs"
        )


def split_records(records: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Sort records by kind, and require that causes were logged before their effects."""
    kinds = {"message": [], "proposal": [], "gate": [], "review": [], "ledger": []}  # type: dict[str, list[dict[str, Any]]]
    names = {
        "message.received": "message",
        "proposal.submitted": "proposal",
        "gate.decided": "gate",
        "ledger.transfer_posted": "ledger",
    }
    names |= {f"review.{verdict}": "review" for verdict in ("approved", "refused", "expired")}
    order: list[str] = []
    for record in records:
        kind = names.get(record["event_type"])
        if kind is None:
            raise Refused(f"a record of the unknown type {record['event_type']}")
        kinds[kind].append(record)
        order.append(kind)
    require(
        len(kinds["message"]) <= 1 and len(kinds["proposal"]) == 1 and kinds["gate"], "proposal or decision missing or double"
    )
    require(len(kinds["ledger"]) <= 1, "more than one posting")
    expected = ["message"] * len(kinds["message"]) + ["proposal", "gate"]
    require(order[: len(expected)] == expected, "the log does not begin with message, proposal, decision")
    require(not kinds["ledger"] or order[-1] == "ledger", "a record after the posting")
    require(len({record["tenant_id"] for record in records}) == 1, "records of more than one tenant")
    require(len({record["event_id"] for record in records}) == len(records), "one event twice")
    return kinds


def check_sources(kinds: dict[str, list[dict[str, Any]]]) -> None:
    """Link the proposal to its message."""
    proposal = kinds["proposal"][0]
    data = proposal["data"]
    require(proposal["subject"] == data.get("proposal_id"), "the proposal's subject differs")
    require("message_event_id" in data, "the proposal does not say which message it answers")
    if data["message_event_id"] is None:
        require(not kinds["message"], "a message that the proposal does not name")
        return
    require(len(kinds["message"]) == 1, "the proposal's message is missing")
    message = kinds["message"][0]
    require(message["event_id"] == data["message_event_id"], "the proposal names another message event")
    require(message["subject"] == message["data"].get("message_id"), "the message's subject differs")
    same(message["data"], data, "message_id", "conversation_id", what="message and proposal")


def check_decisions(receipt: dict[str, Any], kinds: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Link the decisions to the proposal, to each other and to their approvals; return the last."""
    proposal = kinds["proposal"][0]
    previous: dict[str, Any] | None = None
    for decision in kinds["gate"]:
        data = decision["data"]
        action = data.get("action")
        if not isinstance(action, dict):
            raise Refused("a decision without an action")
        require(decision["subject"] == data.get("decision_id"), "a decision's subject differs")
        same(data, proposal["data"], "proposal_id", "proposal_digest", what="decision and proposal")
        require(data.get("proposal_event_id") == proposal["event_id"], "a decision names another proposal event")
        require(data.get("action_digest") == digest_of(action), "a decision's action does not give its digest")
        same(action, decision, "tenant_id", what="action and decision's event")
        same(action, data, "proposal_id", what="action and decision")
        require(data.get("outcome") in ("allow", "review", "hold", "deny"), "a decision with an unknown outcome")
        expected = previous["data"]["decision_id"] if previous else None
        require("previous_decision_id" in data and data["previous_decision_id"] == expected, "the chain of decisions is broken")
        check_answers(data, previous["data"] if previous else None, kinds["review"])
        previous = decision
    assert previous is not None
    require(previous["subject"] == receipt["decision_id"], "the receipt is of another decision")
    ids = {decision["subject"] for decision in kinds["gate"]}
    for review in kinds["review"]:
        require(review["subject"] == review["data"].get("review_id"), "a review's subject differs")
        require(review["data"].get("decision_id") in ids, "a review of a decision that is not here")
        same(review["data"], proposal["data"], "proposal_id", what="review and proposal")
    return previous


def check_answers(decision: dict[str, Any], previous: dict[str, Any] | None, reviews: list[dict[str, Any]]) -> None:
    """Require that a decision after a person's answer is of exactly the act that other people were asked about."""
    require("approval_id" in decision, "a decision that does not say whether a person answered")
    if decision["approval_id"] is None:
        return
    if previous is None:
        raise Refused("a first decision that was already answered")
    require(previous.get("outcome") in ("review", "hold"), "an answer to what was not in review")
    given = [review for review in reviews if review["data"].get("decision_id") == previous.get("decision_id")]
    answers = [review["data"] for review in given if review["event_type"] != "review.expired"]
    for answer in answers:
        same(answer, previous, "action_digest", "proposal_id", what="answer and reviewed decision")
        same(answer, decision, "action_digest", what="answer and decision")
        require(isinstance(answer.get("operator_id"), str), "an answer by nobody")
        require(answer["operator_id"] != decision.get("operator_id"), "the approver is who asked")
    require(len({answer["operator_id"] for answer in answers}) == len(answers), "one person answered twice")
    named = [review["event_type"] for review in given if review["data"].get("approval_id") == decision["approval_id"]]
    require(len(named) == 1, "the answer that a decision names is missing")
    require(named[0] == "review.approved" or decision["outcome"] == "deny", "a refusal that did not end in a deny")


def check_posting(posting: dict[str, Any], decision: dict[str, Any]) -> None:
    """Require that the posting is the one that the last decision allows."""
    data, allowed = posting["data"], decision["data"]
    action = allowed["action"]
    require(allowed["outcome"] == "allow" and action.get("kind") == "refund", "a posting without a decision that allows it")
    same(data, allowed, "decision_id", "proposal_id", "action_digest", what="posting and decision")
    require(data.get("decision_event_id") == decision["event_id"], "the posting names another decision event")
    same(data, action, "transaction_id", "account_id", "amount_minor", "currency", what="posting and action")
    same(posting, action, "account_id", "amount_minor", "currency", what="posting's event and action")
    same(decision, action, "amount_minor", "currency", what="decision's event and action")
    require(type(data["amount_minor"]) is int and data["amount_minor"] > 0, "the posted amount is not positive")
    parts = ("refund", action["tenant_id"], allowed["decision_id"], action["transaction_id"], action["account_id"])
    bound = hashlib.sha256("|".join((*parts, str(action["amount_minor"]), action["currency"])).encode()).hexdigest()
    require(data.get("transfer_digest") == bound, "the posting's digest is not that of the decision")
    require(data.get("debit") == f"house:refunds:{action['currency']}", "the posting debits another account")
    require(data.get("credit") == f"customer:{action['account_id']}", "the posting credits another account")
    require(posting["subject"] == data.get("transfer_id"), "the posting's subject differs")
    require(
        posting["event_id"] == f"evt_{str(data['transfer_id']).removeprefix('tfr_')}", "the posting's event is another transfer's"
    )
    for name in ("debit_version", "credit_version", "credit_balance_after_minor"):
        require(type(data.get(name)) is int, f"the posting's {name} is no integer")
    # The house's side may be rolled up: then no single posting has a balance after it.
    require("debit_balance_after_minor" in data, "the posting has no debit_balance_after_minor")
    require(type(data["debit_balance_after_minor"]) in (int, type(None)), "the posting's debit_balance_after_minor is no integer")
    for name in ("decided_at", "expires_at"):
        require(isinstance(allowed.get(name), str) and TIME.fullmatch(allowed[name]), f"the decision's {name} is no UTC time")
    require(
        allowed["decided_at"] <= posting["occurred_at"] < allowed["expires_at"], "the decision was not alive when it was posted"
    )


def verify(content: bytes, key: VerifierKey) -> dict[str, Any]:
    """Verify a receipt file's bytes and return what they prove. Raises: Refused."""
    receipt = read_canonical(content)
    records = check_shape(receipt)
    head = check_checkpoint(receipt["checkpoint"], key)
    require(head.origin == f"{key.name}/{records[0]['tenant_id']}", "the checkpoint is of another tenant's log")
    for entry in receipt["records"]:
        check_path(entry["record"], entry["index"], entry["path"], head)
    kinds = split_records(records)
    try:
        check_sources(kinds)
        decision = check_decisions(receipt, kinds)
        for posting in kinds["ledger"]:
            check_posting(posting, decision)
        return summarize(head, kinds, decision)
    except (KeyError, TypeError) as error:
        raise Refused("a record lacks a field, or holds it in another form") from error


def summarize(head: Head, kinds: dict[str, list[dict[str, Any]]], decision: dict[str, Any]) -> dict[str, Any]:
    """Say what was proved."""
    data, action = decision["data"], decision["data"]["action"]
    names = (
        "transfer_id",
        "amount_minor",
        "currency",
        "debit",
        "credit",
        "debit_balance_after_minor",
        "credit_balance_after_minor",
    )
    posting = {name: kinds["ledger"][0]["data"][name] for name in names} if kinds["ledger"] else None
    if posting:
        posting["posted_at"] = kinds["ledger"][0]["occurred_at"]
    return {
        "verified": True,
        "log": {"origin": head.origin, "size": head.size, "root": head.root.hex()},
        "decision": {
            "decision_id": data["decision_id"],
            "outcome": data["outcome"],
            "decided_at": data.get("decided_at"),
            "kind": action.get("kind"),
            "transaction_id": action.get("transaction_id"),
            "amount_minor": action.get("amount_minor"),
            "currency": action.get("currency"),
            "policy_bundle_sha256": data.get("policy_bundle_sha256"),
            "approval_id": data["approval_id"],
            "decisions_in_chain": len(kinds["gate"]),
        },
        "reviews": [
            {"event_type": review["event_type"], "operator_id": review["data"].get("operator_id")} for review in kinds["review"]
        ],
        "posting": posting,
    }


def write_lines(proved: dict[str, Any]) -> list[str]:
    """Write what was proved for a person."""
    log, decision, posting = proved["log"], proved["decision"], proved["posting"]
    amount = f"{decision['amount_minor']} minor units of {decision['currency']}"
    lines = [
        f"verified   every record is in the signed log {log['origin']} of {log['size']} records",
        f"decision   {decision['decision_id']}: {decision['outcome']}, decided {decision['decided_at']}",
        f"act        {decision['kind']} of {decision['transaction_id']}: {amount}",
    ]
    lines += [f"review     {review['event_type']} by {review['operator_id']}" for review in proved["reviews"]]
    if posting is None:
        return [*lines, "posting    none: this decision moved no money"]
    rolled_up = posting["debit_balance_after_minor"] is None
    after = f"{'(rolled up)' if rolled_up else posting['debit_balance_after_minor']} and {posting['credit_balance_after_minor']}"
    return [
        *lines,
        f"posting    {posting['transfer_id']}: {posting['debit']} -> {posting['credit']}, {amount}, {posting['posted_at']}",
        f"balances   {after} minor units after it",
    ]


def printable(line: str) -> str:
    """Make control characters visible: records hold texts of others, and a terminal obeys some of them."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)


def read_file(path: str) -> bytes:
    """Read a file of at most a receipt's size, and a byte more to notice a larger one."""
    try:
        with Path(path).open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise Unusable(f"cannot read {path}: {error.strerror}") from error


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    parser = argparse.ArgumentParser(prog="verify_receipt.py", description="Verify a Tellergate receipt offline.")
    parser.add_argument("receipt", help="the receipt file")
    parser.add_argument("--key", required=True, help="file with the log's public key: one line, name+id+base64")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    options = parser.parse_args(arguments)
    try:
        key = parse_key(read_file(options.key).decode("utf-8", "replace"))
        proved = verify(read_file(options.receipt), key)
    except Refused as error:
        print(json.dumps({"verified": False, "reason": str(error)}) if options.json else f"REFUSED    {error}")
        return 1
    except Unusable as error:
        if options.json:
            print(json.dumps({"verified": None, "error": str(error)}))
        else:
            print(f"error      {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(proved, indent=2))
    else:
        print("\n".join(map(printable, write_lines(proved))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
